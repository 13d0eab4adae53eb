"""Every provider without a direct wire, through LiteLLM, as the same chunks.

LiteLLM downloads images for some providers, and even to count tokens. Here no part of a message may hold a web
address, so that there is nothing it could fetch: see `_messages`.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from ai_assistant.core.errors import ChatError
from ai_assistant.core.model import ModelConfig
from ai_assistant.gateway import failures, litellm_library
from ai_assistant.gateway.chunks import Chunk, FinishReason
from ai_assistant.gateway.deadline import Deadlines, timeout_at
from ai_assistant.gateway.dialects.base import function_tools, with_parameters
from ai_assistant.gateway.dialects.openai_chat import chat_message
from ai_assistant.gateway.litellm_errors import from_litellm
from ai_assistant.gateway.litellm_stream import StreamHandle
from ai_assistant.gateway.observer import Observer, Sent
from ai_assistant.gateway.parts import Media, invalid, read_parts
from ai_assistant.gateway.prices import facts
from ai_assistant.gateway.request import GatewayRequest
from ai_assistant.gateway.wires.openai_chat import finish_reason, read_usage
from ai_assistant.gateway.writer import ChunkWriter, json_arguments

_LOG = logging.getLogger(__name__)
#: Seconds that closing a provider's connection may take.
_CLOSING = 1.0


class LiteLlmSource:
    """An attempt by way of LiteLLM: see `source.Source`."""

    def __init__(
        self,
        request: GatewayRequest,
        model: ModelConfig,
        deadlines: Deadlines,
        observer: Observer | None = None,
        *,
        stream: bool,
    ):
        self._model = model
        self._deadlines = deadlines
        self._observer = observer
        self._stream = stream
        self._arguments = arguments(request, model, stream=stream)
        self._answer: Any = None
        self._handle: StreamHandle | None = None
        self._reader = LiteLlmReader()

    async def open(self) -> None:
        """See `Source.open`."""
        litellm = await litellm_library.load()
        self._deadlines.sending()
        if self._observer:
            self._observer.request_sent(Sent(self._model.api_base, sent_arguments(self._arguments), self._model))
        self._answer = await self._limited(litellm.acompletion(**self._arguments))
        if self._stream:
            self._handle = StreamHandle(self._answer)
            await self._limited(self._handle.open())
        if self._observer:
            self._observer.answer_began(None)

    async def read(self) -> list[Chunk] | None:
        """See `Source.read`."""
        if self._reader.writer.finished:
            return None
        if self._handle is None:
            return self._reader.whole(_plain(self._answer), self._model)
        try:
            chunk = await self._limited(self._handle.next())
        except StopAsyncIteration:
            if not self._handle.complete:
                raise failures.cut_answer(self._model) from None
            return self._reader.end()
        return self._reader.piece(_plain(chunk))

    async def aclose(self) -> None:
        """See `Source.aclose`."""
        if self._handle is not None:
            try:
                await asyncio.wait_for(self._handle.aclose(), _CLOSING)
            except asyncio.TimeoutError:
                _LOG.warning("closing a stream of %s took too long", failures.name_of(self._model))

    async def _limited(self, step: Any) -> Any:
        """Await a step of LiteLLM's within the deadline; its exceptions become the contract's."""
        due, phase = self._deadlines.next()
        try:
            async with timeout_at(due):
                return await step
        except asyncio.TimeoutError as error:
            raise failures.timed_out(self._model, phase, self._deadlines.seconds(phase)) from error
        except (StopAsyncIteration, ChatError):
            raise
        except Exception as error:
            raise from_litellm(self._model, error) from error


class LiteLlmReader:
    """From LiteLLM's chunks, as plain dictionaries, to ours."""

    def __init__(self) -> None:
        self.writer = ChunkWriter()
        self.writer.halves = True  # LiteLLM hands lone surrogates on
        self._thinking: dict[str, Any] | None = None
        self._usage: dict[str, Any] | None = None
        self._reason: str | None = None
        self._model: str | None = None

    def piece(self, chunk: dict[str, Any]) -> list[Chunk]:
        """One chunk of a stream."""
        self._head(chunk)
        for choice in chunk.get("choices") or ():
            self._message(choice.get("delta") or {})
            self._reason = choice.get("finish_reason") or self._reason
        return self.writer.take()

    def whole(self, answer: dict[str, Any], model: ModelConfig) -> list[Chunk]:
        """An answer that was not streamed; one without anything in it is none."""
        self._head(answer)
        choices = answer.get("choices") or ()
        for choice in choices[:1]:
            self._message(choice.get("message") or {})
            self._reason = choice.get("finish_reason")
        chunks = self.writer.take()
        if not chunks and not self._usage:
            raise failures.cut_answer(model)
        self._finish()
        return chunks + self.writer.take()

    def end(self) -> list[Chunk]:
        """The stream is over."""
        self._finish()
        return self.writer.take()

    def _head(self, chunk: dict[str, Any]) -> None:
        self._model = chunk.get("model") or self._model
        self._usage = chunk.get("usage") or self._usage

    def _message(self, message: dict[str, Any]) -> None:
        blocks = message.get("thinking_blocks") or ()
        for block in blocks:
            self._block(block)
        self.writer.reasoning(message.get("reasoning_content") or "")
        self.writer.text(message.get("content") or "")
        for call in message.get("tool_calls") or ():
            function = call.get("function") or {}
            self.writer.tool_call(
                call.get("index"), call.get("id"), function.get("name"), json_arguments(function.get("arguments"))
            )

    def _block(self, block: dict[str, Any]) -> None:
        """Thinking blocks come in pieces that end with their signature."""
        if block.get("type") == "redacted_thinking":
            self.writer.block({"type": "redacted_thinking", "data": block.get("data")})
            return
        known = self._thinking or {"type": "thinking", "thinking": "", "signature": ""}
        known["thinking"] += block.get("thinking") or ""
        known["signature"] += block.get("signature") or ""
        self._thinking = known
        if known["signature"]:
            self.writer.block(known)
            self._thinking = None

    def _finish(self) -> None:
        usage = read_usage(self._usage) if self._usage else None
        written = (self._usage or {}).get("cache_creation_input_tokens") or 0
        reason: FinishReason = finish_reason(self._reason)
        self.writer.finish(reason, usage, self._model, cache_write_tokens=int(written))


def arguments(request: GatewayRequest, model: ModelConfig, *, stream: bool) -> dict[str, Any]:
    """The keyword arguments of `litellm.acompletion`. Raises `ChatError("invalid_request")`."""
    request = with_parameters(request, model)
    function_tools(request)
    known = facts(model)
    effort = request.reasoning_effort
    if known is not None and not known.supports_reasoning:
        effort = None
    out = {
        "model": model.model,
        "messages": _messages(request.messages),
        "api_key": model.api_key,
        "api_base": model.api_base,
        "temperature": request.temperature,
        "max_tokens": request.max_tokens,
        "reasoning_effort": effort,
        "tools": request.tools or None,
        "tool_choice": request.tool_choice if request.tools else None,
        "response_format": request.response_format,
        "stop": request.stop or None,
        **request.extra,
    }
    out = {name: value for name, value in out.items() if value is not None}
    if stream:
        out["stream_options"] = {"include_usage": True}
    # LiteLLM would import its MCP client for any tool, which is not installed with it.
    out["_skip_mcp_handler"] = True
    return {**out, "stream": stream, "num_retries": 0, "max_retries": 0, "timeout": model.timeouts.total}


def sent_arguments(found: dict[str, Any]) -> dict[str, Any]:
    """Those of `arguments` that tell what was asked: not the key, and not what is between LiteLLM and this app."""
    ours = ("api_key", "api_base", "num_retries", "max_retries", "timeout")
    return {name: value for name, value in found.items() if name not in ours and not name.startswith("_")}


def _messages(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Messages written anew from checked parts, none of which holds a web address."""
    out = []
    for n, message in enumerate(messages):
        for part in read_parts(message.get("content"), f"messages[{n}].content"):
            if isinstance(part, Media) and part.url is not None:
                raise invalid(
                    part.where,
                    "this model's provider would have the address fetched by this server, which fetches none; "
                    "send the content as a data: URL",
                )
        copy = chat_message(message, n)
        blocks = [
            block
            for block in message.get("thinking_blocks") or ()
            if block.get("type") in ("thinking", "redacted_thinking")
        ]
        if blocks and message["role"] == "assistant":
            copy["thinking_blocks"] = blocks
        out.append(copy)
    return out


def _plain(answer: Any) -> dict[str, Any]:
    """LiteLLM's pydantic object as dictionaries; usage is an attribute that it leaves out of some chunks."""
    plain = answer.model_dump(exclude_none=True)
    usage = getattr(answer, "usage", None)
    if usage is not None and hasattr(usage, "model_dump"):
        plain["usage"] = usage.model_dump(exclude_none=True)
    return plain
