"""See `langchain.callback_handler`. Imports langchain-core."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler

from ai_assistant.tracing.integrations.langchain_messages import (
    is_a,
    message_value,
    plain,
    read_answer,
    read_thoughts,
    texts_of,
)
from ai_assistant.tracing.integrations.langchain_runs import Run, Runs
from ai_assistant.tracing.integrations.options import Options
from ai_assistant.tracing.integrations.payload import Message
from ai_assistant.tracing.integrations.recording import harmless
from ai_assistant.tracing.integrations.tools import RUNNING, end_call
from ai_assistant.tracing.integrations.usage import langchain_usage, member, openai_usage

HIDDEN: Final = "langsmith:hidden"
"""LangChain's tag of runs that are of no interest to people."""
NOT_PARAMETERS: Final = frozenset({"model", "model_name", "_type", "stream", "messages", "tools", "functions"})


class Handler(BaseCallbackHandler):
    """Hears of runs and makes them observations. Its parents are told by the ids of runs, whichever thread or task
    they come from."""

    run_inline = True

    def __init__(self, options: Options, *, chains: bool, metadata: dict[str, Any] | None):
        self.runs = Runs(options, metadata)
        self.chains = chains

    @harmless
    def on_chat_model_start(
        self, serialized: Any, messages: Any, *, run_id: UUID, parent_run_id: UUID | None = None, **told: Any
    ) -> None:
        """A chat model was asked."""
        said = [[message_value(message) for message in batch] for batch in messages]
        self._model_start(serialized, said[0] if len(said) == 1 else said, run_id, parent_run_id, told)

    @harmless
    def on_llm_start(
        self, serialized: Any, prompts: list[str], *, run_id: UUID, parent_run_id: UUID | None = None, **told: Any
    ) -> None:
        """A model that completes texts was asked."""
        self._model_start(serialized, prompts[0] if len(prompts) == 1 else prompts, run_id, parent_run_id, told)

    @harmless
    def on_llm_new_token(self, token: Any, *, chunk: Any = None, run_id: UUID, **_told: Any) -> None:
        """A piece of the answer."""
        run = self.runs.get(run_id)
        if run is None or run.recording is None or not run.takes("tokens"):
            return
        message = getattr(chunk, "message", None)
        if message is not None:
            read_thoughts(message, run.recording, streamed=True)
        texts = texts_of(token)
        if texts or getattr(message, "tool_call_chunks", None):
            run.recording.came()
        run.message.texts += texts

    @harmless
    def on_stream_event(self, event: Any, *, run_id: UUID, **_told: Any) -> None:
        """A piece of the answer, by LangChain's protocol of events."""
        run = self.runs.get(run_id)
        delta = event.get("delta") if event.get("event") == "content-block-delta" else None
        if run is None or run.recording is None or not isinstance(delta, Mapping) or not run.takes("events"):
            return
        if isinstance(delta.get("reasoning"), str):
            run.recording.reasoning(delta["reasoning"])
        else:
            run.recording.came()
            run.message.texts += texts_of(delta.get("text"))

    @harmless
    def on_llm_end(self, response: Any, *, run_id: UUID, **_told: Any) -> None:
        """The whole answer."""
        run = self.runs.end(run_id)
        if run is None or run.recording is None:
            return
        generations = [generation for batch in response.generations for generation in batch]
        values = answer_columns(generations, getattr(response, "llm_output", None) or {})
        outputs = [self._output(run, generation) for generation in generations]
        run.recording.end(output=outputs[0] if len(outputs) == 1 else outputs or None, **values)

    @harmless
    def on_llm_error(self, error: BaseException, *, run_id: UUID, **_told: Any) -> None:
        """An error instead of the rest of the answer."""
        self._error(error, run_id)

    @harmless
    def on_chain_start(
        self, serialized: Any, inputs: Any, *, run_id: UUID, parent_run_id: UUID | None = None, **told: Any
    ) -> None:
        """A chain, a graph or a node begins."""
        if not self.chains or HIDDEN in (told.get("tags") or ()):
            self.runs.begin_hidden(run_id, parent_run_id)
            return
        name = name_of(serialized, told, "chain")
        type_ = "agent" if told.get("run_type") == "agent" or name == "AgentExecutor" else "span"
        self.runs.begin(run_id, parent_run_id, name, type_, input=plain(inputs), metadata=metadata_of(told))

    @harmless
    def on_chain_end(self, outputs: Any, *, run_id: UUID, **_told: Any) -> None:
        """It is done."""
        self._end(run_id, plain(outputs))

    @harmless
    def on_chain_error(self, error: BaseException, *, run_id: UUID, **_told: Any) -> None:
        """It failed, or waits for somebody."""
        self._error(error, run_id)

    @harmless
    def on_tool_start(
        self, serialized: Any, input_str: str, *, run_id: UUID, parent_run_id: UUID | None = None, **told: Any
    ) -> None:
        """A tool is called."""
        name = name_of(serialized, told, "tool")
        if RUNNING.get() == name:  # `trace_tool` observes it
            self.runs.begin_current(run_id)
            return
        self.runs.begin(
            run_id,
            parent_run_id,
            name,
            "tool",
            input=plain(told.get("inputs")) or input_str,
            tool_call_id=told.get("tool_call_id"),
            metadata=metadata_of(told),
        )

    @harmless
    def on_tool_end(self, output: Any, *, run_id: UUID, **_told: Any) -> None:
        """It has answered."""
        run = self.runs.end(run_id)
        if run is not None and run.recording is not None:
            end_call(run.recording, output)

    @harmless
    def on_tool_error(self, error: BaseException, *, run_id: UUID, **_told: Any) -> None:
        """It failed."""
        self._error(error, run_id)

    @harmless
    def on_retriever_start(
        self, serialized: Any, query: str, *, run_id: UUID, parent_run_id: UUID | None = None, **told: Any
    ) -> None:
        """Documents are looked for."""
        name = name_of(serialized, told, "retriever")
        self.runs.begin(run_id, parent_run_id, name, "retriever", input=query, metadata=metadata_of(told))

    @harmless
    def on_retriever_end(self, documents: Any, *, run_id: UUID, **_told: Any) -> None:
        """They were found."""
        self._end(run_id, plain(list(documents)))

    @harmless
    def on_retriever_error(self, error: BaseException, *, run_id: UUID, **_told: Any) -> None:
        """They could not be looked for."""
        self._error(error, run_id)

    @harmless
    def on_agent_action(self, action: Any, *, run_id: UUID, **_told: Any) -> None:
        """An agent has decided on a tool."""
        if (recording := self._recording(run_id)) is not None:
            data = {"tool": action.tool, "input": plain(action.tool_input)}
            recording.span.event("agent action", data if recording.options.capture_input else None)

    @harmless
    def on_agent_finish(self, finish: Any, *, run_id: UUID, **_told: Any) -> None:
        """An agent has its answer."""
        if (recording := self._recording(run_id)) is not None:
            data = plain(finish.return_values)
            recording.span.event("agent finish", data if recording.options.capture_output else None)

    @harmless
    def on_retry(self, retry_state: Any, *, run_id: UUID, **_told: Any) -> None:
        """A run is tried again."""
        if (recording := self._recording(run_id)) is not None:
            attempt = getattr(retry_state, "attempt_number", None)
            recording.span.event("retry", {"attempt": attempt}, level="warning")

    @harmless
    def on_custom_event(self, name: str, data: Any, *, run_id: UUID, **_told: Any) -> None:
        """An event of the application's own (`dispatch_custom_event`)."""
        run = self.runs.get(run_id)
        if run is not None and run.span is not None:
            run.span.event(name, plain(data) if self.runs.options.capture_output else None)

    def _recording(self, run_id: UUID) -> Any:
        run = self.runs.get(run_id)
        return run.recording if run is not None else None

    def _model_start(
        self, serialized: Any, prompt: Any, run_id: UUID, parent_run_id: UUID | None, told: dict[str, Any]
    ) -> None:
        asked = told.get("invocation_params") or {}
        given = told.get("metadata") or {}
        parameters = {name: value for name, value in asked.items() if name not in NOT_PARAMETERS and value is not None}
        tools = asked.get("tools") or asked.get("functions")
        metadata = metadata_of(told)
        self.runs.begin(
            run_id,
            parent_run_id,
            name_of(serialized, told, "model"),
            "generation",
            input={"messages": prompt, "tools": tools} if tools else prompt,
            model=asked.get("model") or asked.get("model_name") or given.get("ls_model_name"),
            provider=given.get("ls_provider"),
            metadata={**metadata, **({"model_parameters": parameters} if parameters else {})} or None,
        )

    def _output(self, run: Run, generation: Any) -> Any:
        message = getattr(generation, "message", None)
        if message is None:
            return generation.text
        assert run.recording is not None
        if not run.recording.has_reasoned:
            read_thoughts(message, run.recording, streamed=False)
        answer = Message()
        read_answer(message, answer)
        return answer.value()

    def _end(self, run_id: UUID, output: Any) -> None:
        run = self.runs.end(run_id)
        if run is not None and run.recording is not None:
            run.recording.end(output=output)

    def _error(self, error: BaseException, run_id: UUID) -> None:
        run = self.runs.end(run_id)
        if run is None or run.recording is None:
            return
        output = run.message.value()
        if is_a(error, "GraphBubbleUp"):  # LangGraph's way of waiting for somebody, or of handing on to the graph above
            status = "interrupted" if is_a(error, "GraphInterrupt") else "completed"
            run.recording.end(status=status, output=plain(error.args[0]) if error.args else None)
        else:
            run.recording.end(error=error, output=output)


def name_of(serialized: Any, told: Mapping[str, Any], otherwise: str) -> str:
    """What a run is called: its own name, else its class."""
    if told.get("name"):
        return str(told["name"])
    serialized = serialized or {}
    path = serialized.get("id")
    return str(serialized.get("name") or (path[-1] if path else otherwise))


def metadata_of(told: Mapping[str, Any]) -> dict[str, Any]:
    """A run's metadata and tags, without LangSmith's (`ls_…`) and LangGraph's inner ones."""
    given = told.get("metadata") or {}
    kept = {name: value for name, value in given.items() if not str(name).startswith(("ls_", "__", "checkpoint_"))}
    tags = [tag for tag in told.get("tags") or () if not tag.startswith("seq:")]
    return {**kept, **({"tags": tags} if tags else {})}


def answer_columns(generations: list[Any], output: Mapping[str, Any]) -> dict[str, Any]:
    """Model, reason and usage, from wherever this model's class puts them."""
    usage: dict[str, int] = {}
    model = reason = None
    for generation in generations:
        message = getattr(generation, "message", None)
        told = {
            **(getattr(generation, "generation_info", None) or {}),
            **(getattr(message, "response_metadata", None) or {}),
        }
        model = model or told.get("model_name") or told.get("model")
        reason = reason or told.get("finish_reason") or told.get("stop_reason") or told.get("done_reason")
        for name, count in langchain_usage(getattr(message, "usage_metadata", None)).items():
            usage[name] = usage.get(name, 0) + count
    if not usage:
        usage = openai_usage(member(output, "token_usage") or member(output, "usage"))
    found = {"model": model or output.get("model_name"), "finish_reason": reason, "usage": usage or None}
    return {name: value for name, value in found.items() if value is not None}
