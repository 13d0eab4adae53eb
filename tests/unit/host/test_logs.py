"""Log lines: form, and no secrets."""

from __future__ import annotations

import json
import logging
import sys

import pytest

from ai_assistant.host.logs import JsonFormatter, TextFormatter, masked


def record(message: str, *arguments: object, **extra: object) -> logging.LogRecord:
    found = logging.LogRecord("ai_assistant.access", logging.INFO, __file__, 1, message, arguments, None)
    vars(found).update(extra)
    return found


@pytest.mark.parametrize(
    "text",
    [
        "key sk-abcdefghijklmnopqrstuv failed",
        "Authorization: Bearer abc.def-ghi",
        "Authorization: token 0123456789abcdef:0123456789abcdef0123456789abcdef",
        "Cookie: sid=0123456789abcdef0123; other=1",
        "redis://user:hunter2secret@localhost:6379/0",
        "GET /login?token=AbCdEf_123",
    ],
)
def test_what_looks_like_a_secret_is_masked(text: str) -> None:
    shown = masked(text)
    assert "***" in shown
    for secret in ("abcdefghijkl", "abc.def", "0123456789abcdef", "hunter2secret", "AbCdEf"):
        assert secret not in shown


def test_ordinary_words_stay() -> None:
    text = "task 5b38dc96 completed tokens=212 token count 5 at http://127.0.0.1:8000/api sid of nobody"
    assert masked(text) == text


def test_json_lines_carry_the_fields() -> None:
    line = JsonFormatter().format(record("%s %s", "GET", "/", user="ann", request_id="r1", ms=1.5))
    entry = json.loads(line)
    assert entry["message"] == "GET /"
    assert (entry["level"], entry["user"], entry["request_id"], entry["ms"]) == ("info", "ann", "r1", 1.5)
    assert entry["time"].endswith("Z")


def test_a_traceback_is_masked_and_stays_in_one_json_line() -> None:
    try:
        raise ValueError("key sk-abcdefghijklmnopqrstuv\nsecond line")
    except ValueError:
        found = record("it failed")
        found.exc_info = sys.exc_info()
    line = JsonFormatter().format(found)
    assert "\n" not in line
    assert "sk-abc" not in line
    assert "ValueError" in json.loads(line)["traceback"]
    text = TextFormatter().format(found)
    assert "sk-abc" not in text
    assert "Traceback" in text


def test_text_lines_are_for_people() -> None:
    text = TextFormatter().format(record("GET / 200 3.1 ms", user="ann", request_id="r1"))
    assert text.endswith("INFO    ai_assistant.access: GET / 200 3.1 ms (user=ann request_id=r1)")
