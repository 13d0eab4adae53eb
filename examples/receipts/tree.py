"""A trace as a tree in the terminal."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import httpx
from place import Place

PATIENCE_S = 20.0


def stored_tree(place: Place, trace_id: str) -> list[str]:
    """The trace as the host has stored it, waited for: it is written a moment after the program has said it."""
    headers = {"Authorization": f"token {place.api_key}"}
    with httpx.Client(base_url=place.url or "", headers=headers, trust_env=False) as http:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            answer = http.get("/api/method/ai_assistant.api.get_trace", params={"trace": trace_id})
            found = answer.json().get("message") if answer.status_code == 200 else None
            if found and found["trace"]["status"] != "running" and found["trace"]["is_complete"]:
                return [line(row, row["depth"]) for row in found["observations"]]
            if time.monotonic() > deadline:
                raise TimeoutError(f"the trace is not stored yet: {answer.status_code} {answer.text[:200]}")
            time.sleep(0.2)


def tree_of(rows: Iterable[dict[str, Any]]) -> list[str]:
    """Observations of this program itself (`tracing.testing`), which no host has stored."""
    rows = list(rows)
    known = {row["span"] for row in rows}
    lines: list[str] = []

    def add(parent: str | None, depth: int) -> None:
        for row in rows:
            if (row["parent"] if row["parent"] in known else None) == parent:
                took = {"duration_ms": (row["ended_at"] - row["started_at"]) // 1000} if "ended_at" in row else {}
                lines.append(line({**row, **took}, depth))
                add(row["span"], depth + 1)

    add(None, 0)
    return lines


def line(row: dict[str, Any], depth: int) -> str:
    """One observation."""
    sure = f"  {row['confidence']:.0%} sure" if row.get("confidence") is not None else ""
    took = f"  {row['duration_ms']} ms" if row.get("duration_ms") is not None and row["type"] != "event" else ""
    state = "" if row["status"] == "completed" else f"  {row['status']}: {row.get('error_message') or ''}"
    return f"{'  ' * depth}{row['title']} [{row['type']}]{took}{sure}{state}"
