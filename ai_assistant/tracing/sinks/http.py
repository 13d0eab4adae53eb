"""Events over HTTP to a site or an embedded host: for programs that may not reach its Redis.

The same entries, in requests to `ai_assistant.api.ingest_traces`; a 200 means that they are in the site's stream.
"""

from __future__ import annotations

import logging
import zlib
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import msgspec

from ai_assistant.core.trace_event import pack
from ai_assistant.tracing.sinks import Health, SinkAway, SinkRefused

if TYPE_CHECKING:
    import httpx

PATH: Final = "/api/method/ai_assistant.api.ingest_traces"
CONTENT_TYPE: Final = "application/x-msgpack"
TIMEOUT_S: Final = 10.0
COMPRESS: Final = 1024
"""Bytes of an entry from which it is compressed: a network is slower than zlib."""
DENIED_S: Final = 30.0
"""How long to wait after a refusal that only an administrator can change."""


class Quiet(logging.Filter):
    """Keeps our deliveries, which come several times a second, out of what httpx tells a program's log at INFO."""

    def filter(self, record: logging.LogRecord) -> bool:
        """False for a request of ours."""
        return PATH not in record.getMessage()


_quiet = Quiet()
_encode = msgspec.msgpack.Encoder().encode


class HttpSink:
    """See `sinks.Sink`. Redirects are not followed: the key is for the address that was named."""

    def __init__(self, url: str, api_key: str):
        """`url` without a path; `api_key`: `key:secret`."""
        self._url = url
        self._api_key = api_key
        self._client: httpx.Client | None = None

    def send(self, site: str, producer: str, entries: list[list[bytes]], beat: dict[str, Any]) -> None:
        """See `Sink.send`."""
        self._post({"producer": producer, "entries": [packed(events) for events in entries], "beat": beat})

    def leave(self, site: str, producer: str) -> None:
        """See `Sink.leave`: the `bye` has said it."""

    def check(self, site: str) -> Health:
        """See `Sink.check`."""
        where = f"{urlsplit(self._url).netloc or self._url}"
        try:
            answer = self._post({"producer": "check", "entries": []})
        except (SinkAway, SinkRefused) as error:
            return Health(where=where, connected=False, problem=str(error))
        consumer = answer.get("consumer") if isinstance(answer, dict) else None
        age = consumer.get("age_ms") if isinstance(consumer, dict) else None
        return Health(where=where, connected=True, consumer_age_s=None if age is None else age / 1000)

    def _post(self, message: dict[str, Any]) -> Any:
        import httpx

        try:
            response = self._connected().post(PATH, content=_encode(message))
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise SinkAway(f"{self._url} cannot be reached: {error}") from error
        if response.status_code == 200:
            try:
                return response.json().get("message")
            except (ValueError, AttributeError):
                raise SinkAway(f"{self._url} does not answer as AI Assistant does", DENIED_S) from None
        raise refusal(response)

    def _connected(self) -> httpx.Client:
        if self._client is None:
            import httpx

            logging.getLogger("httpx").addFilter(_quiet)
            headers = {
                "Authorization": f"token {self._api_key}",
                "Content-Type": CONTENT_TYPE,
                "Accept": "application/json",
            }
            self._client = httpx.Client(base_url=self._url, headers=headers, timeout=TIMEOUT_S, follow_redirects=False)
        return self._client

    def after_fork(self) -> None:
        """See `Sink.after_fork`."""
        self._client = None

    def close(self) -> None:
        """See `Sink.close`."""
        client, self._client = self._client, None
        if client is not None:
            client.close()


def packed(events: list[bytes]) -> dict[str, Any]:
    """One entry as it travels."""
    body = pack(events)
    if len(body) < COMPRESS:
        return {"b": body, "n": len(events), "z": 0}
    return {"b": zlib.compress(body, 1), "n": len(events), "z": 1}


def refusal(response: httpx.Response) -> SinkAway | SinkRefused:
    """What a status other than 200 means. 413 and 417 are about what was sent; everything else may pass."""
    status = response.status_code
    words = f"{response.request.url.host} answers {status}: {words_of(response)}"
    if status in (413, 417, 422):
        return SinkRefused(words)
    return SinkAway(words, wait_of(response, DENIED_S if status in (301, 302, 307, 308, 401, 403, 404) else 1.0))


def words_of(response: httpx.Response) -> str:
    """What the answer says, in short."""
    try:
        return str(response.json().get("exception") or "")[:300]
    except (ValueError, AttributeError):
        return response.text[:100]


def wait_of(response: httpx.Response, default: float) -> float:
    """Seconds of `Retry-After`."""
    value = response.headers.get("retry-after", "")
    return min(60.0, float(value)) if value.isdecimal() else default
