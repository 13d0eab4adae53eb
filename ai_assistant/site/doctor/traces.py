"""Traces: who stores them, what waits, what was lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from ai_assistant.site.doctor.finding import Finding, Subject, failure, note, ok, shown_url, warning
from ai_assistant.site.doctor.workers import COMMAND, duration
from ai_assistant.streams.connection import request_client
from ai_assistant.traces.health import trace_health

REDIS_KEY: Final = "ai_assistant_trace_redis_url"


def check(subject: Subject) -> Iterator[Finding]:
    """How the traces of the site stand."""
    url = str(subject.conf.get(REDIS_KEY) or subject.redis_url)
    with request_client(url) as client:
        found = trace_health(client, subject.site)
    traces, consumers = found["traces"], found["trace_consumers"]
    if "redis_away" in traces["alarms"]:
        yield failure(
            "traces.redis",
            f"The Redis of the traces, {shown_url(url)}, does not answer ({traces['error']}). Programs keep what they "
            "trace for a while, then give up the oldest.",
            f"{subject.bench_site} ai-assistant doctor --check redis",
        )
        return
    yield from stored(subject, traces, consumers)
    yield from lost(subject, traces)


def stored(subject: Subject, traces: dict[str, Any], consumers: list[dict[str, Any]]) -> Iterator[Finding]:
    """Who stores, and what waits for it."""
    data = {"backlog": traces["backlog"], "oldest_ms": traces["oldest_ms"], "consumers": len(consumers)}
    waits = f"{traces['backlog']} entries wait, the oldest for {duration(traces['oldest_ms'] / 1000)}"
    for consumer in consumers:
        if consumer.get("error"):
            yield failure(
                "traces.store",
                f"The consumer on {consumer.get('host')} (process {consumer.get('pid')}) cannot store: "
                f"{consumer['error']}. {waits}; nothing is lost.",
                f"{subject.bench_site} migrate   (if a table or a column is missing)",
            )
    if consumers and "late" not in traces["alarms"]:
        yield ok("traces.consumer", f"{len(consumers)} consumers store traces; {waits}", **data)
    elif consumers:
        yield warning("traces.consumer", f"{waits}.", f"bench {COMMAND} --only-traces   (one more consumer)", **data)
    elif "late" in traces["alarms"]:
        text = f"No worker runs that stores traces: {waits}."
        yield warning("traces.consumer", text, f"bench {COMMAND}   (starts one now, in this terminal)", **data)
    else:
        yield note("traces.consumer", "No worker runs; the next one stores what waits.", **data)


def lost(subject: Subject, traces: dict[str, Any]) -> Iterator[Finding]:
    """What could not be stored, and what never came."""
    if traces["dead_letters"]:
        yield warning(
            "traces.dead_letters",
            f"{traces['dead_letters']} events could not be stored; they are kept, with the reason.",
            f"{subject.bench_site} ai-assistant traces dead-letters",
            dead_letters=traces["dead_letters"],
        )
    if traces["missing_events"] or traces["dropped_events"]:
        yield warning(
            "traces.missing",
            f"Of the last day, {traces['missing_events']} events were lost on the way and {traces['dropped_events']} "
            "given up by programs that could not reach Redis for too long; the traces say which.",
            f"{subject.bench_site} ai-assistant traces status",
            missing_events=traces["missing_events"],
            dropped_events=traces["dropped_events"],
        )
