"""Chats that stand in a chosen state while something fails, and what must come of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from tests.wire.chunks import DONE, answer, finish, text, thought
from tests.wire.client import FINAL, Client, Refused, new_id, text_of
from tests.wire.events import Recording, checked
from tests.wire.script import Gate, Script, Step
from tests.wire.sockets import Listener
from tests.wire.upstream import Upstream

WHOLE = "First, second and third."
THOUGHT = "Let me see. "
END_S = 75.0
"""The longest that a task may take to end behind a fault: a lease and a worker to be found dead, a job to begin."""


def paused(kind: str, gate: Gate) -> list[Step]:
    """An answer that stops at the gate: `silent` before the first delta, `thinking` in it, `text` in the answer."""
    rest = [text("second "), text("and third."), finish(), DONE]
    if kind == "silent":
        return [gate, thought(THOUGHT), text("First, "), *rest]
    if kind == "thinking":
        return [thought(THOUGHT), gate, text("First, "), *rest]
    return [thought(THOUGHT), text("First, "), gate, *rest]


class Chat:
    """One task: asked, brought to its state, and followed by `get_events`, by a socket, by a waiting call."""

    def __init__(self, client: Client, script: Script, gate: Gate, kind: str, conversation: str | None):
        self.client, self.script, self.gate, self.kind = client, script, gate, kind
        self.id = new_id()
        self.conversation = conversation
        self._waiting: threading.Thread | None = None
        self._answer: Any = None

    def ask(self, *, waits: bool = False) -> Chat:
        """Sends the request; `waits`: by a call that stays open."""
        arguments = {"messages": self.script.messages(), "task_id": self.id, "conversation": self.conversation}
        arguments = {name: value for name, value in arguments.items() if value is not None}
        if not waits:
            answer_ = self.client.call("chat_completion", wait=False, **arguments)
            self.conversation = answer_.get("conversation") or self.conversation
            return self
        self._waiting = threading.Thread(target=self._wait, args=(arguments,), daemon=True)
        self._waiting.start()
        self.conversation = self._accepted()["conversation"]
        return self

    def _accepted(self, timeout: float = 20.0) -> dict[str, Any]:
        """The task, once the call that waits for it has been accepted."""
        end = time.monotonic() + timeout
        while True:
            try:
                return self.client.call("get_task", task_id=self.id)
            except Refused as error:
                if error.status != 404 or time.monotonic() > end:
                    raise
            time.sleep(0.05)

    def _wait(self, arguments: dict[str, Any]) -> None:
        with Client(self.client.base_url, timeout=END_S + 30) as own:
            own.http.cookies.update(self.client.http.cookies)
            try:
                self._answer = own.call("chat_completion", timeout=END_S, **arguments)
            except Exception as error:  # noqa: BLE001  # what it was is asserted by the test
                self._answer = error

    def reached(self) -> Chat:
        """Returns once it is in its state."""
        if self.kind == "silent":
            self.script.wait_for_call(timeout=40)
        elif self.kind == "thinking":
            self.client.events_until(self.id, lambda events: text_of(events, "reasoning") == THOUGHT)
        elif self.kind == "text":
            self.client.events_until(self.id, lambda events: text_of(events) == "First, ")
        return self

    def ended(self, timeout: float = END_S) -> dict[str, Any]:
        """The ended task. Errors of a site that is away for a moment are waited out."""
        end, task = time.monotonic() + timeout, {}
        while time.monotonic() < end:
            try:
                task = self.client.call("get_task", task_id=self.id)
            except (Refused, OSError) as error:
                task = {"status": repr(error)}
            if task["status"] in FINAL:
                return task
            time.sleep(0.1)
        raise AssertionError(f"the {self.kind} task has not ended within {timeout:g} s: {task['status']}")

    def record(self) -> Recording:
        """All its events, held to the promises."""
        return checked(self.client.events(self.id), self.id)

    def waited(self) -> Any:
        """What the waiting call brought: the task, or the error."""
        assert self._waiting is not None
        self._waiting.join(END_S + 40)
        assert not self._waiting.is_alive(), "the waiting call hangs"
        return self._answer

    def stored(self) -> dict[str, Any]:
        """The answer's message in the conversation."""
        found = self.client.call("get_conversation", conversation=self.conversation)["messages"]
        mine = [message for message in found if message["task_id"] == self.id and message["role"] == "assistant"]
        assert len(mine) == 1, f"the conversation has {len(mine)} answers of the task"
        return mine[0]

    def completed(self, *, gen: int | None = None) -> Recording:
        """It ends with its whole text (in generation `gen`), stored if it has a conversation."""
        task, record = self.ended(), self.record()
        assert task["status"] == "completed", task["error"]
        assert (record.text, task["message"]["content"]) == (WHOLE, WHOLE)
        assert record.reasoning == THOUGHT
        if gen is not None:
            assert record.gen == gen
        if self.conversation:
            assert self.is_stored("completed")["content"] == WHOLE
        return record

    def lost(self, *, code: str = "worker_lost") -> Recording:
        """It ends as the contract says of one whose worker died after something was shown."""
        task, record = self.ended(), self.record()
        assert task["status"] == "failed", task["status"]
        assert (task["error"]["code"], task["error"]["retryable"]) == (code, True)
        assert record.end["code"] == code
        kept = {"thinking": (THOUGHT, ""), "text": (THOUGHT, "First, "), "silent": ("", "")}[self.kind]
        assert (record.reasoning, record.text) == kept
        assert (task["message"]["reasoning"] or "", task["message"]["content"]) == kept
        if self.conversation:
            stored = self.is_stored("interrupted" if any(kept) else "failed")
            assert (stored["reasoning"] or "", stored["content"]) == kept
        return record

    def is_stored(self, status: str, timeout: float = 45.0) -> dict[str, Any]:
        """Its message, once that has the status."""
        end, stored = time.monotonic() + timeout, {}
        while time.monotonic() < end:
            try:
                stored = self.stored()
            except (Refused, OSError, AssertionError) as error:
                stored = {"status": repr(error)}
            if stored["status"] == status:
                return stored
            time.sleep(0.2)
        raise AssertionError(f"the message is not {status} within {timeout:g} s, but {stored['status']}")

    def heard(self, socket: Listener) -> None:
        """What the socket has received is what the log holds: nothing lost, nothing doubled."""
        socket.wait_for_end(self.id, END_S)
        assert socket.of(self.id) == self.client.events(self.id)


class Chats:
    """Makes chats of one user."""

    def __init__(self, client: Client, upstream: Upstream):
        self.client = client
        self._upstream = upstream
        self.made: list[Chat] = []

    def make(self, kind: str = "text", *, stored: bool = False) -> Chat:
        """A chat in a state of `paused`; asked again (it starts over) it waits at the same gate."""
        gate = Gate()
        return self.played(kind, gate, paused(kind, gate), stored=stored)

    def played(self, kind: str, gate: Gate, steps: list[Step], *, stored: bool = False) -> Chat:
        """A chat whose answer is these steps."""
        script = self._upstream.script(steps)
        self.made.append(Chat(self.client, script, gate, kind, "new" if stored else None))
        return self.made[-1]

    def running(self, kind: str = "text", *, stored: bool = False, waits: bool = False) -> Chat:
        """The same, asked and in its state."""
        return self.make(kind, stored=stored).ask(waits=waits).reached()

    def all_kinds(self) -> list[Chat]:
        """One of each state and each kind of conversation."""
        return [
            self.running(kind, stored=stored) for kind in ("silent", "thinking", "text") for stored in (True, False)
        ]

    def one_works(self, timeout: float = 60.0) -> None:
        """A chat of now gets its answer."""
        script = self._upstream.script(list(answer("It works.")))
        end = time.monotonic() + timeout
        while True:
            try:
                task = self.client.finished(self.client.start(script.messages()), timeout)
            except (Refused, OSError):
                assert time.monotonic() < end, "the site does not come back"
                time.sleep(0.5)
                continue
            assert task["status"] == "completed", task["error"]
            return

    def open_gates(self) -> None:
        """Lets every stream go on."""
        for chat in self.made:
            chat.gate.open()


def each(chats: list[Chat], check: Callable[[Chat], object]) -> None:
    """Checks all of them."""
    for chat in chats:
        check(chat)
