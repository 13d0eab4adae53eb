"""A task never hangs: any reader settles one that is overdue."""

from __future__ import annotations

import asyncio
import time

import redis

from ai_assistant.core.events import EventWriter
from ai_assistant.core.settings import Settings
from ai_assistant.core.task import Message, Outcome
from ai_assistant.streams import keys as names
from ai_assistant.streams import scripts
from ai_assistant.streams.connection import waiting_client
from ai_assistant.streams.settle import end_arguments
from ai_assistant.streams.tasks import Tasks
from tests.kit import (
    QUICK,
    SCOPE,
    USER,
    Hands,
    check_promises,
    events_of,
    make_request,
    make_task,
    start,
    stop_beating,
    wait_until,
)

IMPATIENT = Settings(no_worker_after_s=0.05)


def test_no_worker(tasks: Tasks, client: redis.Redis) -> None:
    ref = start(tasks)
    assert tasks.get(ref).status == "queued"
    time.sleep(0.06)
    task = tasks.get(ref, IMPATIENT)
    assert (task.status, task.view()["error"]["code"], task.view()["error"]["retryable"]) == (
        "failed",
        "no_worker",
        True,
    )
    assert check_promises(events_of(tasks, ref)).end["code"] == "no_worker"
    assert client.xlen(names.ScopeKeys(SCOPE).queue) == 0
    assert tasks.get(ref, IMPATIENT).seq == task.seq


def test_every_reader_settles(tasks: Tasks, redis_url: str) -> None:
    refs = [start(tasks) for _ in range(4)]
    time.sleep(0.06)
    assert tasks.find(refs[0], IMPATIENT).is_final
    assert tasks.events(refs[1], 0, 10, IMPATIENT)["complete"]
    assert tasks.wait(refs[2], 5, IMPATIENT, waiting_client(redis_url)).is_final
    assert tasks.sweep(IMPATIENT) == 1
    assert tasks.get(refs[3]).view()["error"]["code"] == "no_worker"
    assert tasks.sweep(IMPATIENT) == 0


async def test_worker_died_before_a_delta_starts_over(tasks: Tasks, redis_url: str) -> None:
    ref = start(tasks)
    async with Hands(redis_url) as first, Hands(redis_url, "w2") as second:
        task = await first.claim()
        first.emitter(task).status(state="connecting", detail="", attempt=1)
        assert await first.owns(task) == 1
        await stop_beating(first.client, task)
        assert (tasks.get(ref).status, tasks.get(ref).gen) == ("queued", 2)
        assert (await second.claim()).gen == 2
    restart = events_of(tasks, ref)[-1]
    assert (restart["type"], restart["state"], restart["gen"], restart["seq"]) == ("status", "restarting", 2, 3)


async def test_worker_died_after_a_delta_is_lost_with_what_had_come(tasks: Tasks, redis_url: str) -> None:
    ref = start(tasks)
    async with Hands(redis_url) as hands:
        task = await hands.claim()
        emitter = hands.emitter(task)
        emitter.reasoning("I think")
        emitter.text("Half an ans")
        emitter.tool_call(0, "c1", "look", '{"at":')
        emitter.flush()
        assert await hands.owns(task) == 1
        await stop_beating(hands.client, task)
        ended = tasks.get(ref)
    view = ended.view()
    assert (view["status"], view["error"]["code"], view["error"]["retryable"]) == ("failed", "worker_lost", True)
    assert (view["message"]["content"], view["message"]["reasoning"]) == ("Half an ans", "I think")
    assert view["message"]["tool_calls"][0]["function"] == {"name": "look", "arguments": '{"at":'}
    assert check_promises(events_of(tasks, ref)).end["text"] == "Half an ans"


async def test_a_worker_that_lost_sight_of_a_task_does_not_keep_it(tasks: Tasks, redis_url: str) -> None:
    """The worker lives and beats, but not for this task."""
    ref = start(tasks)
    async with Hands(redis_url) as hands:
        task = await hands.claim()
        await stop_beating(hands.client, task)
        await hands.queue.beat({}, [])
        assert tasks.get(ref).gen == 2


async def test_a_worker_that_beats_for_a_task_keeps_it(tasks: Tasks, redis_url: str) -> None:
    ref = start(tasks)
    async with Hands(redis_url) as hands:
        task = await hands.claim()
        await stop_beating(hands.client, task)
        assert await hands.queue.beat({}, [task]) == [""]
        assert (tasks.get(ref).status, tasks.get(ref).gen) == ("running", 1)
        assert tasks.sweep(Settings()) == 0


async def test_a_task_that_kills_its_workers_ends(tasks: Tasks, redis_url: str) -> None:
    ref = start(tasks)
    for generation in (1, 2, 3):
        async with Hands(redis_url, f"w{generation}") as hands:
            task = await hands.claim()
            assert task.gen == generation
            await stop_beating(hands.client, task)
        tasks.sweep(Settings())
    assert tasks.get(ref).view()["error"]["code"] == "worker_lost"
    assert check_promises(events_of(tasks, ref)).end["gen"] == 3


async def test_many_readers_settle_once(tasks: Tasks, redis_url: str) -> None:
    ref = start(tasks)
    async with Hands(redis_url) as hands:
        task = await hands.claim()
        hands.emitter(task).text("some")
        assert await hands.owns(task) == 1
        await stop_beating(hands.client, task)
        seen = await asyncio.gather(*(asyncio.to_thread(tasks.get, ref) for _ in range(16)))
    assert {each.status for each in seen} == {"failed"}
    check_promises(events_of(tasks, ref))


async def test_cancelled_while_its_worker_was_dead(tasks: Tasks, redis_url: str) -> None:
    ref = start(tasks)
    async with Hands(redis_url) as hands:
        task = await hands.claim()
        assert tasks.cancel(ref, USER).status == "running"
        await stop_beating(hands.client, task)
        assert tasks.get(ref).status == "cancelled"
    assert check_promises(events_of(tasks, ref)).end["by"] == USER


async def test_a_log_that_lost_its_end_does_not_keep_the_task(
    tasks: Tasks, redis_url: str, client: redis.Redis
) -> None:
    ref = start(tasks)
    async with Hands(redis_url) as hands:
        task = await hands.claim()
        hands.emitter(task).text("some")
        assert await hands.owns(task) == 1
        client.delete(names.TaskKeys(ref).log)
        await stop_beating(hands.client, task)
        assert tasks.get(ref).view()["error"]["code"] == "worker_lost"


def test_cancel_of_a_queued_task(tasks: Tasks, client: redis.Redis) -> None:
    ref = start(tasks)
    assert tasks.cancel(ref, USER).status == "cancelled"
    assert tasks.cancel(ref, USER).status == "cancelled"
    assert check_promises(events_of(tasks, ref)).end["by"] == USER
    assert client.xlen(names.ScopeKeys(SCOPE).queue) == 0


async def test_a_queued_task_that_was_read_is_cancelled_without_a_trace(
    tasks: Tasks, redis_url: str, client: redis.Redis
) -> None:
    """Its worker died between the reading of the entry and the claim."""
    ref = start(tasks)
    queue = names.ScopeKeys(SCOPE).queue
    async with Hands(redis_url) as hands:
        (entry,) = await hands.queue.take(1, 500)
        assert tasks.cancel(ref, USER).status == "cancelled"
        assert client.xpending(queue, names.GROUP)["pending"] == 0
        assert await hands.queue.claim(entry) is None


async def test_end_holds_its_conditions(tasks: Tasks, redis_url: str) -> None:
    ref = start(tasks)
    settler = tasks._settler
    queued = tasks.get(ref)
    assert not settler.settle(queued, "no_worker", Settings())  # not yet
    async with Hands(redis_url) as hands:
        task = await hands.claim()
        assert not settler.cancel_queued(queued, USER)
        running = tasks.get(ref)
        assert not settler.settle(running, "dead", Settings())  # its worker lives
        hands.emitter(task).text("x")
        assert await hands.owns(task) == 1
        assert not settler.settle(running, "dead", Settings())  # what was read is out of date
        assert not settler.settle(tasks.get(ref), "dead", Settings())  # its worker still lives
        assert tasks.get(ref).status == "running"
        emitter = hands.emitter(await hands.queue.read(ref))
        assert await hands.complete(emitter, task) == 1
        again = hands.emitter(task)
        assert await hands.complete(again, task) == scripts_stale()
    assert tasks.get(ref).status == "completed"


def scripts_stale() -> int:
    """The END script's answer when its condition does not hold."""
    return -2


async def test_a_claim_whose_answer_was_lost_is_made_again(tasks: Tasks, redis_url: str) -> None:
    ref = start(tasks)
    async with Hands(redis_url) as hands, Hands(redis_url, "w2") as other:
        (entry,) = await hands.queue.take(1, 500)
        assert (await hands.queue.claim(entry)).ref == ref
        assert (await hands.queue.claim(entry)).ref == ref
        assert await other.queue.claim(entry) is None


async def test_a_claimed_task_is_safe_before_its_workers_first_heartbeat(tasks: Tasks, redis_url: str) -> None:
    """Redis came back empty: the worker reads the queue again sooner than it beats."""
    ref = start(tasks)
    async with Hands(redis_url) as hands:
        (entry,) = await hands.queue.take(1, 500)
        assert (await hands.queue.claim(entry)).ref == ref
        assert tasks.workers()[0]["worker"] == hands.queue.worker
        task = tasks.get(ref)
        assert (task.status, task.gen) == ("running", 1)


async def test_entries_that_were_read_and_never_claimed_come_to_another(
    tasks: Tasks, redis_url: str, client: redis.Redis, monkeypatch
) -> None:
    monkeypatch.setattr("ai_assistant.streams.queue.ABANDONED_MS", 30)
    refs = {start(tasks) for _ in range(5)}
    async with Hands(redis_url) as dead, Hands(redis_url, "w2") as other:
        assert len(await dead.queue.take(10, 500)) == 5
        found = set()
        for _ in range(3):  # pages of two; the first are abandoned again, and must not be all that is looked at
            await asyncio.sleep(0.05)
            entries = await other.queue.take_abandoned(2)
            found |= {entry.ref for entry in entries}
        assert found == refs
        await asyncio.sleep(0.05)
        claimed = [await other.queue.claim(entry) for _ in range(4) for entry in await other.queue.take_abandoned(9)]
    assert {task.ref for task in claimed} == refs
    assert client.xpending(names.ScopeKeys(SCOPE).queue, names.GROUP)["pending"] == 0


async def test_an_entry_that_names_no_task_is_dropped(tasks: Tasks, redis_url: str, client: redis.Redis) -> None:
    queue = names.ScopeKeys(SCOPE).queue
    for poison in ({"x": "y"}, {"task": "no json", "gen": 1}, {"task": "[1]", "gen": 1}, {"task": '["a","b","c"]'}):
        client.xadd(queue, poison)
    client.xadd(queue, {"task": '["a","b","c"]', "gen": "one"})
    ref = start(tasks)
    async with Hands(redis_url) as hands:
        (entry,) = await hands.queue.take(10, 500)
        assert entry.ref == ref
        assert client.xlen(queue) == 1


async def test_the_end_comes_to_who_waits(tasks: Tasks, redis_url: str) -> None:
    ref = start(tasks)
    async with Hands(redis_url) as hands:
        task = await hands.claim()
        waiting = asyncio.create_task(asyncio.to_thread(tasks.wait, ref, 20, Settings(), waiting_client(redis_url)))
        emitter = hands.emitter(task)
        emitter.text("done")
        assert await hands.complete(emitter, task) == 1
        assert (await waiting).outcome.message.content == "done"
    assert tasks.wait(ref, 0, Settings(), waiting_client(redis_url)).is_final


def test_a_wait_ends_with_its_time(tasks: Tasks, redis_url: str) -> None:
    started = time.monotonic()
    assert tasks.wait(start(tasks), 0.2, Settings(), waiting_client(redis_url)).status == "queued"
    assert time.monotonic() - started < 5


async def test_dead_consumers_are_forgotten(tasks: Tasks, redis_url: str, client: redis.Redis, monkeypatch) -> None:
    queue = names.ScopeKeys(SCOPE).queue
    async with Hands(redis_url, "dead") as dead, Hands(redis_url, "holds") as holding, Hands(redis_url) as hands:
        await dead.queue.take(1, 1)
        start(tasks)
        assert await holding.queue.take(1, 500)
        monkeypatch.setattr("ai_assistant.streams.queue.FORGOTTEN_MS", 20)
        await asyncio.sleep(0.05)
        await hands.queue.forget_consumers()
    assert {each["name"] for each in client.xinfo_consumers(queue, names.GROUP)} == {b"holds"}


def test_workers_are_listed_while_they_live(tasks: Tasks, client: redis.Redis) -> None:
    keys = names.ScopeKeys(SCOPE)
    tasks.run(scripts.BEAT, [keys.workers, keys.worker_info], ["w1", '{"running": 1}', 60_000])
    assert [(w["worker"], w["running"]) for w in tasks.workers()] == [("w1", 1)]
    assert tasks.health()["ok"]
    client.zadd(keys.workers, {"w1": time.time() * 1000 - QUICK.dead_after_ms - 500})
    assert tasks.workers() == []
    assert not tasks.health()["ok"]
    client.zadd(keys.workers, {"w1": 1})
    tasks.run(scripts.BEAT, [keys.workers, keys.worker_info], ["w2", "{}", 60_000])
    assert client.hkeys(keys.worker_info) == [b"w2"]
    wait_until(lambda: tasks.workers())


def test_a_request_is_not_carried_along(tasks: Tasks) -> None:
    """Reading a task does not fetch its request, which may have megabytes."""
    request = make_request("x" * 100_000)
    task = make_task(request)
    tasks.start(task, request.fingerprint(), Settings())
    assert tasks.get(task.ref).request == b"{}"


async def test_a_provider_that_counts_absurdly_does_not_keep_its_task_from_ending(tasks: Tasks, redis_url: str) -> None:
    ref = start(tasks)
    async with Hands(redis_url) as hands:
        task = await hands.claim()
        writer = EventWriter(task)
        outcome = Outcome(status="completed", message=Message())
        event = writer.write("completion", "")
        keys, args = end_arguments(names.ScopeKeys(SCOPE), task, writer.seq, "own", outcome, event, tokens=10**30)
        assert await hands.publisher.command(scripts.END, keys, args) == 1
    assert check_promises(events_of(tasks, ref)).end["type"] == "completion"
