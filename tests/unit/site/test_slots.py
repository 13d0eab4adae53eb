"""Slots of waiting requests, over a real Redis."""

from __future__ import annotations

import time

import pytest

from ai_assistant.core.errors import ServiceUnavailableError
from ai_assistant.site.slots import TAKE, slot, slots_key
from ai_assistant.streams.connection import request_client
from ai_assistant.streams.tasks import Tasks
from tests.kit import tasks_at
from tests.servers import free_port


def test_no_more_than_there_are(tasks: Tasks):
    with slot(tasks, 2, 60) as first, slot(tasks, 2, 60) as second:
        with slot(tasks, 2, 60) as third:
            assert first and second and not third
        with slot(tasks, 2, 60) as again:
            assert not again, "a request that did not wait has given back what it had not taken"
    with slot(tasks, 1, 60) as after:
        assert after


def test_a_request_that_fails_gives_its_slot_back(tasks: Tasks):
    with pytest.raises(ZeroDivisionError), slot(tasks, 1, 60):
        raise ZeroDivisionError
    with slot(tasks, 1, 60) as taken:
        assert taken


def test_the_slot_of_a_killed_process_is_free_in_time(tasks: Tasks):
    assert tasks.run(TAKE, [slots_key(tasks)], ["killed", 1, 300]) == 1
    with slot(tasks, 1, 60) as taken:
        assert not taken
    time.sleep(0.4)
    with slot(tasks, 1, 60) as taken:
        assert taken


def test_a_short_wait_does_not_end_a_long_one(tasks: Tasks):
    with slot(tasks, 2, 60):
        with slot(tasks, 2, 0.2):
            pass
        time.sleep(0.3)
        with slot(tasks, 1, 60) as taken:
            assert not taken, "the long wait has lost its slot"


def test_a_slot_that_is_kept_stays_taken(tasks: Tasks):
    with slot(tasks, 1, 0.4) as own:
        assert own
        for _ in range(3):
            time.sleep(0.2)
            own.keep()
        with slot(tasks, 1, 60) as taken:
            assert not taken
    with slot(tasks, 1, 60) as taken:
        assert taken


def test_a_redis_that_came_back_empty_is_told_again(tasks: Tasks):
    with slot(tasks, 1, 60) as own:
        assert own
        tasks.client.delete(slots_key(tasks))
        own.keep()
        with slot(tasks, 1, 60) as taken:
            assert not taken
        assert tasks.client.pttl(slots_key(tasks)) > 0


def test_machines_and_benches_have_their_own(tasks: Tasks, redis_url: str, monkeypatch: pytest.MonkeyPatch):
    other = Tasks(request_client(redis_url), "other-bench")
    with slot(tasks, 1, 60), slot(other, 1, 60) as taken:
        assert taken
        monkeypatch.setattr("socket.gethostname", lambda: "another-machine")
        with slot(tasks, 1, 60) as elsewhere:
            assert elsewhere
    other.client.close()


def test_without_redis_it_is_a_503():
    away = tasks_at(f"redis://127.0.0.1:{free_port()}")
    with pytest.raises(ServiceUnavailableError), slot(away, 1, 60):
        raise AssertionError
