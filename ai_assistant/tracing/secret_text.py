"""Finds secrets in text by the forms that they have.

The publisher's thread reads every payload, and while one regular expression runs no other thread of the program does.
So each form begins with letters of its own, which Python's `re` finds quickly, and pairs of names and values are looked
for only around `=` and `:` behind a name: some 10 ns for a character, where one expression for all took 450.
"""

from __future__ import annotations

import itertools
import re
import string
from typing import Final

MASK: Final = "[redacted]"


QUERY: Final = ("key", "token", "auth", "jwt", "sig", "signature", "x-amz-signature", "x-goog-signature")
"""Names in the query of a URL that are secrets only there."""


def _key(prefix: str, rest: str) -> tuple[re.Pattern[str], str]:
    """A key: `prefix` at the beginning of a word, then `rest`."""
    return re.compile(rf"{prefix}(?<=\b{prefix}){rest}"), MASK


FORMS: Final[tuple[tuple[re.Pattern[str], str], ...]] = (
    (re.compile(r"-----BEGIN[ A-Z]*PRIVATE KEY-----.*?(?:-----END[ A-Z]*PRIVATE KEY-----|\Z)", re.DOTALL), MASK),
    (
        re.compile(r"([Bb](?i:earer|asic) )(?:(?i:(?<=\bbearer ))|(?i:(?<=\bbasic )))[A-Za-z0-9._~+/=\-]{8,}"),
        rf"\1{MASK}",
    ),
    (re.compile(r"([Tt](?i:oken) )(?i:(?<=\btoken ))[0-9A-Za-z]{8,}:[0-9A-Za-z]{8,}"), rf"\1{MASK}"),
    _key("sk-", r"[A-Za-z0-9_\-]{16,}"),
    _key("rk-", r"[A-Za-z0-9_\-]{16,}"),
    _key("AIza", r"[0-9A-Za-z_\-]{30,}"),
    _key("gh[pousr]_", r"[A-Za-z0-9]{20,}"),
    _key("github_pat_", r"[A-Za-z0-9_]{20,}"),
    _key("glpat-", r"[A-Za-z0-9_\-]{16,}"),
    _key("xox[abps]-", r"[A-Za-z0-9\-]{10,}"),
    _key("AKIA", r"[0-9A-Z]{16}\b"),
    _key("ASIA", r"[0-9A-Z]{16}\b"),
    _key("eyJ", r"[A-Za-z0-9_\-]{8,1000}\.[A-Za-z0-9_\-]{8,4000}\.[A-Za-z0-9_\-]*"),
    _key("xapp-", r"[A-Za-z0-9\-]{20,}"),
    *(_key(f"{kind}_{use}_", r"[A-Za-z0-9]{16,}") for kind in ("sk", "rk") for use in ("live", "test")),
    _key("hf_", r"[A-Za-z0-9]{20,}"),
    _key("gsk_", r"[A-Za-z0-9]{20,}"),
    _key("npm_", r"[A-Za-z0-9]{30,}"),
    _key("pypi-", r"[A-Za-z0-9_\-]{30,}"),
    _key(r"ya29\.", r"[A-Za-z0-9_\-]{20,}"),
    _key(r"SG\.", r"[A-Za-z0-9_\-]{16,}\.[A-Za-z0-9_\-]{16,}"),
    *(_key(prefix, r"[A-Za-z0-9_\-]{20,}") for prefix in ("pplx-", "xai-", "nvapi-", "tvly-")),
    *(_key(prefix, r"[A-Za-z0-9_]{20,}") for prefix in ("r8_", "fw_", "lsv2_", "dop_v1_", "shpat_", "whsec_")),
    (re.compile(rf"([?&](?:{'|'.join(QUERY)})=)[^\s&\"'#<>]{{6,}}", re.IGNORECASE), rf"\1{MASK}"),
    (re.compile(r"(token=[\"']?)(?<![A-Za-z0-9]token=)(?<![A-Za-z0-9]token=[\"'])[^\s\"',;&)\]}]{8,}"), rf"\1{MASK}"),
    (re.compile(r"""(://)[^\s/:@"'\\]{0,128}:[^\s/@"'\\]{1,256}(?=@)"""), rf"\1{MASK}"),
)
"""Keys of well-known services, private keys, passwords in URLs, values of headers; with what stands in their place."""

SID: Final = re.compile(r"""(?i)\\?["']?\b(?:[a-z0-9]{1,30}[_-]){0,4}sid\\?["']?\s*[=:]\Z""")
"""A session's id, up to the `=` or `:` behind it: the only name that other words end with, too."""
VALUE: Final = re.compile(
    r"""(?ix)
    (\s*)
    (?:\\?"(?:[^"\\]|\\.)*?(?:\\?"|\Z)|'[^']*(?:'|\Z)|(?:(?:bearer|basic|token)\s+)?[^\s,;&"'\\{}\[\]()<>]{4,})
    """
)
"""The value behind it."""
NAME_ENDS: Final = (
    *("secret", "passwd", "password", "passwod", "passwrd", "passphrase", "passcode", "authorization", "cookie"),
    *(
        "".join(parts)
        for names, last in (
            (
                ("api", "access", "secret", "private", "subscription", "encryption", "signing", "account", "master"),
                "key",
            ),
            (("access", "refresh", "auth", "session"), "token"),
        )
        for parts in itertools.product(names, ("", "_", "-"), (last,))
    ),
)
"""How names end whose values are secret: of a header, in a query, in a line of a configuration, in JSON within JSON.
What stands before it does not matter: `db_password`, `openaiApiKey`."""
NAME_ALPHABET: Final = string.ascii_letters + string.digits + "_-"
NAME_CHARS: Final = 200
"""Characters before a `=` or `:` in which its name begins."""
_SEPARATOR = re.compile("[=:]")


def masked_text(text: str) -> str:
    """The text with `MASK` in the place of each secret."""
    for form, mask in FORMS:
        text = form.sub(mask, text)
    return masked_pairs(text)


def masked_pairs(text: str) -> str:
    """The text with the values masked that stand behind a name which says that they are secret."""
    pieces: list[str] = []
    done = 0
    for separator in _SEPARATOR.finditer(text):
        end = separator.end()
        if end <= done or not is_secret_name(text, done, end):
            continue
        value = VALUE.match(text, end)
        if value is not None:
            pieces += (text[done:end], value[1], masked_value(value[0]))
            done = value.end()
    return "".join((*pieces, text[done:])) if pieces else text


def is_secret_name(text: str, start: int, end: int) -> bool:
    """Whether what ends with the `=` or `:` before `end`, and does not begin before `start`, is a secret's name."""
    begin = max(start, end - NAME_CHARS)
    name = text[begin : end - 1].rstrip().rstrip("\"'\\")
    tail = name[-20:].lower()
    if tail.endswith(NAME_ENDS):
        return True
    if not tail.endswith("sid"):
        return False
    begin += max(0, len(name.rstrip(NAME_ALPHABET)) - 2)  # with a quote before it, which may be escaped
    return SID.search(text, max(start, begin), end) is not None


def masked_value(value: str) -> str:
    """The mask, with the quote that ends the value."""
    quote = '\\"' if value.endswith('\\"') else '"' if value.endswith('"') else ""
    return f"{quote}{MASK}{quote}"
