"""Redis away, black-holed, restarted, or losing answers: nothing hangs, nothing is lost or doubled that need not be."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from redis.exceptions import RedisError

from ai_assistant.core.errors import ServiceUnavailableError
from ai_assistant.core.settings import Settings
from ai_assistant.streams import scripts
from ai_assistant.streams.connection import end_tasks, waiting_client, worker_client
from ai_assistant.streams.publisher import UNKNOWN
from ai_assistant.streams.tasks import Tasks
from ai_assistant.streams.waiter import EndWaiter
from tests.kit import USER, Hands, check_promises, events_of, make_request, make_task, start, tasks_at, wait_until
from tests.servers import Proxy, RedisServer

WORDS = [f"word {i} " for i in range(40)]
TEXT = "".join(WORDS)


async def stream(hands: Hands, tasks: Tasks, trouble: dict[int, Callable[[], None]]) -> Any:
    """A whole answer with trouble before the words of these numbers; gives the task's reference."""
    ref = await asyncio.to_thread(start, tasks)
    task = await hands.claim()
    emitter = hands.emitter(task)
    for i, word in enumerate(WORDS):
        if i in trouble:
            await asyncio.to_thread(trouble[i])
        emitter.text(word)
        await asyncio.sleep(0.2 if i in trouble else 0.004)  # long enough for another attempt
    assert await hands.complete(emitter, task) in (0, 1)
    assert hands.lost == []
    return ref


async def test_an_event_whose_answer_was_lost_is_not_doubled(tasks: Tasks, proxy: Proxy) -> None:
    def lose() -> None:
        proxy.lose_answer(scripts.EMIT.sha.encode())

    async with Hands(proxy.url) as hands:
        ref = await stream(hands, tasks, {5: lose, 15: lose, 25: lose})
        assert hands.publisher.errors >= 3
    assert proxy.lost == 3
    assert check_promises(events_of(tasks, ref)).text == TEXT


async def test_an_end_whose_answer_was_lost_is_told_once(tasks: Tasks, proxy: Proxy) -> None:
    async with Hands(proxy.url) as hands:
        proxy.lose_answer(scripts.END.sha.encode(), times=2)
        ref = await stream(hands, tasks, {})
    assert proxy.lost == 2
    assert check_promises(events_of(tasks, ref)).text == TEXT


async def test_a_start_whose_answer_was_lost_is_made_once(tasks: Tasks, proxy: Proxy) -> None:
    through = tasks_at(proxy.url)
    tasks.client.script_load(scripts.START.source)
    proxy.lose_answer(scripts.START.sha.encode())
    request = make_request()
    task = make_task(request)
    assert through.start(task, request.fingerprint(), Settings()).status == "queued"
    assert proxy.lost == 1
    assert tasks.backlog() == 1


async def test_cuts_in_mid_stream(tasks: Tasks, proxy: Proxy) -> None:
    def blip() -> None:
        proxy.cut()
        time.sleep(0.05)
        proxy.heal()

    async with Hands(proxy.url) as hands:
        ref = await stream(hands, tasks, dict.fromkeys(range(3, 40, 9), blip))
    assert check_promises(events_of(tasks, ref)).text == TEXT


async def test_redis_gone_for_a_while_in_mid_stream(tasks: Tasks, proxy: Proxy) -> None:
    async with Hands(proxy.url) as hands:
        streaming = asyncio.create_task(stream(hands, tasks, {10: proxy.cut}))
        await asyncio.sleep(1.5)
        assert not streaming.done()
        await asyncio.to_thread(proxy.heal)
        ref = await streaming
        assert hands.publisher.dropped == 0
    assert check_promises(events_of(tasks, ref)).text == TEXT


async def test_events_are_given_up_after_a_while_counted_over_all_batches(
    tasks: Tasks, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ai_assistant.streams.publisher.MAX_BATCH", 1)
    refs = [start(tasks) for _ in range(8)]
    async with Hands(proxy.url, outage_s=0.5) as hands:
        running = [await hands.claim() for _ in refs]
        await asyncio.to_thread(proxy.cut)
        started = time.monotonic()
        answers = await asyncio.wait_for(asyncio.gather(*(hands.owns(task) for task in running)), 30)
        assert answers == [None] * 8
        assert time.monotonic() - started < 3, "each batch waited anew"
        await asyncio.to_thread(proxy.heal)
        emitter = hands.emitter(running[0])
        emitter.text("again")
        assert await hands.complete(emitter, running[0]) == 1


async def test_redis_restarted_empty_in_mid_stream(proxy: Proxy) -> None:
    with RedisServer() as own:
        tasks = tasks_at(own.url)
        async with Hands(own.url) as hands:
            ref = start(tasks)
            task = await hands.claim()
            emitter = hands.emitter(task)
            emitter.text("some")
            assert await hands.owns(task) == 1
            await asyncio.to_thread(own.restart)
            emitter.text(" more")
            emitter.flush()
            assert await hands.owns(task) == UNKNOWN
            assert hands.lost == [UNKNOWN]
            with suppress(RedisError):  # the pool's old connection
                await hands.client.ping()
            assert await hands.queue.beat({}, [task]) == ["gone"]
            assert tasks.find(ref) is None
            again = start(tasks)
            entries = await hands.queue.take(1, 100) or await hands.queue.take(1, 500)
            assert [entry.ref for entry in entries] == [again]


@pytest.mark.parametrize(
    ("trouble", "connected"), [("freeze", True), ("cut", True), ("cut", False), ("stop", True), ("stop", False)]
)
def test_a_request_is_told_within_two_seconds(proxy: Proxy, tasks: Tasks, trouble: str, connected: bool) -> None:
    through = tasks_at(proxy.url)
    ref = start(tasks)
    if connected:
        assert through.get(ref)
    if trouble == "stop":
        proxy.__exit__()
    else:
        getattr(proxy, trouble)()
    calls: list[Callable[[], Any]] = [
        lambda: start(through),
        lambda: through.get(ref),
        lambda: through.events(ref, 0, 10),
        lambda: through.cancel(ref, USER),
        lambda: through.announce_conversation("s", "u", "n"),
        lambda: through.wait(ref, 30, Settings(), waiting_client(proxy.url)),
        through.backlog,
    ]
    for call in calls if trouble != "freeze" else calls[:1]:
        started = time.monotonic()
        with pytest.raises(ServiceUnavailableError) as caught:
            call()
        assert time.monotonic() - started < 2.0
        assert "Redis" in caught.value.message
        assert caught.value.retry_after
    started = time.monotonic()
    assert through.health()["ok"] is False
    assert time.monotonic() - started < 2.0
    if trouble == "stop":
        proxy.__init__(1)  # so that the fixture can close it


async def test_a_waiting_call_ends_when_redis_goes(tasks: Tasks, proxy: Proxy) -> None:
    through = tasks_at(proxy.url)
    ref = start(tasks)
    waiter = EndWaiter(worker_client(proxy.url), through)
    listening = asyncio.create_task(waiter.run())
    waiting = [asyncio.create_task(waiter.wait(ref, 60, Settings())) for _ in range(3)]
    held = asyncio.create_task(asyncio.to_thread(through.wait, ref, 60, Settings(), waiting_client(proxy.url)))
    await asyncio.sleep(0.2)
    await asyncio.to_thread(proxy.cut)
    ended = await asyncio.wait_for(asyncio.gather(*waiting, held, return_exceptions=True), 20)
    assert [type(each) for each in ended] == [ServiceUnavailableError] * 4
    assert waiter._waiting == {}
    listening.cancel()


async def test_a_waiter_hears_ends_and_keeps_nothing(tasks: Tasks, redis_url: str, proxy: Proxy) -> None:
    waiter = EndWaiter(worker_client(proxy.url), tasks)
    listening = asyncio.create_task(waiter.run())
    refs = [start(tasks) for _ in range(3)]
    waiting = [asyncio.create_task(waiter.wait(ref, 60, Settings())) for ref in refs for _ in range(4)]
    await asyncio.to_thread(wait_until, lambda: tasks.client.pubsub_numsub(tasks.keys.ends)[0][1])
    tasks.client.publish(tasks.keys.ends, b"\xff\xfe")  # what is not ours does not stop it
    started = time.monotonic()
    await asyncio.to_thread(tasks.cancel, refs[0], USER)
    assert {task.status for task in await asyncio.gather(*waiting[:4])} == {"cancelled"}
    assert time.monotonic() - started < 2, "the end was not heard, only looked for"
    await asyncio.to_thread(proxy.cut)
    await asyncio.to_thread(tasks.cancel, refs[1], USER)
    await asyncio.to_thread(proxy.heal)
    assert {task.status for task in await asyncio.wait_for(asyncio.gather(*waiting[4:8]), 10)} == {"cancelled"}
    started = time.monotonic()
    short = await waiter.wait(refs[2], 0.1, Settings())
    assert (short.status, time.monotonic() - started < 2) == ("queued", True)
    await asyncio.to_thread(wait_until, lambda: tasks.client.pubsub_numsub(tasks.keys.ends)[0][1])
    await asyncio.to_thread(tasks.cancel, refs[2], USER)
    await asyncio.wait_for(asyncio.gather(*waiting[8:]), 10)
    assert waiter._waiting == {}
    listening.cancel()


async def slam(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A server that breaks every connection off."""
    writer.transport.abort()


async def test_what_retries_a_broken_redis_can_be_ended() -> None:
    """redis-py catches some cancellations while its connection breaks."""

    async def retry(client: Any) -> None:
        while True:
            with suppress(RedisError, OSError):
                await client.ping()
            await asyncio.sleep(0.0001)

    server = await asyncio.start_server(slam, "127.0.0.1", 0)
    clients = [worker_client(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}") for _ in range(50)]
    trying = [asyncio.create_task(retry(client)) for client in clients]
    await asyncio.sleep(0.05)
    await end_tasks(trying)
    assert all(task.done() for task in trying)
    server.close()


async def test_a_waiter_ends_when_it_is_cancelled_once(
    tasks: Tasks, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("ai_assistant.streams.waiter.RETRY_S", 0.0001)
    caplog.set_level("CRITICAL")
    server = await asyncio.start_server(slam, "127.0.0.1", 0)
    url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    waiters = [asyncio.create_task(EndWaiter(worker_client(url), tasks).run()) for _ in range(30)]
    await asyncio.sleep(0.1)
    for each in waiters:
        each.cancel()
    _, left = await asyncio.wait(waiters, timeout=5)
    await end_tasks(left)
    assert not left
    server.close()


async def test_a_full_redis_holds_events_back_and_loses_none(tasks: Tasks, redis_url: str) -> None:
    config = tasks.client.config_set
    async with Hands(redis_url) as hands:
        ref = await asyncio.to_thread(start, tasks)
        other = await asyncio.to_thread(start, tasks)
        task, _ = await hands.claim(), await hands.queue.take(1, 500)
        emitter = hands.emitter(task)
        emitter.text("before ")
        assert await hands.owns(task) == 1
        config("maxmemory-policy", "noeviction")
        config("maxmemory", 1)
        try:
            emitter.text("meanwhile ")
            ending = asyncio.create_task(hands.complete(emitter, task))
            with pytest.raises(ServiceUnavailableError):
                start(tasks)
            await asyncio.sleep(0.3)
            assert not ending.done()
        finally:
            config("maxmemory", 0)
        assert await ending == 1
    assert check_promises(events_of(tasks, ref)).text == "before meanwhile "
    assert tasks.get(other).status == "queued"
