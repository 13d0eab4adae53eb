"""The periodic check over a real Redis: what it reads of the store, what it keeps, and that two never run at once."""

from __future__ import annotations

import random

import pytest
import redis

from ai_assistant.core.trace_keys import ObservabilityKeys
from ai_assistant.core.trace_statistics import ModelCall
from ai_assistant.traces import anomaly_check
from ai_assistant.traces.anomalies import HOUR_S, Change, Rules
from ai_assistant.traces.anomaly_check import HOURS_AT_ONCE, MAX_MODELS, AnomalyCheck, alarms
from ai_assistant.traces.metrics import look

SITE = "site.test"
KEYS = ObservabilityKeys(SITE)
START = 500_000.5 * HOUR_S
MICRO = 1_000_000


class Calls:
    """Calls by when they began (epoch seconds), as a store has them; remembers what it was asked."""

    def __init__(self) -> None:
        self.rows: list[tuple[float, ModelCall]] = []
        self.asked: list[tuple[int, int]] = []
        self.incomplete_traces = 3

    def add(self, since: float, until: float, count: int, *, ttft: float = 400.0, failed: float = 0.0) -> None:
        """That many calls of the model `m`."""
        dice = random.Random(since)
        for _ in range(count):
            is_failed = dice.random() < failed
            call = ModelCall("m", is_failed, None if is_failed else int(ttft * dice.lognormvariate(0, 0.3)), 0.01)
            self.rows.append((dice.uniform(since, until), call))

    def model_calls(self, since: int, until: int, limit: int) -> list[ModelCall]:
        """Those that began then."""
        self.asked.append((since, until))
        return [call for at, call in self.rows if since <= at * MICRO < until][:limit]

    def incomplete(self, since: int) -> int:
        """As many as the test says."""
        return self.incomplete_traces


class Time:
    """A clock that is turned by hand."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def calls() -> Calls:
    """A store with two days of usual calls, up to the start."""
    found = Calls()
    for i in range(1, 49):
        found.add(START - i * HOUR_S, START - (i - 1) * HOUR_S, 40)
    return found


@pytest.fixture
def clock() -> Time:
    """The time of the checks."""
    return Time()


@pytest.fixture
def check(client: redis.Redis, clock: Time) -> AnomalyCheck:
    """The check, which may be made as often as one likes: its key is gone after a millisecond."""
    return AnomalyCheck(client, SITE, Rules(), clock=clock, every_s=0.0)


def run(check: AnomalyCheck, calls: Calls, client: redis.Redis) -> list[Change]:
    """One check."""
    client.delete(KEYS.checking)
    changes = check.run(calls)
    assert changes is not None
    return changes


def pass_by(check: AnomalyCheck, calls: Calls, clock: Time, client: redis.Redis, ttft: float = 400.0) -> set[str]:
    """Five minutes with such calls, and a check; gives what has changed, with a `-` before what has ended."""
    calls.add(clock.now, clock.now + 300, 60, ttft=ttft)
    clock.now += 300
    return {"-" * change.ended + change.anomaly.kind for change in run(check, calls, client)}


def test_a_change_is_raised_kept_and_ended(check: AnomalyCheck, calls: Calls, clock: Time, client: redis.Redis) -> None:
    for _ in range(8):
        assert pass_by(check, calls, clock, client) == set(), "the past is read bit by bit"
    changes = [pass_by(check, calls, clock, client, ttft=2000) for _ in range(3)]
    assert sorted(kind for found in changes for kind in found) == ["first_chunk", "first_chunk_tail"]
    assert {anomaly.kind for anomaly in check.standing()} == {"first_chunk", "first_chunk_tail"}
    assert any(line.startswith("m: median time to the first chunk ") for line in alarms(client, SITE))
    again = AnomalyCheck(client, SITE, clock=clock, every_s=0.0)
    assert pass_by(again, calls, clock, client, ttft=2000) == set(), "raised once, whoever looks"
    ended = [pass_by(check, calls, clock, client) for _ in range(8)]
    assert sorted(kind for found in ended for kind in found) == ["-first_chunk", "-first_chunk_tail"]
    assert check.standing() == []
    assert alarms(client, SITE) == []


def test_each_hour_is_read_once(check: AnomalyCheck, calls: Calls, clock: Time, client: redis.Redis) -> None:
    for _ in range(7):
        run(check, calls, client)
    hours = [span for span in calls.asked if span[1] - span[0] == HOUR_S * MICRO]
    assert len(hours) == len(set(hours)) == 168, "a week, in seven steps"
    calls.asked.clear()
    run(check, calls, client)
    assert calls.asked == [(int((START - 900) * MICRO), int(START * MICRO))], "then only the window"
    clock.now += HOUR_S
    run(check, calls, client)
    assert len(calls.asked) == 3, "and the hour that has ended"
    assert client.hlen(KEYS.hours) == 168, "the oldest one is forgotten"
    assert 0 < client.ttl(KEYS.hours) <= 168 * HOUR_S


def test_the_last_hour_waits_for_late_traces(
    check: AnomalyCheck, calls: Calls, clock: Time, client: redis.Redis
) -> None:
    clock.now = 500_001 * HOUR_S + 60.0
    run(check, calls, client)
    newest = max(since for since, until in calls.asked if until - since == HOUR_S * MICRO)
    assert newest == 499_999 * HOUR_S * MICRO
    clock.now += 600
    run(check, calls, client)
    assert max(s for s, u in calls.asked if u - s == HOUR_S * MICRO) == 500_000 * HOUR_S * MICRO


def test_at_most_one_at_a_time(calls: Calls, client: redis.Redis, clock: Time) -> None:
    one, other = (AnomalyCheck(client, SITE, clock=clock, every_s=60.0) for _ in range(2))
    assert one.run(calls) == []
    assert other.run(calls) is None
    assert one.run(calls) is None
    assert 0 < client.pttl(KEYS.checking) <= 60_000
    assert AnomalyCheck(client, "other.site", clock=clock).run(calls) == [], "each site has its own"


def test_what_the_figures_show(check: AnomalyCheck, calls: Calls, client: redis.Redis) -> None:
    run(check, calls, client)
    checked = look(client, [SITE])[0].checked
    assert checked is not None
    assert (checked.at, checked.models, checked.incomplete) == (START, 1, 3)
    assert checked.hours == HOURS_AT_ONCE


def test_a_redis_that_forgot_everything(check: AnomalyCheck, calls: Calls, client: redis.Redis) -> None:
    run(check, calls, client)
    client.flushall()
    assert run(check, calls, client) == []
    assert client.hlen(KEYS.hours) == HOURS_AT_ONCE


def test_what_another_version_left_behind(check: AnomalyCheck, calls: Calls, client: redis.Redis) -> None:
    client.hset(KEYS.hours, str(int(START // HOUR_S) - 1), b'{"m": "?"}')
    client.hset(KEYS.anomalies, b"x", b"{}")
    client.set(KEYS.checked, b"[]")
    assert look(client, [SITE])[0].checked is None
    assert run(check, calls, client) == []
    assert check.standing() == []


def test_models_are_bounded(check: AnomalyCheck, calls: Calls, client: redis.Redis) -> None:
    for i in range(MAX_MODELS + 30):
        calls.rows += [(START - 60, ModelCall(f"made-up-{i}", False, 1, None))] * (2 if i == 79 else 1)
    run(check, calls, client)
    checked = look(client, [SITE])[0].checked
    assert checked is not None
    assert checked.models == MAX_MODELS
    kept = anomaly_check.largest(calls.model_calls(0, 2**62, 10**6))
    assert {"m", "made-up-79"} <= {call.model for call in kept}
