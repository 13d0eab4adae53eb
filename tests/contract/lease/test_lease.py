"""The lease over a real Redis: one job for any number of wakers, none beside a daemon, none lost."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
import redis

from ai_assistant.core.settings import Limits, Settings
from ai_assistant.streams.lease import Lease, new_token
from ai_assistant.streams.tasks import Tasks
from tests.kit import start, tasks_at, wait_until

ROOT = Path(__file__).parents[3]
NO_LIMIT = Settings(limits=Limits(requests_per_minute=0, concurrent_tasks=0), max_backlog=100_000)


def never(token: str) -> bool:
    """A job queue in which nothing waits."""
    return False


def beat(tasks: Tasks, worker: str, *, age_ms: int = 0, **info: object) -> None:
    """A worker's heartbeat of `age_ms` ago."""
    seconds, micros = tasks.client.time()  # type: ignore[misc]
    tasks.client.zadd(tasks.keys.workers, {worker: seconds * 1000 + micros // 1000 - age_ms})
    tasks.client.hset(tasks.keys.worker_info, worker, msgspec.json.encode(info))


def test_nothing_is_asked_for_where_nothing_waits(tasks: Tasks) -> None:
    asked: list[str] = []
    assert Lease(tasks).wake(asked.append, never) is False
    assert asked == []
    assert not tasks.client.exists(Lease(tasks).key)


def test_many_threads_ask_for_one_job(tasks: Tasks) -> None:
    start(tasks)
    asked: list[str] = []
    gate = threading.Barrier(24)

    def wake() -> bool:
        gate.wait(10)
        return Lease(tasks).wake(asked.append, never)

    with ThreadPoolExecutor(24) as pool:
        woke = [each.result(20) for each in [pool.submit(wake) for _ in range(24)]]
    assert (sum(woke), len(asked)) == (1, 1)


def test_many_processes_ask_for_one_job(tasks: Tasks, redis_url: str) -> None:
    start(tasks)
    command = [sys.executable, str(Path(__file__).with_name("waker.py")), redis_url, "begin"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    processes = [subprocess.Popen(command, env=environment) for _ in range(8)]
    wait_until(lambda: int(tasks.client.get("ready") or 0) == 8, 60)
    tasks.client.set("begin", 1)
    assert [each.wait(30) for each in processes] == [0] * 8
    assert tasks.client.scard("asked") == 1


@pytest.mark.parametrize(
    ("info", "age_ms", "woken"),
    [
        ({"kind": "daemon", "stopping": False}, 0, False),
        ({"kind": "embedded", "stopping": False}, 0, False),
        ({"kind": "daemon", "stopping": True}, 0, True),
        ({"kind": "daemon", "stopping": False}, 60_000, True),
        ({"kind": "job", "stopping": False}, 0, True),
    ],
)
def test_only_a_living_daemon_makes_a_job_needless(
    tasks: Tasks, info: dict[str, object], age_ms: int, woken: bool
) -> None:
    start(tasks)
    beat(tasks, "w", age_ms=age_ms, **info)
    assert Lease(tasks).wake(lambda token: None, never) is woken


def test_a_job_that_cannot_be_asked_for_leaves_no_lease(tasks: Tasks) -> None:
    start(tasks)

    def fail(token: str) -> None:
        raise OSError("the job queue is away")

    with pytest.raises(OSError, match="away"):
        Lease(tasks).wake(fail, never)
    assert Lease(tasks).wake(lambda token: None, never) is True


def test_a_job_that_still_waits_is_not_asked_for_again(tasks: Tasks) -> None:
    start(tasks)
    lease = Lease(tasks, pending_ms=50)
    asked: list[str] = []
    assert lease.wake(asked.append, never)
    for _ in range(3):
        time.sleep(0.08)
        assert lease.wake(asked.append, lambda token: token in asked) is False
    assert len(asked) == 1
    assert lease.hold(asked[0], begin=True) == "mine"


def test_a_job_that_vanished_is_asked_for_again_once(tasks: Tasks) -> None:
    start(tasks)
    asked: list[str] = []
    Lease(tasks, pending_ms=50).wake(asked.append, never)
    time.sleep(0.08)
    with ThreadPoolExecutor(12) as pool:
        for each in [pool.submit(Lease(tasks).wake, asked.append, never) for _ in range(12)]:
            each.result(20)
    assert len(asked) == 2


def test_the_first_job_to_begin_has_the_lease_and_the_others_end(tasks: Tasks) -> None:
    start(tasks)
    asked: list[str] = []
    Lease(tasks, pending_ms=1).wake(asked.append, never)
    time.sleep(0.02)
    Lease(tasks).wake(asked.append, never)
    late, pending = asked
    assert Lease(tasks).hold(late, begin=True) == "mine"
    assert Lease(tasks).hold(pending, begin=True) == "held"


def test_a_job_beside_a_daemon_ends_and_leaves_no_lease(tasks: Tasks) -> None:
    start(tasks)
    asked: list[str] = []
    Lease(tasks).wake(asked.append, never)
    beat(tasks, "w", kind="daemon", stopping=False)
    assert Lease(tasks).hold(asked[0], begin=True) == "served"
    assert not tasks.client.exists(Lease(tasks).key)


def test_a_killed_holder_is_replaced(tasks: Tasks) -> None:
    start(tasks)
    lease = Lease(tasks, held_ms=300)
    assert lease.hold("killed", begin=True) == "mine"
    assert lease.wake(lambda token: None, never) is False
    wait_until(lambda: lease.wake(lambda token: None, never), 5)


def test_a_holder_that_renews_keeps_the_lease(tasks: Tasks) -> None:
    start(tasks)
    lease = Lease(tasks, held_ms=300)
    lease.hold("holder", begin=True)
    for _ in range(8):
        time.sleep(0.1)
        assert lease.hold("holder") == "mine"
        assert lease.wake(lambda token: None, never) is False


def test_a_holder_that_redis_forgot_goes_on(tasks: Tasks, client: redis.Redis) -> None:
    lease = Lease(tasks)
    lease.hold("holder", begin=True)
    client.flushall()
    assert lease.hold("holder") == "mine"
    assert lease.hold("other", begin=True) == "held"


def test_the_successor_follows_as_soon_as_it_begins(tasks: Tasks) -> None:
    lease, asked = Lease(tasks), []
    lease.hold("old", begin=True)
    assert lease.hold("young", begin=True) == "held"
    assert lease.appoint("old", "young", asked.append)
    assert lease.hold("old") == "mine"
    assert lease.hold("young", begin=True) == "mine"
    assert lease.hold("old") == "held"
    assert asked == ["young"]
    assert not lease.appoint("old", "another", asked.append)


def test_leaving_and_the_empty_queue_are_one_step(tasks: Tasks) -> None:
    lease = Lease(tasks)
    lease.hold("job", begin=True)
    start(tasks)
    assert lease.leave("job") is False
    assert lease.hold("job") == "mine"
    tasks.client.delete(tasks.keys.queue)
    tasks.client.zadd(tasks.keys.unsaved, {"m": 1})
    assert lease.leave("job") is False
    assert lease.leave("job", mind_unsaved=False) is True
    assert lease.wake(lambda token: None, never) is True, "an unsaved conversation needs a worker, too"


def test_a_lease_is_released_to_a_successor_only_where_there_is_work(tasks: Tasks) -> None:
    lease, asked = Lease(tasks), []
    lease.hold("job", begin=True)
    lease.release("job", asked.append)
    assert (asked, tasks.client.exists(lease.key)) == ([], 0)
    lease.hold("job", begin=True)
    lease.release("job", asked.append, always=True)
    assert len(asked) == 1
    lease.release("job", asked.append, always=True)
    assert len(asked) == 1, "it was not the job's any more"
    start(tasks)
    assert lease.wake(asked.append, never) is False
    assert lease.hold(asked[0], begin=True) == "mine"
    lease.release(asked[0], asked.append)
    assert len(asked) == 2


def test_the_appointed_successor_is_not_asked_for_twice(tasks: Tasks) -> None:
    lease, asked = Lease(tasks), []
    start(tasks)
    lease.hold("old", begin=True)
    lease.appoint("old", "young", asked.append)
    lease.release("old", asked.append, always=True)
    assert lease.wake(asked.append, never) is False
    assert asked == ["young"]


class Jobs:
    """Jobs as threads: each takes what is queued and leaves when that is nothing; some die without a word."""

    def __init__(self, url: str, seed: int, dying: float):
        self.tasks = tasks_at(url)
        self.lease = Lease(self.tasks, held_ms=400, pending_ms=400)
        self.random, self.dying = random.Random(seed), dying
        self.taken: Counter[bytes] = Counter()
        self.threads: list[threading.Thread] = []
        self.waiting: set[str] = set()
        self.ends: Counter[str] = Counter()
        self.holding = self.most = 0
        self.lock = threading.Lock()

    def enqueue(self, token: str) -> None:
        """Starts a job a little later."""
        with self.lock:
            self.waiting.add(token)
            thread = threading.Thread(target=self.run, args=(token, self.random.random() * 0.01), daemon=True)
            self.threads.append(thread)
        thread.start()

    def wake(self) -> None:
        """As a web request does."""
        self.lease.wake(self.enqueue, lambda token: token in self.waiting)

    def run(self, token: str, delay: float) -> None:
        """One job."""
        time.sleep(delay)
        with self.lock:
            self.waiting.discard(token)
        if self.lease.hold(token, begin=True) != "mine":
            self.ends["refused"] += 1
            return
        with self.lock:
            self.holding += 1
            self.most = max(self.most, self.holding)
        how = self.work(token)
        with self.lock:
            self.holding -= 1
            self.ends[how] += 1

    def work(self, token: str) -> str:
        """Takes tasks until there are none."""
        while True:
            if self.random.random() < self.dying:
                return "died"
            for id_, fields in self.tasks.client.xrange(self.tasks.keys.queue, count=3):  # type: ignore[union-attr]
                if self.tasks.client.xdel(self.tasks.keys.queue, id_):
                    self.taken[fields[b"task"]] += 1
            time.sleep(self.random.random() * 0.003)
            if self.lease.leave(token):
                return "left"
            assert self.lease.hold(token) == "mine"


def test_no_task_is_left_with_nobody_woken(redis_url: str) -> None:
    """Rounds of a few chats, at the moments in which a job leaves. Whoever starts a task wakes once, nobody looks
    again: what is left at the end of a round would be left for ever."""
    jobs = Jobs(redis_url, 1, dying=0)

    def chat(delay: float) -> None:
        time.sleep(delay)
        start(jobs.tasks, "hi", NO_LIMIT)
        jobs.wake()

    with ThreadPoolExecutor(4) as pool:
        for round_ in range(1, 101):
            for each in [pool.submit(chat, jobs.random.random() * 0.03) for _ in range(4)]:
                each.result(20)
            while jobs.threads:
                jobs.threads.pop().join(20)
            assert len(jobs.taken) == round_ * 4, f"round {round_}: tasks were left"
            assert not jobs.tasks.client.exists(jobs.lease.key)
    assert max(jobs.taken.values()) == 1
    assert jobs.ends["left"] > 120, f"the race was hardly run: {jobs.ends}"
    assert (jobs.most, jobs.ends["refused"]) == (1, 0)


def test_jobs_that_die_are_replaced_by_any_reader(redis_url: str) -> None:
    jobs = Jobs(redis_url, 7, dying=0.2)

    def chat(number: int) -> None:
        time.sleep(random.Random(number).random() * 0.5)
        start(jobs.tasks, str(number), NO_LIMIT)
        jobs.wake()

    with ThreadPoolExecutor(8) as pool:
        for each in [pool.submit(chat, number) for number in range(60)]:
            each.result(60)
    wait_until(lambda: jobs.wake() or len(jobs.taken) == 60, 60, f"{len(jobs.taken)} of 60 taken, {jobs.ends}")
    assert jobs.ends["died"] > 0


def test_waking_costs_one_round_trip(tasks: Tasks) -> None:
    start(tasks)
    lease = Lease(tasks)
    lease.hold(new_token(), begin=True)
    before = tasks.client.info("commandstats")
    for _ in range(50):
        lease.wake(lambda token: None, never)
    after = tasks.client.info("commandstats")
    calls = {name: after[name]["calls"] - before.get(name, {"calls": 0})["calls"] for name in after}
    assert calls["cmdstat_evalsha"] in (50, 51)  # the first may find that Redis does not know the script
