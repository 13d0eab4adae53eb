"""What must not leave the process, and what must stay readable."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_assistant import tracing
from ai_assistant.tracing import testing
from ai_assistant.tracing.redact import FAILED, MASK, Redactor

KEYS = [
    "sk-proj-abcdEFGH1234567890abcd",
    "sk-ant-api03-abcdEFGH1234567890",
    "AIzaSyA1234567890abcdefghijklmnopqrstuv",
    "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
    "github_pat_11ABCDEFG0abcdefghijkl",
    "xoxb-123456789012-abcdefABCDEF",
    "AKIAIOSFODNN7EXAMPLE",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
    "hf_abcdefghijklmnopqrstuvwx",
    "gsk_abcdefghijklmnopqrstuvwx",
    "glpat-abcdefghijklmnopqrst",
]


@pytest.fixture
def redactor():
    return Redactor()


@pytest.mark.parametrize("key", KEYS)
def test_keys_of_well_known_services_in_text_and_in_json(redactor, key):
    assert redactor.text(f"use {key} please") == f"use {MASK} please"
    assert key not in redactor.text(json.dumps({"note": f"it is {key}"}))
    assert key not in redactor.text(json.dumps([{"deep": [{"text": key}]}]))


@pytest.mark.parametrize(
    "name",
    [
        "password", "api_key", "apiKey", "API-KEY", "openai_api_key", "x-api-key", "Authorization", "secret",
        "client_secret", "access_token", "refreshToken", "token", "private_key", "Set-Cookie", "cookie", "credentials",
        "sid", "aws_secret_access_key", "db.password", "passwd",
    ],
)  # fmt: skip
def test_members_whose_names_say_that_they_are_secret(redactor, name):
    masked = json.loads(redactor.text(json.dumps({"a": {name: "tr0ub4dor", "other": "stays"}})))
    assert masked == {"a": {name: MASK, "other": "stays"}}


@pytest.mark.parametrize(
    "value",
    [
        {"max_tokens": 100, "prompt_tokens": 7, "tokens": ["a"], "token_count": 3},
        {"question": "What is a secret? What is a key, a token, a password?"},
        {"author": "Ann", "keys": ["a", "b"], "monkey": "business", "authorized": True},
        {"password": None, "api_key": "", "secret": False},
        {"url": "https://example.com/path?a=1"},
    ],
)
def test_what_is_no_secret_stays(redactor, value):
    assert json.loads(redactor.text(json.dumps(value))) == value


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Authorization: Bearer abc.def-ghi_jkl", "abc.def"),
        ("curl -H 'Authorization: token 0123456789abcde:fedcba9876543210'", "fedcba98"),
        ("postgres://user:hunter22@db:5432/x", "hunter22"),
        ("redis://:s3cr3tpw@10.0.0.1", "s3cr3tpw"),
        ('export OPENAI_API_KEY="plain-value-1234"', "plain-value"),
        ("password = hunter22", "hunter22"),
        ('{"inner": "{\\"api_key\\": \\"very-hidden-1\\"}"}', "very-hidden"),
        ('{"api_key": "cut off in the midd', "cut off"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----", "MIIEow"),
    ],
)
def test_secrets_within_text(redactor, text, left):
    assert left in text
    masked = redactor.text(text)
    assert left not in masked
    assert MASK in masked


def test_own_patterns():
    redactor = Redactor(patterns=[r"\b\d{4}-\d{4}\b"])
    assert redactor.text("card 1234-5678 ok") == f"card {MASK} ok"


def test_an_own_function_gets_what_was_said_and_decides():
    redactor = Redactor(lambda value: {**value, "name": "?"} if isinstance(value, dict) else value.upper())
    assert json.loads(redactor.text('{"name": "Ann", "n": 1}')) == {"name": "?", "n": 1}
    assert redactor.text("plain") == "PLAIN"


def test_a_function_that_fails_masks_everything(caplog):
    redactor = Redactor(lambda value: 1 / 0)
    assert redactor.text('{"name": "Ann"}') == FAILED
    assert redactor.text("Ann") == FAILED
    assert redactor.failures == 2
    assert "the mask has failed 1 times" in caplog.text
    assert "Ann" not in caplog.text


def test_nothing_secret_is_among_the_events_of_a_traced_program():
    from ai_assistant import tracing

    @tracing.traced
    def call(headers, password):
        tracing.update(metadata={"api_key": KEYS[0]}, error_message=f"with {KEYS[1]}")
        tracing.event("sent", {"authorization": "Bearer abcdefghijkl"})
        tracing.set_trace(metadata={"token": "abcdefgh"})
        raise ValueError(f"refused: {KEYS[3]}")

    with testing.recorded() as traces, pytest.raises(ValueError, match="refused"):
        call({"Authorization": "Bearer abcdefghijkl"}, "hunter22")
    text = str(traces.events)
    for secret in (KEYS[0], KEYS[1], KEYS[3], "abcdefghijkl", "hunter22", "'abcdefgh'"):
        assert secret not in text
    assert MASK in text


@given(st.text())
def test_any_text_is_masked_without_an_error(text):
    Redactor().text(text)


@pytest.mark.parametrize(
    "name",
    [
        "dbPassword",
        "openaiApiKey",
        "OPENAI_KEY",
        "Ocp-Apim-Subscription-Key",
        "encryption_key",
        "password_confirm",
        "auth",
    ],
)
def test_names_of_secrets_however_they_are_written(redactor, name):
    assert redactor.text(f'{{"{name}":"hidden"}}') == f'{{"{name}":"{MASK}"}}'


@pytest.mark.parametrize("name", ["primary_key", "author", "passage", "max_tokens", "keyboard", "session", "monkey"])
def test_names_that_only_sound_like_it(redactor, name):
    assert redactor.text(f'{{"{name}":"kept"}}') == f'{{"{name}":"kept"}}'


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ('[["Authorization","hidden"],["Accept","x"]]', f'[["Authorization","{MASK}"],["Accept","x"]]'),
        ('{"name":"X-Api-Key","value":"hidden"}', f'{{"name":"X-Api-Key","value":"{MASK}"}}'),
        ('{"sk-proj-abcdefghijklmnop1234":1}', f'{{"{MASK}":1}}'),
        ("https://h/x?key=hidden1&a=b", f"https://h/x?key={MASK}&a=b"),
        ("https://h/x?a=b&sig=hidden1", f"https://h/x?a=b&sig={MASK}"),
        ("Client(token='hidden12')", f"Client(token='{MASK}')"),
        ("AccountName=a;AccountKey=hidden", f"AccountName=a;AccountKey={MASK}"),
        ("the key xai-" + "a" * 40, f"the key {MASK}"),
        ("sk_live_" + "a" * 24, MASK),
    ],
)
def test_headers_in_lists_queries_and_further_keys(redactor, text, masked):
    assert redactor.text(text) == masked


def test_a_key_in_a_tag_or_a_short_field_stays_in_the_process():
    key = "sk-proj-abcdefghijklmnop1234567890"
    with testing.recorded(mask_patterns=(r"\S+@\S+",)) as traces, tracing.span("step", model=key, error_type=key):
        tracing.set_trace(tags=[f"tag {key}", "plain"], session=key, user="ann@example.com")
    assert key not in repr(traces.events)
    (trace,) = traces.traces().values()
    assert trace == {"tags": [f"tag {MASK}", "plain"], "session": MASK, "user": "ann@example.com"}
