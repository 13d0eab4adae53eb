"""The callback handler with LangChain itself: models over HTTP, chains, tools, retrievers, agents' callbacks."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import openai
import pytest
from chat_model import HttpChat
from integration_kit import metadata, the_one
from langchain_core.agents import AgentAction, AgentFinish
from langchain_core.callbacks import CallbackManager, adispatch_custom_event, dispatch_custom_event
from langchain_core.documents import Document
from langchain_core.language_models import FakeListLLM
from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableLambda, RunnableParallel
from langchain_core.tools import tool

from ai_assistant import tracing
from ai_assistant.tracing import testing
from tests.aimock.server import AiMock
from tests.servers import Delta, Failure, Silence, Upstream

ASKED = [SystemMessage("Be kind."), HumanMessage("hello")]
EXPECTED = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "hello"}]


@pytest.fixture
def handler() -> Any:
    """A handler with its defaults; after the test no run is left in it."""
    made = tracing.callback_handler()
    yield made
    assert len(made.runs) == 0


@pytest.fixture
def model(aimock: AiMock) -> HttpChat:
    """A model at aimock."""
    return HttpChat(base=aimock.base("openai"))


def using(handler: Any, **more: Any) -> Any:
    return {"callbacks": [handler], **more}


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_chat_model(
    asynchronous: bool, model: HttpChat, handler: Any, aimock: AiMock, traces: testing.MemoryExporter
) -> None:
    aimock.on("hello", content="Hi there.", reasoning="A greeting.")
    config = using(handler, tags=["t1"], metadata={"team": "a"}, run_name="greet")
    answer = await model.ainvoke(ASKED, config) if asynchronous else model.invoke(ASKED, config)
    assert answer.content == "Hi there."
    found = the_one(traces)
    assert found["type"] == "generation" and found["title"] == "greet" and found["model"] == "gpt-test"
    assert json.loads(found["input"]) == EXPECTED
    assert found["output"] == "Hi there." and found["reasoning"] == "A greeting."
    assert found["finish_reason"] == "stop" and found["status"] == "completed"
    assert (found["prompt_tokens"], found["completion_tokens"], found["total_tokens"]) == (30, 9, 39)
    assert (found["cached_tokens"], found["reasoning_tokens"]) == (20, 4)
    assert metadata(found)["team"] == "a" and metadata(found)["tags"] == ["t1"]


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_stream(
    asynchronous: bool, model: HttpChat, handler: Any, aimock: AiMock, traces: testing.MemoryExporter
) -> None:
    aimock.on("hello", content="Hi there, my friend.", reasoning="A greeting it is.")
    bare = [chunk.content for chunk in model.stream(ASKED)]
    config = using(handler)
    if asynchronous:
        got = [chunk.content async for chunk in model.astream(ASKED, config)]
    else:
        got = [chunk.content for chunk in model.stream(ASKED, config)]
    assert got == bare
    found = the_one(traces)
    assert found["output"] == "Hi there, my friend." and found["reasoning"] == "A greeting it is."
    assert found["ttft_ms"] >= 0 and metadata(found)["first_reasoning_ms"] >= 0


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_events_of_the_protocol(
    asynchronous: bool, model: HttpChat, handler: Any, aimock: AiMock, traces: testing.MemoryExporter
) -> None:
    if not hasattr(model, "stream_events"):
        pytest.skip("this langchain-core has no event protocol")
    aimock.on("hello", content="Hi there, my friend.", reasoning="A greeting it is.")
    if asynchronous:
        stream = await model.astream_events(ASKED, using(handler), version="v3")
        assert "".join([text async for text in stream.text]) == "Hi there, my friend."
        await stream
    else:
        stream = model.stream_events(ASKED, using(handler), version="v3")
        assert "".join(stream.text) == "Hi there, my friend."
    found = the_one(traces)
    assert found["output"] == "Hi there, my friend." and found["reasoning"] == "A greeting it is."
    assert found["ttft_ms"] >= 0


async def test_tool_calls(model: HttpChat, handler: Any, aimock: AiMock, traces: testing.MemoryExporter) -> None:
    aimock.on("hello", toolCalls=[{"name": "get_weather", "arguments": {"city": "Paris"}}])
    model.invoke(ASKED, using(handler))
    list(model.stream(ASKED, using(handler)))
    for found in traces.observations():
        (call,) = json.loads(found["output"])["tool_calls"]
        assert call["function"]["name"] == "get_weather"
        assert json.loads(call["function"]["arguments"]) == {"city": "Paris"}


async def test_errors(handler: Any, aimock: AiMock, model: HttpChat, traces: testing.MemoryExporter) -> None:
    aimock.fail_next(500, "broken")
    with pytest.raises(openai.InternalServerError):
        await model.ainvoke(ASKED, using(handler))
    found = the_one(traces)
    assert found["status"] == "failed" and found["error_type"] == "InternalServerError"
    assert metadata(found)["http_status"] == 500


def test_an_error_in_mid_stream(handler: Any, upstream: Upstream, traces: testing.MemoryExporter) -> None:
    upstream.play("breaks", Delta(text="Half "), Failure("out of order"))
    with pytest.raises(openai.APIError):
        list(HttpChat(base=upstream.base).stream("breaks", using(handler)))
    found = the_one(traces)
    assert found["status"] == "failed" and found["output"] == "Half "


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_iteration_that_is_broken_off(
    asynchronous: bool, handler: Any, upstream: Upstream, traces: testing.MemoryExporter
) -> None:
    upstream.play("long", Delta(text="One "), Delta(text="two "), Silence())
    model = HttpChat(base=upstream.base)
    if asynchronous:
        chunks = model.astream("long", using(handler))
        async for _ in chunks:
            break
        await chunks.aclose()
    else:
        chunks = model.stream("long", using(handler))
        for _ in chunks:
            break
        chunks.close()
    found = the_one(traces)
    assert found["status"] == "cancelled" and found["output"] == "One "


async def test_a_chain_is_a_tree(model: HttpChat, handler: Any, aimock: AiMock, traces: testing.MemoryExporter) -> None:
    aimock.on("hello", content="Hi there.")
    prompt = ChatPromptTemplate.from_messages([("user", "{question}")])
    chain = (prompt | model | StrOutputParser()).with_config(run_name="greeting")
    assert chain.invoke({"question": "hello"}, using(handler)) == "Hi there."
    expected = ["greeting", "  ChatPromptTemplate", "  HttpChat", "  StrOutputParser"]
    assert traces.tree() == expected
    assert json.loads(traces.named("greeting")["input"]) == {"question": "hello"}
    assert traces.named("greeting")["output"] == "Hi there."
    traces.clear()
    assert await chain.ainvoke({"question": "hello"}, using(handler)) == "Hi there."
    assert [text async for text in chain.astream({"question": "hello"}, using(handler))]
    assert traces.tree() == expected * 2


async def test_branches_and_batches_have_the_right_parents(handler: Any, traces: testing.MemoryExporter) -> None:
    def slow(x: int) -> int:
        return x + 1

    both = RunnableParallel(a=RunnableLambda(slow, name="left"), b=RunnableLambda(slow, name="right"))
    both = both.with_config(run_name="both")
    assert both.batch([1, 2, 3], using(handler)) == [{"a": x, "b": x} for x in (2, 3, 4)]
    assert await both.abatch([1, 2, 3], using(handler)) == [{"a": x, "b": x} for x in (2, 3, 4)]
    rows = traces.observations()
    for root in (row for row in rows if row["title"] == "both"):
        below = [row for row in rows if row["parent"] == root["span"]]
        assert sorted(row["title"] for row in below) == ["left", "right"]
        assert {row["trace"] for row in below} == {root["trace"]}
    assert len(rows) == 18


async def test_the_current_observation_is_the_parent(handler: Any, traces: testing.MemoryExporter) -> None:
    with tracing.span("outer"):
        RunnableLambda(lambda x: x, name="inner").invoke(1, using(handler))
        await RunnableLambda(lambda x: x, name="async inner").ainvoke(1, using(handler))
    assert traces.tree() == ["outer", "  inner", "  async inner"]


async def test_tools(handler: Any, traces: testing.MemoryExporter) -> None:
    @tool
    def add(a: int, b: int) -> int:
        """Adds."""
        return a + b

    @tool
    async def fail(a: int) -> int:
        """Fails."""
        raise ValueError("no such number")

    call = {"id": "c1", "name": "add", "args": {"a": 1, "b": 2}, "type": "tool_call"}
    assert add.invoke(call, using(handler)).content == "3"
    with pytest.raises(ValueError, match="no such number"):
        await fail.ainvoke({"a": 1}, using(handler))
    fail.handle_tool_error = True
    one, two = traces.observations()
    assert one["type"] == "tool" and one["title"] == "add" and one["output"] == "3"
    assert one.get("tool_call_id", "c1") == "c1"  # older versions do not tell
    assert json.loads(one["input"]) == {"a": 1, "b": 2}
    assert two["status"] == "failed" and two["error_message"] == "no such number"


def test_an_error_that_a_tool_made_an_answer(handler: Any, traces: testing.MemoryExporter) -> None:
    manager = CallbackManager.configure([handler])
    run = manager.on_tool_start({"name": "t"}, "x")
    run.on_tool_end(ToolMessage("it broke", tool_call_id="c", status="error"))
    found = the_one(traces)
    assert found["status"] == "failed" and found["error_message"] == "it broke"


async def test_a_retriever(handler: Any, traces: testing.MemoryExporter) -> None:
    class Shelf(BaseRetriever):
        def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Document]:
            if query == "none":
                raise LookupError("nothing there")
            return [Document(page_content=f"about {query}", metadata={"page": 3})]

    Shelf().invoke("cats", using(handler))
    with pytest.raises(LookupError):
        await Shelf().ainvoke("none", using(handler))
    one, two = traces.observations()
    assert one["type"] == "retriever" and one["title"] == "Shelf" and one["input"] == "cats"
    assert json.loads(one["output"]) == [{"content": "about cats", "metadata": {"page": 3}}]
    assert two["status"] == "failed" and two["error_message"] == "nothing there"


async def test_completions_agents_retries_and_custom_events(handler: Any, traces: testing.MemoryExporter) -> None:
    assert FakeListLLM(responses=["four"]).invoke("2+2?", using(handler)) == "four"
    found = the_one(traces)
    assert found["type"] == "generation" and found["input"] == "2+2?" and found["output"] == "four"
    traces.clear()

    def flaky(x: int) -> int:
        dispatch_custom_event("seen", {"x": x})
        if len([row for row in traces.observations() if row["title"] == "seen"]) < 2:
            raise ValueError("once more")
        return x

    async def said(x: int) -> int:
        await adispatch_custom_event("said", {"x": x})
        return x

    RunnableLambda(flaky, name="flaky").with_retry(wait_exponential_jitter=False).invoke(1, using(handler))
    await RunnableLambda(said, name="sayer").ainvoke(1, using(handler))
    titles = [row["title"] for row in traces.observations()]
    assert titles.count("seen") == 2 and "said" in titles
    traces.clear()

    run = CallbackManager.configure([handler]).on_chain_start({"name": "AgentExecutor"}, {"input": "x"})
    run.on_agent_action(AgentAction("search", {"q": "cats"}, "log"))
    run.on_agent_finish(AgentFinish({"output": "done"}, "log"))
    run.on_chain_end({"output": "done"})
    assert traces.tree() == ["AgentExecutor", "  agent action", "  agent finish"]
    assert traces.named("AgentExecutor")["type"] == "agent"
    assert json.loads(traces.named("agent action")["input"]) == {"tool": "search", "input": {"q": "cats"}}


async def test_without_chains(model: HttpChat, aimock: AiMock, traces: testing.MemoryExporter) -> None:
    aimock.on("hello", content="Hi there.")
    handler = tracing.callback_handler(chains=False, metadata={"team": "b"}, capture_input=False)
    chain = ChatPromptTemplate.from_messages([("user", "{question}")]) | model | StrOutputParser()
    with tracing.span("mine"):
        await chain.ainvoke({"question": "hello"}, using(handler))
    assert traces.tree() == ["mine", "  HttpChat"]
    found = traces.named("HttpChat")
    assert "input" not in found and metadata(found)["team"] == "b"
    assert len(handler.runs) == 0


async def test_many_at_once(model: HttpChat, handler: Any, aimock: AiMock, traces: testing.MemoryExporter) -> None:
    for number in range(20):
        aimock.on(f"number {number:02}", content=f"answer {number:02}")
    chain = ChatPromptTemplate.from_messages([("user", "{q}")]) | model
    await asyncio.gather(*(chain.ainvoke({"q": f"number {n:02}"}, using(handler)) for n in range(20)))
    for found in (row for row in traces.observations() if row["type"] == "generation"):
        assert found["output"] == "answer " + json.loads(found["input"])[0]["content"][-2:]


def test_nothing_happens_without_init(model: HttpChat, handler: Any, aimock: AiMock) -> None:
    aimock.on("hello", content="Hi there.")
    assert model.invoke(ASKED, using(handler)).content == "Hi there."


def test_bad_options_are_named() -> None:
    with pytest.raises(ValueError, match="callback_handler: there is no option 'capture'"):
        tracing.callback_handler(capture=True)
