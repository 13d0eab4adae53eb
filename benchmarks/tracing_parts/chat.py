"""What tracing adds to a chat: CPU per token in the emitter and in a whole worker, and the time to the first event.

    python benchmarks/tracing_parts/chat.py [--rounds N] [--json]

- `emitter`: the emitter alone, its publisher replaced by one that takes everything at once, each token an event of its
  own: the worst case, since a busy worker joins tokens.
- `worker`: a real worker over a real Redis, a gateway that makes the tokens: CPU of this process, the publisher's
  thread included, divided by tokens. With and without `trace_chats`, by turns; the median of the rounds.
- `begin`: from the settings to the gateway: what comes before the first event of the model.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import time
import uuid
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import msgspec

sys.path.insert(0, str(Path(__file__).parents[2]))

from ai_assistant.core.errors import ChatError
from ai_assistant.core.model import ModelConfig
from ai_assistant.core.settings import Limits, Settings
from ai_assistant.core.usage import Usage
from ai_assistant.gateway.chunks import Chunk, Finish, TextDelta
from ai_assistant.gateway.gateway import Gateway
from ai_assistant.gateway.observer import Attempt, Observer, Sent
from ai_assistant.worker.chat_trace_marks import Marks
from ai_assistant.worker.chat_traces import ChatTraces
from ai_assistant.worker.emitter import Emitter
from ai_assistant.worker.worker import Worker
from tests.kit import MODEL, QUICK, SCOPE, Site, make_request, make_task, tasks_at
from tests.servers import RedisServer

TOKENS = 400
CHATS = 200
TOKEN = TextDelta("quite ")
BODY = msgspec.json.encode({"model": "m", "messages": [{"role": "user", "content": "word " * 200}], "stream": True})


class Takes:
    """A publisher that takes everything at once."""

    def submit(self, item: Any) -> None:
        """Taken."""
        if item.done:
            item.done(1)


class Now:
    """A window that is always open."""

    def seconds(self) -> float:
        """None at all."""
        return 0.0


def emitter_ns(marks: bool, tokens: int = 20_000) -> float:
    """Nanoseconds of CPU per token that is an event of its own."""

    async def run() -> float:
        publisher: Any = Takes()
        window: Any = Now()
        emitter = Emitter(make_task(make_request()), publisher, window, lambda answer: None)
        if marks:
            emitter.marks = Marks()
        began = time.process_time_ns()
        for _ in range(tokens):
            emitter.text("token ")
            emitter.flush()
        return (time.process_time_ns() - began) / tokens

    return asyncio.run(run())


class Maker(Gateway):
    """A gateway that makes tokens, and tells an observer what the real one does."""

    async def stream(  # type: ignore[override]
        self, request: Any, candidates: Any, observer: Observer | None = None
    ) -> AsyncGenerator[list[Chunk], None]:
        """`TOKENS` tokens, ten in each turn of the loop."""
        model: ModelConfig = candidates[0]
        if observer:
            observer.attempt_started(Attempt(model=model.name, model_id="m", provider="openai", number=1))
            observer.request_sent(Sent("http://127.0.0.1/v1/chat/completions", BODY, model))
            observer.answer_began(200)
        for _ in range(TOKENS // 10):
            await asyncio.sleep(0)
            yield [TOKEN] * 10
        finish = Finish(reason="stop", usage=Usage(prompt_tokens=9, completion_tokens=TOKENS, total_tokens=TOKENS + 9))
        if observer:
            no_error: ChatError | None = None
            observer.attempt_ended(no_error, finish, TOKENS + 1)
        yield [finish]


async def worker_us(url: str, traced: bool) -> float:
    """Microseconds of CPU per token of a worker that runs `CHATS` chats."""
    limits = Limits(requests_per_minute=0, concurrent_tasks=0)
    settings = Settings(limits=limits, trace_chats=traced, max_backlog=CHATS + 1)
    site: Any = Site({MODEL: ModelConfig(name=MODEL, model="openai/x")}, settings)
    tasks = tasks_at(url)
    request = make_request("word " * 200)
    made = [make_task(request) for _ in range(CHATS)]
    for task in made:
        tasks.start(task, request.fingerprint() + task.ref.id, settings)
    options = msgspec.structs.replace(QUICK, traces=None, max_tasks=20, dead_after_ms=60_000)
    worker = Worker(url, SCOPE, site, options=options, gateway=Maker())
    began = time.process_time()
    running = asyncio.create_task(worker.run())
    while worker.taken < CHATS or worker.running:  # noqa: ASYNC110  # the worker has no event for it
        await asyncio.sleep(0.02)
    worker.stop()
    await running  # the last delivery included
    took = time.process_time() - began
    tasks.client.close()
    return took / (CHATS * TOKENS) * 1e6


def begin_us(url: str, size: int) -> float:
    """Microseconds on the loop before the request goes out, for a request of so many bytes."""
    traces = ChatTraces(url)
    settings, taken = Settings(), []
    request = make_request("x" * size)
    model = ModelConfig(name=MODEL, model="openai/x")

    async def run() -> None:
        for _ in range(200):
            task = make_task(request, id_=str(uuid.uuid4()))
            began = time.perf_counter_ns()
            trace = traces.begin(task, request, settings, queue_ms=1)
            assert trace is not None
            trace.attempt_started(Attempt(model=model.name, model_id="m", provider="openai", number=1))
            trace.request_sent(Sent("http://127.0.0.1/v1", BODY, model))
            taken.append((time.perf_counter_ns() - began) / 1000)
        await traces.close()

    asyncio.run(run())
    return statistics.median(taken)


def by_turns(measure: Callable[[bool], float], rounds: int) -> dict[str, float]:
    """Medians with and without tracing, measured by turns, and the difference."""
    found: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(rounds):
        for traced in (False, True):
            found[traced].append(measure(traced))
    off, on = (statistics.median(found[traced]) for traced in (False, True))
    return {"untraced": round(off, 2), "traced": round(on, 2), "added": round(on - off, 2)}


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures: dict[str, Any] = {"emitter_ns_per_event": by_turns(emitter_ns, options.rounds)}
    with RedisServer() as server:

        def whole(traced: bool) -> float:
            with server.client() as client:
                client.flushall()
            return asyncio.run(worker_us(server.url, traced))

        whole(True)  # imports and first connections
        figures["worker_us_per_token"] = by_turns(whole, options.rounds)
        figures["begin_us"] = {
            f"{size} bytes": round(begin_us(server.url, size), 1) for size in (100, 10_000, 1_000_000)
        }
    print(json.dumps(figures, indent=None if options.json else 2))


if __name__ == "__main__":
    main()
