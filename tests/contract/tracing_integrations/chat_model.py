"""A chat model of LangChain's that asks a server in OpenAI's form over HTTP, streamed or not, as langchain-openai does:
its pieces carry reasoning, tool calls and usage as LangChain's messages have them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import openai
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.utils import convert_to_openai_messages
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult


class HttpChat(BaseChatModel):
    """`base`: where the server is."""

    base: str
    model: str = "gpt-test"

    @property
    def _llm_type(self) -> str:
        return "http-chat"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model": self.model, "temperature": 0.5}

    def _asked(self, messages: list[BaseMessage], **more: Any) -> dict[str, Any]:
        return {"model": self.model, "messages": convert_to_openai_messages(messages), **more}

    def _generate(self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **_: Any) -> ChatResult:
        client = openai.OpenAI(base_url=self.base, api_key="x", max_retries=0)
        answer = client.chat.completions.create(**self._asked(messages))
        choice = answer.choices[0]
        message = AIMessage(
            content=choice.message.content or "",
            tool_calls=[
                {"id": call.id, "name": call.function.name, "args": json.loads(call.function.arguments)}
                for call in choice.message.tool_calls or ()
            ],
            additional_kwargs={"reasoning_content": getattr(choice.message, "reasoning_content", None)},
            usage_metadata={"input_tokens": 30, "output_tokens": 9, "total_tokens": 39,
                            "input_token_details": {"cache_read": 20}, "output_token_details": {"reasoning": 4}},
            response_metadata={"model_name": answer.model, "finish_reason": choice.finish_reason},
        )  # fmt: skip
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _stream(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **_: Any
    ) -> Iterator[ChatGenerationChunk]:
        client = openai.OpenAI(base_url=self.base, api_key="x", max_retries=0)
        with client.chat.completions.create(**self._asked(messages, stream=True)) as stream:
            for chunk in stream:
                if (found := piece(chunk)) is not None:
                    if run_manager:
                        run_manager.on_llm_new_token(found.text, chunk=found)
                    yield found

    async def _astream(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **_: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        client = openai.AsyncOpenAI(base_url=self.base, api_key="x", max_retries=0)
        async with await client.chat.completions.create(**self._asked(messages, stream=True)) as stream:
            async for chunk in stream:
                if (found := piece(chunk)) is not None:
                    if run_manager:
                        await run_manager.on_llm_new_token(found.text, chunk=found)
                    yield found


def piece(chunk: Any) -> ChatGenerationChunk | None:
    """A chunk of OpenAI's as one of LangChain's."""
    if not chunk.choices:
        return None
    choice = chunk.choices[0]
    thought = getattr(choice.delta, "reasoning_content", None)
    calls = [
        {"id": call.id, "name": call.function.name, "args": call.function.arguments, "index": call.index}
        for call in choice.delta.tool_calls or ()
    ]
    message = AIMessageChunk(
        content=choice.delta.content or "",
        tool_call_chunks=calls,
        additional_kwargs={"reasoning_content": thought} if thought else {},
        response_metadata={"finish_reason": choice.finish_reason} if choice.finish_reason else {},
    )
    return ChatGenerationChunk(message=message)
