"""Secrets in any text around them, and texts that only look as if they held some."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_assistant.tracing.secret_text import MASK, NAME_CHARS, masked_text

SECRETS = [
    "sk-proj-abcdEFGH1234567890abcd",
    "AKIAIOSFODNN7EXAMPLE",
    "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
    "Authorization: Bearer Zm9vYmFyYmF6",
    'api_key="Zm9vYmFyYmF6"',
    "password=Zm9vYmFyYmF6",
    "set-cookie: Zm9vYmFyYmF6",
    "postgres://ann:Zm9vYmFyYmF6@db/x",
    "-----BEGIN RSA PRIVATE KEY-----\nZm9vYmFyYmF6\n-----END RSA PRIVATE KEY-----",
]
AROUND = st.text(alphabet="abk:=\"' \n{},.key_tokn", max_size=300)


@given(AROUND, st.sampled_from(SECRETS), AROUND)
def test_a_secret_is_found_wherever_it_stands(before: str, secret: str, after: str):
    masked = masked_text(f"{before} {secret} {after}")
    assert "Zm9vYmFyYmF6" not in masked
    assert secret not in masked


@given(st.text(alphabet="abk:=\"'\\ \n{},.key_tokn-sid", max_size=300))
def test_what_is_masked_is_masked_once(text: str):
    once = masked_text(text)
    assert masked_text(once).count(MASK) == once.count(MASK)


@pytest.mark.parametrize(
    "text",
    [
        "def f(token: str, key=None): return {'side': 1}",
        "the basic idea; a bearer of news; a token of thanks",
        "https://example.com:8080/a?b=c",
        "monkey=1 risky: 2 inside: 3",
        "a: " * 3 * NAME_CHARS,
    ],
)
def test_what_is_no_secret_stays(text: str):
    assert masked_text(text) == text


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("my_own_api_key = 'a b c' and on", f"my_own_api_key = {MASK} and on"),
        ('{\\"password\\": \\"a b\\"}', '{\\"password\\": \\"' + MASK + '\\"}'),
        ("password=four,password=two", f"password={MASK},password=two"),
        ("x" * 500 + " secret: hidden", "x" * 500 + f" secret: {MASK}"),
        ("url: redis://:hunter22@h password: hunter33", f"url: redis://{MASK}@h password: {MASK}"),
    ],
)
def test_names_stay_and_values_go(text: str, masked: str):
    assert masked_text(text) == masked
