"""What tests of tasks and workers share: making tasks, following their events, a site without a host."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ai_assistant.core.chat import ChatRequest
from ai_assistant.core.conversation import FinalMessage, StoredMessage, Turn, Unfinished
from ai_assistant.core.events import TERMINAL_TYPES, now_ms
from ai_assistant.core.model import ModelConfig
from ai_assistant.core.settings import Settings
from ai_assistant.core.task import Outcome, Task, TaskRef
from ai_assistant.gateway.gateway import Gateway
from ai_assistant.streams import keys as names
from ai_assistant.streams import scripts
from ai_assistant.streams.connection import end_tasks, publishing_client, request_client, worker_client
from ai_assistant.streams.publisher import Publisher
from ai_assistant.streams.queue import TaskQueue
from ai_assistant.streams.settle import end_arguments
from ai_assistant.streams.tasks import Tasks
from ai_assistant.worker.emitter import Emitter
from ai_assistant.worker.window import Window
from ai_assistant.worker.worker import Worker, WorkerOptions

SITE = "site.test"
USER = "ann@example.com"
SCOPE = "test"
MODEL = "m"


def model(base: str, **fields: Any) -> ModelConfig:
    """A model at a provider of the tests."""
    return ModelConfig(name=MODEL, model="openai/x", api_base=base, api_key="k", wire="openai-chat", **fields)


def make_request(text: str = "hi", **fields: Any) -> ChatRequest:
    """A request with one user message."""
    return ChatRequest(messages=[{"role": "user", "content": text}], **fields)


def make_task(request: ChatRequest, *, user: str = USER, id_: str | None = None, site: str = SITE) -> Task:
    """A task as the service makes it."""
    conversation = request.conversation
    id_ = id_ or str(uuid.uuid4())
    if conversation == "new":
        conversation = uuid.uuid5(uuid.UUID(id_), "conversation").hex[:20]
    return Task(
        ref=TaskRef(site=site, user=user, id=id_),
        status="queued",
        gen=1,
        seq=0,
        mode=request.mode,
        model=MODEL,
        candidates=[MODEL],
        accepted_ms=now_ms(),
        conversation=conversation,
        message_id=uuid.uuid5(uuid.UUID(id_), "message").hex[:20] if conversation else None,
        trace_id=uuid.uuid4().hex,
        request=msgspec.json.encode(request),
    )


def start(tasks: Tasks, text: str = "hi", settings: Settings | None = None, **fields: Any) -> TaskRef:
    """Starts a task whose last message is `text`."""
    request = make_request(text, **fields)
    task = make_task(request)
    tasks.start(task, request.fingerprint(), settings or Settings())
    return task.ref


def wait_final(tasks: Tasks, ref: TaskRef, timeout: float = 30, settings: Settings | None = None) -> Task:
    """The ended task; it is polled as a client would."""
    return wait_until(lambda: (lambda task: task if task.is_final else None)(tasks.get(ref, settings)), timeout)


def wait_until(look: Callable[[], Any], timeout: float = 20, message: str = "it did not happen in time") -> Any:
    """What `look` gives, as soon as that is something."""
    deadline = time.monotonic() + timeout
    while not (found := look()):
        assert time.monotonic() < deadline, message
        time.sleep(0.01)
    return found


def events_of(tasks: Tasks, ref: TaskRef, after: int = 0, page: int = 500) -> list[dict[str, Any]]:
    """All events of a task from its log."""
    found: list[dict[str, Any]] = []
    while True:
        answer = tasks.events(ref, after, page)
        found += [json.loads(bytes(event)) for event in answer["events"]]
        if not answer["events"] or answer["complete"]:
            return found
        after = answer["last_seq"]


@dataclass
class Client:
    """A client's state, folded from events: those that come twice or late change nothing, a gap is not jumped."""

    seq: int = 0
    text: str = ""
    reasoning: str = ""
    calls: dict[str, dict[str, Any]] = field(default_factory=dict)
    end: dict[str, Any] | None = None
    early: dict[int, dict[str, Any]] = field(default_factory=dict)

    def take(self, event: dict[str, Any]) -> None:
        """The next event that arrived."""
        if event["type"] == "snapshot":
            self._replace(event)
        elif event["seq"] > self.seq:
            self.early[event["seq"]] = event
        while self.seq + 1 in self.early:
            self.seq += 1
            self._apply(self.early.pop(self.seq))

    def _replace(self, event: dict[str, Any]) -> None:
        if event["seq"] <= self.seq:
            return
        self.seq, self.text, self.reasoning = event["seq"], event["text"], event["reasoning"]
        self.calls = {
            call["id"]: {"name": call["function"]["name"], **call["function"]} for call in event["tool_calls"]
        }

    def _apply(self, event: dict[str, Any]) -> None:
        assert self.end is None, f"{event['type']} behind the end"
        if event["type"] in TERMINAL_TYPES:
            self.end = event
        elif event["type"] == "text" and event["partial"]:
            assert event["offset"] == len(self.text)
            self.text += event["text"]
        elif event["type"] == "reasoning" and event["partial"]:
            assert event["offset"] == len(self.reasoning)
            self.reasoning += event["text"]
        elif event["type"] == "tool_call":
            call = self.calls.setdefault(event["tool_call_id"], {"name": event["name"], "arguments": ""})
            if event["partial"]:
                call["arguments"] += event["arguments"]
            else:
                assert call["arguments"] == event["arguments"]


def check_promises(events: list[dict[str, Any]]) -> Client:
    """Holds a whole task's events to the contract; gives the state of a client that saw them."""
    client = Client()
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert events[0]["type"] == "start"
    assert [e["type"] in TERMINAL_TYPES for e in events] == [False] * (len(events) - 1) + [True]
    assert [e["gen"] for e in events] == sorted(e["gen"] for e in events)
    thinking = False
    for event in events:
        assert {"v", "task_id", "text", "partial", "ts", "elapsed_ms"} <= event.keys()
        if event["type"] == "reasoning":
            thinking = event["partial"]
        assert not (event["type"] == "text" and thinking), "text before its reasoning was closed"
        client.take(event)
    assert client.end is not None
    assert client.end["text"] == client.text
    return client


class MemoryStore:
    """Conversations in memory, which can be told to fail; the contract of `core.ports` as far as a worker sees it."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {}
        self.finished: list[FinalMessage] = []
        self.failing_begin = False
        self.failing_finish = False

    def begin(self, turn: Turn) -> list[StoredMessage]:
        """Writes the turn once."""
        if self.failing_begin:
            raise OSError("the database is locked")
        row = self.rows.setdefault(turn.message_id, {"turn": turn, "status": "streaming", "content": ""})
        if row["status"] != "completed":
            row["status"] = "streaming"
        return []

    def finish(self, final: FinalMessage) -> None:
        """Writes the outcome into the placeholder."""
        if self.failing_finish:
            raise OSError("the database is locked")
        self.finished.append(final)
        row = self.rows.get(final.message_id)
        if row and row["status"] != "completed":
            row |= {"status": final.status, "content": final.outcome.message.content}

    def unfinished(self, limit: int = 1000) -> list[Unfinished]:
        """Placeholders that still stream."""
        turns = [row["turn"] for row in self.rows.values() if row["status"] == "streaming"]
        return [
            Unfinished(user=t.user, conversation=t.conversation, message_id=t.message_id, task_id=t.task_id)
            for t in turns[:limit]
        ]


@dataclass
class Site:
    """A site without a host: `core.ports.SiteOpener` and `SiteAccess` in one."""

    models_: dict[str, ModelConfig]
    settings_: Settings = Settings()  # noqa: RUF009  # frozen
    conversations: Any = field(default_factory=MemoryStore)
    trace_redis_url: str | None = None
    otel: None = None

    @contextmanager
    def open(self, site: str) -> Iterator[Site]:
        """A unit of work."""
        yield self

    def settings(self) -> Settings:
        """The settings."""
        return self.settings_

    def models(self) -> dict[str, ModelConfig]:
        """The models."""
        return self.models_


class Hands:
    """A worker's hands without its loops: takes, claims, beats and publishes as the test says."""

    def __init__(self, url: str, name: str = "w1", *, outage_s: float = 30.0) -> None:
        self.client = worker_client(url)
        self.queue = TaskQueue(self.client, self.client, SCOPE, name)
        self._publishing_client = publishing_client(url)
        self.publisher = Publisher(self._publishing_client, outage_s=outage_s)
        self.lost: list[int | None] = []

    async def __aenter__(self) -> Hands:
        await self.queue.prepare()
        await self.queue.beat({}, [])
        self._publishing = asyncio.create_task(self.publisher.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        await end_tasks([self._publishing])
        await self._publishing_client.aclose()
        await self.client.aclose()

    async def claim(self) -> Task:
        """The next task of the queue, claimed."""
        (entry,) = await self.queue.take(1, 500)
        task = await self.queue.claim(entry)
        assert task is not None
        return task

    def emitter(self, task: Task, **options: Any) -> Emitter:
        """The producer of a task's events."""
        return Emitter(task, self.publisher, Window(self.publisher), self.lost.append, **options)

    async def owns(self, task: Task) -> int | None:
        """What Redis says of this producer, behind everything that it published."""
        return await self.publisher.command(scripts.OWN, [names.TaskKeys(task.ref).task], [task.gen])

    async def complete(self, emitter: Emitter, task: Task) -> int | None:
        """Ends a task with its completion."""
        emitter.close()
        message = emitter.transcript.message()
        outcome = Outcome(status="completed", message=message, finish_reason="stop")
        event = emitter.writer.write("completion", message.content, tool_calls=message.tool_calls)
        keys, args = end_arguments(names.ScopeKeys(SCOPE), task, emitter.writer.seq, "own", outcome, event)
        return await self.publisher.command(scripts.END, keys, args)


async def stop_beating(client: Any, task: Task) -> None:
    """Makes a running task look as if its worker had died long ago."""
    await client.hset(names.TaskKeys(task.ref).task, "beat", 1)


QUICK = WorkerOptions(beat_s=0.1, sweep_s=0.2, block_ms=200, grace_s=2.0, dead_after_ms=2000, traces=None)


@asynccontextmanager
async def working(
    url: str, site: Any, options: WorkerOptions = QUICK, gateway: Gateway | None = None, sites: tuple[str, ...] = ()
) -> AsyncIterator[Worker]:
    """A worker on this loop, ready when the block begins."""
    worker = Worker(url, SCOPE, site, options=options, gateway=gateway, sites=sites)
    running = asyncio.create_task(worker.run())
    try:
        await asyncio.wait_for(worker.ready.wait(), 10)
        yield worker
    finally:
        worker.stop()
        await asyncio.wait_for(running, 30)


def tasks_at(url: str, dead_after_ms: int = QUICK.dead_after_ms) -> Tasks:
    """Tasks of the tests' scope."""
    return Tasks(request_client(url), SCOPE, dead_after_ms=dead_after_ms)
