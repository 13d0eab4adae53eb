"""What a run of a graph gives, told from what it streams; and the edges of a graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ai_assistant.tracing.integrations.recording import harmless

INTERRUPT: Final = "__interrupt__"
CONDITIONAL: Final = "conditional"


class Result:
    """The last values of a stream, or the updates where it gives only these."""

    def __init__(self, graph: Any = None, asked: Mapping[str, Any] | None = None):
        """`asked`: the arguments of `stream`."""
        asked = asked or {}
        mode = asked.get("stream_mode") or getattr(graph, "stream_mode", "values")
        self._mode = mode if isinstance(mode, str) else None
        """`None`: each chunk says which it is."""
        self._has_place = bool(asked.get("subgraphs"))
        self._values: Any = None
        self._updates: dict[str, Any] = {}
        self._interrupts: list[Any] = []
        self.interrupted = False
        self.waiting: list[Any] = []
        """Interrupts that nodes have raised; not every way to run a graph tells of them."""

    @harmless
    def add(self, chunk: Any) -> None:
        """A chunk went by."""
        mode, data, is_own = self._read(chunk)
        if not is_own:
            return
        if isinstance(data, Mapping) and INTERRUPT in data:
            self.interrupted = True
            self._interrupts += list(data[INTERRUPT] or ())
            data = {name: value for name, value in data.items() if name != INTERRUPT}
        if mode == "values":
            self._values = data
        elif mode == "updates" and isinstance(data, Mapping):
            self._updates.update(data)

    @harmless
    def whole(self, given: Any) -> None:
        """What `invoke` gave: with `version="v2"` an object with `value` and `interrupts`."""
        if type(given).__name__ == "GraphOutput":
            self._interrupts = list(given.interrupts or ())
            self.interrupted = bool(self._interrupts)
            self._values = given.value
            return
        self._mode, self._has_place = "values", False
        self.add(given)
        if self._values is None:
            self._values = given

    @property
    def status(self) -> str:
        """Completed, or interrupted: then it waits for somebody."""
        return "interrupted" if self.interrupted or self.waiting else "completed"

    def value(self) -> Any:
        """The result."""
        return self._values if self._values is not None else self._updates or None

    def facts(self) -> dict[str, Any]:
        """Metadata: what it waits for."""
        asked = [getattr(each, "value", each) for each in self._interrupts or self.waiting]
        return {"interrupts": asked} if asked else {}

    def _read(self, chunk: Any) -> tuple[Any, Any, bool]:
        """A chunk's mode and data, and whether it is of this graph, not of one within."""
        if isinstance(chunk, Mapping) and {"type", "ns", "data"} <= chunk.keys():
            return chunk["type"], chunk["data"], not chunk["ns"]
        is_own = True
        if self._has_place and isinstance(chunk, tuple):
            is_own = not chunk[0]
            chunk = chunk[1] if len(chunk) == 2 else chunk[1:]
        if self._mode is None and isinstance(chunk, tuple) and len(chunk) == 2:
            return chunk[0], chunk[1], is_own
        return self._mode, chunk, is_own


@harmless
def edges_of(graph: Any) -> list[list[str]]:
    """From where to where; a third member marks what is decided only as it runs. What LangGraph draws and what its
    builder knows, since older versions do not draw all."""
    drawn = [(edge.source, edge.target, edge.conditional) for edge in graph.get_graph().edges]
    found = dict.fromkeys([*drawn, *built_edges(getattr(graph, "builder", None))])
    return [[source, target, CONDITIONAL] if conditional else [source, target] for source, target, conditional in found]


def built_edges(builder: Any) -> list[tuple[str, str, bool]]:
    """The edges that a StateGraph knows; none where it is built otherwise."""
    if builder is None:
        return []
    found = [(source, target, False) for source, target in sorted(builder.edges)]
    for source, branches in builder.branches.items():
        for branch in branches.values():
            found += [(source, target, True) for target in (branch.ends or {}).values()]
    return found
