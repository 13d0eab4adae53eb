"""See `litellm.litellm_logger`, which adds LiteLLM's own class: nothing here imports it.

LiteLLM tells of the end of a call later, in another thread or task. So the observation begins where the call does, in
`log_pre_api_call`, which knows the current observation, and is found again by the call's id.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from ai_assistant.tracing.integrations.answers import Answer
from ai_assistant.tracing.integrations.openai_answers import ChatAnswer, EmbeddingsAnswer, ResponsesAnswer
from ai_assistant.tracing.integrations.options import Options
from ai_assistant.tracing.integrations.payload import split_request
from ai_assistant.tracing.integrations.recording import Recording, begin, harmless
from ai_assistant.tracing.integrations.usage import member

MAX_CALLS: Final = 10_000
"""Calls that may be open at once; an older one that never ended gives way, and ends as cancelled."""
EMBEDDINGS: Final = "embedding"


class Calls:
    """Hears of calls and makes them observations. Comes before LiteLLM's `CustomLogger`."""

    def __init__(self, options: Options, *, name: str | None, metadata: dict[str, Any] | None):
        super().__init__()  # LiteLLM's
        self._options = options
        self._name = name
        self._metadata = metadata or {}
        self._open: OrderedDict[str, Recording] = OrderedDict()
        self._ended: OrderedDict[str, None] = OrderedDict()
        """Ids of calls that have ended: LiteLLM may tell of an end twice."""
        self._lock = threading.Lock()

    @harmless
    def log_pre_api_call(self, model: Any, messages: Any, kwargs: Any) -> None:
        """A request is about to be sent: the first of its call, or one more."""
        known = self._open.get(id_of(kwargs))
        if known is None:
            self._begin(kwargs)
        else:
            known.span.event("retry", level="warning")

    @harmless
    def log_success_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        """A call came to its end."""
        recording = self._take(kwargs)
        if recording is not None:
            self._end(recording, kwargs, response_obj, end_time)

    @harmless
    def log_failure_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        """A call failed."""
        recording = self._take(kwargs)
        if recording is None:
            return
        error = kwargs.get("exception")
        if not isinstance(error, BaseException):
            error = RuntimeError(str(error or response_obj or "the call failed"))
        recording.end(error=error, at=epoch_us(end_time))

    async def async_log_success_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        """See log_success_event."""
        self.log_success_event(kwargs, response_obj, start_time, end_time)

    async def async_log_failure_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        """See log_failure_event."""
        self.log_failure_event(kwargs, response_obj, start_time, end_time)

    def _begin(self, kwargs: Any) -> Recording:
        optional = kwargs.get("optional_params") or {}
        content, parameters = split_request({**optional, "messages": kwargs.get("messages")})
        operation = "embeddings" if EMBEDDINGS in str(kwargs.get("call_type")) else "chat"
        metadata = {**self._metadata, **own_metadata(kwargs)}
        span = begin(
            self._name or f"{operation} {kwargs.get('model')}",
            "generation",
            input=content if self._options.capture_input else None,
            model=kwargs.get("model"),
            provider=provider_of(kwargs),
            metadata={**metadata, **({"model_parameters": parameters} if parameters else {})} or None,
        )
        recording = Recording(span, self._options)
        with self._lock:
            self._open[id_of(kwargs)] = recording
            oldest = self._open.popitem(last=False)[1] if len(self._open) > MAX_CALLS else None
        if oldest is not None:
            oldest.end(status="cancelled")
        return recording

    def _take(self, kwargs: Any) -> Recording | None:
        """The recording of a call that ends now; `None` for an end that was told before. A call that failed before its
        request, or was answered from a cache, begins here."""
        id_ = id_of(kwargs)
        with self._lock:
            if id_ in self._ended:
                return None
            self._ended[id_] = None
            if len(self._ended) > MAX_CALLS:
                self._ended.popitem(last=False)
            found = self._open.pop(id_, None)
        if found is None:
            found = self._begin(kwargs)
            self._open.pop(id_, None)
        return found

    def _end(self, recording: Recording, kwargs: Any, response: Any, end_time: Any) -> None:
        answer = answer_of(response)(recording)
        answer.read_whole(response)
        if kwargs.get("cache_hit"):
            answer.metadata["cache_hit"] = True
        first = kwargs.get("completion_start_time")
        begun = kwargs.get("api_call_start_time") or kwargs.get("start_time")
        streamed = kwargs.get("stream") and isinstance(first, datetime) and isinstance(begun, datetime)
        recording.end(
            output=answer.output(),
            at=epoch_us(end_time),
            cost=cost_of(kwargs),
            ttft_ms=max(0, round((first - begun).total_seconds() * 1000)) if streamed else None,
            **answer.columns(),
        )


def id_of(kwargs: Mapping[str, Any]) -> str:
    """The call's id."""
    return str(kwargs.get("litellm_call_id") or id(kwargs))


def provider_of(kwargs: Mapping[str, Any]) -> str | None:
    """The provider, as LiteLLM calls it."""
    return kwargs.get("custom_llm_provider") or (kwargs.get("litellm_params") or {}).get("custom_llm_provider")


def own_metadata(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """What the program gave as `metadata`, without what LiteLLM and its proxy add."""
    given = (kwargs.get("litellm_params") or {}).get("metadata") or {}
    plain = (str, int, float, bool)
    return {
        name: value
        for name, value in given.items()
        if isinstance(value, plain) and not name.startswith(("user_api_key", "litellm_"))
    }


def cost_of(kwargs: Mapping[str, Any]) -> float | None:
    """LiteLLM's own figure, in US dollars; `None` where it knows no price."""
    cost = kwargs.get("response_cost")
    return float(cost) if isinstance(cost, (int, float)) and not isinstance(cost, bool) else None


def answer_of(response: Any) -> type[Answer]:
    """How a response is read: LiteLLM gives them in OpenAI's forms."""
    if member(response, "choices") is not None:
        return ChatAnswer
    return ResponsesAnswer if member(response, "output") is not None else EmbeddingsAnswer


def epoch_us(time: Any) -> int | None:
    """A time of LiteLLM's, which is local, as epoch microseconds."""
    return round(time.timestamp() * 1_000_000) if isinstance(time, datetime) else None
