"""One attempt at one model: where chunks come from."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Protocol

import httpx

from ai_assistant.core.errors import ChatError
from ai_assistant.core.model import ModelConfig
from ai_assistant.gateway import failures
from ai_assistant.gateway.chunks import Chunk
from ai_assistant.gateway.deadline import Deadlines, timeout_at
from ai_assistant.gateway.observer import Observer, Sent
from ai_assistant.gateway.request import GatewayRequest
from ai_assistant.gateway.wires.base import Wire, WireParser

_LOG = logging.getLogger(__name__)
#: Bytes kept of an error's body, and of a whole answer that is not streamed.
_MAX_ERROR_BODY = 64 * 1024
_MAX_BODY = 16 * 1024 * 1024
#: Bytes of one streamed answer: also bounds what a parser holds back without giving out a delta.
_MAX_STREAM = 256 * 1024 * 1024
#: Seconds that the usage may lag behind the reason of the end, and the end of the body behind the last event.
_USAGE_GRACE = 5.0
_DRAIN = 0.2


class Source(Protocol):
    """An attempt. `open` sends the request; `read` returns chunks, and `None` after the `Finish`; both raise
    `ChatError`. `aclose` closes the connection at once unless the answer was read to its end."""

    async def open(self) -> None:
        """Send the request and wait for the answer's head."""
        ...

    async def read(self) -> list[Chunk] | None:
        """What came next; perhaps an empty list."""
        ...

    async def aclose(self) -> None:
        """Let go of the connection."""
        ...


class HttpSource:
    """A direct wire over HTTP."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        wire: Wire,
        request: GatewayRequest,
        model: ModelConfig,
        deadlines: Deadlines,
        observer: Observer | None = None,
        *,
        stream: bool,
    ):
        self._client = client
        self._wire = wire
        self._model = model
        self._deadlines = deadlines
        self._observer = observer
        self._stream = stream
        self._call = wire.build(request, model, stream=stream)
        self._parser: WireParser = wire.parser(model)
        self._response: httpx.Response | None = None
        self._pieces: AsyncGenerator[bytes, None] | None = None
        self._whole = not stream
        self._taken = 0
        self._failure: ChatError | None = None

    async def open(self) -> None:
        """See `Source.open`."""
        if self._observer:
            self._observer.request_sent(Sent(self._call.url, self._call.body, self._model))
        due, phase = self._deadlines.next()
        try:
            async with timeout_at(due):
                self._response = await self._client.send(self._build(), stream=True)
        except asyncio.TimeoutError as error:
            raise failures.timed_out(self._model, phase, self._deadlines.seconds(phase)) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise failures.from_transport(self._model, error) from error
        if self._observer:
            self._observer.answer_began(self._response.status_code)
        await self._check(self._response)
        encoded = self._response.headers.get("content-encoding", "identity") != "identity"
        self._pieces = _pieces(self._response.aiter_bytes() if encoded else self._response.aiter_raw())

    async def read(self) -> list[Chunk] | None:
        """See `Source.read`."""
        if self._failure is not None:
            raise self._failure
        parser = self._parser
        if parser.writer.finished:
            await self._drain()
            return None
        if self._whole:
            return parser.parse_body(await self._body(_MAX_BODY, cut=True))
        piece = await self._next()
        self._taken += len(piece or b"")
        if self._taken > _MAX_STREAM:
            raise failures.broken_answer(self._model, f"more than {_MAX_STREAM} bytes")
        chunks = parser.close() if piece is None else parser.feed(piece)
        if parser.failure is not None:
            self._failure = parser.failure
            if not chunks:
                raise parser.failure
        return chunks

    async def aclose(self) -> None:
        """See `Source.aclose`."""
        try:
            if self._pieces is not None:
                await self._pieces.aclose()
            if self._response is not None:
                await self._response.aclose()
        except httpx.HTTPError as error:
            _LOG.debug("closing a connection to %s: %s", self._model.provider, error)

    def _build(self) -> httpx.Request:
        headers = {"content-type": "application/json", "accept": self._accept(), **self._call.headers}
        limits = self._model.timeouts
        timeout = httpx.Timeout(None, connect=limits.connect, pool=limits.connect)
        return self._client.build_request(
            "POST", self._call.url, headers=headers, content=self._call.body, timeout=timeout
        )

    def _accept(self) -> str:
        return self._wire.media_type if self._stream else "application/json"

    async def _check(self, response: httpx.Response) -> None:
        """Raise for a status that tells of no success and for a web page; note an answer that is not streamed."""
        if not response.is_success:
            body = await self._body(_MAX_ERROR_BODY)
            raise failures.from_response(self._model, response.status_code, response.headers, body)
        media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type in ("text/html", "application/xhtml+xml"):
            raise failures.web_page(self._model)
        if media_type == "application/json" and self._wire.media_type == "text/event-stream":
            self._whole = True

    async def _body(self, limit: int, *, cut: bool = False) -> bytes:
        """The body up to `limit` bytes; longer ones are cut, or refused where `cut` says that all is needed."""
        assert self._response is not None
        body = bytearray()
        self._pieces = _pieces(self._response.aiter_bytes())
        while (piece := await self._next()) is not None:
            body += piece
            if len(body) > limit:
                if cut:
                    raise failures.broken_answer(self._model, f"longer than {limit} bytes")
                break
        return bytes(body[:limit])

    async def _next(self) -> bytes | None:
        """The next piece of the body, `None` at its end."""
        assert self._pieces is not None
        due, phase = self._deadlines.next()
        if self._parser.finishing:
            due = min(due, self._deadlines.soon(_USAGE_GRACE))
        try:
            async with timeout_at(due):
                return await self._pieces.__anext__()
        except StopAsyncIteration:
            return None
        except asyncio.TimeoutError as error:
            failure = failures.timed_out(self._model, phase, self._deadlines.seconds(phase))
            failure.__cause__ = error
        except httpx.HTTPError as error:
            failure = failures.from_transport(self._model, error)
            failure.__cause__ = error
        if self._parser.finishing:
            return None
        raise failure

    async def _drain(self) -> None:
        """Read the end of the body that follows the last event, so that the connection can be used again."""
        assert self._pieces is not None
        with contextlib.suppress(asyncio.TimeoutError, StopAsyncIteration, httpx.HTTPError):
            async with timeout_at(self._deadlines.soon(_DRAIN)):
                while True:
                    await self._pieces.__anext__()


def _pieces(iterator: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """httpx declares an iterator where it returns a generator, which must be closed."""
    assert isinstance(iterator, AsyncGenerator)
    return iterator
