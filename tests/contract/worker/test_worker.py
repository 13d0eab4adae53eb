"""One worker on the test's loop: what fails around it must neither stop it nor keep a task from ending."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import aclosing
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis
from worker_main import Config, SqlSite

from ai_assistant.core.conversation import Turn
from ai_assistant.core.settings import Limits, Mode, Settings
from ai_assistant.core.task import Task, TaskRef
from ai_assistant.core.usage import Usage
from ai_assistant.gateway.chunks import Finish, TextDelta, ThinkingBlock, ToolCallDelta
from ai_assistant.gateway.gateway import Gateway
from ai_assistant.streams import keys as names
from ai_assistant.streams.tasks import Tasks
from ai_assistant.worker.site_thread import SiteThreads
from ai_assistant.worker.worker import Worker
from tests.kit import (
    MODEL,
    QUICK,
    SCOPE,
    SITE,
    USER,
    MemoryStore,
    Site,
    check_promises,
    events_of,
    make_request,
    model,
    start,
    wait_final,
    wait_until,
    working,
)
from tests.servers import Cut, Delta, Endless, Failure, Gate, Pause, Proxy, RedisServer, Silence, Upstream
from tests.servers import Finish as End

WORDS = [f"word {i} " for i in range(30)]
STEPS = [step for word in WORDS for step in (Delta(text=word), Pause(0.01))]


def site(upstream: Upstream, settings: Settings = Settings(), store: Any = None, **fields: Any) -> Site:  # noqa: B008
    """A site with one model."""
    return Site({MODEL: model(upstream.base, **fields)}, settings, store or MemoryStore())


async def final(tasks: Tasks, ref: TaskRef, timeout: float = 30) -> Task:
    """The ended task, waited for beside the loop."""
    return await asyncio.to_thread(wait_final, tasks, ref, timeout)


async def until(look: Any, timeout: float = 20) -> Any:
    """What `look` gives, waited for beside the loop."""
    return await asyncio.to_thread(wait_until, look, timeout)


async def test_reasoning_text_tools_and_usage(tasks: Tasks, redis_url: str, upstream: Upstream) -> None:
    upstream.play(
        "all",
        Delta(reasoning="Let me think. "),
        Delta(reasoning="Yes."),
        Delta(text="I look it up. "),
        Delta(call=(0, "c1", "look", '{"at":')),
        Delta(call=(0, None, None, ' "x"}')),
        Delta(call=(1, "text", "see", "{}")),
        End("tool_calls"),
    )
    async with working(redis_url, site(upstream)):
        ref = start(tasks, "all")
        task = await final(tasks, ref)
    state = check_promises(events_of(tasks, ref))
    assert (state.reasoning, state.text) == ("Let me think. Yes.", "I look it up. ")
    assert state.calls["c1"]["arguments"] == '{"at": "x"}'
    assert (state.end["finish_reason"], state.end["usage"]["total_tokens"]) == ("tool_calls", 8)
    assert [call["id"] for call in task.outcome.message.tool_calls] == ["c1", "text"]
    assert task.view()["timings"]["ttft_ms"] <= task.view()["timings"]["total_ms"]


@pytest.mark.parametrize(
    ("steps", "code", "text"),
    [
        ((Delta(text="half"), Cut()), "stream_interrupted", "half"),
        ((Delta(text="half"), Pause(0.1), Failure("it broke")), "stream_interrupted", "half"),
        ((Delta(text="half"), Silence()), "provider_timeout", "half"),
    ],
)
async def test_broken_streams_end_with_what_had_come(
    tasks: Tasks, redis_url: str, upstream: Upstream, steps: Any, code: str, text: str
) -> None:
    upstream.play("broken", *steps)
    limits = msgspec.structs.replace(model("").timeouts, idle=0.5)
    async with working(redis_url, site(upstream, timeouts=limits)):
        ref = start(tasks, "broken")
        task = await final(tasks, ref)
    assert task.outcome.error["code"] in (code, "provider_unavailable")
    assert task.outcome.usage.estimated
    assert check_promises(events_of(tasks, ref)).text == text


async def test_redis_gone_for_three_seconds_in_mid_stream(tasks: Tasks, upstream: Upstream, proxy: Proxy) -> None:
    upstream.play("long", *STEPS, Pause(2.0), *STEPS, End())
    patient = msgspec.structs.replace(QUICK, dead_after_ms=8000)
    tasks.dead_after_ms = 8000
    async with working(proxy.url, site(upstream), patient) as worker:
        ref = start(tasks, "long", conversation="new")
        await until(lambda: len(events_of(tasks, ref)) > 4)
        await asyncio.to_thread(proxy.cut)
        await asyncio.sleep(3)
        await asyncio.to_thread(proxy.heal)
        task = await final(tasks, ref)
        assert worker.info()["dropped"] == 0
        assert worker.info()["redis_errors"] > 0
    assert (task.status, task.gen) == ("completed", 1)
    assert check_promises(events_of(tasks, ref)).text == "".join(WORDS) * 2


async def test_redis_away_when_a_task_begins(
    tasks: Tasks, upstream: Upstream, proxy: Proxy, client: redis.Redis
) -> None:
    """The reads before the stream (budget, thinking) wait a moment for Redis too."""
    gate = asyncio.Event()
    store = MemoryStore()

    def begin(turn: Turn) -> list[Any]:
        asyncio.run_coroutine_threadsafe(gate.wait(), loop).result(20)
        return []

    loop = asyncio.get_running_loop()
    store.begin = begin  # type: ignore[method-assign]
    upstream.play("hi", Delta(text="hello"), End())
    found = site(upstream, Settings(limits=Limits(tokens_per_day=10_000)), store)
    async with working(proxy.url, found, msgspec.structs.replace(QUICK, dead_after_ms=8000)):
        tasks.dead_after_ms = 8000
        ref = start(tasks, "hi", conversation="new")
        await until(lambda: tasks.get(ref).status == "running")
        await asyncio.to_thread(proxy.cut)
        gate.set()
        await asyncio.sleep(0.3)
        await asyncio.to_thread(proxy.heal)
        assert (await final(tasks, ref)).status == "completed"


async def test_redis_away_for_longer_than_events_wait(tasks: Tasks, upstream: Upstream, proxy: Proxy) -> None:
    """The worker gives the task up and lives on; once Redis is back, a reader can settle it."""
    upstream.play("endless", Endless())
    upstream.play("next", Delta(text="fine"), End())
    store = MemoryStore()
    async with working(proxy.url, site(upstream, store=store)) as worker:
        worker._tools.publisher._outage_s = 0.3
        ref = start(tasks, "endless", conversation="new")
        call = await asyncio.to_thread(upstream.wait_call, "endless")
        await until(lambda: any(event["partial"] for event in events_of(tasks, ref)))
        await asyncio.to_thread(proxy.cut)
        await asyncio.to_thread(upstream.wait_closed, call)
        await asyncio.to_thread(proxy.heal)
        task = await final(tasks, ref)
        assert task.outcome.error["code"] == "worker_lost"
        state = check_promises(events_of(tasks, ref))
        await until(lambda: store.rows[task.message_id]["status"] == "interrupted")
        assert store.rows[task.message_id]["content"] == state.text
        assert (await final(tasks, start(tasks, "next"))).outcome.message.content == "fine"


async def test_redis_restarted_empty_in_mid_stream(upstream: Upstream) -> None:
    from tests.kit import tasks_at

    upstream.play("endless", Endless())
    upstream.play("next", Delta(text="fine"), End())
    store = MemoryStore()
    with RedisServer() as own:
        tasks = tasks_at(own.url)
        async with working(own.url, site(upstream, store=store)):
            ref = start(tasks, "endless", conversation="new")
            call = await asyncio.to_thread(upstream.wait_call, "endless")
            await until(lambda: len(events_of(tasks, ref)) > 4)
            await asyncio.to_thread(own.restart)
            await asyncio.to_thread(upstream.wait_closed, call)
            assert tasks.find(ref) is None
            (row,) = await until(lambda: [r for r in store.rows.values() if r["status"] == "interrupted"])
            assert row["content"].startswith("more more ")
            assert (await final(tasks, start(tasks, "next"))).outcome.message.content == "fine"


async def test_a_store_that_fails_holds_up_no_answer(
    tasks: Tasks, redis_url: str, upstream: Upstream, monkeypatch: pytest.MonkeyPatch, client: redis.Redis
) -> None:
    monkeypatch.setattr("ai_assistant.streams.queue.UNSAVED_AGAIN_MS", 50)
    upstream.play("hi", Delta(text="hello"), End())
    store = MemoryStore()
    store.failing_finish = True
    async with working(redis_url, site(upstream, store=store)):
        ref = start(tasks, "hi", conversation="new")
        task = await final(tasks, ref)
        assert (task.status, task.outcome.message.content) == ("completed", "hello")
        assert store.rows[task.message_id]["status"] == "streaming"
        await asyncio.sleep(0.6)  # several attempts
        assert tasks.backlog() == 0
        store.failing_finish = False
        await until(lambda: store.rows[task.message_id]["content"] == "hello")
        await until(lambda: not client.exists(names.ScopeKeys(SCOPE).unsaved))
        assert client.hget(names.TaskKeys(ref).task, "request") is None


async def test_a_new_conversation_that_cannot_be_begun_is_written_later(
    tasks: Tasks, redis_url: str, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ai_assistant.streams.queue.UNSAVED_AGAIN_MS", 50)
    upstream.play("hi", Delta(text="hello"), End())
    store = MemoryStore()
    store.failing_begin = True
    async with working(redis_url, site(upstream, store=store)):
        task = await final(tasks, start(tasks, "hi", conversation="new"))
        assert (task.status, store.rows) == ("completed", {})
        store.failing_begin = False
        await until(lambda: store.rows.get(task.message_id, {}).get("content") == "hello")
        assert store.rows[task.message_id]["turn"].messages == [{"role": "user", "content": "hi"}]


async def test_a_locked_database_holds_up_no_answer(
    tasks: Tasks, redis_url: str, upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody holds SQLite's write lock while the answer ends."""
    monkeypatch.setattr("ai_assistant.worker.runner.STORE_TIMEOUT_S", 0.3)
    monkeypatch.setattr("ai_assistant.streams.queue.UNSAVED_AGAIN_MS", 100)
    gate = Gate()
    upstream.play("hi", Delta(text="hel"), gate, Delta(text="lo"), End())
    path = tmp_path / "conversations.db"
    opener = SqlSite(Config(redis_url, upstream.base, str(path), QUICK), busy_timeout=0.5)
    async with working(redis_url, opener):
        ref = start(tasks, "hi", conversation="new")
        await until(lambda: len(events_of(tasks, ref)) > 2)
        locking = sqlite3.connect(path, isolation_level=None)
        locking.execute("BEGIN IMMEDIATE")
        gate.open()
        began = time.monotonic()
        task = await final(tasks, ref)
        assert task.status == "completed"
        assert time.monotonic() - began < 5
        query = "SELECT status, content FROM ai_message WHERE name = ?"
        assert locking.execute(query, (task.message_id,)).fetchone() == ("streaming", "")
        locking.execute("ROLLBACK")
        locking.close()

        def row() -> Any:
            reading = sqlite3.connect(path)
            try:
                return reading.execute(query, (task.message_id,)).fetchone()
            finally:
                reading.close()

        await until(lambda: row() == ("completed", "hello"))


async def test_a_turn_that_no_worker_took_is_in_the_conversation(
    tasks: Tasks, redis_url: str, upstream: Upstream, client: redis.Redis
) -> None:
    store = MemoryStore()
    cancelled = start(tasks, "never asked", conversation="new")
    tasks.cancel(cancelled, USER)
    unclaimed = start(tasks, "never taken", conversation="new")
    tasks.get(unclaimed, Settings(no_worker_after_s=0))
    async with working(redis_url, site(upstream, store=store)):
        await until(lambda: len(store.rows) == 2 and not client.exists(names.ScopeKeys(SCOPE).unsaved))
    found = {row["turn"].messages[0]["content"]: row["status"] for row in store.rows.values()}
    assert found == {"never asked": "cancelled", "never taken": "failed"}
    assert upstream.calls == []


async def test_a_site_that_hangs_does_not_hang_its_tasks(
    tasks: Tasks, redis_url: str, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ai_assistant.worker.runner.SITE_TIMEOUT_S", 0.2)
    found = site(upstream)
    found.settings = lambda: time.sleep(1.5) or Settings()  # type: ignore[method-assign,func-returns-value]
    async with working(redis_url, found):
        task = await final(tasks, start(tasks, "hi"))
    assert (task.outcome.error["code"], task.outcome.error["retryable"]) == ("internal", True)


async def test_an_outsiders_rubbish_stops_nothing(
    tasks: Tasks, redis_url: str, upstream: Upstream, client: redis.Redis
) -> None:
    upstream.play("hi", Delta(text="hello"), End())
    upstream.play("endless", Endless())
    keys = names.ScopeKeys(SCOPE)
    async with working(redis_url, site(upstream)) as worker:
        client.xadd(keys.queue, {"no": "task"})
        client.xadd(keys.queue, {"task": "[", "gen": "1"})
        ref = TaskRef(site=SITE, user=USER, id="poison")
        client.hset(names.TaskKeys(ref).task, mapping={"gen": 1, "status": "queued", "ttl": 100})
        client.xadd(keys.queue, {"task": names.encode_ref(ref), "gen": "1"})
        client.publish(keys.control, "rubbish")
        await asyncio.sleep(0.1)
        assert (await final(tasks, start(tasks, "hi"))).status == "completed"
        await until(lambda: client.xlen(keys.queue) == 0)
        running = start(tasks, "endless")
        await asyncio.to_thread(upstream.wait_call, "endless")
        await asyncio.sleep(0.6)
        tasks.cancel(running, USER)
        assert (await final(tasks, running)).status == "cancelled"
        assert worker.info()["failures"] >= 1


async def test_a_site_that_cannot_be_opened_does_not_stop_the_sweep(
    tasks: Tasks, redis_url: str, upstream: Upstream
) -> None:
    found = site(upstream)
    found.conversations.unfinished = lambda limit=1000: 1 / 0
    async with working(redis_url, found, sites=(SITE,)):
        ref = start(tasks, "x")
        await final(tasks, ref)
        lost = start(tasks, "y")
        await final(tasks, lost)
        tasks.client.zadd(names.ScopeKeys(SCOPE).open, {names.encode_ref(ref): 1})
        await until(lambda: not tasks.client.exists(names.ScopeKeys(SCOPE).open))


class Provider(Gateway):
    """A gateway whose stream is the test's; what it yields is real chunks."""

    def __init__(self, *chunks: Any) -> None:
        super().__init__()
        self._chunks = chunks

    async def stream(self, request: Any, candidates: Any, observer: Any = None) -> Any:
        for chunk in self._chunks:
            if isinstance(chunk, BaseException):
                raise chunk
            yield [chunk]
            await asyncio.sleep(0)


async def test_what_another_has_ended_is_not_written_again(tasks: Tasks, redis_url: str, upstream: Upstream) -> None:
    """A worker that stood still finds out only at its end: then neither the task nor the conversation is its own."""
    gate = asyncio.Event()

    class Slow(Provider):
        async def stream(self, request: Any, candidates: Any, observer: Any = None) -> Any:
            yield [TextDelta("half")]
            await gate.wait()
            yield [Finish(reason="stop")]

    store = MemoryStore()
    deaf = msgspec.structs.replace(QUICK, beat_s=60.0)
    async with working(redis_url, site(upstream, store=store), deaf, gateway=Slow()) as worker:
        ref = start(tasks, conversation="new")
        await until(lambda: any(event["partial"] for event in events_of(tasks, ref)))
        tasks.client.hset(names.TaskKeys(ref).task, "beat", 1)
        task = tasks.get(ref)
        assert task.outcome.error["code"] == "worker_lost"
        await until(lambda: store.rows[task.message_id]["status"] == "interrupted")
        events = events_of(tasks, ref)
        gate.set()
        await until(lambda: not worker._running)
    assert store.rows[task.message_id]["status"] == "interrupted"
    assert events_of(tasks, ref) == events


@pytest.mark.parametrize("failure", [asyncio.CancelledError(), RuntimeError("secret"), KeyError("x"), None])
async def test_a_stream_that_fails_inside_ends_its_task(
    tasks: Tasks, redis_url: str, upstream: Upstream, failure: BaseException | None
) -> None:
    chunks = [TextDelta("half")] + ([failure] if failure else [])
    async with working(redis_url, site(upstream), gateway=Provider(*chunks)):
        ref = start(tasks)
        task = await final(tasks, ref)
    assert task.outcome.error["code"] == "internal"
    assert "secret" not in str(task.view())
    assert check_promises(events_of(tasks, ref)).text == "half"


async def test_thinking_that_cannot_be_kept_does_not_hold_up_the_end(
    tasks: Tasks, redis_url: str, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any, **__: Any) -> None:
        raise redis.ConnectionError("gone")

    chunks = [
        ThinkingBlock({"type": "thinking", "thinking": "x", "signature": "s"}),
        ToolCallDelta(0, "c1", "look", "{}"),
        Finish(reason="tool_calls", usage=Usage(total_tokens=3)),
    ]
    async with working(redis_url, site(upstream), gateway=Provider(*chunks)) as worker:
        kept = await final(tasks, start(tasks))
        key = names.thinking_key(SITE, USER, "c1")
        assert b"signature" in tasks.client.get(key)
        monkeypatch.setattr(worker._client, "set", fail)
        unkept = await final(tasks, start(tasks))
    assert [kept.status, unkept.status] == ["completed", "completed"]


async def test_a_budget_that_ends_in_mid_stream_closes_the_connection(
    tasks: Tasks, redis_url: str, upstream: Upstream
) -> None:
    upstream.play("endless", Endless(Delta(text="word " * 20)))
    settings = Settings(limits=Limits(tokens_per_day=300), modes={"ask": Mode()})
    async with working(redis_url, site(upstream, settings)):
        ref = start(tasks, "endless", settings)
        task = await final(tasks, ref)
        assert task.outcome.error["code"] == "budget_exceeded"
        await asyncio.to_thread(upstream.wait_closed, upstream.of("endless")[0], 3)
    assert check_promises(events_of(tasks, ref)).text


async def test_the_log_bound_of_the_settings_counts(tasks: Tasks, redis_url: str, upstream: Upstream) -> None:
    upstream.play("long", *[step for word in WORDS for step in (Delta(text=word), Pause(0.02))], End())
    async with working(redis_url, site(upstream, Settings(max_log_bytes=1_000))):
        ref = start(tasks, "long")
        await final(tasks, ref)
    assert tasks.events(ref, 0, 500)["gap"]
    assert tasks.get(ref).outcome.message.content == "".join(WORDS)


async def test_a_worker_ends_while_redis_is_away(upstream: Upstream, proxy: Proxy, tasks: Tasks) -> None:
    upstream.play("endless", Endless())
    options = msgspec.structs.replace(QUICK, grace_s=0.2)
    worker = Worker(proxy.url, SCOPE, site(upstream), options=options)
    worker._tools.publisher._outage_s = 1.0
    running = asyncio.create_task(worker.run())
    await asyncio.wait_for(worker.ready.wait(), 10)
    start(tasks, "endless")
    call = await asyncio.to_thread(upstream.wait_call, "endless")
    await asyncio.to_thread(proxy.cut)
    worker.stop()
    await asyncio.wait_for(running, 20)
    await asyncio.to_thread(upstream.wait_closed, call, 1)
    assert {task.get_name() for task in asyncio.all_tasks()} & {"heartbeat", "sweep", "publisher", "control"} == set()


async def test_a_worker_that_never_reached_redis_can_be_stopped(upstream: Upstream) -> None:
    with Proxy(1) as nowhere:
        worker = Worker(nowhere.url, SCOPE, site(upstream), options=QUICK)
        running = asyncio.create_task(worker.run())
        await asyncio.sleep(0.2)
        worker.stop()
        await asyncio.wait_for(running, 15)


async def test_many_tasks_leave_nothing_in_the_worker(tasks: Tasks, redis_url: str, upstream: Upstream) -> None:
    upstream.play("hi", Delta(text="hello"), End())
    settings = Settings(limits=Limits(requests_per_minute=0, concurrent_tasks=0))
    async with working(redis_url, site(upstream, settings)) as worker:
        refs = [start(tasks, "hi", settings, conversation="new") for _ in range(120)]
        for ref in refs:
            assert (await final(tasks, ref)).status == "completed"
        await until(lambda: not worker._running and not worker._jobs)
        assert worker._tools.publisher._queue == []
        assert list(worker._tools.sites._threads) == [SITE]
        assert worker.info()["taken"] == 120


async def test_no_more_tasks_than_allowed_at_a_time(tasks: Tasks, redis_url: str, upstream: Upstream) -> None:
    gate = Gate()
    upstream.play("wait", gate, Delta(text="ok"), End())
    async with working(redis_url, site(upstream), msgspec.structs.replace(QUICK, max_tasks=3)) as worker:
        refs = [start(tasks, "wait") for _ in range(8)]
        await asyncio.to_thread(upstream.wait_call, "wait", 3)
        await asyncio.sleep(0.3)
        assert (len(worker._running), len(upstream.of("wait"))) == (3, 3)
        gate.open()
        assert {(await final(tasks, ref)).status for ref in refs} == {"completed"}


async def test_a_site_thread_commits_or_rolls_back_in_its_own_thread(redis_url: str, tmp_path: Path) -> None:
    opener = SqlSite(Config(redis_url, "", str(tmp_path / "c.db"), QUICK))
    threads = SiteThreads(opener)
    turn = Turn(
        user=USER,
        conversation="c",
        is_new=True,
        message_id="m",
        task_id="t",
        model=MODEL,
        messages=make_request().messages,
        title="t",
    )

    def begin_and_fail(access: Any) -> None:
        access.conversations.begin(turn)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await threads.run(SITE, begin_and_fail)
    assert await threads.run(SITE, lambda access: access.conversations.unfinished()) == []
    await threads.run(SITE, lambda access: access.conversations.begin(turn))
    assert len(await threads.run(SITE, lambda access: access.conversations.unfinished())) == 1
    threads.close()


async def test_the_real_gateway_closes_with_its_reader(upstream: Upstream) -> None:
    """What the runner relies on: leaving the stream closes the provider's connection."""
    from ai_assistant.gateway.request import GatewayRequest

    upstream.play("endless", Endless())
    gateway = Gateway()
    asked = GatewayRequest(messages=[{"role": "user", "content": "endless"}])
    async with aclosing(gateway.stream(asked, [model(upstream.base)])) as stream:
        async for chunks in stream:
            if any(isinstance(chunk, TextDelta) for chunk in chunks):
                break
    await asyncio.to_thread(upstream.wait_closed, upstream.of("endless")[0], 3)
    await gateway.aclose()


async def test_a_known_conversation_that_cannot_be_read_is_not_answered_without_its_history(
    tasks: Tasks, redis_url: str, upstream: Upstream
) -> None:
    """Also when it was new a moment ago, so that it is still announced."""
    store = MemoryStore()
    store.failing_begin = True
    tasks.announce_conversation(SITE, USER, "c1")
    async with working(redis_url, site(upstream, store=store)):
        task = await final(tasks, start(tasks, "and then?", conversation="c1"))
    assert task.outcome.error["code"] == "internal"
    assert upstream.calls == []
