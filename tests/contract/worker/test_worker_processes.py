"""Workers as processes: killed, stopped, frozen, side by side; every task ends once, with nothing lost or doubled."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest
import redis

from ai_assistant.core.settings import Limits, Settings
from ai_assistant.core.task import TaskRef
from ai_assistant.streams import keys as names
from ai_assistant.streams.tasks import Tasks
from tests.kit import SCOPE, USER, check_promises, events_of, start, wait_final, wait_until
from tests.servers import Delta, Finish, Gate, Pause, Silence, Upstream

NO_LIMIT = Settings(limits=Limits(requests_per_minute=0, concurrent_tasks=0))


def shown(tasks: Tasks, ref: TaskRef) -> bool:
    """Whether a delta of the task was published."""
    return any(event["partial"] for event in events_of(tasks, ref))


def worker_of(spawned: list[Any], tasks: Tasks, ref: TaskRef) -> Any:
    """The process that runs a task."""
    task = tasks.get(ref)
    return next(each for each in spawned if each.id == task.worker)


def test_a_cancellation_from_another_process_closes_the_providers_connection(
    tasks: Tasks, upstream: Upstream, spawn: Callable[..., Any]
) -> None:
    upstream.play("endless", Delta(text="some "), Silence())
    spawn(beat_s=5.0)  # so that it is the message that is measured, not the heartbeat
    took = []
    for _ in range(5):
        known = len(upstream.of("endless"))
        ref = start(tasks, "endless")
        call = upstream.wait_call("endless", known + 1)
        wait_until(lambda ref=ref: shown(tasks, ref))
        began = time.monotonic()
        tasks.cancel(ref, USER)
        took.append(upstream.wait_closed(call) - began)
        ended = wait_final(tasks, ref)
        assert (ended.status, ended.outcome.message.content) == ("cancelled", "some ")
        assert check_promises(events_of(tasks, ref)).end["by"] == USER
    print(f"cancel to closed connection, ms: {[round(each * 1000, 1) for each in sorted(took)]}")  # noqa: T201
    assert max(took) < 1.0


def test_a_cancellation_that_was_not_heard_is_found_by_the_heartbeat(
    tasks: Tasks, upstream: Upstream, spawn: Callable[..., Any], client: redis.Redis
) -> None:
    upstream.play("endless", Delta(text="some "), Silence())
    spawn()
    ref = start(tasks, "endless")
    call = upstream.wait_call("endless")
    client.hset(names.TaskKeys(ref).task, "cancel", USER)
    upstream.wait_closed(call)
    assert wait_final(tasks, ref).status == "cancelled"


def test_killed_before_a_delta_the_task_starts_over(
    tasks: Tasks, upstream: Upstream, spawn: Callable[..., Any], message: Callable[[str], Any]
) -> None:
    gate = Gate()
    upstream.play("wait", gate, Delta(reasoning="hm "), Delta(text="here it is"), Finish())
    first, second = spawn(2)
    ref = start(tasks, "wait", conversation="new")
    upstream.wait_call("wait")
    victim = worker_of([first, second], tasks, ref)
    victim.kill()
    upstream.wait_call("wait", 2)
    gate.open()
    ended = wait_final(tasks, ref)
    assert (ended.status, ended.gen, ended.outcome.message.content) == ("completed", 2, "here it is")
    events = events_of(tasks, ref)
    check_promises(events)
    assert [e["gen"] for e in events if e["type"] == "status" and e["state"] == "restarting"] == [2]
    assert message(ended.message_id) == ("completed", "here it is")


def test_killed_after_a_delta_the_task_ends_with_what_had_come(
    tasks: Tasks, upstream: Upstream, spawn: Callable[..., Any], message: Callable[[str], Any]
) -> None:
    upstream.play("half", Delta(reasoning="well, "), Delta(text="half of"), Silence())
    first, second = spawn(2)
    ref = start(tasks, "half", conversation="new")
    wait_until(lambda: any(event["type"] == "text" for event in events_of(tasks, ref)))
    worker_of([first, second], tasks, ref).kill()
    ended = wait_final(tasks, ref)
    view = ended.view()
    assert (view["status"], view["error"]["code"], view["message"]["content"]) == ("failed", "worker_lost", "half of")
    assert view["message"]["reasoning"] == "well, "
    assert check_promises(events_of(tasks, ref)).end["retryable"] is True
    # the worker that is left writes the conversation
    wait_until(lambda: message(ended.message_id) == ("interrupted", "half of"))


def test_a_worker_is_killed_in_mid_load(
    tasks: Tasks, upstream: Upstream, spawn: Callable[..., Any], message: Callable[[str], Any], client: redis.Redis
) -> None:
    chance = random.Random(7)
    texts = {}
    for i in range(40):
        words = [f"{i}.{j} " for j in range(chance.randint(5, 60))]
        thoughts = [Delta(reasoning=f"thought {j} ") for j in range(chance.randint(0, 10))]
        late = [Pause(0.4)] if i % 3 == 0 else []
        steps = [each for word in words for each in (Delta(text=word), Pause(chance.choice((0, 0.01, 0.03))))]
        upstream.play(f"task {i}", *late, *thoughts, *steps, Finish())
        texts[f"task {i}"] = "".join(words)
    workers = spawn(3)
    refs = {key: start(tasks, key, NO_LIMIT, conversation="new" if i % 4 == 0 else None) for i, key in enumerate(texts)}
    time.sleep(0.4)
    taken = {tasks.get(ref).worker for ref in refs.values()} - {None}
    assert len(taken) == 3, "the load is not shared"
    workers[0].kill()
    outcomes = {}
    for key, ref in refs.items():
        task = wait_final(tasks, ref)
        state = check_promises(events_of(tasks, ref))
        assert state.text == task.outcome.message.content
        if task.status == "completed":
            assert state.text == texts[key]
        else:
            assert (task.worker, task.outcome.error["code"]) == (workers[0].id, "worker_lost")
            assert texts[key].startswith(state.text)
            assert state.text or state.reasoning, "what had shown nothing is started over"
        outcomes[key] = task
        if task.conversation:
            wanted = "completed" if task.status == "completed" else "interrupted"
            wait_until(lambda t=task, w=wanted, s=state: message(t.message_id) == (w, s.text))
    statuses = [task.status for task in outcomes.values()]
    assert statuses.count("completed") >= 20
    assert any(task.gen == 2 for task in outcomes.values()) or statuses.count("failed")
    assert tasks.backlog() == 0
    assert not client.exists(names.ScopeKeys(SCOPE).open)
    assert client.zcard(names.TaskKeys(next(iter(refs.values()))).active) == 0


def test_sigterm_lets_running_tasks_finish(
    tasks: Tasks, upstream: Upstream, spawn: Callable[..., Any], message: Callable[[str], Any]
) -> None:
    gate = Gate()
    upstream.play("soon", Delta(text="one "), gate, Delta(text="two"), Finish())
    (worker,) = spawn(grace_s=10.0)
    ref = start(tasks, "soon", conversation="new")
    wait_until(lambda: shown(tasks, ref))
    worker.signal(signal.SIGTERM)
    wait_until(lambda: any(each["stopping"] for each in tasks.workers()))
    late = start(tasks, "soon")
    time.sleep(0.3)
    gate.open()
    assert worker.wait_end() == 0
    ended = tasks.get(ref)
    assert (ended.status, ended.outcome.message.content) == ("completed", "one two")
    assert message(ended.message_id) == ("completed", "one two")
    assert tasks.get(late).status == "queued", "it took a task after it was told to stop"
    assert tasks.workers() == []
    assert worker.log() == ""


def test_sigterm_marks_what_does_not_finish(
    tasks: Tasks, upstream: Upstream, spawn: Callable[..., Any], message: Callable[[str], Any]
) -> None:
    upstream.play("never", Delta(text="so far"), Silence())
    (worker,) = spawn(grace_s=0.3)
    ref = start(tasks, "never", conversation="new")
    call = upstream.wait_call("never")
    wait_until(lambda: shown(tasks, ref))
    worker.signal(signal.SIGTERM)
    assert worker.wait_end() == 0
    ended = tasks.get(ref)
    assert (ended.outcome.error["code"], ended.outcome.message.content) == ("worker_lost", "so far")
    assert message(ended.message_id) == ("interrupted", "so far")
    assert check_promises(events_of(tasks, ref)).text == "so far"
    upstream.wait_closed(call)


def test_sigterm_hands_over_what_has_shown_nothing(
    tasks: Tasks, upstream: Upstream, spawn: Callable[..., Any], message: Callable[[str], Any]
) -> None:
    gate = Gate()
    upstream.play("slow", gate, Delta(text="at last"), Finish())
    first, second = spawn(2, grace_s=0.2)
    ref = start(tasks, "slow", conversation="new")
    call = upstream.wait_call("slow")
    leaving = worker_of([first, second], tasks, ref)
    leaving.signal(signal.SIGTERM)
    assert leaving.wait_end() == 0
    upstream.wait_closed(call)
    upstream.wait_call("slow", 2)
    gate.open()
    ended = wait_final(tasks, ref)
    assert (ended.status, ended.gen, ended.outcome.message.content) == ("completed", 2, "at last")
    assert ended.worker != leaving.id
    check_promises(events_of(tasks, ref))
    assert message(ended.message_id) == ("completed", "at last")


def test_workers_that_stop_together_hand_nothing_to_each_other(
    tasks: Tasks, upstream: Upstream, spawn: Callable[..., Any]
) -> None:
    upstream.play("slow", Silence())
    workers = spawn(2, grace_s=0.5)
    refs: list[TaskRef] = []
    while len({tasks.get(ref).worker for ref in refs}) < 2:  # each has something to hand over
        assert len(refs) < 50
        refs.append(start(tasks, "slow", NO_LIMIT))
        upstream.wait_call("slow", len(refs))
    for worker in workers:
        worker.signal(signal.SIGTERM)
    assert [worker.wait_end() for worker in workers] == [0, 0]
    assert [tasks.get(ref).outcome.error["code"] for ref in refs] == ["worker_lost"] * len(refs)


@pytest.mark.parametrize("delta_before", [False, True])
def test_a_frozen_worker_publishes_nothing_when_it_wakes(
    tasks: Tasks,
    upstream: Upstream,
    spawn: Callable[..., Any],
    message: Callable[[str], Any],
    delta_before: bool,
    client: redis.Redis,
) -> None:
    gate = Gate()
    before = (Delta(text="before "),) if delta_before else ()
    upstream.play("freeze", *before, gate, Delta(text="after"), Finish())
    first, second = spawn(2, dead_after_ms=1000)
    tasks.dead_after_ms = 1000
    ref = start(tasks, "freeze", conversation="new")
    upstream.wait_call("freeze")
    if delta_before:
        wait_until(lambda: shown(tasks, ref))
    frozen = worker_of([first, second], tasks, ref)
    frozen.signal(signal.SIGSTOP)
    if delta_before:
        ended = wait_final(tasks, ref)
        assert ended.outcome.error["code"] == "worker_lost"
        gate.open()
    else:
        upstream.wait_call("freeze", 2)
        gate.open()
        ended = wait_final(tasks, ref)
        assert (ended.status, ended.gen) == ("completed", 2)
    wait_until(lambda: message(ended.message_id)[0] != "streaming")
    events, row = events_of(tasks, ref), message(ended.message_id)
    frozen.signal(signal.SIGCONT)
    wait_until(lambda: "not ours" in frozen.log() or "not taken any more" in frozen.log() or settled(tasks, frozen))
    time.sleep(0.5)
    assert events_of(tasks, ref) == events
    assert message(ended.message_id) == row
    check_promises(events)
    # and it works on
    upstream.play("next", Delta(text="fine"), Finish())
    for each in (first, second):
        if each is not frozen:
            each.signal(signal.SIGTERM)
            each.wait_end()
    assert wait_final(tasks, start(tasks, "next")).outcome.message.content == "fine"


def settled(tasks: Tasks, worker: Any) -> bool:
    """Whether a worker that woke up has nothing left to run."""
    return any(each["worker"] == worker.id and not each["running"] for each in tasks.workers())


def test_a_task_that_was_read_and_not_claimed_comes_to_a_living_worker(
    tasks: Tasks, upstream: Upstream, spawn: Callable[..., Any], client: redis.Redis
) -> None:
    upstream.play("hi", Delta(text="hello"), Finish())
    queue = names.ScopeKeys(SCOPE).queue
    client.xgroup_create(queue, names.GROUP, id="0", mkstream=True)
    ref = start(tasks, "hi")
    assert client.xreadgroup(names.GROUP, "died at once", {queue: ">"}, count=1)
    spawn()
    assert wait_final(tasks, ref).outcome.message.content == "hello"


def test_a_restarted_worker_marks_what_a_crash_left(
    tasks: Tasks, upstream: Upstream, spawn: Callable[..., Any], message: Callable[[str], Any], client: redis.Redis
) -> None:
    """Worker and Redis died together: nobody knows the task, but its placeholder is there."""
    upstream.play("half", Delta(text="half of"), Silence())
    (worker,) = spawn()
    ref = start(tasks, "half", conversation="new")
    wait_until(lambda: shown(tasks, ref))
    name = tasks.get(ref).message_id
    worker.kill()
    assert message(name)[0] == "streaming"
    client.flushall()
    spawn()
    wait_until(lambda: message(name)[0] == "failed")


def test_a_task_whose_row_expired_with_a_store_that_failed_is_not_tried_for_ever(
    tasks: Tasks, spawn: Callable[..., Any], client: redis.Redis
) -> None:
    ref = TaskRef(site="nowhere", user=USER, id="x")
    client.zadd(names.ScopeKeys(SCOPE).unsaved, {names.encode_ref(ref): 0})
    spawn()
    wait_until(lambda: not client.exists(names.ScopeKeys(SCOPE).unsaved))
