"""How a worker behaves, and how it came to run."""

from __future__ import annotations

from typing import Literal

import msgspec

from ai_assistant.streams.tasks import DEAD_AFTER_MS
from ai_assistant.traces.consumer_options import ConsumerOptions
from ai_assistant.traces.metrics import Bounds

MAX_TASKS = 400
"""Streams that one process carries well; each costs a socket and some memory."""
Kind = Literal["daemon", "job", "embedded"]
"""How a worker came to run: `daemon` a process of its own, `job` one background job of a bench, which was woken by a
task and ends when it is idle, `embedded` inside the embedded host."""


class WorkerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a worker behaves. Times in seconds."""

    kind: Kind = "embedded"
    hands_over: bool = False
    """Whether a worker that stops queues tasks again that showed nothing, even where no other worker lives: on a bench
    the next one is woken."""
    max_tasks: int = MAX_TASKS
    """Tasks that one worker runs at the same time."""
    beat_s: float = 1.0
    sweep_s: float = 2.0
    grace_s: float = 10.0
    """How long running tasks may go on after `stop`."""
    dead_after_ms: int = DEAD_AFTER_MS
    block_ms: int = 1000
    """How long one read of the queue waits; also how long `stop` takes at least when idle."""
    traces: ConsumerOptions | None = ConsumerOptions()
    """How it stores traces beside its tasks; `None`: it does not."""
    trace_redis_urls: tuple[str, ...] = ()
    """Where the streams of traces are, the one of sites that name none first; empty: where the tasks are."""
    trace_bounds: Bounds = Bounds()
    """What may wait in such a stream; beyond it the traces of chats are held back."""
