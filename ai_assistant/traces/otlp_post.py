"""Delivers one message of OTLP/HTTP: compressed, and again after what is said to pass.

https://opentelemetry.io/docs/specs/otlp/#otlphttp-response
"""

from __future__ import annotations

import asyncio
import gzip
import logging
import random
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final

import httpx
import msgspec

from ai_assistant.core.otel import OtelConfig
from ai_assistant.traces.otlp_proto import ProtoError, decode, encode
from ai_assistant.traces.otlp_schema import Message

log = logging.getLogger("ai_assistant.otel")

RETRIED: Final = frozenset({429, 502, 503, 504})
FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 30.0
PATIENCE_S: Final = 300.0
"""How long one message is tried again."""
MAX_ANSWER: Final = 64 * 1024
PROTOBUF: Final = "application/x-protobuf"


class Delivered(msgspec.Struct):
    """What became of a message."""

    ok: bool
    rejected: int = 0
    """Of its spans or points, where the receiver took only a part."""
    tries: int = 1


class Mailer:
    """Sends messages to one receiver."""

    def __init__(self, config: OtelConfig, *, patience_s: float = PATIENCE_S, first_pause_s: float = FIRST_PAUSE_S):
        self._config = config
        self._patience_s = patience_s
        self._first_pause_s = first_pause_s
        headers = {**config.headers, "Content-Type": PROTOBUF, "Content-Encoding": "gzip"}
        self._client = httpx.AsyncClient(headers=headers, timeout=config.timeout_s, follow_redirects=False)

    async def close(self) -> None:
        """Ends its connections."""
        await self._client.aclose()

    async def send(
        self, url: str, message: Message, value: Mapping[str, Any], answer: Message, *, patience_s: float | None = None
    ) -> Delivered:
        """Sends a message; it is built in a thread. `answer`: the type of what comes back. `patience_s`: how long it
        is tried again, where not as long as usual."""
        body = await asyncio.to_thread(packed, message, value)
        patience = self._patience_s if patience_s is None else patience_s
        deadline = time.monotonic() + patience
        pause, tries = self._first_pause_s, 0
        while True:
            tries += 1
            response, wait = await self._post(url, body)
            if response is not None and response.is_success:
                return Delivered(True, rejected_of(response, answer), tries)
            if response is not None and response.status_code not in RETRIED:
                log.error("OpenTelemetry: %s answers %s; what was sent is given up", host_of(url), response.status_code)
                return Delivered(False, tries=tries)
            wait = wait if wait is not None else pause * random.uniform(0.5, 1.0)
            if time.monotonic() + wait > deadline:
                log.error(
                    "OpenTelemetry: %s took nothing for %.0f s; what was sent is given up", host_of(url), patience
                )
                return Delivered(False, tries=tries)
            await asyncio.sleep(wait)
            pause = min(LONGEST_PAUSE_S, pause * 2)

    async def _post(self, url: str, body: bytes) -> tuple[httpx.Response | None, float | None]:
        """One attempt: the answer, `None` where there was none, and how long it asks to be left alone, in seconds."""
        try:
            response = await self._client.post(url, content=body)
        except httpx.HTTPError as error:
            log.warning("OpenTelemetry: %s cannot be reached: %s", host_of(url), type(error).__name__)
            return None, None
        return response, retry_after(response.headers.get("retry-after")) if response.status_code in RETRIED else None


def packed(message: Message, value: Mapping[str, Any]) -> bytes:
    """A message as protobuf, compressed."""
    return gzip.compress(encode(message, value), 1)


def retry_after(value: str | None) -> float | None:
    """Seconds that `Retry-After` asks for, as a number or as a date; `None` where it says nothing of use."""
    if not value:
        return None
    if value.strip().isdecimal():
        return float(value) if len(value) < 10 else None
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None


def rejected_of(response: httpx.Response, answer: Message) -> int:
    """How much of a message the receiver refused; logged with its reason."""
    if not response.headers.get("content-type", "").startswith(PROTOBUF) or len(response.content) > MAX_ANSWER:
        return 0
    try:
        said = decode(answer, response.content).get("partialSuccess") or {}
    except ProtoError:
        return 0
    count = next((number for number in said.values() if isinstance(number, int)), 0)
    if count or said.get("errorMessage"):
        log.warning("OpenTelemetry: the receiver refused %d: %s", count, said.get("errorMessage", "")[:500])
    return max(0, count)


def host_of(url: str) -> str:
    """What of an address may be logged."""
    return httpx.URL(url).host
