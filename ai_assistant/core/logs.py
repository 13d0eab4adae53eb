"""The form of log lines: text or one JSON object per line. What looks like a secret is masked."""

from __future__ import annotations

import json
import logging
import re
import time

#: Libraries that set a level or a handler of their own, and then log addresses, packets or whole requests.
QUIET = (
    "httpx",
    "httpcore",
    "uvicorn",
    "uvicorn.error",
    "uvicorn.access",
    "socketio",
    "engineio",
    "LiteLLM",
    "openai",
    "asyncio",
)
#: Fields that a log call may add by `extra`.
EXTRA_FIELDS = ("user", "request_id", "ms", "task_id")

_SECRETS = re.compile(
    r"\b(?:sk|rk|pk)-[A-Za-z0-9_-]{12,}"  # keys of OpenAI, Anthropic, DeepSeek and others
    r"|(?<=Bearer )[^\s\"']+"
    r"|(?<=token )[0-9a-f]{8,}:[0-9a-f]{8,}"
    r"|(?<=sid=)[^\s;\"']+"
    r"|(?<=://)[^\s:/@]*:[^\s/@]+(?=@)"
    r"|(?<=[?&]token=)[^\s&\"']+"
)


def masked(text: str) -> str:
    """`text` with what looks like a secret replaced by `***`."""
    return _SECRETS.sub("***", text)


class TextFormatter(logging.Formatter):
    """`2026-11-20 16:39:31.123 INFO  ai_assistant.access: GET / 200 3.1 ms (user=… request_id=…)`."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
        self.default_msec_format = "%s.%03d"

    def format(self, record: logging.LogRecord) -> str:
        """One record; its traceback follows on further lines."""
        text = super().format(record)
        fields = [f"{name}={value}" for name, value in extra_of(record).items() if name != "ms"]
        head, newline, rest = text.partition("\n")
        return masked(head + (f" ({' '.join(fields)})" if fields else "") + newline + rest)


class JsonFormatter(logging.Formatter):
    """One JSON object per line: time (RFC 3339, UTC), level, logger, message, extra fields, traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """One record."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        entry = {
            "time": f"{moment}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": masked(record.getMessage()),
            **extra_of(record),
        }
        if record.exc_info:
            entry["traceback"] = masked(self.formatException(record.exc_info))
        return json.dumps(entry, ensure_ascii=False, default=str)


def extra_of(record: logging.LogRecord) -> dict[str, object]:
    """The extra fields of a record that are there."""
    return {name: vars(record)[name] for name in EXTRA_FIELDS if name in vars(record)}
