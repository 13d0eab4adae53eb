"""`trace_graph` with LangGraph itself: what a graph gives is what it gave before, and its runs are trees."""

from __future__ import annotations

import asyncio
import inspect
import json
import operator
from typing import Annotated, Any, TypedDict

import openai
import pytest
from chat_model import HttpChat
from integration_kit import metadata
from langgraph.checkpoint.memory import MemorySaver
from langgraph.func import entrypoint
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import Command, RetryPolicy, Send, interrupt

from ai_assistant import tracing
from ai_assistant.tracing import testing
from tests.aimock.server import AiMock


class State(TypedDict, total=False):
    question: str
    log: Annotated[list[str], operator.add]


def plan(state: State) -> State:
    return {"log": ["plan"]}


def act(state: State) -> State:
    return {"log": ["act"]}


async def act_async(state: State) -> State:
    await asyncio.sleep(0)
    return {"log": ["act"]}


def builder(second: Any = act) -> StateGraph:
    made = StateGraph(State)
    made.add_node("plan", plan)
    made.add_node("act", second)
    made.add_edge(START, "plan")
    made.add_conditional_edges("plan", lambda state: "act" if state["question"] != "none" else END, ["act", END])
    made.add_edge("act", END)
    return made


ASKED: Any = {"question": "why", "log": ["asked"]}
DONE = {"question": "why", "log": ["asked", "plan", "act"]}
TREE = ["why graph", "  plan", "  act"]


@pytest.fixture(params=["compiled", "builder"])
def graph(request: pytest.FixtureRequest) -> Any:
    """A small observed graph, made in both ways."""
    made = builder()
    if request.param == "compiled":
        return tracing.trace_graph(made.compile(), name="why graph")
    assert tracing.trace_graph(made, name="why graph") is made
    assert tracing.trace_graph(made) is made
    return made.compile()


async def run(graph: Any, how: str, *given: Any, **more: Any) -> Any:
    """Runs a graph in one of four ways; of a stream, the last chunk."""
    if how == "invoke":
        return graph.invoke(*given, **more)
    if how == "ainvoke":
        return await graph.ainvoke(*given, **more)
    if how == "stream":
        return list(graph.stream(*given, **more))[-1]
    return [chunk async for chunk in graph.astream(*given, **more)][-1]


WAYS = ("invoke", "ainvoke", "stream", "astream")


@pytest.mark.parametrize("how", WAYS)
async def test_a_run_is_a_tree_with_states(how: str, graph: Any, traces: testing.MemoryExporter) -> None:
    more = {"stream_mode": "values"} if "stream" in how else {}
    assert await run(graph, how, ASKED, **more) == DONE
    assert traces.tree() == TREE
    root = traces.named("why graph")
    assert root["type"] == "agent" and root["status"] == "completed"
    assert json.loads(root["input"]) == ASKED and json.loads(root["output"]) == DONE
    assert sorted(metadata(root)["edges"]) == [
        ["__start__", "plan"], ["act", "__end__"], ["plan", "__end__", "conditional"], ["plan", "act", "conditional"],
    ]  # fmt: skip
    node = traces.named("act")
    assert node["type"] == "span" and metadata(node)["step"] == 2
    assert json.loads(node["input"]) == {"question": "why", "log": ["asked", "plan"]}
    assert json.loads(node["output"]) == {"log": ["act"]}


@pytest.mark.parametrize("how", ["stream", "astream"])
@pytest.mark.parametrize("mode", ["updates", "values", ["updates", "values"], "debug", "messages", "custom"])
@pytest.mark.parametrize("subgraphs", [False, True])
async def test_streams_are_passed_on(
    how: str, mode: Any, subgraphs: bool, graph: Any, traces: testing.MemoryExporter
) -> None:
    async def chunks(of: Any) -> list[Any]:
        asked = {"stream_mode": mode, "subgraphs": subgraphs}
        if how == "stream":
            return list(of.stream(ASKED, **asked))
        return [chunk async for chunk in of.astream(ASKED, **asked)]

    bare, got = await chunks(builder().compile()), await chunks(graph)
    if mode != "debug":  # which has times and ids of its own
        assert got == bare
    assert len(got) == len(bare)
    root = traces.named("why graph")
    if mode in ("values", ["updates", "values"]):
        assert json.loads(root["output"]) == DONE
    elif mode == "updates":
        assert json.loads(root["output"]) == {"plan": {"log": ["plan"]}, "act": {"log": ["act"]}}
    assert traces.tree() == TREE


def test_a_stream_gives_each_chunk_at_once(graph: Any, traces: testing.MemoryExporter) -> None:
    stream = graph.stream(ASKED, stream_mode="updates")
    assert next(stream) == {"plan": {"log": ["plan"]}}
    traces.client.flush()
    assert "act" not in [row["title"] for row in traces.observations() if row.get("status")]
    assert tracing.current_span().is_recording is False
    stream.close()
    assert traces.named("why graph")["status"] == "cancelled"


async def test_an_async_stream_that_is_broken_off(traces: testing.MemoryExporter) -> None:
    graph = tracing.trace_graph(builder(act_async).compile(), name="why graph")
    stream = graph.astream(ASKED, stream_mode="updates")
    async for _ in stream:
        break
    await stream.aclose()
    assert traces.named("why graph")["status"] == "cancelled"
    assert tracing.current_span().is_recording is False


@pytest.mark.parametrize("how", WAYS)
async def test_what_a_node_does_is_below_it(how: str, traces: testing.MemoryExporter) -> None:
    @tracing.traced(name="helper")
    def helper() -> None:
        tracing.event("noted")

    def busy(state: State) -> State:
        helper()
        tracing.update(level="warning")
        return {"log": ["busy"]}

    async def busy_async(state: State) -> State:
        return await asyncio.create_task(asyncio.to_thread(busy, state))  # type: ignore[arg-type]

    made = builder(busy_async if how.startswith("a") else busy)
    graph = tracing.trace_graph(made.compile(), name="why graph")
    with tracing.span("request"):
        await run(graph, how, ASKED)
    assert traces.tree() == [
        "request", "  why graph", "    plan", "    act", "      helper", "        noted",
    ]  # fmt: skip
    assert traces.named("act")["level"] == "warning"


@pytest.mark.parametrize("how", WAYS)
async def test_parallel_branches(how: str, traces: testing.MemoryExporter) -> None:
    def fan(state: State) -> list[Send]:
        return [Send("work", {"question": str(n)}) for n in range(5)]

    def work(state: State) -> State:
        with tracing.span(f"inside {state['question']}"):
            return {"log": [state["question"]]}

    made = StateGraph(State)
    made.add_node("work", work)
    made.add_conditional_edges(START, fan, ["work"])
    graph = tracing.trace_graph(made.compile(), name="fan")
    await run(graph, how, ASKED)
    rows = traces.observations()
    by_span = {row["span"]: row for row in rows}
    works = [row for row in rows if row["title"] == "work"]
    assert len(works) == 5
    assert {by_span[row["parent"]]["title"] for row in works} == {"fan"}
    for row in rows:
        if row["title"].startswith("inside"):
            assert json.loads(by_span[row["parent"]]["input"])["question"] == row["title"][-1]


@pytest.mark.parametrize("how", WAYS)
async def test_errors(how: str, traces: testing.MemoryExporter) -> None:
    def broken(state: State) -> State:
        raise ValueError("it broke")

    graph = tracing.trace_graph(builder(broken).compile(), name="why graph")
    with pytest.raises(ValueError, match="it broke"):
        await run(graph, how, ASKED)
    assert tracing.current_span().is_recording is False
    for title in ("act", "why graph"):
        found = traces.named(title)
        assert found["status"] == "failed" and found["error_message"] == "it broke"
    assert traces.named("plan")["status"] == "completed"


async def test_retries_are_observations_of_their_own(traces: testing.MemoryExporter) -> None:
    tries: list[int] = []

    def flaky(state: State) -> State:
        tries.append(1)
        if len(tries) < 3:
            raise ConnectionError("once more")
        return {"log": ["act"]}

    made = StateGraph(State)
    name = "retry_policy" if "retry_policy" in inspect.signature(made.add_node).parameters else "retry"
    made.add_node("flaky", flaky, **{name: RetryPolicy(initial_interval=0.001, max_attempts=3)})  # type: ignore[call-overload]
    made.add_edge(START, "flaky")
    graph = tracing.trace_graph(made.compile(), name="g")
    graph.invoke(ASKED)
    rows = [row for row in traces.observations() if row["title"] == "flaky"]
    assert [row["status"] for row in rows] == ["failed", "failed", "completed"]
    assert [row.get("attempt") for row in rows] in ([None, 2, 3], [None, None, None])  # as far as LangGraph tells
    assert traces.named("g")["status"] == "completed"


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("mode", ["updates", "values"])
async def test_interrupts(how: str, mode: str, traces: testing.MemoryExporter) -> None:
    def ask(state: State) -> State:
        return {"log": [interrupt({"may": "I?"})]}

    graph = tracing.trace_graph(builder(ask).compile(checkpointer=MemorySaver()), name="why graph")
    config = {"configurable": {"thread_id": "t1"}}
    more = {"stream_mode": mode} if "stream" in how else {}
    await run(graph, how, ASKED, config, **more)
    root, node = traces.named("why graph"), traces.named("act")
    assert root["status"] == node["status"] == "interrupted"
    assert metadata(root)["thread_id"] == "t1" and metadata(root)["interrupts"] == [{"may": "I?"}]
    assert "error_message" not in node
    traces.clear()
    await run(graph, how, Command(resume="yes"), config, **more)
    assert traces.tree() == ["why graph", "  act"]
    assert {row["status"] for row in traces.observations()} == {"completed"}
    assert json.loads(traces.named("act")["output"]) == {"log": ["yes"]}


def test_a_stop_before_a_node(traces: testing.MemoryExporter) -> None:
    graph = builder().compile(checkpointer=MemorySaver(), interrupt_before=["act"])
    tracing.trace_graph(graph, name="why graph").invoke(ASKED, {"configurable": {"thread_id": "t"}})
    assert traces.tree() == ["why graph", "  plan"]


@pytest.mark.parametrize("how", WAYS)
async def test_a_graph_within_a_graph(how: str, traces: testing.MemoryExporter) -> None:
    outer = StateGraph(State)
    inner = builder().compile()
    outer.add_node("inner", inner)
    outer.add_node("after", plan)
    outer.add_edge(START, "inner")
    outer.add_edge("inner", "after")
    bare = await run(outer.compile(), how, ASKED)
    settings: Any = {"inner": {"nodes": {"act": {"capture_output": False}}}}
    graph = tracing.trace_graph(outer.compile(), name="outer", nodes=settings)
    assert await run(graph, how, ASKED) == bare
    assert traces.tree() == ["outer", "  inner", "    plan", "    act", "  after"]
    assert traces.named("inner")["type"] == "agent" and ["act", "__end__"] in metadata(traces.named("inner"))["edges"]
    assert "output" not in traces.named("act")
    assert [name for name, _ in graph.get_subgraphs()] == ["inner"]
    inner.invoke(ASKED)
    assert len(traces.tree()) == 5, "the inner graph itself is not changed"


@pytest.mark.parametrize("how", WAYS)
async def test_an_interrupt_within_a_graph_within_a_graph(how: str, traces: testing.MemoryExporter) -> None:
    def ask(state: State) -> State:
        return {"log": [interrupt("may I?")]}

    outer = StateGraph(State)
    outer.add_node("inner", builder(ask).compile())
    outer.add_edge(START, "inner")
    graph = tracing.trace_graph(outer.compile(checkpointer=MemorySaver()), name="outer")
    config = {"configurable": {"thread_id": "t"}}
    await run(graph, how, ASKED, config)
    assert {title: traces.named(title)["status"] for title in ("outer", "inner", "plan", "act")} == {
        "outer": "interrupted", "inner": "interrupted", "plan": "completed", "act": "interrupted",
    }  # fmt: skip
    await run(graph, how, Command(resume="yes"), config)
    assert graph.get_state(config).values["log"][-1] == "yes"


async def test_a_command_to_the_graph_above_is_no_error(traces: testing.MemoryExporter) -> None:
    def leave(state: State) -> Command:
        return Command(graph=Command.PARENT, goto="after", update={"log": ["left"]})

    inner = StateGraph(State)
    inner.add_node("leave", leave)
    inner.add_edge(START, "leave")
    outer = StateGraph(State)
    outer.add_node("inner", inner.compile())
    outer.add_node("after", plan)
    outer.add_edge(START, "inner")
    graph = tracing.trace_graph(outer.compile(), name="outer")
    assert (await graph.ainvoke(ASKED))["log"] == ["asked", "left", "plan"]
    assert {row["status"] for row in traces.observations()} == {"completed"}


class Chat(MessagesState):
    pass


@pytest.mark.parametrize("how", WAYS)
async def test_models_within_nodes(how: str, aimock: AiMock, traces: testing.MemoryExporter) -> None:
    aimock.on("hello", content="Hi there.", reasoning="abcdefghij" * 10)
    model = HttpChat(base=aimock.base("openai"))
    observed = tracing.observe_openai(openai.OpenAI(base_url=aimock.base("openai"), api_key="x"))

    def talk(state: Chat) -> dict[str, Any]:
        return {"messages": [model.invoke(state["messages"])]}

    async def talk_async(state: Chat) -> dict[str, Any]:
        return {"messages": [await model.ainvoke(state["messages"])]}

    def direct(state: Chat) -> dict[str, Any]:
        said = observed.chat.completions.create(model="direct", messages=[{"role": "user", "content": "hello"}])
        return {"messages": [("assistant", said.choices[0].message.content)]}

    made = StateGraph(Chat)
    made.add_node("talk", talk_async if how.startswith("a") else talk)
    made.add_node("direct", direct)
    made.add_edge(START, "talk")
    made.add_edge("talk", "direct")
    graph = tracing.trace_graph(
        made.compile(), name="g", nodes={"talk": {"reasoning_max_length": 7}, "direct": {"capture_reasoning": False}}
    )
    await run(graph, how, {"messages": [("user", "hello")]})
    assert traces.tree() == ["g", "  talk", "    HttpChat", "  direct", "    chat direct"]
    assert traces.named("HttpChat")["reasoning"] == "abcdefg" and traces.named("HttpChat")["reasoning_chars"] == 100
    assert "reasoning" not in traces.named("chat direct")
    said = json.loads(traces.named("talk")["output"])["messages"]
    assert said == [{"role": "assistant", "content": "Hi there."}]
    asked = json.loads(traces.named("talk")["input"])["messages"]
    assert asked == [{"role": "user", "content": "hello"}]


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_tokens_still_stream(asynchronous: bool, aimock: AiMock, traces: testing.MemoryExporter) -> None:
    aimock.on("hello", content="Hi there, my friend.")
    model = HttpChat(base=aimock.base("openai"))

    def compiled() -> Any:
        made = StateGraph(Chat)
        made.add_node("talk", lambda state: {"messages": [model.invoke(state["messages"])]})
        made.add_edge(START, "talk")
        return made.compile()

    async def texts(graph: Any) -> list[str]:
        asked: Any = {"messages": [("user", "hello")]}
        if asynchronous:
            return [part.content async for part, _ in graph.astream(asked, stream_mode="messages")]
        return [part.content for part, _ in graph.stream(asked, stream_mode="messages")]

    bare = await texts(compiled())
    assert len(bare) > 2
    assert await texts(tracing.trace_graph(compiled(), name="g")) == bare
    assert traces.tree() == ["g", "  talk", "    HttpChat"]
    events = [e async for e in compiled().astream_events({"messages": [("user", "hello")]}, version="v2")]
    traced = tracing.trace_graph(compiled(), name="g2")
    got = [e async for e in traced.astream_events({"messages": [("user", "hello")]}, version="v2")]
    assert [e["event"] for e in got] == [e["event"] for e in events]


async def test_the_newer_ways_to_run(traces: testing.MemoryExporter) -> None:
    graph = tracing.trace_graph(builder().compile(), name="g")
    if not hasattr(graph, "stream_events"):
        pytest.skip("this version has none")
    assert list(graph.stream_events(ASKED, version="v3").values)[-1] == DONE
    run = await graph.astream_events(ASKED, version="v3")
    assert [values async for values in run.values][-1] == DONE
    assert graph.invoke(ASKED, version="v2").value == DONE
    assert traces.tree() == ["g", "  plan", "  act"] * 3
    for root in (row for row in traces.observations() if row["title"] == "g"):
        assert json.loads(root["output"]) == DONE and root["status"] == "completed"


def test_settings_of_nodes(traces: testing.MemoryExporter) -> None:
    nodes: Any = {
        "plan": {"type": "agent", "name": "planner", "capture_input": False},
        "act": {"type": "tool", "capture_output": False},
    }
    tracing.trace_graph(builder().compile(), nodes=nodes, metadata={"team": "a"}).invoke(ASKED)
    assert traces.tree() == ["LangGraph", "  planner", "  act"]
    one, two = traces.named("planner"), traces.named("act")
    assert one["type"] == "agent" and "input" not in one and one["output"]
    assert two["type"] == "tool" and "output" not in two and two["input"]
    assert metadata(traces.named("LangGraph"))["team"] == "a"


async def test_copies_batches_and_drawings(graph: Any, traces: testing.MemoryExporter) -> None:
    assert graph.with_config(run_name="copy").invoke(ASKED) == DONE
    assert graph.batch([ASKED, ASKED]) == [DONE, DONE]
    assert await graph.abatch([ASKED]) == [DONE]
    assert traces.tree() == TREE * 4
    assert graph.get_graph().draw_mermaid() == builder().compile().get_graph().draw_mermaid()
    assert type(graph).__name__ == "CompiledStateGraph"
    assert tracing.trace_graph(graph) is graph


async def test_a_graph_that_calls_itself(traces: testing.MemoryExporter) -> None:
    def again(state: State) -> State:
        if state["question"] == "why":
            graph.invoke({"question": "because", "log": []})
        return {"log": ["again"]}

    graph = tracing.trace_graph(builder(again).compile(), name="g")
    graph.invoke(ASKED)
    assert traces.tree() == ["g", "  plan", "  act", "    g", "      plan", "      act"]


async def test_the_functional_form(traces: testing.MemoryExporter) -> None:
    @entrypoint()
    def flow(number: int) -> int:
        with tracing.span("inside"):
            return number + 1

    assert tracing.trace_graph(flow, name="flow graph").invoke(1) == 2
    assert traces.tree() == ["flow graph", "  flow", "    inside"]


async def test_nothing_is_traced_without_init(graph: Any) -> None:
    for how in WAYS:
        assert await run(graph, how, ASKED)


async def test_what_is_not_sampled_is_not_traced(graph: Any) -> None:
    with testing.recorded(sample_rate=0.0, fixed=False) as traces:
        for how in WAYS:
            assert await run(graph, how, ASKED)
        assert traces.observations() == []


def test_bad_arguments_are_named() -> None:
    with pytest.raises(TypeError, match="trace_graph: graph must be a compiled graph or a StateGraph"):
        tracing.trace_graph(object())
    with pytest.raises(ValueError, match="no node 'plam'; there are plan, act"):
        tracing.trace_graph(builder().compile(), nodes={"plam": {}})
    with pytest.raises(ValueError, match=r"nodes\['plan'\]: there is no option 'capture'"):
        tracing.trace_graph(builder().compile(), nodes={"plan": {"capture": True}})
    with pytest.raises(ValueError, match=r"nodes\['plan'\]: type must be one of"):
        tracing.trace_graph(builder().compile(), nodes={"plan": {"type": "node"}})
    with pytest.raises(ValueError, match="reasoning_max_length must be a number"):
        tracing.trace_graph(builder().compile(), nodes={"plan": {"reasoning_max_length": "a"}})
