"""How a program traces: what `init` was told, what the environment says, and the defaults."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

import msgspec

from ai_assistant.core.trace import REASONING_CHARS
from ai_assistant.tracing.capture import storable
from ai_assistant.tracing.secret_text import MASK

log = logging.getLogger("ai_assistant.tracing")

PREFIX: Final = "AI_ASSISTANT_TRACING_"
MIB: Final = 1024 * 1024

Site = str | Callable[[], str]


class SettingError(ValueError):
    """A setting that cannot be used; the message names it and says what it takes."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All settings. Each may come from the environment: `redis_url` from `AI_ASSISTANT_TRACING_REDIS_URL`, and so on;
    `mask` and a `site` that is a function only from `init`."""

    redis_url: str | None = None
    """Redis of the bench or of the embedded host: for programs that belong to it."""
    url: str | None = None
    """Address of a site or an embedded host: for all other programs. Needs `api_key`."""
    api_key: str | None = None
    """`key:secret`."""
    site: Any = None
    """The site's name, or a function that gives it at the beginning of each trace. Needed with `redis_url`."""
    service: str | None = None
    """What this program is called."""
    environment: str | None = None
    release: str | None = None
    enabled: bool = True
    sample_rate: float = 1.0
    """The share of traces that are kept, from 0 to 1; decided by the trace's id, so that all programs agree."""
    capture_input: bool = True
    capture_output: bool = True
    capture_reasoning: bool = True
    reasoning_max_length: int = REASONING_CHARS
    """Characters of reasoning that are kept of an observation."""
    max_payload_chars: int = 256 * 1024
    """Characters of one input or output that are kept."""
    mask: Any = None
    """A function that gets each payload and gives what may leave the process."""
    mask_patterns: tuple[str, ...] = ()
    """Regular expressions of further secrets."""
    buffer_bytes: int = 64 * MIB
    """Bytes of events that wait while they cannot be delivered; beyond it the oldest are dropped, and reported."""
    flush_interval: float = 0.1
    """Seconds between two deliveries."""
    max_stream_entries: int = 100_000
    """Entries of the Redis Stream beyond which nothing is added."""
    max_stream_bytes: int = 128 * MIB
    propagate_threads: bool = True
    """Whether threads go on with the observation that started them."""
    shutdown_timeout: float = 5.0
    """Seconds that the end of the process may wait for the last delivery."""

    def __repr__(self) -> str:
        """Without URLs and keys, which may hold secrets."""
        return f"Settings(service={self.service!r}, enabled={self.enabled})"


Problem = Callable[[str], None]


def settings_from(given: Mapping[str, Any], environ: Mapping[str, str] | None = None) -> tuple[Settings, list[str]]:
    """The settings, and what is wrong with those that cannot be used: these keep their defaults, since tracing must
    not keep a program from running; those that keep something private withhold all of it. What is given as `None` does
    not count."""
    environ = os.environ if environ is None else environ
    problems: list[str] = []
    found: dict[str, Any] = {}
    for name in Settings.__struct_fields__:
        value, where = given.get(name), name
        if value is None:
            value, where = _of_environment(name, environ), PREFIX + name.upper()
        if value is None:
            continue
        try:
            found[name] = CHECKS[name](value)
        except SettingError as error:
            problems.append(f"{where}: {error}")
            if name in PRIVACY:
                found[name] = PRIVACY[name]
                problems[-1] += f"; until then {WITHHELD[name]}"
    problems += [f"{name}: there is no such setting" for name in given if name not in Settings.__struct_fields__]
    return Settings(**found), problems


def _of_environment(name: str, environ: Mapping[str, str]) -> str | None:
    value = environ.get(PREFIX + name.upper(), "").strip() or None
    if value is None and name == "site":
        return environ.get("AI_ASSISTANT_SITE", "").strip() or None
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise SettingError(f"must be a text, not {type(value).__name__}")
    if storable(value) != value:  # an environment variable that is no UTF-8
        raise SettingError("must be UTF-8")
    return value.strip()


def _redis_url(value: Any) -> str:
    url = _text(value)
    if not url.startswith(("redis://", "rediss://", "unix://")):
        raise SettingError("must begin with redis://, rediss:// or unix://")
    _split(url)
    return url


def _http_url(value: Any) -> str:
    url = _text(value)
    if not url.startswith(("http://", "https://")):
        raise SettingError("must begin with http:// or https://")
    parts = _split(url)
    if not parts.hostname or parts.username is not None or re.search(r"\s", url):
        raise SettingError("must name a host, without a user or a password: these are the api_key")
    return url.rstrip("/")


def _split(url: str) -> SplitResult:
    """The parts of a URL. The error does not repeat it, for it may hold a password."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise SettingError("is no URL: its host or its port cannot be read") from None
    return parts


def _api_key(value: Any) -> str:
    key = _text(value)
    if not re.fullmatch(r"[!-9;-~]+:[!-9;-~]+", key):
        raise SettingError("must be key:secret, in ASCII")
    return key


def _site(value: Any) -> Any:
    return value if callable(value) else _text(value)


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    words = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    found = words.get(str(value).strip().lower())
    if found is None:
        raise SettingError(f"must be true or false, not {value!r}")
    return found


def _number(low: float, high: float) -> Callable[[Any], float]:
    def check(value: Any) -> float:
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise SettingError(f"must be a number, not {value!r}") from None
        if isinstance(value, bool) or not low <= number <= high:
            raise SettingError(f"must be from {low:g} to {high:g}, not {value!r}")
        return number

    return check


def _whole(low: int, high: int) -> Callable[[Any], int]:
    number = _number(low, high)

    def check(value: Any) -> int:
        if not number(value).is_integer():
            raise SettingError(f"must be a whole number, not {value!r}")
        return int(float(value))

    return check


def _function(value: Any) -> Any:
    if not callable(value):
        raise SettingError(f"must be a function, not {type(value).__name__}")
    return value


def _patterns(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [part for part in value.split("\n") if part]
    if not isinstance(value, Iterable):
        raise SettingError(f"must be a list of regular expressions, not {type(value).__name__}")
    patterns = list(value)
    for pattern in patterns:
        try:
            re.compile(pattern)
        except (re.error, TypeError) as error:
            raise SettingError(f"{pattern!r} is no regular expression: {error}") from None
    return tuple(patterns)


def masks_all(value: Any) -> str:
    """The mask where the one that was wanted cannot be used: nothing of a payload leaves the process."""
    return MASK


PRIVACY: Final[dict[str, Any]] = {
    "capture_input": False,
    "capture_output": False,
    "capture_reasoning": False,
    "mask": masks_all,
    "mask_patterns": (r"(?s)\A.*\Z",),
}
"""What holds in the place of a setting that cannot be used, where its default would tell what was to be kept back."""
WITHHELD: Final = {
    **dict.fromkeys(("capture_input", "capture_output", "capture_reasoning"), "it is false"),
    **dict.fromkeys(("mask", "mask_patterns"), "all payloads are masked"),
}

CHECKS: Final[dict[str, Callable[[Any], Any]]] = {
    "redis_url": _redis_url,
    "url": _http_url,
    "api_key": _api_key,
    "site": _site,
    "service": _text,
    "environment": _text,
    "release": _text,
    "enabled": _boolean,
    "sample_rate": _number(0, 1),
    "capture_input": _boolean,
    "capture_output": _boolean,
    "capture_reasoning": _boolean,
    "reasoning_max_length": _whole(0, 10_000_000),
    "max_payload_chars": _whole(100, 4 * MIB),
    "mask": _function,
    "mask_patterns": _patterns,
    "buffer_bytes": _whole(64 * 1024, 2**40),
    "flush_interval": _number(0.005, 60),
    "max_stream_entries": _whole(100, 10**9),
    "max_stream_bytes": _whole(MIB, 2**50),
    "propagate_threads": _boolean,
    "shutdown_timeout": _number(0, 300),
}
