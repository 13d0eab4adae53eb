"""A graph while it runs. Imports langgraph.

A graph stays the object that it was; it becomes an instance of a class derived from its own, so that copies of it
(`with_config`) are observed too. Its nodes are replaced by ones that observe.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

from langgraph.pregel import Pregel

from ai_assistant.tracing.integrations.langchain_handler import Handler
from ai_assistant.tracing.integrations.langchain_messages import plain
from ai_assistant.tracing.integrations.langgraph import GraphSettings, NodeSettings
from ai_assistant.tracing.integrations.langgraph_nodes import WAITING, TracedNode, end_with
from ai_assistant.tracing.integrations.langgraph_result import Result, edges_of
from ai_assistant.tracing.integrations.options import DEFAULT
from ai_assistant.tracing.integrations.recording import Recording, begin, entered, harmless
from ai_assistant.tracing.no_span import nothing

SETTINGS: Final = "_ai_assistant_tracing"
INVOKED: ContextVar[Any] = ContextVar("ai_assistant_graph", default=None)
"""The graph whose `invoke` is about to call its own `stream`."""


def observe_builder(builder: Any, settings: GraphSettings) -> Any:
    """A StateGraph whose compiled graphs are observed."""
    if hasattr(type(builder), SETTINGS):
        return builder
    kind = type(builder)

    def compile(self: Any, *args: Any, **kwargs: Any) -> Any:
        return observe_compiled(kind.compile(self, *args, **kwargs), settings)

    builder.__class__ = derived(kind, settings, {"compile": compile})
    return builder


def observe_compiled(graph: Any, settings: GraphSettings, type_: str = "agent") -> Any:
    """A compiled graph, observed. Raises ValueError for settings of a node that is not there."""
    if hasattr(type(graph), SETTINGS):
        return graph
    names = [name for name in graph.nodes if not name.startswith("__")]
    unknown = [name for name in settings.nodes if name not in names]
    if unknown:
        raise ValueError(f"trace_graph: nodes: there is no node {unknown[0]!r}; there are {', '.join(names)}")
    edges = edges_of(graph)
    handler = Handler(DEFAULT, chains=False, metadata=None) if settings.models else None
    replaced = {name: observed_node(graph.nodes[name], settings.of_node(name), settings, handler) for name in names}
    graph.nodes = {**graph.nodes, **replaced}
    run = GraphRun(settings, type_, {**settings.metadata, "edges": edges})
    graph.__class__ = derived(type(graph), settings, methods(type(graph), run))
    return graph


def observed_node(node: Any, how: NodeSettings, settings: GraphSettings, handler: Handler | None) -> Any:
    """A node that observes. One that is a graph is observed as one, under the node's name."""
    bound = node.bound
    if not isinstance(bound, Pregel):
        return node.copy({"bound": TracedNode(bound, how, handler)})
    inner = GraphSettings(name=how.name, options=how.options, nodes=how.nodes, models=settings.models)
    type_ = how.type if how.type != "span" else "agent"
    return node.copy({"bound": observe_compiled(bound.copy(), inner, type_)})


def derived(kind: type, settings: GraphSettings, names: dict[str, Any]) -> type:
    """A class like `kind`, with these methods."""
    same = {"__module__": kind.__module__, "__qualname__": kind.__qualname__, "__doc__": kind.__doc__}
    return type(kind.__name__, (kind,), {**same, SETTINGS: settings, **names})


class GraphRun:
    """Begins the observations of a graph's runs."""

    def __init__(self, settings: GraphSettings, type_: str, metadata: dict[str, Any]):
        self.settings = settings
        self.type = type_
        self.metadata = metadata

    def begin(self, graph: Any, input: Any, config: Any) -> Recording:
        """Begins one."""
        return self._recorded(graph, input, config) or Recording(nothing(None))

    @harmless
    def _recorded(self, graph: Any, input: Any, config: Any) -> Recording:
        options = self.settings.options
        thread = ((config or {}).get("configurable") or {}).get("thread_id")
        span = begin(
            self.settings.name or graph.get_name(),
            self.type,
            input=plain(input) if options.capture_input else None,
            metadata={**self.metadata, **({"thread_id": thread} if thread else {})},
        )
        return Recording(span, options)


@harmless
def end(recording: Recording, result: Result) -> None:
    """The run came to its end, or to an interrupt."""
    recording.end(status=result.status, output=plain(result.value()), **result.facts())


@contextmanager
def within(recording: Recording, result: Result) -> Iterator[None]:
    """A part of the run: its observation is the current one, and its nodes' interrupts come to its result."""
    token = WAITING.set(result.waiting)
    try:
        with entered(recording.span):
            yield
    finally:
        WAITING.reset(token)


def methods(kind: Any, run: GraphRun) -> dict[str, Callable[..., Any]]:
    """The four ways to run a graph, observed."""
    return {**invoking(kind, run), **streaming(kind, run), **streaming_async(kind, run)}


def invoking(kind: Any, run: GraphRun) -> dict[str, Callable[..., Any]]:
    """`invoke` and `ainvoke`. They call `stream` and `astream` of the same graph, which then only pass on."""

    def invoke(self: Any, input: Any, config: Any = None, *args: Any, **kwargs: Any) -> Any:
        recording, result, token = run.begin(self, input, config), Result(), INVOKED.set(self)
        try:
            with within(recording, result):
                given = kind.invoke(self, input, config, *args, **kwargs)
        except BaseException as error:
            end_with(recording, error, plain(result.value()))
            raise
        finally:
            INVOKED.reset(token)
        result.whole(given)
        end(recording, result)
        return given

    async def ainvoke(self: Any, input: Any, config: Any = None, *args: Any, **kwargs: Any) -> Any:
        recording, result, token = run.begin(self, input, config), Result(), INVOKED.set(self)
        try:
            with within(recording, result):
                given = await kind.ainvoke(self, input, config, *args, **kwargs)
        except BaseException as error:
            end_with(recording, error, plain(result.value()))
            raise
        finally:
            INVOKED.reset(token)
        result.whole(given)
        end(recording, result)
        return given

    return {"invoke": invoke, "ainvoke": ainvoke}


def streaming(kind: Any, run: GraphRun) -> dict[str, Callable[..., Any]]:
    """`stream`."""

    def stream(self: Any, input: Any, config: Any = None, *args: Any, **kwargs: Any) -> Iterator[Any]:
        if INVOKED.get() is self:
            INVOKED.set(None)  # a node that runs the same graph again is a run of its own
            yield from kind.stream(self, input, config, *args, **kwargs)
            return
        recording, result = run.begin(self, input, config), Result(self, kwargs)
        chunks = kind.stream(self, input, config, *args, **kwargs)
        try:
            while True:
                with within(recording, result):
                    try:
                        chunk = next(chunks)
                    except StopIteration:
                        break
                result.add(chunk)
                yield chunk
        except BaseException as error:
            end_with(recording, error, plain(result.value()))
            raise
        finally:
            chunks.close()
        end(recording, result)

    return {"stream": stream}


def streaming_async(kind: Any, run: GraphRun) -> dict[str, Callable[..., Any]]:
    """`astream`."""

    async def astream(self: Any, input: Any, config: Any = None, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        joined = INVOKED.get() is self
        if joined:
            INVOKED.set(None)
        recording = Recording(nothing(None)) if joined else run.begin(self, input, config)
        result = Result(self, kwargs)
        chunks = kind.astream(self, input, config, *args, **kwargs)
        try:
            while True:
                if joined:
                    chunk = await anext_or_end(chunks)
                else:
                    with within(recording, result):
                        chunk = await anext_or_end(chunks)
                if chunk is END:
                    break
                result.add(chunk)
                yield chunk
        except BaseException as error:
            end_with(recording, error, plain(result.value()))
            raise
        finally:
            await chunks.aclose()
        end(recording, result)

    return {"astream": astream}


END: Final = object()


async def anext_or_end(chunks: Any) -> Any:
    """The next chunk, or `END`."""
    try:
        return await chunks.__anext__()
    except StopAsyncIteration:
        return END
