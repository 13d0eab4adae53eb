"""The columns that follow from others: of an observation, and of a trace from what its observations come to."""

from __future__ import annotations

from typing import Any

from ai_assistant.core.trace import PAYLOADS, TOKENS, TRACE_PAYLOAD_CHARS, StoredVersion, Totals, TraceHead
from ai_assistant.traces.places import Places
from ai_assistant.traces.rows import OBSERVATION_LETTERS, TRACE_LETTERS, Change, write_stamps
from ai_assistant.traces.search import search_text
from ai_assistant.traces.values import MAX_COST, MAX_INT

TRACE_BYTES = 2_000
"""What a trace takes besides its observations, as they do on average."""
LENGTHS = {"input": "input_chars", "output": "output_chars", "reasoning": "reasoning_kept"}
"""Columns that hold the length of a payload, so that nobody has to read it for that."""


def milliseconds(started_at: int | None, ended_at: int | None) -> int | None:
    """The time between two moments, as far as both are known; a clock that was set back gives 0."""
    if started_at is None or ended_at is None:
        return None
    return min(max(ended_at - started_at, 0) // 1000, MAX_INT)


def observation_row(trace: str, span: str, change: Change, stored: StoredVersion | None) -> dict[str, Any]:
    """The columns to set of an observation. `change` is merged with what is stored before."""
    said = change.values
    row: dict[str, Any] = {"name": trace + span, "trace": trace, "span": span, **said}
    row["versions"] = write_stamps(change.stamps, OBSERVATION_LETTERS)
    row["version"] = max(change.highest, stored.version if stored else 0)
    if change.producer and (stored is None or change.highest >= stored.version):
        row["producer"] = change.producer
    for payload in PAYLOADS:
        if payload in said:
            row[LENGTHS[payload]] = len(said[payload])
    if "cost" in said:
        row["cost_known"] = 1
    if "started_at" in said or "ended_at" in said:
        started = said.get("started_at", stored.started_at if stored else None)
        duration = milliseconds(started, said.get("ended_at", stored.ended_at if stored else None))
        if duration is not None:
            row["duration_ms"] = duration
    return row


def trace_row(change: Change, head: TraceHead, places: Places, totals: Totals | None, first_at: int) -> dict[str, Any]:
    """The columns to set of a trace. `change` is merged with what is stored before; `totals` is None where they were
    not counted, since the trace is large and still runs; `first_at`: the earliest moment that its events name."""
    row: dict[str, Any] = dict(change.values)
    row["versions"] = write_stamps(change.stamps, TRACE_LETTERS)
    row["places"] = str(places)
    row["events"] = min(places.received(), MAX_INT)
    row["missing_events"] = min(places.missing(), MAX_INT)
    row["started_at"] = min(at for at in (first_at, head.started_at) if at is not None)
    if totals is None:
        return row if not row["missing_events"] else {**row, "is_complete": 0}
    row["is_complete"] = int(not row["missing_events"] and not totals.lost)
    row |= _counted(totals)
    row["status"] = _status(change, head, row["events"], totals, row)
    row["ended_at"] = None if row["status"] == "running" else totals.root_ended_at or totals.ended_at
    row["duration_ms"] = milliseconds(row["started_at"], row["ended_at"])
    if "title" not in change.stamps:
        row["title"] = totals.root_title or totals.first_title
    title = row.get("title", head.title)
    words = search_text([title or "", *totals.words.split("\n")])
    if words != head.search_text:
        row["search_text"] = words
    return row


def root_payload(text: str | None) -> str | None:
    """What a trace repeats of its root's payload."""
    return text[:TRACE_PAYLOAD_CHARS] if text else text


def _counted(totals: Totals) -> dict[str, Any]:
    """The columns that are the totals' own."""
    row: dict[str, Any] = {name: min(getattr(totals, name), MAX_INT) for name in TOKENS}
    return row | {
        "observation_count": totals.observations,
        "error_count": totals.errors,
        "cost": None if totals.cost is None else min(totals.cost, MAX_COST),
        "cost_known": int(totals.cost is not None),
        "ttft_ms": totals.ttft_ms,
        "model": totals.model,
        "provider": totals.provider,
        "error_message": totals.error_message,
        "root": totals.root,
        "stored_bytes": min(totals.size + TRACE_BYTES, MAX_INT),
    }


def _status(change: Change, head: TraceHead, events: int, totals: Totals, row: dict[str, Any]) -> str:
    """What a trace event said, else the root's; without a root it runs while any observation does."""
    if "status" in change.stamps:
        return row.get("status", head.status)
    if totals.root_status:
        return totals.root_status
    if totals.running:
        return "running"
    if not totals.observations:
        # of one that only a loss tells of nothing more will come
        return "running" if events or change.stamps else "interrupted"
    if totals.lost:
        return "interrupted"
    return "failed" if totals.errors else "completed"
