"""The SQL of a list of traces, alike for all databases: conditions, order, and the cursor of the next page."""

from __future__ import annotations

import re
from typing import Any, Final

from ai_assistant.core.check import shown
from ai_assistant.core.errors import ValidationError
from ai_assistant.core.trace import TraceFilter
from ai_assistant.traces.sql import TraceSql
from ai_assistant.traces.values import EARLIEST, LATEST

EQUAL: Final = (
    "user", "model", "status", "conversation", "session", "reference_doctype", "reference_name", "environment",
    "service", "source",
)  # fmt: skip
MAX_PAGE: Final = 1000

_CURSOR = re.compile(r"([0-9a-f]{1,14})-([0-9a-f]{32})")


class Conditions:
    """Conditions joined by AND, and their values."""

    def __init__(self, sql: TraceSql):
        self._sql = sql
        self._texts: list[str] = []
        self.values: list[Any] = []

    def __str__(self) -> str:
        return " AND ".join(self._texts) or "1 = 1"

    def add(self, text: str, *values: Any) -> None:
        """One more; `text` has a mark for each value."""
        self._texts.append(text)
        self.values.extend(values)

    def compare(self, column: str, operator: str, value: Any) -> None:
        """That a column of the trace compares so with a value; a value of `None` does not matter."""
        if value is not None:
            self.add(f"{self._sql.column(column)} {operator} {self._sql.mark}", value)


def conditions(wanted: TraceFilter, owner: str | None, cursor: str | None, sql: TraceSql) -> Conditions:
    """What a page's traces fulfil, but the search. Raises ValidationError for a cursor that is none."""
    found = Conditions(sql)
    found.compare("user", "=", owner)
    for name in EQUAL:
        found.compare(name, "=", getattr(wanted, name))
    for operator, moment in ((">=", wanted.since), ("<", wanted.until)):
        found.compare("started_at", operator, None if moment is None else sql.to_moment(_within(moment)))
    if wanted.min_cost is not None or wanted.max_cost is not None:
        found.compare("cost_known", "=", 1)
        found.compare("cost", ">=", wanted.min_cost)
        found.compare("cost", "<=", wanted.max_cost)
    if wanted.min_duration_ms is not None or wanted.max_duration_ms is not None:
        found.add(f"{sql.column('ended_at')} IS NOT NULL")
        found.compare("duration_ms", ">=", wanted.min_duration_ms)
        found.compare("duration_ms", "<=", wanted.max_duration_ms)
    if wanted.complete is not None:
        found.compare("is_complete", "=", int(wanted.complete))
    if wanted.tag is not None:
        parent, tag = (f"{sql.quote}{name}{sql.quote}" for name in ("parent", "tag"))
        subquery = f"SELECT {parent} FROM {sql.tables['tag']} WHERE {tag} = {sql.mark}"
        found.add(f"{sql.column('name')} IN ({subquery})", wanted.tag)
    if cursor:
        _add_cursor(found, cursor, sql)
    return found


def cursor_of(row: dict[str, Any]) -> str:
    """The cursor that goes on behind this row."""
    return f"{row['started_at']:x}-{row['name']}"


def page_size(limit: int) -> int:
    """A limit as lists keep it."""
    return max(0, min(limit, MAX_PAGE))


def _add_cursor(found: Conditions, cursor: str, sql: TraceSql) -> None:
    match = _CURSOR.fullmatch(cursor)
    moment = int(match[1], 16) if match else 0
    if match is None or not EARLIEST <= moment < LATEST:
        raise ValidationError(f"cursor: must be the `cursor` of a page before, or left out, not {shown(cursor)}")
    at, name = sql.column("started_at"), sql.column("name")
    stored = sql.to_moment(moment)
    # the first part alone lets a database find its place in the index
    found.add(f"{at} <= {sql.mark}", stored)
    found.add(f"({at} < {sql.mark} OR {name} < {sql.mark})", stored, match[2])


def _within(moment: int) -> int:
    """A time that every database knows, before or after all traces where this one is."""
    return min(max(moment, EARLIEST), LATEST)
