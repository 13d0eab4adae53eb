"""A task that a program opened and runs itself: what it holds in its hand."""

from __future__ import annotations

import asyncio
import logging
import threading
import uuid
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final

from ai_assistant.core.errors import ChatError
from ai_assistant.core.task import Task as TaskRecord
from ai_assistant.tracing import task_current
from ai_assistant.tracing.forks import is_short_lived
from ai_assistant.tracing.span import Span, leave
from ai_assistant.tracing.task_errors import TaskCancelled, chat_error_of
from ai_assistant.tracing.task_events import TaskEvents
from ai_assistant.tracing.task_forward import Forwarder
from ai_assistant.tracing.task_home import Home
from ai_assistant.tracing.task_observation import TaskObservation
from ai_assistant.tracing.task_tool import MESSAGE_BYTES, ToolRun
from ai_assistant.tracing.task_values import REASONING_BYTES, VALUE_BYTES, fitted, merged, shortened, words
from ai_assistant.tracing.typed_events import check_range

log = logging.getLogger("ai_assistant.tracing")

ANNOUNCE_S: Final = 1.0
"""How long the start of work in the background waits for Redis to know the task: who is given its id asks for it."""
EXIT_S: Final = 5.0
"""How long a process that ends without Python's own end waits for the last events."""
THE_PROGRAM: Final = "the program"
"""Who cancelled a task whose own process was stopped."""
ENDED: Final = "The program that ran this task has ended. What had arrived is kept; try again."
STATES: Final = ("queued", "connecting", "retrying", "fallback", "waiting_tool", "restarting")
"""What `status` may say (the wire contract)."""
RESULT_BYTES: Final = VALUE_BYTES


class Task:
    """One task. Use it in a `with` or an `async with`, or give it a function by `run_in_background`; once.

    Its methods may be called from any thread, return at once and do not wait for Redis.
    """

    def __init__(self, record: TaskRecord, home: Home, observation: TaskObservation, *, must_be_new: bool):
        """Made by `tracing.task`. `must_be_new`: waits for Redis to say so, since the id is the caller's."""
        self.result: Any = None
        """What it comes to: JSON of up to 16 KiB goes out with `completion` and stays with the task."""
        self.events = TaskEvents(record)
        self._record = record
        self._home = home
        self._observation = observation
        self._must_be_new = must_be_new
        self._token: Any = None
        self._cancelled_by: str | None = None
        self._opened = threading.Event()
        self._is_taken = False
        self._begun = False
        self._ended = threading.Event()
        self._running: asyncio.Task[None] | None = None
        self.events.channel = home.channel(self, self._on_open)

    @property
    def task(self) -> TaskRecord:
        """The task as it was opened: see `streams.program.Producer`."""
        return self._record

    @property
    def task_id(self) -> str:
        """A UUID: what clients ask for."""
        return self._record.ref.id

    @property
    def trace_id(self) -> str:
        """32 hexadecimal digits; of a trace, where tracing is on."""
        return self._record.trace_id

    @property
    def user(self) -> str:
        """Who sees it."""
        return self._record.ref.user

    @property
    def subject(self) -> str | None:
        """What it is about."""
        return self._record.subject

    @property
    def span(self) -> Span:
        """Its observation; one that notes nothing where tracing is off."""
        return self._observation.span

    @property
    def cancelled(self) -> bool:
        """Whether the user wants no more; known within a second of `cancel`."""
        return self._cancelled_by is not None

    def check_cancelled(self) -> None:
        """Raises TaskCancelled when the user wants no more. To be called now and then: nothing stops a program."""
        if self._cancelled_by is not None:
            raise TaskCancelled(self._cancelled_by)

    def tool(self, name: str, *, arguments: Any = None, tool_call_id: str | None = None) -> ToolRun:
        """A step that has a name: `with task.tool("ocr") as tool:`. Several may be at work side by side."""
        name = words("name", name)
        call_id = words("tool_call_id", tool_call_id) if tool_call_id else f"call_{uuid.uuid4().hex[:24]}"
        return ToolRun(self, name, call_id, self._observation, arguments)

    def progress(self, done: float, total: float = 100.0, message: str | None = None) -> None:
        """How far the whole task is. On the wire it is `tool_progress` of a call whose id is the task's."""
        share = max(0.0, min(100.0, 100.0 * done / total)) if total else 0.0
        shown = None if message is None else shortened(message, MESSAGE_BYTES)
        self.events.progress(self.task_id, self._record.model, share, shown)
        self.span.progress(done, total, message)

    def event(
        self,
        name: str,
        value: Any = None,
        *,
        confidence: float | None = None,
        reasoning: str | None = None,
        **data: Any,
    ) -> None:
        """Something that was found: `data` on the wire, and an observation. `confidence` from 0 to 1, `reasoning` why
        it is believed; further names as they are. Raises ValueError for a confidence that is none."""
        name = words("name", name)
        if confidence is not None:
            check_range("confidence", confidence, 1)
        said = {"value": value, "confidence": confidence, "reasoning": reasoning, **data}
        self.send_data(name, {key: item for key, item in said.items() if item is not None})
        self._observation.event(name, value=value, confidence=confidence, reasoning=reasoning, **data)

    def text(self, delta: str) -> None:
        """The next piece of an answer in words."""
        self.events.text(delta)

    def reasoning(self, delta: str) -> None:
        """The next piece of what is being thought; closed by the next text, or the end."""
        self.events.reasoning(delta)
        self.span.append_reasoning(delta)

    def status(self, state: str, detail: str = "") -> None:
        """What the task waits for: one of the wire's states. Raises ValueError for another."""
        if state not in STATES:
            raise ValueError(f"state must be one of {', '.join(STATES)}, not {state!r}")
        record = {"attempt": 1, "model": self._record.model, "provider": "program"}
        self.events.send("status", state=state, detail=shortened(detail, MESSAGE_BYTES), **record)

    def handler(self) -> Forwarder:
        """A handler for an `Emitter`, which forwards typed events to this task: `emitter.add(task.handler())`."""
        return Forwarder(self)

    def send_data(self, name: str, values: dict[str, Any]) -> None:
        """An event `data` without an observation. What does not fit is cut, and `truncated` says so."""
        limits = {"value": VALUE_BYTES, "reasoning": REASONING_BYTES}
        room = {key: values[key] for key in values if key not in limits}
        parts = {key: fitted(values[key], limit) for key, limit in limits.items() if key in values}
        raw, is_cut = fitted(room, REASONING_BYTES) if room else (None, False)
        data: dict[str, Any] = {key: part for key, (part, _) in parts.items()}
        if is_cut or any(cut for _, cut in parts.values()):
            data["truncated"] = True
        self.events.send("data", name=shortened(name, 4 * 140), data=merged(data, raw))

    def flush(self, timeout: float = 5.0) -> bool:
        """Whether Redis has taken everything said so far within `timeout` seconds. Waits; nobody needs to."""
        self.events.flush_due()
        return self.events.channel.flush(timeout)

    def wait(self, timeout: float | None = None) -> bool:
        """Whether the work has come to its end within `timeout` seconds, here in this program."""
        return self._ended.wait(timeout)

    def begin(self, *, announce: bool) -> None:
        """Opens the task: `start` goes out. `announce`: waits, at most a second, until Redis knows it. Raises
        RuntimeError when it had begun before, ValueError when its id turns out to be another task's."""
        if self._begun:
            raise RuntimeError(f"task {self.task_id} has begun already: make another one")
        self._begun = True
        self.events.begin()
        if announce:
            self._announced()

    def run_in_background(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Task:
        """Begins `function(task, *args, **kwargs)` and returns at once: a function in a thread, a coroutine function
        on the loop that is running, else on one of its own. What it gives is the result, unless it set one.

        On a site the thread opens the site as the user who is logged in, commits at its end, and is not the request's
        transaction. On a loop, `await task.announced()` before the id is given away. Raises as `begin` does.
        """
        from ai_assistant.tracing.task_background import running_loop, start_coroutine, start_thread

        loop = running_loop(function)
        self.begin(announce=loop is None)
        if loop is None:
            start_thread(self, self._home, function, args, kwargs)
        else:
            self._running = start_coroutine(self, loop, function, args, kwargs)
        return self

    async def announced(self) -> Task:
        """Waits, at most a second, until Redis knows the task: who is given its id finds it from then on. A thread in
        the background has waited for that already. Raises ValueError when the id is another task's."""
        if not self._opened.is_set():
            await asyncio.to_thread(self._announced)
        return self

    def _announced(self) -> None:
        self._opened.wait(ANNOUNCE_S)
        if self._is_taken:
            error = ValueError(f"task_id: {self.task_id} is the id of another task of {self.user}; choose a new UUID")
            self._observation.fail(error)
            self._ended.set()
            raise error

    def __enter__(self) -> Task:
        if not self._begun:
            self.begin(announce=self._must_be_new)
        return self._enter()

    def _enter(self) -> Task:
        self._observation.enter()
        self._token = task_current.CURRENT_TASK.set(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> bool:
        token, self._token = self._token, None
        task_current.leave(token)
        leave(self.span)
        try:
            return self._end(error)
        finally:
            self._ended.set()
            if is_short_lived():
                self.flush(EXIT_S)

    async def __aenter__(self) -> Task:
        if not self._begun:
            self.begin(announce=False)
        if self._must_be_new:
            await asyncio.to_thread(self._announced)
        return self._enter()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> bool:
        return self.__exit__(kind, error, tb)

    def _end(self, error: BaseException | None) -> bool:
        """Says how it ended; whether the exception ends here."""
        text = self.events.whole_text()
        if error is None:
            self.events.end("completed", result=None if self.result is None else fitted(self.result, RESULT_BYTES)[0])
            self._observation.complete(self.result if self.result is not None else text or None)
            return False
        is_ours = isinstance(error, TaskCancelled) or (
            self.cancelled and isinstance(error, asyncio.CancelledError) and self._running is not None
        )
        if is_ours or not isinstance(error, Exception):
            by = self._cancelled_by or getattr(error, "by", THE_PROGRAM)
            self.events.end("cancelled", by=by)
            self._observation.cancel(by)
            return is_ours
        self.events.end("failed", error=chat_error_of(self._record.model, error))
        self._observation.fail(error)
        return False

    def flush_due(self) -> bool:
        """See `streams.program.Producer`."""
        return self.events.flush_due()

    def heard(self, answer: str) -> None:
        """See `streams.program.Producer`."""
        if answer.startswith("by:"):
            if self._cancelled_by is None:
                self._cancelled_by = answer.removeprefix("by:")
                if self._running is not None:
                    self._cancel_running(self._running)
        elif not self.events.is_over:
            log.warning("task %s: nobody takes its events any more (%s); its work goes on", self.task_id, answer)
            self.events.give_up()

    def _cancel_running(self, running: asyncio.Task[None]) -> None:
        try:
            running.get_loop().call_soon_threadsafe(running.cancel)
        except RuntimeError:  # the loop was closed: nobody will come to the end of the work
            self.events.end("cancelled", by=self._cancelled_by or THE_PROGRAM)

    def abandon(self) -> None:
        """See `streams.program.Producer`."""
        self.events.end("failed", error=ChatError("worker_lost", ENDED))

    def _on_open(self, answer: int | None) -> None:
        self._is_taken = answer == -2
        self._opened.set()
