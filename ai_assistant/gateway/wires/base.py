"""What every wire has in common."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple, NoReturn, Protocol

import msgspec

from ai_assistant.core.errors import ChatError
from ai_assistant.core.model import ModelConfig
from ai_assistant.gateway.chunks import Chunk
from ai_assistant.gateway.failures import broken_answer, cut_answer
from ai_assistant.gateway.lines import LineTooLongError
from ai_assistant.gateway.request import GatewayRequest
from ai_assistant.gateway.sse import SseEvent, SseParser
from ai_assistant.gateway.surrogates import ESCAPED
from ai_assistant.gateway.writer import ChunkWriter

_LOG = logging.getLogger(__name__)


class WireCall(NamedTuple):
    """An HTTP POST: what `build` makes of a request."""

    url: str
    headers: dict[str, str]
    body: bytes


class WireParser(Protocol):
    """From bytes to chunks, without any I/O.

    What the provider did wrong ends up in `failure`, beside the chunks that came before it; only `parse_body`
    raises. Nothing is read after a failure or a `Finish`.
    """

    writer: ChunkWriter
    failure: ChatError | None

    def feed(self, data: bytes) -> list[Chunk]:
        """Take what one network read brought; returns the chunks in it."""
        ...

    def close(self) -> list[Chunk]:
        """The connection ended: returns the rest; `failure` is set where the answer was cut."""
        ...

    def parse_body(self, body: bytes) -> list[Chunk]:
        """Take a whole answer that was not streamed; ends in `Finish`. Raises `ChatError`."""
        ...

    @property
    def finishing(self) -> bool:
        """True once the provider has named the reason of the end and at most the usage is still to come."""
        ...


class Wire(Protocol):
    """A provider's protocol."""

    name: ClassVar[str]
    media_type: ClassVar[str]

    def build(self, request: GatewayRequest, model: ModelConfig, *, stream: bool = True) -> WireCall:
        """Translate the request. Raises `ChatError("invalid_request")` naming what cannot be translated."""
        ...

    def parser(self, model: ModelConfig) -> WireParser:
        """A new parser for one answer."""
        ...


class BodyParser:
    """Decoding with the errors of the contract; `name` is the model's label in messages."""

    def __init__(self, model: ModelConfig):
        self.model = model
        self.writer = ChunkWriter()
        self.failure: ChatError | None = None

    @property
    def finishing(self) -> bool:
        """See `WireParser.finishing`."""
        raise NotImplementedError

    def on_end(self) -> None:
        """The stream is over: write `Finish`, or raise where the answer was cut."""
        raise NotImplementedError

    def on_body(self, body: bytes) -> None:
        """Write a whole answer that was not streamed; raises `ChatError`."""
        raise NotImplementedError

    def parse_body(self, body: bytes) -> list[Chunk]:
        """See `WireParser.parse_body`."""
        chunks = self.guard(lambda: self.on_body(body))
        if self.failure is not None:
            raise self.failure
        return chunks

    def guard(self, step: Callable[[], None]) -> list[Chunk]:
        """Run a step of reading; what goes wrong in it becomes `failure`. A value of a type that no protocol
        allows is as broken an answer as bad JSON. Nothing is read after a failure."""
        if self.failure is not None:
            return []
        try:
            step()
        except ChatError as error:
            self.failure = error
        except LineTooLongError as error:
            self.failure = broken_answer(self.model, str(error))
        except RecursionError:
            self.failure = broken_answer(self.model, "it is nested too deeply")
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
            _LOG.debug("an answer of %s has an unexpected shape", self.model.name, exc_info=error)
            self.failure = broken_answer(self.model, "a field has an unexpected type")
        return self.writer.take()

    def decode(self, decoder: msgspec.json.Decoder[Any], data: bytes) -> Any:
        """One JSON document, or `ChatError` where it is broken."""
        try:
            return decoder.decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            if ESCAPED.search(data):
                return self._decode_halves(decoder, data)
            raise broken_answer(self.model, str(error)) from error

    def _decode_halves(self, decoder: msgspec.json.Decoder[Any], data: bytes) -> Any:
        """A document with lone surrogates, which msgspec refuses and the standard library takes."""
        self.writer.halves = True
        try:
            return msgspec.convert(json.loads(data), decoder.type)
        except (msgspec.MsgspecError, ValueError) as error:
            raise broken_answer(self.model, "broken JSON") from error

    def cut(self) -> NoReturn:
        """The stream ended before the answer did."""
        raise cut_answer(self.model)


class SseBodyParser(BodyParser):
    """A wire on top of `text/event-stream`: subclasses read one event at a time."""

    def __init__(self, model: ModelConfig):
        super().__init__(model)
        self._sse = SseParser()

    def on_event(self, event: SseEvent) -> None:
        """Write what one event says; raises `ChatError`."""
        raise NotImplementedError

    def feed(self, data: bytes) -> list[Chunk]:
        """See `WireParser.feed`."""
        return self.guard(lambda: self._feed(data))

    def close(self) -> list[Chunk]:
        """See `WireParser.close`."""
        return self.guard(self._close)

    def _feed(self, data: bytes) -> None:
        for event in self._sse.feed(data):
            if self.writer.finished:
                break
            self.on_event(event)

    def _close(self) -> None:
        for event in self._sse.close():
            self._last_event(event)
        if not self.writer.finished:
            self.on_end()

    def _last_event(self, event: SseEvent) -> None:
        """What stood after the last empty line: its loss is no harm once the answer is complete."""
        if self.writer.finished:
            return
        try:
            self.on_event(event)
        except ChatError:
            if not self.finishing:
                raise
