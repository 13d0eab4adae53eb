"""Takes secrets out of what is to leave the process.

First a cheap look for words that come with secrets; only where there is one, the text is searched. JSON is then read
and masked by the names of its members, all text by the forms that keys are known to have.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

from ai_assistant.tracing.secret_text import MASK, masked_text

log = logging.getLogger("ai_assistant.tracing")

FAILED: Final = "[redacted: the mask failed]"
Mask = Callable[[Any], Any]

_WORDS: Final = (
    ("k", ("key",)),
    ("ok", ("token", "cookie")),
    ("pass", ("passw", "passphrase")),
    ("cre", ("secret", "credential")),
    ("z", ("authoriz",)),
    ("b", ("bearer",)),
    ("w", ("pwd",)),
)
"""In lower case, each behind a character or more that it has in common with others, so that a text without that is read
once; some stand in many harmless texts too, which then are read in vain."""
_STARTS: Final = (
    ("z", ("AIza",)),
    ("K", ("AKIA",)),
    ("I", ("ASIA",)),
    ("J", ("eyJ",)),
    ("x", ("xox",)),
    ("9", ("ya29.",)),
    ("asic ", ("asic ",)),
    ("G", ("SG.",)),
    ("_", ("gh",)),
    ("-", ("-----BEGIN",)),
    ("@", ("://",)),
)
"""What is looked for only where a character is there at all, which is known in no time."""
_ENDS: Final = (
    ("_", ("hf_", "gsk_", "npm_", "k_live_", "k_test_", "r8_", "fw_", "lsv2_", "dop_v1_", "shpat_", "whsec_")),
    ("-", ("k-", "glpat-", "pypi-", "pplx-", "xai-", "nvapi-", "tvly-", "xapp-")),
    ("=", ("sid=", "sig=", "ignature=", "auth=", "jwt=")),
)
"""What ends with a character that most texts have seldom: it is looked for there only."""
_OFTEN: Final = 35
"""A text that has such a character more often than once in so many is searched for each word."""
_MEMBERS: Final = re.compile('"(?:sid|auth|pass|passcode|jwt|otp)"')

SECRET_NAME: Final = re.compile(
    r"""(?:.*_)?(?:
        (?:api|access|secret|private|subscription|encryption|signing|consumer|account|master|ssh|shared
           |openai|anthropic|azure|gemini|google|mistral|groq|cohere|deepseek|openrouter|aws)_?(?:access_?)?keys?
        | secrets? | passwo?r?ds? | passwd | pwd | pass | passphrase | passcode | otp | authorization | auth
        | jwt | bearer
        | (?:access|refresh|id|auth|session|csrf|api)?_?token
        | credentials? | cookies? | sid | connection_string | shared_?access_?signature
    )(?:_(?:\d+|v\d+|confirm|confirmation|repeat|again|old|new|value|hash|plain|text|openai|anthropic))*\d*""",
    re.IGNORECASE | re.VERBOSE,
)
"""Names of members whose values are secrets, their words divided by `_` (`divided`): the whole name must match.
`max_tokens` does not."""
_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def divided(name: str) -> str:
    """The words of a name divided by `_`, however it writes that: `userPassword`, `X-API-Key`, `db.password`."""
    return _HUMP.sub("_", name).translate(_DIVIDERS)


_DIVIDERS: Final = str.maketrans("-. :", "____")
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


class Redactor:
    """What one program leaves out of its traces. Used by one thread."""

    def __init__(self, mask: Mask | None = None, patterns: Iterable[str | re.Pattern[str]] = ()):
        """`mask` gets each payload, read from JSON where it is JSON, and gives what may leave the process instead.
        Raises re.error for a pattern that is none."""
        self._mask = mask
        self._patterns = [re.compile(pattern) for pattern in patterns]
        self._is_secret: dict[str, bool] = {}
        self.failures = 0
        """How often `mask` has raised; what it should have masked is left out altogether."""

    def text(self, text: str) -> str:
        """The text without secrets; all of it is masked where the program's own mask raises."""
        masked = self._known(text) if self._is_suspicious(text) else text
        for pattern in self._patterns:
            masked = pattern.sub(MASK, masked)
        return masked if self._mask is None else self._own(masked)

    def word(self, text: str) -> str:
        """The same for a text of a few words, which the program's own mask need not understand."""
        masked = masked_text(text) if self._is_suspicious(text) else text
        for pattern in self._patterns:
            masked = pattern.sub(MASK, masked)
        return masked

    def is_harmless(self, text: str) -> bool:
        """Whether nothing in the text can be a secret; never so where the program has a mask or patterns of its own."""
        return self._mask is None and not self._patterns and not self._is_suspicious(text)

    def _is_suspicious(self, text: str) -> bool:
        return (
            _has_any(text.lower(), _WORDS)
            or _has_any(text, _STARTS)
            or _has_end(text)
            or ('"' in text and _MEMBERS.search(text) is not None)
        )

    def _known(self, text: str) -> str:
        if text[:1] in "{[":
            try:
                return _encode(self._members(_decode(text))).decode()
            except (msgspec.MsgspecError, RecursionError):
                pass  # no JSON, or cut short: as text
        return masked_text(text)

    def _members(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {
                self._string(key): MASK if self._hides(key, item) else self._members(item)
                for key, item in self._spread(value).items()
            }
        if isinstance(value, list):
            if len(value) == 2 and all(type(each) is str for each in value) and self._hides(*value):
                return [value[0], MASK]  # a header, as many libraries hold them
            return [self._members(item) for item in value]
        return self._string(value) if isinstance(value, str) else value

    def _string(self, text: str) -> str:
        return masked_text(text) if self._is_suspicious(text) else text

    def _spread(self, members: dict[str, Any]) -> dict[str, Any]:
        """The members; of `{"name": …, "value": …}` the value is masked where the name says so."""
        for label in ("name", "key"):
            name = members.get(label)
            if isinstance(name, str) and "value" in members and self._hides(name, members["value"]):
                return {**members, "value": MASK}
        return members

    def _hides(self, key: str, value: Any) -> bool:
        """Whether a member is a secret: nothing is hidden where there is nothing."""
        found = self._is_secret.get(key)
        if found is None:
            found = SECRET_NAME.fullmatch(divided(key)) is not None if len(key) < 100 else False
            if len(self._is_secret) < 10_000:
                self._is_secret[key] = found
        return found and value not in (None, "", [], {}) and not isinstance(value, bool)

    def _own(self, text: str) -> str:
        assert self._mask is not None
        try:
            masked = self._mask(_value_of(text))
            return masked if isinstance(masked, str) else _encode(masked).decode()
        except Exception:
            self.failures += 1
            if self.failures in (1, 10, 100) or self.failures % 1000 == 0:
                log.exception("the mask has failed %d times; what it should have masked is left out", self.failures)
            return FAILED


def _has_any(text: str, groups: tuple[tuple[str, tuple[str, ...]], ...]) -> bool:
    """Whether one of the words is in the text. Loops: generators would cost more than the search."""
    for mark, words in groups:
        if mark in text:
            for word in words:
                if word in text:
                    return True
    return False


def _has_end(text: str) -> bool:
    """Whether one of `_ENDS` is in the text."""
    for mark, words in _ENDS:
        at = text.find(mark)
        if at >= 0 and text.count(mark) * _OFTEN > len(text):
            for word in words:
                if word in text:
                    return True
            continue
        while at >= 0:
            if text.endswith(words, 0, at + 1):
                return True
            at = text.find(mark, at + 1)
    return False


def _value_of(text: str) -> Any:
    """What a payload says: JSON read, other text as it is."""
    if text[:1] in "{[":
        try:
            return _decode(text)
        except (msgspec.MsgspecError, RecursionError):
            return text
    return text
