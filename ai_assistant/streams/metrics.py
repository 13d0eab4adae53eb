"""Figures of one scope from Redis: what its workers have counted, and how its tasks stand."""

from __future__ import annotations

import time
from typing import Any, Final, get_args

import msgspec
from redis.exceptions import RedisError

from ai_assistant.core.errors import ErrorCode
from ai_assistant.core.metrics import Family, Sample, counter, counters, gauge, gauges
from ai_assistant.streams.lease import Lease
from ai_assistant.streams.model_metrics import gateway_families, model_families
from ai_assistant.streams.tasks import Tasks
from ai_assistant.streams.totals import COUNTERS, EVENT_TYPES, HISTOGRAMS, REJECTIONS, end_field, histogram_of

KINDS: Final = ("daemon", "job", "embedded")


class Standing(msgspec.Struct, kw_only=True):
    """What one look at Redis gives."""

    now_ms: float
    answer_s: float
    beats: list[tuple[bytes, float]]
    infos: dict[bytes, bytes]
    queued: int
    oldest_ms: float
    open: int
    unsaved: int
    lease: dict[bytes, bytes]
    totals: dict[str, int]
    memory: dict[str, Any]


def collect(tasks: Tasks) -> list[Family]:
    """Everything that Redis knows of the scope; where it is away, that."""
    try:
        standing = look(tasks)
    except (RedisError, OSError):
        return [redis_up(0)]
    return [
        redis_up(1),
        *redis_families(standing),
        *worker_families(tasks, standing),
        *task_families(standing),
        *lease_families(standing),
        *gateway_families(living(tasks, standing)),
        *total_families(standing.totals),
        *model_families(standing.totals),
    ]


def redis_up(value: int) -> Family:
    """Whether it answers."""
    return gauge("redis_up", "Whether the Redis of tasks and events answers.", value)


def look(tasks: Tasks) -> Standing:
    """One round trip. Raises redis-py's errors, and OSError."""
    keys = tasks.keys
    started = time.perf_counter()
    with tasks.client.pipeline(transaction=False) as pipe:
        pipe.time()
        pipe.zrange(keys.workers, 0, -1, withscores=True)
        pipe.hgetall(keys.worker_info)
        pipe.xlen(keys.queue)
        pipe.xrange(keys.queue, count=1)
        pipe.zcard(keys.open)
        pipe.zcard(keys.unsaved)
        pipe.hgetall(Lease(tasks).key)
        pipe.hgetall(keys.totals)
        pipe.info("memory")
        answers: list[Any] = pipe.execute(raise_on_error=False)
    took = time.perf_counter() - started
    *needed, memory = answers
    for answer in needed:
        if isinstance(answer, Exception):
            raise answer
    (seconds, micros), beats, infos, queued, first, opened, unsaved, lease, totals = needed
    now_ms = seconds * 1000 + micros / 1000
    return Standing(
        now_ms=now_ms,
        answer_s=took,
        beats=beats,
        infos=infos,
        queued=queued,
        oldest_ms=max(0.0, now_ms - int(first[0][0].split(b"-")[0])) if first else 0.0,
        open=opened,
        unsaved=unsaved,
        lease=lease,
        totals={name.decode(): int(value) for name, value in totals.items()},
        memory=memory if isinstance(memory, dict) else {},  # a user of Redis may not be allowed INFO
    )


def redis_families(standing: Standing) -> list[Family]:
    """Redis itself."""
    families = [gauge("redis_answer_seconds", "How long Redis took to give these figures.", standing.answer_s)]
    memory = standing.memory
    if "used_memory" in memory:
        families += [
            gauge("redis_memory_bytes", "Memory that Redis uses.", memory["used_memory"]),
            gauge("redis_memory_limit_bytes", "Redis' maxmemory; 0: no limit.", memory.get("maxmemory", 0)),
        ]
    if policy := memory.get("maxmemory_policy"):
        evicts = policy != "noeviction" and memory.get("maxmemory", 0) > 0
        text = "Whether Redis may throw away tasks and events when its memory is full; must be 0."
        families.append(gauge("redis_evicts", text, int(evicts), policy=str(policy)))
    return families


def living(tasks: Tasks, standing: Standing) -> list[dict[str, Any]]:
    """What living workers say of themselves."""
    alive = [worker for worker, beat in standing.beats if standing.now_ms - beat <= tasks.dead_after_ms]
    return [msgspec.json.decode(standing.infos.get(worker, b"{}")) for worker in alive]


def worker_families(tasks: Tasks, standing: Standing) -> list[Family]:
    """Living workers together, by kind."""
    count: dict[str, float] = dict.fromkeys(KINDS, 0.0)
    running: dict[str, float] = dict.fromkeys(KINDS, 0.0)
    stopping, window_ms = 0, 0.0
    for info in living(tasks, standing):
        kind = str(info.get("kind")) if info.get("kind") in KINDS else "daemon"
        count[kind] += 1
        running[kind] += info.get("running", 0)
        stopping += bool(info.get("stopping"))
        window_ms = max(window_ms, info.get("window_ms", 0.0))
    families = [
        gauges("workers", "Workers whose heartbeat is younger than 8 s.", "kind", count),
        gauge("workers_stopping", "Those of them that take no more tasks.", stopping),
        gauges("running_tasks", "Tasks that workers run.", "kind", running),
    ]
    if standing.beats:
        age = max(0.0, standing.now_ms - max(beat for _, beat in standing.beats)) / 1000
        text = "Age of the youngest heartbeat. Workers that end in order are not listed; without any there is no line."
        families.append(gauge("heartbeat_age_seconds", text, age))
    if window_ms:
        text = "How long the busiest worker joins deltas before it publishes them: 0.016, and up to 0.25 under load."
        families.append(gauge("window_seconds", text, window_ms / 1000))
    return families


def task_families(standing: Standing) -> list[Family]:
    """How the scope's tasks stand."""
    oldest_s = standing.oldest_ms / 1000
    return [
        gauge("queued_tasks", "Tasks that wait for a worker.", standing.queued),
        gauge("queued_oldest_seconds", "How long the oldest of them has waited; 0: none waits.", oldest_s),
        gauge("open_tasks", "Tasks that are queued or running.", standing.open),
        gauge("unsaved_conversations", "Answers that the database has not taken yet.", standing.unsaved),
    ]


def lease_families(standing: Standing) -> list[Family]:
    """The place of the one background job of a bench."""
    state = standing.lease.get(b"state", b"").decode()
    late_ms = standing.now_ms - float(standing.lease.get(b"until", 0)) if state == "pending" else 0.0
    states = {name: float(state == name) for name in ("pending", "held")}
    text = "How long a background job that was asked for is late; 0: it is not."
    return [
        gauges("job_lease", "Whether a background job was asked for (pending) or works (held).", "state", states),
        gauge("job_late_seconds", text, max(0.0, late_ms / 1000)),
    ]


def total_families(totals: dict[str, int]) -> list[Family]:
    """What was counted, zeros included: Prometheus sees no growth in a line that was not there before."""
    events = {type_: totals.get(f"events|{type_}", 0) for type_ in EVENT_TYPES}
    # each task has one event that begins it and one that ends it, written by the scripts that count these
    ended = ended_family(totals)
    events["start"] = totals.get("accepted", 0)
    events["end"] = sum(int(sample.value) for sample in ended.samples)
    rejected = {reason: totals.get(f"rejected|{reason}", 0) for reason in REJECTIONS.values()}
    text = "Events that Redis did not take: unknown task, stale or ended task, skipped number, refused command."
    return [
        counter("tasks_accepted_total", "Tasks that were accepted.", totals.get("accepted", 0)),
        ended,
        counters("events_total", "Events that were published.", "type", events),
        counters("events_rejected_total", text, "reason", rejected),
        *(counter(f"{name}_total", text, totals.get(name, 0)) for name, text in COUNTERS.items()),
        *(histogram_of(name, totals).family(f"{name}_seconds", text) for name, (_, text) in HISTOGRAMS.items()),
    ]


def ended_family(totals: dict[str, int]) -> Family:
    """Tasks by how they ended."""
    ends = [("completed", ""), ("cancelled", ""), *(("failed", code) for code in get_args(ErrorCode))]
    known = {end_field(status, code) for status, code in ends}
    others = [field.split("|")[1:] for field in totals if field.startswith("ended|") and field not in known]
    samples = [
        Sample(totals.get(end_field(status, code), 0), {"status": status, "code": code})
        for status, code in [*ends, *others]
    ]
    return Family("tasks_ended_total", "counter", "Tasks that have ended, by status and error code.", samples)
