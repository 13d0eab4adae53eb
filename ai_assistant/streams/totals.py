"""What is counted of a scope, and under which fields of one Redis hash.

Totals of the scope, to which each worker adds once a second what it has counted: totals of each worker would lose what
a background job counted that ended between two scrapes, and its id as a label would make new series with every job.
The acceptance and the end of a task are counted by the scripts that do them: whoever ends a task, it is counted once.
Everything else may be counted twice for a second when a connection breaks while a worker adds, and what a worker that
was killed had counted since its last second is lost.

Nobody needs to delete the hash: Redis forgets it a week after its last change.
"""

from __future__ import annotations

from typing import Final

from ai_assistant.core.metrics import Histogram

FIRST_S: Final = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Buckets of what a user waits for, in seconds."""
PUBLISH_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Buckets of a round trip to Redis, in seconds."""
MICRO: Final = 1_000_000
"""Redis adds whole numbers: sums are kept in microseconds."""
EVENT_TYPES: Final = ("status", "reasoning", "text", "tool_call", "tool", "data")
"""Events that are published beside those that begin and end a task; `tool`: all of a tool that the server runs."""
REJECTIONS: Final = {-1: "unknown", -2: "stale", -3: "skipped", -4: "refused"}
"""The publisher's answers to an event that was not taken (`publisher.py`)."""

HISTOGRAMS: Final[dict[str, tuple[tuple[float, ...], str]]] = {
    "first_reasoning": (FIRST_S, "Time from a task's acceptance to its first reasoning event."),
    "first_text": (FIRST_S, "Time from a task's acceptance to its first text event."),
    "queue_wait": (FIRST_S, "Time from a task's acceptance to a worker that takes it."),
    "publish": (PUBLISH_S, "Time of one round trip to Redis that publishes events."),
}
COUNTERS: Final = {
    "publish_batches": "Round trips to Redis that published events.",
    "publish_errors": "Attempts to publish events that failed; they are tried again for 30 s.",
    "events_dropped": "Events and ends of tasks that were given up after 30 s without Redis.",
    "worker_redis_errors": "Failures of Redis in a worker's other work.",
    "worker_failures": "Unexpected failures inside a worker; its log has them.",
    "provider_answers": "Answers that a provider brought to an end.",
    "provider_failures": "Requests to providers that failed.",
    "provider_retries": "Requests to providers that were sent again.",
    "provider_fallbacks": "Times that another model was asked instead.",
}


def end_field(status: str, code: str = "") -> str:
    """The hash field that counts tasks which ended so."""
    return f"ended|{status}|{code}"


def histogram_fields(name: str, counted: Histogram) -> dict[str, int]:
    """A histogram as hash fields, named by their bound: other bounds of a later version do not mix with them."""
    fields = {f"{name}|{bound:g}": count for bound, count in zip(counted.bounds, counted.counts, strict=False)}
    return {**fields, f"{name}|+Inf": counted.counts[-1], f"{name}|sum": round(counted.sum * MICRO)}


def histogram_of(name: str, totals: dict[str, int]) -> Histogram:
    """The reverse."""
    found = Histogram(HISTOGRAMS[name][0])
    found.counts = [totals.get(f"{name}|{bound:g}", 0) for bound in found.bounds] + [totals.get(f"{name}|+Inf", 0)]
    found.sum = totals.get(f"{name}|sum", 0) / MICRO
    return found
