"""What monitoring reads of a real store, written as a consumer writes it; and an anomaly found in it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from ai_assistant.core.trace import TOKENS
from ai_assistant.core.trace_statistics import ModelCall
from ai_assistant.host import accounts  # noqa: F401 - declares the tables that Database.open makes
from ai_assistant.host.database import Database
from ai_assistant.host.traces import SqlTraces
from ai_assistant.traces.anomalies import HOUR_S
from ai_assistant.traces.anomaly_check import AnomalyCheck

SITE = "store.test"
NOW = 500_000.5 * HOUR_S
MICRO = 1_000_000


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """An empty one."""
    found = Database.open(tmp_path / "assistant.db")
    yield found
    found.close()


class Rows:
    """Writes observations of one trace."""

    def __init__(self, database: Database):
        self._database = database
        self._count = 0

    def write(self, rows: list[dict[str, object]]) -> None:
        """In one transaction, as a consumer does."""
        trace = f"{self._count:032x}"
        with self._database.unit() as work:
            store = SqlTraces(work)
            store.lock([trace], [])
            for row in rows:
                self._count += 1
                span = f"{self._count:016x}"
                whole = {"name": trace + span, "trace": trace, "span": span, "version": 1, "versions": ""}
                store.put_observations([{**whole, "type": "generation", "status": "completed", **row}])

    def read(self, since: float, until: float, limit: int = 1000) -> list[ModelCall]:
        """As the check reads."""
        with self._database.unit() as work:
            return SqlTraces(work).model_calls(int(since * MICRO), int(until * MICRO), limit)


def at(seconds: float) -> int:
    """Epoch microseconds."""
    return int(seconds * MICRO)


def test_what_counts(database: Database) -> None:
    rows = Rows(database)
    rows.write(
        [
            {"model": "a", "started_at": at(NOW), "ttft_ms": 120, "cost": 0.5, "cost_known": 1},
            {"model": "a", "started_at": at(NOW + 1), "status": "failed"},
            {"model": "b", "started_at": at(NOW + 2), "ttft_ms": 0, "cost": 0.0, "cost_known": 1},
            {"model": "free", "started_at": at(NOW + 2.5), "ttft_ms": 5, "cost": 0.0, "cost_known": 0},
            {"model": "a", "started_at": at(NOW + 3), "status": "running"},
            {"model": "a", "started_at": at(NOW + 4), "status": "cancelled"},
            {"model": "a", "started_at": at(NOW + 5), "status": "interrupted"},
            {"model": "a", "started_at": at(NOW + 6), "type": "tool"},
            {"started_at": at(NOW + 7)},
            {"model": "", "started_at": at(NOW + 8)},
            {"model": "late", "started_at": at(NOW + 10)},
        ]
    )
    assert rows.read(NOW, NOW + 10) == [
        ModelCall("free", False, 5, None),
        ModelCall("b", False, None, 0.0),
        ModelCall("a", True, None, None),
        ModelCall("a", False, 120, 0.5),
    ], "generations that completed or failed, newest first; the end is not included"
    assert [call.model for call in rows.read(NOW, NOW + 11, 1)] == ["late"]
    assert rows.read(NOW - 10, NOW) == []


def test_the_index_is_used(database: Database) -> None:
    """A week of a busy site must not be walked through for a quarter of an hour."""
    with database.read() as connection:
        plan = connection.exec_driver_sql(
            "EXPLAIN QUERY PLAN SELECT model FROM ai_observation WHERE status IN ('completed', 'failed') "
            "AND started_at >= '2026' AND started_at < '2027' AND type = 'generation' AND model <> '' "
            "ORDER BY started_at DESC LIMIT 10"
        ).fetchall()
    assert any("USING INDEX" in str(row) and "started_at>" in str(row) for row in plan), plan


def test_an_anomaly_in_a_real_store(database: Database, client: redis.Redis) -> None:
    rows, dice = Rows(database), random.Random(1)
    for hour in range(12):
        rows.write([usual(dice, NOW - (hour + 1) * HOUR_S + i * 60) for i in range(40)])
    check = AnomalyCheck(client, SITE, clock=lambda: NOW, every_s=0.001)
    rows.write([usual(dice, NOW - 800 + i) for i in range(60)])
    assert looked(check, database) == []
    rows.write([{**usual(dice, NOW - 400 + i), "status": "failed", "ttft_ms": None} for i in range(60)])
    client.delete(check._keys.checking)
    found = looked(check, database)
    assert [(change.anomaly.kind, change.anomaly.model) for change in found] == [("errors", "m")]
    assert found[0].anomaly.value == 0.5
    assert check.standing() == [found[0].anomaly]


def usual(dice: random.Random, seconds: float) -> dict[str, object]:
    """A call like all others."""
    tokens = dict.fromkeys(TOKENS, 10)
    ttft_ms = int(300 * dice.lognormvariate(0, 0.3))
    return {"model": "m", "started_at": at(seconds), "ttft_ms": ttft_ms, "cost": 0.01, "cost_known": 1, **tokens}


def looked(check: AnomalyCheck, database: Database) -> list:
    """What a check finds."""
    with database.unit() as work:
        found = check.run(SqlTraces(work))
    assert found is not None
    return found
