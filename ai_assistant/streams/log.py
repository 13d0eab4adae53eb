"""Reading a task's event log, and putting together what a broken stream had brought."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from ai_assistant.core.task import Message, TaskRef
from ai_assistant.streams import scripts
from ai_assistant.streams.keys import TaskKeys

if TYPE_CHECKING:
    from ai_assistant.streams.tasks import Tasks

MAX_PAGE_BYTES = 4 * 1024 * 1024


class LoggedEvent(msgspec.Struct):
    """What is read of an event to follow a stream; the rest of it is passed on unread."""

    seq: int
    type: str
    text: str = ""
    partial: bool = False
    reasoning: str = ""
    tool_call_id: str | None = None
    name: str | None = None
    arguments: str = ""
    tool_calls: list[dict[str, Any]] = msgspec.field(default_factory=list)
    state: str | None = None


_decode = msgspec.json.Decoder(LoggedEvent).decode


def read_log(tasks: Tasks, ref: TaskRef, after_seq: int, limit: int) -> tuple[list[bytes], int, bool]:
    """Up to `limit` events after `after_seq` as JSON, the number of the last one, and whether the log had been
    trimmed past `after_seq`, so that the first event is a snapshot."""
    keys = TaskKeys(ref)
    snapshot, at, rows = tasks.run(scripts.EVENTS, [keys.task, keys.log], [after_seq, limit])
    events: list[bytes] = []
    if snapshot:
        events.append(snapshot)
        after_seq = at
    size = len(snapshot)
    for entry, (_, event) in rows:
        if size > MAX_PAGE_BYTES and events:
            break
        events.append(event)
        size += len(event)
        after_seq = int(entry.split(b"-", 1)[0])
    return events, after_seq, bool(snapshot)


def assemble(tasks: Tasks, ref: TaskRef) -> tuple[Message, int]:
    """The message as far as it was published, and the number of its last event."""
    assembly, after = Assembly(), 0
    while True:
        events, last, _ = read_log(tasks, ref, after, 1000)
        for event in map(_decode, events):
            assembly.add(event)
        if last == after or not events:
            return assembly.message(), after
        after = last


class Assembly:
    """Puts a message together from its events."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._calls: dict[str, tuple[str, list[str]]] = {}

    def add(self, event: LoggedEvent) -> None:
        """The next event."""
        if event.type == "text" and event.partial:
            self._text.append(event.text)
        elif event.type == "reasoning" and event.partial:
            self._reasoning.append(event.text)
        elif event.type == "snapshot":
            self._text, self._reasoning = [event.text], [event.reasoning]
            functions = {call["id"]: call["function"] for call in event.tool_calls}
            self._calls = {id_: (each["name"], [each["arguments"]]) for id_, each in functions.items()}
        elif event.type == "tool_call" and event.tool_call_id:
            self._add_call(event.tool_call_id, event)

    def _add_call(self, id_: str, event: LoggedEvent) -> None:
        """A piece of a tool call, or the whole of it when it is closed."""
        name, pieces = self._calls.get(id_, ("", []))
        if event.partial:
            pieces.append(event.arguments)
        else:
            pieces = [event.arguments]
        self._calls[id_] = (event.name or name, pieces)

    def message(self) -> Message:
        """The message so far; arguments of tool calls as far as they came."""
        calls = [
            {"id": id_, "type": "function", "function": {"name": name, "arguments": "".join(pieces)}}
            for id_, (name, pieces) in self._calls.items()
        ]
        return Message(content="".join(self._text), reasoning="".join(self._reasoning), tool_calls=calls)
