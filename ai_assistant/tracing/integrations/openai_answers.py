"""OpenAI's answers: chat completions and the older completions, Responses, embeddings."""

from __future__ import annotations

from typing import Any, Final

from ai_assistant.tracing.integrations.answers import Answer, failure
from ai_assistant.tracing.integrations.payload import Message
from ai_assistant.tracing.integrations.recording import Recording
from ai_assistant.tracing.integrations.usage import first, openai_usage

CUT_SHORT: Final = {"max_output_tokens": "length"}


class ChatAnswer(Answer):
    """Chat completions, and of other servers that speak like OpenAI: their reasoning is `reasoning_content` (DeepSeek,
    vLLM, LiteLLM) or `reasoning` (OpenRouter, later vLLM)."""

    def __init__(self, recording: Recording):
        super().__init__(recording)
        self.messages: dict[int, Message] = {}

    def read_chunk(self, chunk: Any) -> None:
        """See Answer."""
        self._read(chunk, "delta")

    def read_whole(self, response: Any) -> None:
        """See Answer."""
        self._read(response, "message")

    def output(self) -> Any:
        """One message, or several where several were asked for."""
        values = [message.value() for _, message in sorted(self.messages.items())]
        return values[0] if len(values) == 1 else values or None

    def forget(self) -> None:
        """See Answer."""
        self.messages = {}

    def _read(self, answer: Any, part: str) -> None:
        self.model = getattr(answer, "model", None) or self.model
        usage = getattr(answer, "usage", None)
        if usage is not None:
            self.usage = openai_usage(usage)
        for choice in getattr(answer, "choices", None) or ():
            index = getattr(choice, "index", None) or 0
            message = self.messages.get(index)
            if message is None:
                message = self.messages[index] = Message()
            self._read_choice(choice, getattr(choice, part, None), message, is_chunk=part == "delta")

    def _read_choice(self, choice: Any, part: Any, message: Message, *, is_chunk: bool) -> None:
        if choice.finish_reason:
            self.finish_reason = choice.finish_reason
        text = choice.text if part is None and hasattr(choice, "text") else getattr(part, "content", None)
        thought = getattr(part, "reasoning_content", None) or getattr(part, "reasoning", None)
        calls = getattr(part, "tool_calls", None)
        refusal = getattr(part, "refusal", None)
        if isinstance(thought, str) and thought:
            self._thought(thought, is_chunk)
        if is_chunk and (text or calls or refusal):
            self.recording.came()
        if text:
            message.texts.append(text)
        if refusal:
            message.add_extra("refusal", refusal)
        for position, call in enumerate(calls or ()):
            self._read_call(message, position, call)

    def _thought(self, text: str, is_chunk: bool) -> None:
        if is_chunk:
            self.recording.reasoning(text)
        else:
            self.recording.whole_reasoning(text)

    def _read_call(self, message: Message, position: int, call: Any) -> None:
        called = getattr(call, "function", None) or getattr(call, "custom", None)
        arguments = first(getattr(called, "arguments", None), getattr(called, "input", None))
        key = first(getattr(call, "index", None), position)
        message.call(key, getattr(call, "id", None), getattr(called, "name", None), arguments)


class ResponsesAnswer(Answer):
    """OpenAI's Responses. Their events carry text as it comes; the last one has the whole answer."""

    def __init__(self, recording: Recording):
        super().__init__(recording)
        self.message = Message()
        self._thought = False
        self._between = ""

    def read_chunk(self, chunk: Any) -> None:
        """See Answer."""
        kind = getattr(chunk, "type", "")
        if kind in ("response.output_text.delta", "response.refusal.delta", "response.function_call_arguments.delta"):
            self.recording.came()
            self._read_delta(kind, chunk)
        elif kind in ("response.reasoning_summary_text.delta", "response.reasoning_text.delta"):
            self.recording.reasoning(self._between + chunk.delta)
            self._thought, self._between = True, ""
        elif kind in ("response.reasoning_summary_part.added", "response.reasoning_part.added"):
            self._between = "\n\n" if self._thought else ""
        elif kind == "response.output_item.added" and getattr(chunk.item, "type", "") == "function_call":
            self.message.call(chunk.output_index, chunk.item.call_id, chunk.item.name)
        elif kind == "error":
            self.error = failure(getattr(chunk, "code", None), getattr(chunk, "message", None))
        elif kind in ("response.completed", "response.incomplete", "response.failed"):
            self._read_response(chunk.response)
        elif kind == "response.created":
            self.model = chunk.response.model

    def read_whole(self, response: Any) -> None:
        """See Answer."""
        self._read_response(response)

    def output(self) -> Any:
        """See Answer."""
        return self.message.value()

    def forget(self) -> None:
        """See Answer."""
        self.message = Message()

    def _read_delta(self, kind: str, chunk: Any) -> None:
        if kind == "response.output_text.delta":
            self.message.texts.append(chunk.delta)
        elif kind == "response.refusal.delta":
            self.message.add_extra("refusal", chunk.delta)
        else:
            self.message.call(chunk.output_index, arguments=chunk.delta)

    def _read_response(self, response: Any) -> None:
        """The whole answer: it replaces what the pieces gave, but for reasoning that has gone by already."""
        self.model = getattr(response, "model", None) or self.model
        self.usage = openai_usage(getattr(response, "usage", None)) or self.usage
        items = getattr(response, "output", None) or ()
        if items:
            self.message = Message()
        for index, item in enumerate(items):
            self._read_item(index, item)
        self._read_status(response)

    def _read_status(self, response: Any) -> None:
        status = getattr(response, "status", None)
        if status == "failed":
            error = getattr(response, "error", None)
            self.error = failure(getattr(error, "code", None), getattr(error, "message", None))
        elif status == "incomplete":
            reason = getattr(getattr(response, "incomplete_details", None), "reason", None) or status
            self.finish_reason = CUT_SHORT.get(reason, reason)
        elif status == "completed":
            self.finish_reason = "tool_calls" if self.message.calls else "stop"
        if getattr(response, "id", None):
            self.metadata["response_id"] = response.id

    def _read_item(self, index: int, item: Any) -> None:
        kind = getattr(item, "type", "")
        if kind == "message":
            for part in getattr(item, "content", None) or ():
                if getattr(part, "refusal", None):
                    self.message.add_extra("refusal", part.refusal)
                elif getattr(part, "text", None):
                    self.message.texts.append(part.text)
        elif kind == "function_call":
            self.message.call(index, item.call_id, item.name, item.arguments)
        elif kind == "reasoning":
            self._read_reasoning(item)
        else:
            self.message.add_extra("items", item)

    def _read_reasoning(self, item: Any) -> None:
        if self._thought:
            return
        parts = [*(getattr(item, "summary", None) or ()), *(getattr(item, "content", None) or ())]
        text = "\n\n".join(part.text for part in parts if getattr(part, "text", None))
        self.recording.whole_reasoning(text)


class EmbeddingsAnswer(Answer):
    """Embeddings: how many there are, not the numbers."""

    def __init__(self, recording: Recording):
        super().__init__(recording)
        self._found: dict[str, int] | None = None

    def read_whole(self, response: Any) -> None:
        """See Answer."""
        self.model = getattr(response, "model", None)
        self.usage = openai_usage(getattr(response, "usage", None))
        data = getattr(response, "data", None) or []
        vector = getattr(data[0], "embedding", ()) if data else ()
        self._found = {"embeddings": len(data), **({"dimensions": len(vector)} if isinstance(vector, list) else {})}

    def output(self) -> Any:
        """See Answer."""
        return self._found
