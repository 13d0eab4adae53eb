"""Reading a task's event log, and putting together what a broken stream had brought."""

from __future__ import annotations

from typing import Any

import msgspec
import redis

from ai_assistant.core.task import Message, TaskRef
from ai_assistant.streams.keys import TaskKeys

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


def read_log(client: redis.Redis, ref: TaskRef, after_seq: int, limit: int) -> tuple[list[bytes], int, bool]:
    """Up to `limit` events after `after_seq` as JSON, the number of the last one, and whether the log had been
    trimmed past `after_seq`, so that the first event is a snapshot."""
    keys = TaskKeys(ref)
    snapshot, snapshot_seq = client.hmget(keys.task, "snapshot", "snapshot_seq")  # type: ignore[misc]
    events: list[bytes] = []
    gap = snapshot is not None and int(snapshot_seq) > after_seq
    if gap:
        events.append(snapshot)
        after_seq = int(snapshot_seq)
    size = sum(map(len, events))
    rows = client.xrange(keys.log, min=f"({after_seq}-0", count=max(1, limit - len(events)))
    for entry, fields in rows:  # type: ignore[union-attr]
        if len(events) >= limit or (size > MAX_PAGE_BYTES and events):
            break
        events.append(fields[b"e"])
        size += len(fields[b"e"])
        after_seq = int(entry.split(b"-", 1)[0])
    return events, after_seq, gap


def assemble(client: redis.Redis, ref: TaskRef) -> tuple[Message, int]:
    """The message as far as it was published, and the number of its last event."""
    message, calls, after = Message(), {}, 0
    while True:
        events, last, _ = read_log(client, ref, after, 1000)
        for event in map(_decode, events):
            apply(message, calls, event)
        if last == after or not events:
            break
        after = last
    message.tool_calls = list(calls.values())
    return message, after


def apply(message: Message, calls: dict[str, dict[str, Any]], event: LoggedEvent) -> None:
    """Adds one event to a message. `calls` holds its tool calls by id, arguments as far as they came."""
    if event.type == "text" and event.partial:
        message.content += event.text
    elif event.type == "reasoning" and event.partial:
        message.reasoning += event.text
    elif event.type == "snapshot":
        message.content, message.reasoning = event.text, event.reasoning
        calls.clear()
        calls.update({call["id"]: call for call in event.tool_calls})
    elif event.type == "tool_call" and event.tool_call_id:
        apply_call(calls, event)


def apply_call(calls: dict[str, dict[str, Any]], event: LoggedEvent) -> None:
    """Adds a piece of a tool call, or the whole of it when it is closed."""
    call = calls.setdefault(
        str(event.tool_call_id),
        {
            "id": event.tool_call_id,
            "type": "function",
            "function": {"name": event.name or "", "arguments": ""},
        },
    )
    function = call["function"]
    function["name"] = event.name or function["name"]
    function["arguments"] = function["arguments"] + event.arguments if event.partial else event.arguments
