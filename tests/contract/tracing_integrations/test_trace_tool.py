"""`trace_tool`: functions, coroutine functions and tools of LangChain's."""

from __future__ import annotations

import json
from typing import Any

import pytest
from integration_kit import the_one
from langchain_core.messages import AIMessage
from langchain_core.tools import StructuredTool, ToolException, tool
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode

from ai_assistant import tracing
from ai_assistant.tracing import testing


def test_a_function(traces: testing.MemoryExporter) -> None:
    def add(a: int, b: int = 2) -> int:
        """Adds."""
        tracing.event("adding")
        return a + b

    traced = tracing.trace_tool(add)
    assert traced(1) == 3 and traced.__name__ == "add" and traced.__doc__ == "Adds."
    found = traces.named("add")
    assert found["type"] == "tool" and json.loads(found["input"]) == {"a": 1} and found["output"] == "3"
    assert traces.tree() == ["add", "  adding"]


async def test_a_coroutine_function_that_fails(traces: testing.MemoryExporter) -> None:
    async def fetch(url: str) -> str:
        raise LookupError(f"nothing at {url}")

    with pytest.raises(LookupError):
        await tracing.trace_tool(fetch, name="fetcher", capture_input=False)("x")
    found = the_one(traces)
    assert found["title"] == "fetcher" and found["status"] == "failed" and found["error_message"] == "nothing at x"
    assert "input" not in found


def made() -> Any:
    @tool
    def add(a: int, b: int) -> int:
        """Adds."""
        if a < 0:
            raise ToolException("no negative numbers")
        tracing.event("adding")
        return a + b

    return add


async def test_a_tool_of_langchain(traces: testing.MemoryExporter) -> None:
    add = made()
    assert tracing.trace_tool(add) is add
    assert tracing.trace_tool(add) is add
    assert isinstance(add, StructuredTool) and type(add).__name__ == "StructuredTool"
    assert add.args == made().args
    assert add.invoke({"a": 1, "b": 2}) == 3
    call = {"id": "c1", "name": "add", "args": {"a": 1, "b": 2}, "type": "tool_call"}
    assert (await add.ainvoke(call)).content == "3"
    one, two = (row for row in traces.observations() if row["title"] == "add")
    for found in (one, two):
        assert found["type"] == "tool" and json.loads(found["input"]) == {"a": 1, "b": 2} and found["output"] == "3"
    assert "tool_call_id" not in one and two["tool_call_id"] == "c1"
    assert traces.tree() == ["add", "  adding"] * 2


async def test_errors_of_a_tool_of_langchain(traces: testing.MemoryExporter) -> None:
    add = tracing.trace_tool(made(), name="adder", capture_output=False)
    with pytest.raises(ToolException):
        await add.ainvoke({"a": -1, "b": 2})
    add.handle_tool_error = True
    call = {"id": "c1", "name": "add", "args": {"a": -1, "b": 2}, "type": "tool_call"}
    assert add.invoke(call).status == "error"
    for found in traces.observations():
        assert found["title"] == "adder" and found["status"] == "failed"
        assert found["error_message"] == "no negative numbers" and "output" not in found


async def test_it_is_observed_once_where_a_handler_hears_of_it_too(traces: testing.MemoryExporter) -> None:
    add = tracing.trace_tool(made())
    handler = tracing.callback_handler()
    add.invoke({"a": 1, "b": 2}, {"callbacks": [handler]})
    await add.ainvoke({"a": 1, "b": 2}, {"callbacks": [handler]})
    assert traces.tree() == ["add", "  adding"] * 2
    assert len(handler.runs) == 0


async def test_tools_of_a_graph(traces: testing.MemoryExporter) -> None:
    add, plain = tracing.trace_tool(made()), made().model_copy(update={"name": "plain"})
    graph = StateGraph(MessagesState)
    graph.add_node("tools", ToolNode([add, plain]))
    graph.add_edge(START, "tools")
    compiled = tracing.trace_graph(graph.compile(), name="g")
    calls = [{"id": name, "name": name, "args": {"a": 1, "b": 2}} for name in ("add", "plain")]
    await compiled.ainvoke({"messages": [AIMessage("", tool_calls=calls)]})
    compiled.invoke({"messages": [AIMessage("", tool_calls=calls)]})
    rows = traces.observations()
    by_span = {row["span"]: row for row in rows}
    tools = [row for row in rows if row["type"] == "tool"]
    assert sorted(row["title"] for row in tools) == ["add", "add", "plain", "plain"]
    assert {by_span[row["parent"]]["title"] for row in tools} == {"tools"}
    assert {row.get("tool_call_id", "plain") for row in tools} == {"add", "plain"}
    assert {row["output"] for row in tools} == {"3"}


def test_bad_arguments_are_named() -> None:
    with pytest.raises(TypeError, match="trace_tool: tool must be a function"):
        tracing.trace_tool("add")
    with pytest.raises(ValueError, match="trace_tool: there is no option 'kind'"):
        tracing.trace_tool(print, kind=True)
