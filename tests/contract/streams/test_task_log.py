"""The event log: fences, pages, folding into a snapshot, expiry."""

from __future__ import annotations

import asyncio
import json
import random
import time

import msgspec
import pytest
import redis
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ai_assistant.core.events import EventWriter
from ai_assistant.core.settings import Limits, Settings
from ai_assistant.core.task import Task
from ai_assistant.streams import keys as names
from ai_assistant.streams import scripts
from ai_assistant.streams.log import assemble
from ai_assistant.streams.publisher import REFUSED, STALE, UNKNOWN, Emission
from ai_assistant.streams.tasks import Tasks
from tests.kit import (
    SCOPE,
    USER,
    Client,
    Hands,
    check_promises,
    events_of,
    make_request,
    make_task,
    start,
    stop_beating,
)

SHARED = {names.ScopeKeys(SCOPE).queue, names.ScopeKeys(SCOPE).workers, names.ScopeKeys(SCOPE).worker_info}


async def emitted(hands: Hands, task: Task, seq: int, *, gen: int | None = None) -> int | None:
    """What Redis answers to one event of that number."""
    keys = names.TaskKeys(task.ref)
    writer = EventWriter(task)
    message = writer.write_at(seq, "text", "x", True, offset=0)
    answered: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
    hands.publisher.submit(
        Emission(keys.task, keys.log, gen or task.gen, seq, True, message, b"{", b"}", answered.set_result)
    )
    return await answered


async def test_a_stale_generation_publishes_nothing(tasks: Tasks, redis_url: str, client: redis.Redis) -> None:
    ref = start(tasks)
    async with Hands(redis_url) as stale, Hands(redis_url, "w2") as fresh:
        old = await stale.claim()
        emitter = stale.emitter(old)
        await stop_beating(stale.client, old)
        assert tasks.get(ref).gen == 2
        with client.pubsub() as heard:
            heard.subscribe(names.REALTIME_CHANNEL)
            heard.get_message(timeout=1)
            emitter.text("too late")
            assert await stale.owns(old) == STALE
            assert stale.lost == [STALE]
            assert await stale.complete(emitter, old) == STALE
            assert heard.get_message(timeout=0.05) is None
        new = await fresh.claim()
        answer = fresh.emitter(new)
        answer.text("right")
        assert await fresh.complete(answer, new) == 1
        emitter.text("later still")
        assert await stale.owns(old) == STALE
    assert check_promises(events_of(tasks, ref)).text == "right"


async def test_numbers_are_taken_once_and_in_order(tasks: Tasks, redis_url: str) -> None:
    ref = start(tasks)
    async with Hands(redis_url) as hands:
        task = await hands.claim()
        assert await emitted(hands, task, 2) == 1
        assert await emitted(hands, task, 2) == 0
        assert await emitted(hands, task, 4) == -3
        assert await emitted(hands, task, 3, gen=2) == STALE
        assert await emitted(hands, make_task(make_request()), 2) == UNKNOWN
    assert [event["seq"] for event in events_of(tasks, ref)] == [1, 2]


async def test_nothing_follows_the_end(tasks: Tasks, redis_url: str) -> None:
    ref = start(tasks)
    async with Hands(redis_url) as hands:
        task = await hands.claim()
        emitter = hands.emitter(task)
        emitter.text("all")
        assert await hands.complete(emitter, task) == 1
        assert await emitted(hands, task, emitter.writer.seq + 1) == STALE
        assert await hands.complete(hands.emitter(task), task) == STALE
    assert check_promises(events_of(tasks, ref)).end["type"] == "completion"


async def test_one_task_that_redis_refuses_harms_no_other(tasks: Tasks, redis_url: str, client: redis.Redis) -> None:
    refs = [start(tasks) for _ in range(3)]
    async with Hands(redis_url) as hands:
        running = [await hands.claim() for _ in refs]
        client.set(names.TaskKeys(running[1].ref).log, "not a stream")
        answers = await asyncio.wait_for(asyncio.gather(*(emitted(hands, task, 2) for task in running)), 10)
    assert answers[1] == REFUSED
    assert [[e["seq"] for e in events_of(tasks, ref)] for ref in (refs[0], refs[2])] == [[1, 2], [1, 2]]


async def test_a_callback_that_fails_does_not_stop_the_publisher(tasks: Tasks, redis_url: str) -> None:
    start(tasks)
    async with Hands(redis_url) as hands:
        task = await hands.claim()
        keys = names.TaskKeys(task.ref)
        hands.publisher.submit(Emission(keys.task, keys.log, 1, 2, True, b"{}", b"", b"", lambda _: 1 / 0))
        assert await emitted(hands, task, 3) == 1
        assert hands.publisher.errors == 1


async def test_an_unknown_script_is_loaded_again(tasks: Tasks, redis_url: str, client: redis.Redis) -> None:
    ref = start(tasks)
    async with Hands(redis_url) as hands:
        task = await hands.claim()
        emitter = hands.emitter(task)
        for word in ("one ", "two ", "three"):
            client.script_flush()
            emitter.text(word)
            assert await hands.owns(task) == 1
        client.script_flush()
        await hands.queue.beat({}, [task])
        client.script_flush()
        assert await hands.complete(emitter, task) == 1
    client.script_flush()
    assert tasks.get(ref).outcome.message.content == "one two three"
    client.script_flush()
    check_promises(events_of(tasks, ref))


async def written(
    hands: Hands, tasks: Tasks, pieces: list[str], max_log_bytes: int, seen: list[int]
) -> tuple[Task, str]:
    """A task whose answer is `pieces`, each an event of its own; `seen` collects what clients read on the way."""
    start(tasks)
    task = await hands.claim()
    emitter = hands.emitter(task, max_log_bytes=max_log_bytes)
    for piece in pieces:
        emitter.text(piece)
        emitter.flush()
        await hands.owns(task)
        seen.append(len(emitter.transcript.text()))
    assert await hands.complete(emitter, task) == 1
    return task, "".join(pieces)


@pytest.mark.parametrize("max_log_bytes", [2_000, 12_000, 10_000_000])
async def test_the_joined_state_is_the_completion_however_the_log_was_folded(
    tasks: Tasks, redis_url: str, client: redis.Redis, max_log_bytes: int
) -> None:
    pieces = [f"piece {i} of the answer; " for i in range(80)]
    async with Hands(redis_url) as hands:
        task, text = await written(hands, tasks, pieces, max_log_bytes, [])
    log_bytes = sum(len(fields[b"e"]) for _, fields in client.xrange(names.TaskKeys(task.ref).log))
    assert log_bytes < max_log_bytes + len(text) + 2_000
    last = tasks.get(task.ref).seq
    for after in range(0, last + 1, 7):
        state = None
        for limit in (1, 3, 500):
            answer = tasks.events(task.ref, after, limit)
            events = [json.loads(bytes(event)) for event in answer["events"]]
            assert 1 <= len(events) <= limit or after == last
            assert answer["gap"] == (bool(events) and events[0]["type"] == "snapshot")
            if not answer["gap"] and events:
                assert [event["seq"] for event in events] == list(range(after + 1, after + 1 + len(events)))
            client_ = Client(seq=after, text="".join(pieces[: max(0, after - 1)]))
            for event in events_of(tasks, task.ref, after, limit):
                client_.take(event)
            state = client_
            assert (state.text, state.seq) == (text, last)
    assert tasks.events(task.ref, 0, 10)["gap"] == (max_log_bytes < 20_000)
    assert assemble(tasks, task.ref)[0].content == text


async def test_a_page_read_while_the_log_is_folded_has_no_hole(tasks: Tasks, redis_url: str) -> None:
    ref = start(tasks)
    stop = asyncio.Event()

    def follow() -> tuple[str, int]:
        state, gaps = Client(), 0
        while state.end is None:
            answer = tasks.events(ref, state.seq, 20)
            gaps += answer["gap"]
            for raw in answer["events"]:
                event = json.loads(bytes(raw))
                assert event["type"] == "snapshot" or event["seq"] == state.seq + 1
                state.take(event)
            time.sleep(random.random() * 0.004)
        return state.text, gaps

    async with Hands(redis_url) as hands:
        task = await hands.claim()
        readers = [asyncio.create_task(asyncio.to_thread(follow)) for _ in range(3)]
        emitter = hands.emitter(task, max_log_bytes=3_000)
        for i in range(400):
            emitter.text(f"{i} ")
            emitter.flush()
            if i % 4 == 0:
                await asyncio.sleep(0.002)
        assert await hands.complete(emitter, task) == 1
        found = await asyncio.gather(*readers)
    stop.set()
    text = "".join(f"{i} " for i in range(400))
    assert [each for each, _ in found] == [text] * 3


async def test_tool_calls_and_reasoning_survive_folding(tasks: Tasks, redis_url: str) -> None:
    ref = start(tasks)
    async with Hands(redis_url) as hands:
        task = await hands.claim()
        emitter = hands.emitter(task, max_log_bytes=1_500)
        for i in range(12):
            emitter.reasoning(f"thought {i} ")
            emitter.flush()
        for i in range(12):
            emitter.tool_call(0, "c1", "look", f"[{i}]")
            emitter.tool_call(1, "c2", "see", "{}" if i == 0 else "")
            emitter.flush()
            await hands.owns(task)
        assert await hands.complete(emitter, task) == 1
    state = Client()
    answer = tasks.events(ref, 0, 500)
    assert answer["gap"]
    for event in answer["events"]:
        state.take(json.loads(bytes(event)))
    assert state.reasoning == "".join(f"thought {i} " for i in range(12))
    assert state.calls["c1"]["arguments"] == "".join(f"[{i}]" for i in range(12))
    assert state.calls["c2"]["arguments"] == "{}"
    assert tasks.get(ref).outcome.message.tool_calls == state.end["tool_calls"]


async def test_a_snapshot_of_a_stale_generation_is_not_taken(tasks: Tasks, redis_url: str) -> None:
    ref = start(tasks)
    async with Hands(redis_url) as hands:
        task = await hands.claim()
        await stop_beating(hands.client, task)
        assert tasks.get(ref).gen == 2
        keys = names.TaskKeys(ref)
        assert await hands.publisher.command(scripts.COMPACT, [keys.task, keys.log], [1, b"{}", 1]) == 0
    assert not tasks.events(ref, 0, 10)["gap"]


async def test_everything_of_a_task_expires(tasks: Tasks, redis_url: str, client: redis.Redis) -> None:
    settings = Settings(task_ttl_s=100, limits=Limits(tokens_per_day=10_000))
    async with Hands(redis_url) as hands:
        done = start(tasks, settings=settings)
        task = await hands.claim()
        emitter = hands.emitter(task, max_log_bytes=600)
        for _ in range(9):
            emitter.text("text " * 10)
            emitter.flush()
        running = [key for key in client.keys("*") if done.id.encode() in key]
        assert running
        assert all(0 < client.ttl(key) <= 100 for key in running)
        assert await hands.complete(emitter, task) == 1
        lost = start(tasks, settings=settings)
        gone = await hands.claim()
        hands.emitter(gone).text("x")
        assert await hands.owns(gone) == 1
        await stop_beating(hands.client, gone)
        assert tasks.get(lost, settings).is_final
        tasks.cancel(start(tasks, settings=settings), USER, settings)
        tasks.get(start(tasks, settings=settings), Settings(no_worker_after_s=0))
    left = {key.decode() for key in client.keys("*") if client.ttl(key) < 0}
    assert left <= SHARED, "keys without an expiry"
    assert names.ScopeKeys(SCOPE).open not in left
    assert client.xlen(names.ScopeKeys(SCOPE).queue) == 0
    of_tasks = [key for key in client.keys("*") if any(ref.id.encode() in key for ref in (done, lost))]
    assert len(of_tasks) == 6  # task, log and done of each
    assert all(0 < client.ttl(key) <= 100 for key in of_tasks)


async def test_a_task_that_runs_longer_than_its_expiry_stays(tasks: Tasks, redis_url: str) -> None:
    ref = start(tasks, settings=Settings(task_ttl_s=1))
    async with Hands(redis_url) as hands:
        task = await hands.claim()
        emitter = hands.emitter(task)
        for word in ("one ", "two ", "three ", "four"):
            emitter.text(word)
            await asyncio.sleep(0.4)
            assert await hands.queue.beat({}, [task]) == [""]
        assert await hands.complete(emitter, task) == 1
    assert check_promises(events_of(tasks, ref)).text == "one two three four"
    await asyncio.sleep(1.1)
    assert tasks.find(ref) is None


def test_the_sweep_forgets_what_expired(tasks: Tasks, client: redis.Redis) -> None:
    ref = start(tasks)
    client.delete(names.TaskKeys(ref).task)
    assert tasks.sweep(Settings()) == 0
    assert not client.exists(names.ScopeKeys(SCOPE).open)


PIECE = st.tuples(
    st.sampled_from(["text", "reasoning", "call 0", "call 1"]), st.text(min_size=0, max_size=12), st.booleans()
)


@hypothesis_settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pieces=st.lists(PIECE, max_size=40), limit=st.integers(400, 6_000), page=st.integers(1, 9), seed=st.integers())
def test_a_client_that_misses_doubles_and_resumes_has_it_all(
    tasks: Tasks, redis_url: str, pieces: list[tuple[str, str, bool]], limit: int, page: int, seed: int
) -> None:
    """Promise 5, over any answer, any folding and any delivery: live events are dropped, doubled and shuffled."""
    ref = start(tasks, settings=Settings(limits=Limits(requests_per_minute=0)))
    live: list[dict] = []

    async def work() -> None:
        async with Hands(redis_url, f"w{seed}") as hands:
            task = await hands.claim()
            emitter = hands.emitter(task, max_log_bytes=limit)
            for kind, text, flush in pieces:
                if kind.startswith("call"):
                    emitter.tool_call(int(kind[-1]), kind, "look", text)
                else:
                    (emitter.text if kind == "text" else emitter.reasoning)(text)
                if flush:
                    emitter.flush()
            assert await hands.complete(emitter, task) == 1

    with tasks.client.pubsub() as heard:
        heard.subscribe(names.REALTIME_CHANNEL)
        asyncio.run(work())
        while message := heard.get_message(timeout=0.02):
            if message["type"] == "message":
                live.append(json.loads(message["data"])["message"])
    chance = random.Random(seed)
    delivered = [event for event in live for _ in range(chance.choice((0, 1, 1, 2)))]
    for i in range(len(delivered) - 1):
        if chance.random() < 0.3:
            delivered[i], delivered[i + 1] = delivered[i + 1], delivered[i]
    client = Client()
    for event in delivered:
        client.take(event)
        if chance.random() < 0.1:  # a reconnect
            for raw in tasks.events(ref, client.seq, page)["events"]:
                client.take(json.loads(bytes(raw)))
    if client.end is None:
        for event in events_of(tasks, ref, client.seq, page):
            client.take(event)
    outcome = tasks.get(ref).outcome
    assert client.end["text"] == client.text == outcome.message.content
    assert client.reasoning == outcome.message.reasoning
    calls = {c["id"]: c["function"]["arguments"] for c in outcome.message.tool_calls}
    assert {id_: call["arguments"] for id_, call in client.calls.items()} == calls
    assert msgspec.to_builtins(outcome.message)["tool_calls"] == client.end["tool_calls"]
