"""Makes the runs of a LangGraph graph traces: the graph is an agent, its nodes are observations with what they got and
gave."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeVar

import msgspec

from ai_assistant.core.trace import TYPES
from ai_assistant.tracing.integrations.options import DEFAULT, Options

G = TypeVar("G")
NODE_SETTINGS: Final = ("type", "name", "nodes")
"""What a node's settings may hold beside options."""


class NodeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How one node is observed."""

    name: str
    type: str = "span"
    options: Options = DEFAULT
    nodes: dict[str, Any] = {}
    """Settings of the nodes of a node that is a graph."""


class GraphSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How a graph is observed."""

    name: str | None = None
    options: Options = DEFAULT
    nodes: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    models: bool = True

    def of_node(self, node: str) -> NodeSettings:
        """A node's settings. Raises ValueError naming what is wrong."""
        where = f"trace_graph: nodes[{node!r}]"
        given = self.nodes.get(node) or {}
        if not isinstance(given, Mapping):
            raise ValueError(f"{where} must be a dict of settings, not {given!r}")
        type_ = given.get("type", "span")
        if type_ not in TYPES:
            raise ValueError(f"{where}: type must be one of {', '.join(TYPES)}, not {type_!r}")
        changes = {name: value for name, value in given.items() if name not in NODE_SETTINGS}
        below = given.get("nodes") or {}
        options = self.options.merged(changes, where)
        return NodeSettings(name=str(given.get("name") or node), type=type_, options=options, nodes=dict(below))


def trace_graph(
    graph: G,
    *,
    nodes: Mapping[str, Mapping[str, Any]] | None = None,
    name: str | None = None,
    models: bool = True,
    metadata: dict[str, Any] | None = None,
    **options: Any,
) -> G:
    """Observes every run of a graph, a compiled one or a StateGraph before its `compile`. Gives the same graph.

    `nodes`: by a node's name a dict of `type` (`span`, `agent`, `tool`, …), `name`, options, and, of a node that is a
    graph itself, `nodes`. `models`: also the models, tools and retrievers of LangChain that nodes use, without a
    callback handler. `options`, for the graph and all nodes: `capture_input`, `capture_output`, `capture_reasoning`,
    `reasoning_max_length`; the last two also hold for models that a node asks. Raises TypeError for what is no graph,
    ValueError for a node or an option that does not exist, ImportError without langgraph.
    """
    try:
        from ai_assistant.tracing.integrations.langgraph_runs import observe_builder, observe_compiled
    except ImportError as error:
        raise ImportError(f"trace_graph needs langgraph (pip install langgraph): {error}") from error
    settings = GraphSettings(
        name=name,
        options=DEFAULT.merged(options, "trace_graph"),
        nodes={node: dict(given) for node, given in (nodes or {}).items()},
        metadata=metadata or {},
        models=models,
    )
    if hasattr(graph, "compile") and hasattr(graph, "add_node"):
        return observe_builder(graph, settings)
    if hasattr(graph, "astream") and isinstance(getattr(graph, "nodes", None), dict):
        return observe_compiled(graph, settings)
    raise TypeError(f"trace_graph: graph must be a compiled graph or a StateGraph, not {type(graph).__name__}")
