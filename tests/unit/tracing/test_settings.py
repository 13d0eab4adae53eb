"""Settings that cannot be used: said, never raised, and nothing private is told in their place."""

from __future__ import annotations

import logging

import pytest

from ai_assistant import tracing
from ai_assistant.tracing import state, testing
from ai_assistant.tracing.settings import settings_from


class Wordless:
    def __str__(self):
        raise RuntimeError("no words")


@pytest.fixture
def no_client():
    before = state.client()
    yield
    state.swap(before)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"url": "http://user:hidden-word@127.0.0.1:1", "api_key": "a:b"}, "url: must name a host"),
        ({"url": "http://[bad", "api_key": "a:b"}, "url: is no URL"),
        ({"url": "http://127.0.0.1:99999", "api_key": "a:b"}, "url: is no URL"),
        ({"url": "http://127.0.0.1:1", "api_key": "ключ:hidden-word"}, "api_key: must be key:secret"),
        ({"redis_url": "redis://:hidden-word/@localhost:port", "site": "s"}, "redis_url: is no URL"),
        ({"redis_url": "redis://127.0.0.1:1/0?hidden-word=1", "site": "s"}, "redis_url cannot be used"),
        ({"redis_url": "redis://127.0.0.1:1", "site": "s", "service": "\udc80"}, "service: must be UTF-8"),
        ({"mask_patterns": 5}, "mask_patterns: must be a list"),
    ],
)
def test_a_wrong_setting_is_logged_and_raises_nothing(no_client, caplog, given, named):
    caplog.set_level(logging.INFO, "ai_assistant.tracing")
    client = tracing.init(**given)
    with tracing.span("step"):
        pass
    client.shutdown(0.1)
    assert named in caplog.text
    assert "hidden-word" not in caplog.text


@pytest.mark.parametrize("wrong", [{"mask_patterns": ["("]}, {"mask_patterns": 5}, {"mask": "mask.py"}])
def test_a_mask_that_cannot_be_used_masks_everything(wrong):
    settings, problems = settings_from(wrong, {})
    assert "all payloads are masked" in problems[0]
    with (
        testing.recorded(mask=settings.mask, mask_patterns=settings.mask_patterns) as traces,
        tracing.span("step", input="a\nb"),
    ):
        pass
    assert traces.observations()[0]["input"] == "[redacted]"


def test_what_cannot_be_read_of_a_wish_not_to_capture_counts_as_the_wish():
    environ = {"AI_ASSISTANT_TRACING_CAPTURE_INPUT": "nein"}
    settings, problems = settings_from({"capture_output": "never"}, environ)
    assert (settings.capture_input, settings.capture_output, settings.capture_reasoning) == (False, False, True)
    assert [problem.partition(":")[0] for problem in problems] == [
        "AI_ASSISTANT_TRACING_CAPTURE_INPUT",
        "capture_output",
    ]


def test_what_a_program_says_wrongly_does_not_break_it(no_client):
    def site():
        raise RuntimeError("no site here")

    with testing.recorded() as traces:
        with tracing.span(5), tracing.traced("block"):  # type: ignore[arg-type]
            tracing.progress("a", None)  # type: ignore[arg-type]
            tracing.progress(1, "b")  # type: ignore[arg-type]
            tracing.event(None)  # type: ignore[arg-type]
        assert traces.tree() == ["5", "  block", "    None"]
        with tracing.span("again") as span:
            span.progress(10**400, 1)
            span.score(Wordless(), 1, Wordless())  # type: ignore[arg-type]
            span.append_reasoning(b"bytes")  # type: ignore[arg-type]
            span.limit_reasoning("few")  # type: ignore[arg-type]
            span.end(at="now", status=["completed"])  # type: ignore[arg-type]
        for header in (5, b"00-", b"\xff", {"traceparent": None}):
            with tracing.continue_trace(header):  # type: ignore[arg-type]
                pass
        assert traces.named("again")["status"] == "completed"
        before = tracing.status()["errors"]
        traces.client.default.site = site  # type: ignore[union-attr]
        with tracing.span("step") as span, tracing.traced("block"):
            assert not span.is_recording
        with tracing.continue_trace(f"00-{'1' * 32}-{'2' * 16}-01"):
            pass
        assert tracing.status()["errors"] == before + 3
