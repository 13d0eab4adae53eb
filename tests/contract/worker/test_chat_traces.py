"""What a worker tells of its chats: the events that lie in the Redis Stream after it has ended."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import redis
from chat_stories import Story, played, raw, stories

from ai_assistant.core.conversation import StoredMessage
from ai_assistant.core.model import ModelConfig, Prices
from ai_assistant.core.settings import Limits, Mode, Settings
from ai_assistant.core.task import Task, TaskRef
from ai_assistant.core.trace import REASONING_CHARS
from ai_assistant.streams.tasks import Tasks
from tests.kit import (
    MODEL,
    QUICK,
    SITE,
    USER,
    MemoryStore,
    Site,
    check_promises,
    events_of,
    make_request,
    make_task,
    model,
    start,
    wait_final,
    wait_until,
    working,
)
from tests.servers import Cut, Delta, Endless, Failure, Pause, Refusal, Upstream
from tests.servers import Finish as End

ALONE = msgspec.structs.replace(QUICK, traces=None)
"""A worker that leaves traces in the stream."""
KEY = "a-key-of-no-known-form-1234"
SECRET = "sk-abcdefghijklmnopqrstuvwx0123456789"
PRICES = Prices(input=1.0, output=2.0)
SLOW = [step for n in range(12) for step in (Delta(text=f"word {n} "), Pause(0.03))]


def site(upstream: Upstream, settings: Settings = Settings(), **fields: Any) -> Site:  # noqa: B008
    """A site with one model, whose key is one."""
    found = msgspec.structs.replace(model(upstream.base, **fields), api_key=KEY)
    return Site({MODEL: found}, settings, MemoryStore())


async def final(tasks: Tasks, ref: TaskRef) -> Task:
    """The ended task, waited for beside the loop."""
    return await asyncio.to_thread(wait_final, tasks, ref)


async def chat(url: str, tasks: Tasks, found: Site, text: str, **fields: Any) -> tuple[Task, list[dict[str, Any]]]:
    """One chat from its start to its end, and to the worker's; the task and its events."""
    async with working(url, found, ALONE):
        ref = start(tasks, text, found.settings_, **fields)
        task = await final(tasks, ref)
    return task, events_of(tasks, ref)


@pytest.fixture
def told(client: redis.Redis) -> Callable[[Task], Story]:
    """The story of a task."""
    return lambda task: stories(client, SITE)[task.trace_id]


Told = Callable[[Task], Story]


async def test_a_plain_answer(tasks: Tasks, redis_url: str, upstream: Upstream, told: Told) -> None:
    upstream.play("hi\nthere", Delta(text="Hel"), Pause(0.05), Delta(text="lo."), End())
    task, events = await chat(
        redis_url,
        tasks,
        site(upstream, prices=PRICES),
        "hi\nthere",
        conversation="new",
        metadata={"page": "x"},
        temperature=0.5,
    )
    story = told(task)
    expected = {
        "user": USER,
        "task_id": task.ref.id,
        "conversation": task.conversation,
        "message_id": task.message_id,
        "mode": "ask",
        "source": "chat",
        "title": "hi",
        "status": "completed",
        "events_emitted": len(events),
        "events_persisted": len(events),
        "chunks_received": 3,
        "service": "ai-assistant",
    }
    assert {name: story.fields[name] for name in expected} == expected
    assert json.loads(story.fields["metadata"]) == {"page": "x"}
    root = story.root
    assert (root["type"], root["title"], root["status"], root["output"]) == ("agent", "chat", "completed", "Hello.")
    assert json.loads(root["input"]) == [{"role": "user", "content": "hi\nthere"}]
    assert root["started_at"] == task.accepted_ms * 1000 <= root["ended_at"]
    assert root["ttft_ms"] == task.outcome.timings.ttft_ms
    assert "total_tokens" not in root  # counted once, where they were used
    assert story.metadata["queue_ms"] == task.outcome.timings.queue_ms
    (generation,) = story.of("generation")
    assert generation["parent"] == root["id"]
    assert (generation["model"], generation["provider"], generation["attempt"]) == (MODEL, "openai", 1)
    assert (generation["status"], generation["finish_reason"], generation["total_tokens"]) == ("completed", "stop", 8)
    assert json.loads(generation["input"]) == upstream.of("hi\nthere")[0].body
    assert generation["output"] == "Hello."
    assert generation["cost"] == task.outcome.usage.cost > 0
    about = json.loads(generation["metadata"])
    assert about["parameters"] == {
        "model": "x",
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0.5,
    }
    assert (about["http_status"], about["chunks"], about["messages"]) == (200, 3, 2)
    assert about["url"] == f"{upstream.base}/chat/completions"
    assert 0 <= about["first_byte_ms"] <= about["first_text_ms"] == generation["ttft_ms"]


async def test_a_running_chat_is_seen(tasks: Tasks, redis_url: str, upstream: Upstream, client: redis.Redis) -> None:
    upstream.play("endless", Endless())
    async with working(redis_url, site(upstream), ALONE):
        ref = start(tasks, "endless")
        trace_id = tasks.get(ref).trace_id

        def running() -> Any:
            story = stories(client, SITE).get(trace_id)
            return story if story and len(story.spans) == 2 else None

        story = await asyncio.to_thread(wait_until, running)
        tasks.cancel(ref, USER)
        await final(tasks, ref)
    assert [kind for kind, _ in story.kinds] == ["trace", "start", "start"]
    assert story.fields["title"] == "endless"
    assert json.loads(story.root["input"])[0]["content"] == "endless"


async def test_reasoning_and_text_play_back_as_they_were_seen(
    tasks: Tasks, redis_url: str, upstream: Upstream, told: Told
) -> None:
    steps = [step for n in range(6) for step in (Delta(reasoning=f"thought {n}. "), Pause(0.03))]
    upstream.play("think", *steps, *SLOW, Delta(reasoning="Once more."), Pause(0.03), Delta(text="Done."), End())
    task, events = await chat(redis_url, tasks, site(upstream), "think")
    story = told(task)
    marks = json.loads(story.root["marks"])
    for kind in ("reasoning", "text"):
        seen = [(e["elapsed_ms"], e["text"]) for e in events if e["type"] == kind and e["partial"]]
        assert played(marks[kind], story.root["output" if kind == "text" else kind]) == seen
        assert len(seen) > 4
    assert story.root["reasoning"] == task.outcome.message.reasoning
    assert story.root["reasoning_chars"] == len(task.outcome.message.reasoning)
    (generation,) = story.of("generation")
    assert generation["reasoning"] == story.root["reasoning"]
    about = json.loads(generation["metadata"])
    assert about["first_reasoning_ms"] < about["first_text_ms"]


async def test_long_reasoning_is_cut_and_its_length_told(
    tasks: Tasks, redis_url: str, upstream: Upstream, told: Told
) -> None:
    upstream.play("think", *[Delta(reasoning="x" * 10_000) for _ in range(7)], Delta(text="ok"), End())
    task, _ = await chat(redis_url, tasks, site(upstream), "think")
    for span in (told(task).root, *told(task).of("generation")):
        assert (len(span["reasoning"]), span["reasoning_chars"]) == (REASONING_CHARS, 70_000)
        assert span["reasoning_truncated"] == 1


async def test_tool_calls(tasks: Tasks, redis_url: str, upstream: Upstream, told: Told) -> None:
    upstream.play(
        "tools",
        Delta(text="I look. "),
        Delta(call=(0, "c1", "look", '{"at":')),
        Pause(0.03),
        Delta(call=(0, None, None, ' "x"}')),
        Delta(call=(1, "c2", "see", "{}")),
        End("tool_calls"),
    )
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
    task, events = await chat(redis_url, tasks, site(upstream), "tools", tools=[tool])
    story = told(task)
    (generation,) = story.of("generation")
    calls = {span["tool_call_id"]: span for span in story.of("tool")}
    assert {id_: (span["title"], span["input"]) for id_, span in calls.items()} == {
        "c1": ("look", '{"at": "x"}'),
        "c2": ("see", "{}"),
    }
    assert {span["parent"] for span in calls.values()} == {generation["id"]}
    assert calls["c1"]["started_at"] < calls["c1"]["ended_at"]
    assert [call["id"] for call in json.loads(generation["output"])["tool_calls"]] == ["c1", "c2"]
    assert json.loads(generation["metadata"])["tools"] == ["look"]
    assert generation["finish_reason"] == "tool_calls"
    marks = json.loads(story.root["marks"])["tool_calls"]
    seen = [(e["elapsed_ms"], e["arguments"]) for e in events if e["type"] == "tool_call" and e["partial"]]
    assert played(marks["c1"], '{"at": "x"}') == [
        each for each, e in zip(seen, events_by_call(events), strict=True) if e == "c1"
    ]


def events_by_call(events: list[dict[str, Any]]) -> list[str]:
    """The call of each piece of arguments."""
    return [e["tool_call_id"] for e in events if e["type"] == "tool_call" and e["partial"]]


async def test_a_retry_and_a_fallback_are_observations_of_their_own(
    tasks: Tasks, redis_url: str, upstream: Upstream, told: Told
) -> None:
    """The first model refuses twice, the second one breaks off at once, the third answers."""
    upstream.play("try", Refusal(503, "overloaded"))
    with Upstream() as second, Upstream() as third:
        second.play("try", Cut())
        third.play("try", Delta(text="fine"), End())
        found = site(upstream, retries=1)
        for name, at in (("b", second), ("c", third)):
            found.models_[name] = ModelConfig(
                name=name, model="openai/y", api_base=at.base, api_key=KEY, wire="openai-chat", retries=0
            )
        async with working(redis_url, found, ALONE):
            request = make_request("try")
            task = make_task(request)
            task.candidates = [MODEL, "b", "c"]
            tasks.start(task, request.fingerprint(), Settings())
            task = await final(tasks, task.ref)
    story = told(task)
    attempts = story.of("generation")
    assert [(span["model"], span["attempt"], span["status"]) for span in attempts] == [
        (MODEL, 1, "failed"),
        (MODEL, 2, "failed"),
        ("b", 1, "failed"),
        ("c", 1, "completed"),
    ]
    assert [span.get("error_type") for span in attempts] == ["provider_unavailable"] * 3 + [None]
    about = [json.loads(span["metadata"]) for span in attempts]
    assert [each.get("http_status") for each in about] == [503, 503, 200, 200]
    assert "overloaded" in attempts[0]["error_message"]
    assert all(json.loads(span["input"])["messages"] for span in attempts)
    assert all(span["ended_at"] >= span["started_at"] for span in attempts)
    assert [span.get("total_tokens") for span in attempts] == [None, None, None, 8]
    assert (story.fields["status"], story.root["model"], story.metadata["attempts"]) == ("completed", "c", 4)
    assert attempts[0]["started_at"] < attempts[0]["ended_at"] <= attempts[1]["started_at"]


@pytest.mark.parametrize("steps", [(Delta(text="half"), Pause(0.05), Failure("it broke")), (Delta(text="half"), Cut())])
async def test_an_answer_that_broke_off(
    tasks: Tasks, redis_url: str, upstream: Upstream, told: Told, steps: Any
) -> None:
    upstream.play("broken", *steps)
    task, events = await chat(redis_url, tasks, site(upstream), "broken")
    assert task.status == "failed"
    story = told(task)
    (generation,) = story.of("generation")
    for span in (story.root, generation):
        assert (span["status"], span["level"], span["error_type"]) == ("failed", "error", task.outcome.error["code"])
        assert span["error_message"] == task.outcome.error["message"]
    assert generation.get("output") == (check_promises(events).text or None)
    assert story.fields["status"] == "failed"
    assert story.fields["events_emitted"] == story.fields["events_persisted"] == len(events)


async def test_a_cancellation_says_by_whom(tasks: Tasks, redis_url: str, upstream: Upstream, told: Told) -> None:
    upstream.play("endless", Endless())
    async with working(redis_url, site(upstream), ALONE):
        ref = start(tasks, "endless")
        await asyncio.to_thread(wait_until, lambda: len(events_of(tasks, ref)) > 5)
        tasks.cancel(ref, USER)
        task = await final(tasks, ref)
    story = told(task)
    events = events_of(tasks, ref)
    assert (story.fields["status"], story.fields["cancelled_by"]) == ("cancelled", USER)
    assert [span["status"] for span in story.spans.values()] == ["cancelled", "cancelled"]
    assert story.root["output"] == check_promises(events).text
    assert story.fields["events_emitted"] == len(events)
    assert story.of("generation")[0]["usage_estimated"] == 1
    assert "error_type" not in story.root


async def test_a_budget_that_ends(tasks: Tasks, redis_url: str, upstream: Upstream, told: Told) -> None:
    upstream.play("endless", Endless(Delta(text="word " * 20)))
    settings = Settings(limits=Limits(tokens_per_day=300), modes={"ask": Mode()})
    task, _ = await chat(redis_url, tasks, site(upstream, settings), "endless")
    story = told(task)
    assert (story.fields["status"], story.root["error_type"]) == ("failed", "budget_exceeded")
    assert story.of("generation")[0]["error_type"] == "budget_exceeded"


async def test_a_chat_that_never_came_to_a_model(tasks: Tasks, redis_url: str, upstream: Upstream, told: Told) -> None:
    found = site(upstream)
    found.models_.clear()
    task, events = await chat(redis_url, tasks, found, "hi")
    story = told(task)
    assert (story.fields["status"], story.root["error_type"]) == ("failed", "invalid_request")
    assert (story.of("generation"), story.fields["chunks_received"]) == ([], 0)
    assert story.fields["events_persisted"] == len(events)


async def test_messages_that_were_left_out_are_told(
    tasks: Tasks, redis_url: str, upstream: Upstream, told: Told
) -> None:
    """The input is what was new; what the model was sent of the past is with the attempt."""
    past = [
        StoredMessage(name=f"{n}-{role}", role=role, content=f"{role} {n} " + "word " * 40)  # type: ignore[arg-type]
        for n in range(10)
        for role in ("user", "assistant")
    ]
    upstream.play("and now?", Delta(text="fine"), End())
    found = site(upstream, Settings(modes={"ask": Mode()}), context_window=400)
    found.conversations.begin = lambda turn: past
    task, _ = await chat(redis_url, tasks, found, "and now?", conversation="c1")
    story = told(task)
    assert 0 < story.metadata["trimmed_messages"] == task.outcome.trimmed_messages
    assert [message["content"] for message in json.loads(story.root["input"])] == ["and now?"]
    sent = json.loads(story.of("generation")[0]["input"])["messages"]
    assert sent == upstream.of("and now?")[0].body["messages"]
    assert len(sent) > 2


async def test_a_worker_that_stops_hands_the_trace_over(
    tasks: Tasks, redis_url: str, upstream: Upstream, told: Told
) -> None:
    upstream.play("slow", Pause(2.0), Delta(text="fine"), End())
    hasty = msgspec.structs.replace(ALONE, grace_s=0.0, hands_over=True)
    async with working(redis_url, site(upstream), hasty):
        ref = start(tasks, "slow")
        await asyncio.to_thread(upstream.wait_call, "slow")
    upstream.play("slow", Delta(text="fine"), End())
    async with working(redis_url, site(upstream), ALONE):
        task = await final(tasks, ref)
    assert (task.status, task.gen) == ("completed", 2)
    story = told(task)
    first, second = story.of("agent")
    assert (first["status"], first["attempt"], json.loads(first["metadata"])["not_ended_here"]) == (
        "interrupted",
        1,
        "handed",
    )
    assert (second["status"], second["attempt"], second["output"]) == ("completed", 2, "fine")
    assert [span["status"] for span in story.of("generation")] == ["interrupted", "completed"]
    assert not any("error_type" in span for span in story.spans.values())
    assert story.fields["status"] == "completed"
    assert story.fields["events_emitted"] == story.fields["events_persisted"] == len(events_of(tasks, ref))


async def test_an_end_that_another_has_told(tasks: Tasks, redis_url: str, upstream: Upstream, told: Told) -> None:
    """A worker that stood still: the task was ended as lost meanwhile, and its trace does not say otherwise."""
    upstream.play("endless", Endless())
    deaf = msgspec.structs.replace(ALONE, beat_s=60.0)
    async with working(redis_url, site(upstream), deaf) as worker:
        ref = start(tasks, "endless")
        await asyncio.to_thread(wait_until, lambda: any(event["partial"] for event in events_of(tasks, ref)))
        tasks.client.hset(f"ai_assistant:{SITE}:task:{USER}:{ref.id}", "beat", 1)
        task = tasks.get(ref)
        assert task.outcome.error["code"] == "worker_lost"
        await asyncio.to_thread(wait_until, lambda: not worker.running)
    story = told(task)
    assert story.root["status"] == "interrupted"
    assert "status" not in story.fields


async def test_a_site_that_wants_no_traces_has_none(
    tasks: Tasks, redis_url: str, upstream: Upstream, client: redis.Redis
) -> None:
    upstream.play("hi", Delta(text="hello"), End())
    task, _ = await chat(redis_url, tasks, site(upstream, Settings(trace_chats=False)), "hi")
    assert task.status == "completed"
    assert [key for key in client.keys("*") if b"observability" in key] == []


async def test_without_content_figures_are_left(
    tasks: Tasks, redis_url: str, upstream: Upstream, told: Told, client: redis.Redis
) -> None:
    upstream.play(
        "private question",
        Delta(reasoning="private thought"),
        Delta(text="private answer"),
        Delta(call=(0, "c1", "look", '{"private": 1}')),
        End("tool_calls"),
    )
    upstream.play("private fault", Refusal(400, "bad words: private fault"))
    tool = {"type": "function", "function": {"name": "look", "description": "private tool"}}
    found = site(upstream, Settings(trace_content=False, modes={"ask": Mode(system_prompt="private prompt")}))
    async with working(redis_url, found, ALONE):
        about = {"selection": "private selection"}
        asked = start(tasks, "private question", tools=[tool], stop=["private stop"], max_tokens=9, metadata=about)
        task = await final(tasks, asked)
        failed = await final(tasks, start(tasks, "private fault"))
    assert b"private" not in raw(client, SITE)
    story = told(task)
    (generation,) = story.of("generation")
    about = json.loads(generation["metadata"])
    assert (about["parameters"]["max_tokens"], about["messages"], about["tools"]) == (9, 2, ["look"])
    assert (generation["total_tokens"], generation["ttft_ms"] >= 0, story.fields["status"]) == (8, True, "completed")
    assert json.loads(story.root["marks"])["text"][0][1] == len("private answer")
    assert story.of("tool")[0]["title"] == "look"
    assert "title" not in story.fields
    fault = told(failed)
    assert fault.root["error_type"] == "invalid_request"
    assert "refused the request (HTTP 400)" in fault.root["error_message"]


async def test_no_key_is_ever_in_the_stream(
    tasks: Tasks, redis_url: str, upstream: Upstream, client: redis.Redis
) -> None:
    """The provider's own key, wherever it is repeated, and one that a user has pasted."""
    text = f"my key is {SECRET}, and the provider's {KEY}"
    upstream.play(text, Refusal(503, f"key {KEY} is overloaded"))
    again = f"once more {SECRET}"
    upstream.play(again, Delta(text=f"You said {SECRET}."), Delta(reasoning=f"It is {SECRET}"), End())
    found = site(upstream, parameters={"extra_headers": {"X-Own": "hush-hush"}}, retries=1)
    async with working(redis_url, found, ALONE):
        failed = await final(tasks, start(tasks, text))
        await final(tasks, start(tasks, again, conversation="new"))
    assert failed.status == "failed"
    everything = raw(client, SITE)
    for secret in (SECRET, "hush-hush", "Bearer"):
        assert secret.encode() not in everything
    generations = stories(client, SITE)[failed.trace_id].of("generation")
    assert all(KEY not in json.dumps(span) for span in generations)


async def test_media_are_told_by_their_size(
    tasks: Tasks, redis_url: str, upstream: Upstream, told: Told, client: redis.Redis
) -> None:
    upstream.play("", Delta(text="A cat."), End())  # it reads no list of parts
    picture = "iVBORw0KGgo" + "A" * 40_000
    content = [
        {"type": "text", "text": "see"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{picture}"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}},
    ]
    request = msgspec.structs.replace(make_request("see"), messages=[{"role": "user", "content": content}])
    async with working(redis_url, site(upstream), ALONE):
        task = make_task(request)
        tasks.start(task, request.fingerprint(), Settings())
        task = await final(tasks, task.ref)
    assert task.status == "completed", task.outcome
    assert b"AAAAAAAAAAAA" not in raw(client, SITE)
    told_size = f"data:image/png;base64,[{len(picture) * 3 // 4} bytes]"
    for span in (told(task).root, *told(task).of("generation")):
        assert told_size in span["input"]
        assert "https://example.com/cat.png" in span["input"]


async def test_tracing_that_fails_harms_no_chat(
    tasks: Tasks, redis_url: str, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("a fault in tracing")

    upstream.play("hi", Delta(text="hello"), End())
    async with working(redis_url, site(upstream), ALONE) as worker:
        await final(tasks, start(tasks, "hi"))
        for name in ("attempt_started", "_end"):
            monkeypatch.setattr(f"ai_assistant.worker.chat_trace.AttemptTrace.{name}", fail, raising=False)
        monkeypatch.setattr("ai_assistant.worker.chat_trace_attempt.kept_request", fail)
        assert (await final(tasks, start(tasks, "hi"))).status == "completed"
        monkeypatch.setattr("ai_assistant.worker.chat_traces.ChatTrace", fail)
        assert (await final(tasks, start(tasks, "hi"))).status == "completed"
        assert worker._tools.traces.failures == 1
        assert worker._tools.traces.stats()["errors"] >= 1


async def test_chats_are_answered_while_the_traces_redis_is_away(
    tasks: Tasks, redis_url: str, upstream: Upstream
) -> None:
    """A site may name a Redis of its own for traces."""
    upstream.play("hi", Delta(text="hello"), End())
    found = site(upstream)
    found.trace_redis_url = "redis://127.0.0.1:1"
    async with working(redis_url, found, ALONE) as worker:
        assert (await final(tasks, start(tasks, "hi"))).status == "completed"
        stats = worker._tools.traces.stats()
        assert (stats["delivered"], stats["dropped"]) == (0, 0)


async def test_many_chats_leave_nothing_in_the_worker(
    tasks: Tasks, redis_url: str, upstream: Upstream, client: redis.Redis
) -> None:
    upstream.play("hi", Delta(text="hello"), End())
    settings = Settings(limits=Limits(requests_per_minute=0, concurrent_tasks=0))
    async with working(redis_url, site(upstream, settings), ALONE) as worker:
        refs = [start(tasks, "hi", settings) for _ in range(60)]
        for ref in refs:
            assert (await final(tasks, ref)).status == "completed"
        await asyncio.to_thread(wait_until, lambda: not worker.running and not worker._tools.traces.stats()["waiting"])
        assert len(worker._tools.traces._clients) == 1
    found = stories(client, SITE)
    assert len(found) == 60
    assert {story.fields["status"] for story in found.values()} == {"completed"}
    assert all("ended_at" in span for story in found.values() for span in story.spans.values())
