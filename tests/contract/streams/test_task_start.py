"""Starting a task: once per id and user, within the user's limits and the backlog."""

from __future__ import annotations

import pytest
import redis

from ai_assistant.core.errors import (
    DoesNotExistError,
    ServiceUnavailableError,
    TooManyRequestsError,
    ValidationError,
)
from ai_assistant.core.settings import Limits, Settings
from ai_assistant.core.task import TaskRef
from ai_assistant.streams import keys as names
from ai_assistant.streams.tasks import Tasks
from tests.kit import SCOPE, USER, events_of, make_request, make_task, start

REQUEST = make_request()


def test_same_id_and_body_is_the_same_task(tasks: Tasks, client: redis.Redis) -> None:
    task = make_task(REQUEST)
    first = tasks.start(task, REQUEST.fingerprint(), Settings())
    again = tasks.start(make_task(REQUEST, id_=task.ref.id), REQUEST.fingerprint(), Settings())
    assert (again.ref, again.accepted_ms, again.status) == (first.ref, first.accepted_ms, "queued")
    assert client.xlen(names.ScopeKeys(SCOPE).queue) == 1
    assert [event["type"] for event in events_of(tasks, task.ref)] == ["start"]


def test_same_id_and_other_body_is_refused(tasks: Tasks) -> None:
    task = make_task(REQUEST)
    tasks.start(task, REQUEST.fingerprint(), Settings())
    other = make_request("something else")
    with pytest.raises(ValidationError, match="task_id: this id was already used"):
        tasks.start(make_task(other, id_=task.ref.id), other.fingerprint(), Settings())


def test_another_users_same_id_is_another_task(tasks: Tasks) -> None:
    mine = make_task(REQUEST)
    tasks.start(mine, REQUEST.fingerprint(), Settings())
    stranger = TaskRef(site=mine.ref.site, user="bob@example.com", id=mine.ref.id)
    for look in (tasks.get, lambda ref: tasks.cancel(ref, "bob"), lambda ref: tasks.events(ref, 0, 10)):
        with pytest.raises(DoesNotExistError):
            look(stranger)
    other = make_request("of somebody else")
    theirs = make_task(other, id_=mine.ref.id, user="bob@example.com")
    assert tasks.start(theirs, other.fingerprint(), Settings()).status == "queued"
    tasks.cancel(theirs.ref, "bob")
    assert tasks.get(mine.ref).status == "queued"


def test_requests_per_minute(tasks: Tasks, client: redis.Redis) -> None:
    settings = Settings(limits=Limits(requests_per_minute=3, concurrent_tasks=0))
    ids = [start(tasks, settings=settings).id for _ in range(3)]
    with pytest.raises(TooManyRequestsError, match=r"requests per minute: all 3 are used") as caught:
        start(tasks, settings=settings)
    assert 55 <= (caught.value.retry_after or 0) <= 60
    # sent again, the same request is no new one
    assert tasks.start(make_task(make_request(), id_=ids[0]), make_request().fingerprint(), settings).ref.id == ids[0]
    other = make_task(REQUEST, user="bob@example.com")
    assert tasks.start(other, REQUEST.fingerprint(), settings)
    rate = names.TaskKeys(make_task(REQUEST).ref).rate
    for member, at in client.zrange(rate, 0, -1, withscores=True):
        client.zadd(rate, {member: at - 61_000})
    assert start(tasks, settings=settings)


def test_concurrent_tasks(tasks: Tasks) -> None:
    settings = Settings(limits=Limits(concurrent_tasks=2))
    first, _ = start(tasks, settings=settings), start(tasks, settings=settings)
    with pytest.raises(TooManyRequestsError, match="concurrent tasks: 2 of yours are running") as caught:
        start(tasks, settings=settings)
    assert caught.value.retry_after
    tasks.cancel(first, USER)
    assert start(tasks, settings=settings)


def test_tokens_per_day(tasks: Tasks, client: redis.Redis) -> None:
    settings = Settings(limits=Limits(tokens_per_day=1000))
    ref = start(tasks, settings=settings)
    client.set(names.TaskKeys(ref).tokens, 1000)
    with pytest.raises(TooManyRequestsError, match=r"tokens per day: 1000 of 1000 are used.*00:00 UTC") as caught:
        start(tasks, settings=settings)
    assert 0 < (caught.value.retry_after or 0) <= 86400


def test_a_refused_start_leaves_nothing(tasks: Tasks, client: redis.Redis) -> None:
    settings = Settings(max_backlog=0)
    with pytest.raises(ServiceUnavailableError):
        start(tasks, settings=settings)
    assert client.keys("*") == []


def test_backlog(tasks: Tasks) -> None:
    settings = Settings(max_backlog=2)
    refs = [start(tasks, settings=settings) for _ in range(2)]
    with pytest.raises(ServiceUnavailableError, match="2 tasks are waiting already") as caught:
        start(tasks, settings=settings)
    assert caught.value.retry_after
    assert tasks.backlog() == 2
    tasks.cancel(refs[0], USER)
    assert start(tasks, settings=settings)


def test_conversations_to_be_written_are_no_backlog(tasks: Tasks) -> None:
    settings = Settings(max_backlog=1)
    for _ in range(3):
        tasks.cancel(start(tasks, settings=settings, conversation="new"), USER)
    assert tasks.backlog() == 0
    assert start(tasks, settings=settings)
