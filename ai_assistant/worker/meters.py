"""What one worker measures, and how it comes into the totals of its scope."""

from __future__ import annotations

from collections import Counter

from ai_assistant.core.metrics import Histogram
from ai_assistant.core.task import Outcome
from ai_assistant.gateway.gateway import Gateway
from ai_assistant.streams.publisher import Publisher
from ai_assistant.streams.queue import TaskQueue
from ai_assistant.streams.totals import FIRST_S, REJECTIONS, end_field, histogram_fields
from ai_assistant.worker.supervisor import Supervisor


class Meters:
    """What is measured once per task; what is counted per event, the publisher counts anyhow."""

    def __init__(self) -> None:
        self.queue_wait = Histogram(FIRST_S)
        """Seconds from a task's acceptance to its runner."""
        self.first_reasoning = Histogram(FIRST_S)
        """Seconds from a task's acceptance to its first piece of thinking."""
        self.first_text = Histogram(FIRST_S)
        """Seconds from a task's acceptance to its first piece of text."""
        self.ends: Counter[str] = Counter()
        """Tasks that this worker ended. The totals of the scope have them from the script that ends them."""

    def ended(self, outcome: Outcome) -> None:
        """A task has ended so."""
        self.ends[end_field(outcome.status, str((outcome.error or {}).get("code") or ""))] += 1


class Ledger:
    """Adds what one worker counts to the totals of its scope."""

    def __init__(self, meters: Meters, publisher: Publisher, supervisor: Supervisor, gateway: Gateway):
        self._meters = meters
        self._publisher = publisher
        self._supervisor = supervisor
        self._gateway = gateway
        self._booked: dict[str, int] = {}

    async def book(self, queue: TaskQueue) -> None:
        """Adds what has grown since the last time. Raises redis-py's errors; then it is added the next time."""
        totals = self.totals()
        grown = {name: grown for name, value in totals.items() if (grown := value - self._booked.get(name, 0))}
        if grown:
            await queue.count(grown)
            self._booked = totals

    def totals(self) -> dict[str, int]:
        """Everything since the start, under its names (`streams/totals.py`)."""
        publisher, asked = self._publisher, self._gateway.stats()
        return {
            **{f"events|{type_}": count for type_, count in publisher.published.items()},
            **{f"rejected|{REJECTIONS.get(answer, 'refused')}": count for answer, count in publisher.rejected.items()},
            "publish_batches": publisher.batches,
            "publish_errors": publisher.errors,
            "events_dropped": publisher.dropped,
            "worker_redis_errors": self._supervisor.redis_errors,
            "worker_failures": self._supervisor.failures,
            **{f"provider_{name}": asked[name] for name in ("answers", "failures", "retries", "fallbacks")},
            **{f"chunks|{kind}": count for kind, count in self._gateway.tally.chunk_counts().items()},
            **self._gateway.tally.models.counts,
            **histogram_fields("queue_wait", self._meters.queue_wait),
            **histogram_fields("first_reasoning", self._meters.first_reasoning),
            **histogram_fields("first_text", self._meters.first_text),
            **histogram_fields("publish", publisher.round_trips),
        }
