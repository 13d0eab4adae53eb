"""Calls of a tool as observations."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, Final, TypeVar

from ai_assistant.tracing.decorator import traced
from ai_assistant.tracing.integrations.langchain_messages import is_a, plain
from ai_assistant.tracing.integrations.options import DEFAULT, Options
from ai_assistant.tracing.integrations.recording import Recording, begin, entered, harmless
from ai_assistant.tracing.no_span import nothing

T = TypeVar("T")

MARK: Final = "_ai_assistant_tool"
RUNNING: ContextVar[str | None] = ContextVar("ai_assistant_tool", default=None)
"""The tool of LangChain's that runs and is observed here: a callback handler need not observe it again."""


def trace_tool(tool: T, name: str | None = None, **options: Any) -> T:
    """Makes each call of a tool an observation of type `tool`: its arguments, its result, its error.

    `tool`: a function or a coroutine function, of which a traced one is given back, or a tool of LangChain's, which is
    changed and given back. `name`: of the observation, else the tool's. `options`: `capture_input`, `capture_output`,
    `capture_reasoning`, `reasoning_max_length`. Raises TypeError for what is no tool, ValueError for an option.
    """
    checked = DEFAULT.merged(options, "trace_tool")
    if is_a(tool, "BaseTool"):
        return observe_tool(tool, name, checked)
    if not callable(tool):
        raise TypeError(f"trace_tool: tool must be a function or a tool of LangChain's, not {type(tool).__name__}")
    return traced(name=name or getattr(tool, "__name__", type(tool).__name__), type="tool", **options)(tool)


def observe_tool(tool: Any, name: str | None, options: Options) -> Any:
    """A tool of LangChain's, which runs by `run` and `arun` however it is called."""
    kind = type(tool)
    if hasattr(kind, MARK):
        return tool

    def run(self: Any, tool_input: Any, *args: Any, **kwargs: Any) -> Any:
        recording = begin_call(self, name, options, tool_input, kwargs)
        token = RUNNING.set(self.name)
        try:
            with entered(recording.span):
                result = kind.run(self, tool_input, *args, **kwargs)
        except BaseException as error:
            recording.end(error=error)
            raise
        finally:
            RUNNING.reset(token)
        end_call(recording, result)
        return result

    async def arun(self: Any, tool_input: Any, *args: Any, **kwargs: Any) -> Any:
        recording = begin_call(self, name, options, tool_input, kwargs)
        token = RUNNING.set(self.name)
        try:
            with entered(recording.span):
                result = await kind.arun(self, tool_input, *args, **kwargs)
        except BaseException as error:
            recording.end(error=error)
            raise
        finally:
            RUNNING.reset(token)
        end_call(recording, result)
        return result

    same = {"__module__": kind.__module__, "__qualname__": kind.__qualname__, "__doc__": kind.__doc__}
    tool.__class__ = type(kind.__name__, (kind,), {**same, MARK: options, "run": run, "arun": arun})
    return tool


def begin_call(tool: Any, name: str | None, options: Options, given: Any, kwargs: Mapping[str, Any]) -> Recording:
    """Begins a call's observation; one that notes nothing where that fails."""
    return _begun(tool, name, options, given, kwargs) or Recording(nothing(None))


@harmless
def _begun(tool: Any, name: str | None, options: Options, given: Any, kwargs: Mapping[str, Any]) -> Recording:
    values = {"tool_call_id": kwargs.get("tool_call_id"), "input": plain(given) if options.capture_input else None}
    span = begin(name or tool.name, "tool", **{key: value for key, value in values.items() if value is not None})
    return Recording(span, options)


@harmless
def end_call(recording: Recording, result: Any) -> None:
    """Ends it. An error that the tool itself turned into an answer is one here, too."""
    is_message = is_a(result, "ToolMessage")
    said = result.content if is_message else plain(result)
    if is_message and getattr(result, "status", None) == "error":
        recording.span.update(level="error", error_type="ToolError", error_message=str(said)[:4000])
        recording.end(status="failed", output=said)
    else:
        recording.end(output=said)
