"""A node of a graph while it runs. Imports langchain-core."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from langchain_core.runnables import Runnable
from langchain_core.runnables.config import var_child_runnable_config

from ai_assistant.tracing.integrations.langchain_handler import Handler
from ai_assistant.tracing.integrations.langchain_messages import is_a, plain
from ai_assistant.tracing.integrations.langgraph import NodeSettings
from ai_assistant.tracing.integrations.recording import AROUND, Recording, begin, entered, harmless
from ai_assistant.tracing.no_span import nothing
from ai_assistant.tracing.span import Span

WAITING: ContextVar[list[Any] | None] = ContextVar("ai_assistant_interrupts", default=None)
"""Where nodes of the graph that runs leave the interrupts that they raise."""


class TracedNode(Runnable):
    """What a node does, and the observation of it. The observation is the current one meanwhile, so that whatever the
    node calls goes below it."""

    def __init__(self, bound: Runnable, settings: NodeSettings, handler: Handler | None):
        self.bound = bound
        self.settings = settings
        self.handler = handler
        self.name = getattr(bound, "name", None)

    def invoke(self, input: Any, config: Any = None, **kwargs: Any) -> Any:
        """Runs the node."""
        recording = self._begin(input, config)
        config = self._with_handler(config)
        try:
            with self._entered(recording.span, config):
                result = self.bound.invoke(input, config, **kwargs)
        except BaseException as error:
            end_with(recording, error)
            raise
        end(recording, result)
        return result

    async def ainvoke(self, input: Any, config: Any = None, **kwargs: Any) -> Any:
        """Runs the node."""
        recording = self._begin(input, config)
        config = self._with_handler(config)
        try:
            with self._entered(recording.span, config):
                result = await self.bound.ainvoke(input, config, **kwargs)
        except BaseException as error:
            end_with(recording, error)
            raise
        end(recording, result)
        return result

    def stream(self, input: Any, config: Any = None, **kwargs: Any) -> Iterator[Any]:
        """Runs the node and gives its pieces, which LangGraph joins."""
        recording = self._begin(input, config)
        config, gathered = self._with_handler(config), Gathered()
        pieces = self.bound.stream(input, config, **kwargs)
        try:
            while True:
                with self._entered(recording.span, config):
                    try:
                        piece = next(pieces)
                    except StopIteration:
                        break
                gathered.add(piece)
                yield piece
        except BaseException as error:
            end_with(recording, error)
            raise
        end(recording, gathered.value)

    async def astream(self, input: Any, config: Any = None, **kwargs: Any) -> AsyncIterator[Any]:
        """Runs the node and gives its pieces, which LangGraph joins."""
        recording = self._begin(input, config)
        config, gathered = self._with_handler(config), Gathered()
        pieces = self.bound.astream(input, config, **kwargs)
        try:
            while True:
                with self._entered(recording.span, config):
                    try:
                        piece = await pieces.__anext__()
                    except StopAsyncIteration:
                        break
                gathered.add(piece)
                yield piece
        except BaseException as error:
            end_with(recording, error)
            raise
        end(recording, gathered.value)

    def _begin(self, input: Any, config: Any) -> Recording:
        return self._recorded(input, config) or Recording(nothing(None))

    @harmless
    def _recorded(self, input: Any, config: Any) -> Recording:
        settings = self.settings
        span = begin(
            settings.name,
            settings.type,
            input=plain(input) if settings.options.capture_input else None,
            **facts_of(config),
        )
        recording = Recording(span, settings.options)
        if not settings.options.capture_reasoning:
            span.limit_reasoning(0)
        return recording

    @contextmanager
    def _entered(self, span: Span, config: Any) -> Iterator[None]:
        around, ambient = AROUND.set(self.settings.options), var_child_runnable_config.set(config)
        try:
            with entered(span):
                yield
        finally:
            var_child_runnable_config.reset(ambient)
            AROUND.reset(around)

    def _with_handler(self, config: Any) -> Any:
        """The node's configuration with a handler that hears of models, unless one is there."""
        if self.handler is None:
            return config
        callbacks = (config or {}).get("callbacks")
        present = callbacks if isinstance(callbacks, list) else getattr(callbacks, "handlers", [])
        if any(isinstance(each, Handler) for each in present):
            return config
        if callbacks is None or isinstance(callbacks, list):
            return {**(config or {}), "callbacks": [*(callbacks or ()), self.handler]}
        manager = callbacks.copy()
        manager.add_handler(self.handler, inherit=True)
        return {**config, "callbacks": manager}


class Gathered:
    """The pieces of a node's result, added up as LangGraph adds them: what cannot be added replaces what was."""

    def __init__(self) -> None:
        self.value: Any = None

    def add(self, piece: Any) -> None:
        """One more."""
        if self.value is None:
            self.value = piece
            return
        try:
            self.value = self.value + piece
        except TypeError:
            self.value = piece


@harmless
def end(recording: Recording, result: Any) -> None:
    """The node gave something."""
    recording.end(output=plain(result))


@harmless
def end_with(recording: Recording, error: BaseException, output: Any = None) -> None:
    """The node, or the graph, raised something: an error, or LangGraph's way of waiting for somebody (an interrupt)
    or of handing on to the graph above."""
    if not is_a(error, "GraphBubbleUp"):
        recording.end(error=error, output=output)
        return
    said = error.args[0] if error.args else None
    is_interrupt = is_a(error, "GraphInterrupt")
    waiting = WAITING.get()
    if is_interrupt and waiting is not None and isinstance(said, (list, tuple)):
        waiting += [each for each in said if each not in waiting]
    recording.end(status="interrupted" if is_interrupt else "completed", output=plain(said))


def facts_of(config: Any) -> dict[str, Any]:
    """Which step of the run it is, and which attempt at it."""
    config = config or {}
    step = (config.get("metadata") or {}).get("langgraph_step")
    runtime = (config.get("configurable") or {}).get("__pregel_runtime")
    attempt = getattr(getattr(runtime, "execution_info", None), "node_attempt", None)
    found = {"step": step, "attempt": attempt if isinstance(attempt, int) and attempt > 1 else None}
    return {name: value for name, value in found.items() if value is not None}
