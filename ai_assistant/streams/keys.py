"""Names of the Redis keys. What belongs to a task is named by site and user; what workers share, by scope."""

from __future__ import annotations

import time

import msgspec

from ai_assistant.core.task import TaskRef

PREFIX = "ai_assistant"
REALTIME_CHANNEL = "events"
"""The channel of Frappe's realtime server (frappe v15.55.1, `frappe/realtime.py`)."""
GROUP = "workers"
PROGRAM = "program:"
"""How the names of programs begin that run tasks of their own; the scripts know them by it (`script.py`)."""


class ScopeKeys:
    """Keys that the workers of one scope share: all sites of a bench, or one embedded host."""

    def __init__(self, scope: str):
        base = f"{PREFIX}:{scope}"
        self.scope = scope
        self.queue = f"{base}:queue"
        self.workers = f"{base}:workers"
        self.worker_info = f"{base}:worker_info"
        self.programs = f"{base}:programs"
        self.program_info = f"{base}:program_info"
        self.open = f"{base}:open"
        self.unsaved = f"{base}:unsaved"
        self.control = f"{base}:control"
        self.ends = f"{base}:ends"
        self.totals = f"{base}:totals"


class TaskKeys:
    """Keys of one task. Ids are UUIDs, so that no user name can make two tasks collide."""

    __slots__ = ("active", "done", "log", "member", "rate", "task", "tokens")

    def __init__(self, ref: TaskRef):
        base = f"{PREFIX}:{ref.site}"
        self.task = f"{base}:task:{ref.user}:{ref.id}"
        self.log = f"{base}:log:{ref.user}:{ref.id}"
        self.done = f"{base}:done:{ref.user}:{ref.id}"
        self.active = f"{base}:active:{ref.user}"
        self.rate = f"{base}:rate:{ref.user}"
        self.tokens = f"{base}:tokens:{utc_day()}:{ref.user}"
        self.member = encode_ref(ref)


def conversation_key(site: str, user: str, name: str) -> str:
    """Marks a conversation whose first task was accepted but that no worker has written yet."""
    return f"{PREFIX}:{site}:conversation:{user}:{name}"


def thinking_key(site: str, user: str, tool_call_id: str) -> str:
    """The signed thinking that led to a tool call, kept for the call's results."""
    return f"{PREFIX}:{site}:thinking:{user}:{tool_call_id}"


def utc_day() -> str:
    """Today in UTC, `2026-01-31`: the period of the daily token budget."""
    return time.strftime("%Y-%m-%d", time.gmtime())


def encode_ref(ref: TaskRef) -> str:
    """A reference as one string, for members of sets and for messages."""
    return msgspec.json.encode([ref.site, ref.user, ref.id]).decode()


def decode_ref(text: str | bytes) -> TaskRef:
    """The reverse of `encode_ref`."""
    site, user, id_ = msgspec.json.decode(text, type=tuple[str, str, str])
    return TaskRef(site=site, user=user, id=id_)
