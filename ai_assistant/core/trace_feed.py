"""What comes in through the endpoints: uploads of programs elsewhere, receipts, dead letters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from ai_assistant.core import check
from ai_assistant.core.endpoint import ProtocolAnswer
from ai_assistant.core.errors import ValidationError
from ai_assistant.core.ports import RequestHost
from ai_assistant.core.session import User
from ai_assistant.core.task import TaskRef
from ai_assistant.core.trace_access import known_user, require_overseer
from ai_assistant.core.trace_upload import checked_entries, producer_of, upload_of

MAX_SEQ: Final = 2**53
MAX_LETTERS: Final = 200
_LETTER = re.compile(r"([0-9]{1,20})-([0-9]{1,20})")


def ingest_traces(host: RequestHost, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Takes what a program elsewhere has traced. Without entries it only says how the consumer does."""
    user = known_user(host)
    upload = upload_of(*host.raw_body(), arguments)
    entries = checked_entries(upload)
    pipe = host.trace_pipe()
    if entries or upload.beat:
        beat = msgspec.to_builtins(upload.beat) | {"user": user.name} if upload.beat else None
        owner = None if is_trusted(user) else user.name
        pipe.send(producer_of(user.name, upload.producer), entries, user=owner, beat=beat)
    return {"accepted": sum(entry.count for entry in entries), "consumer": pipe.consumer()}


def otlp_traces(host: RequestHost) -> ProtocolAnswer:
    """Takes spans of OpenTelemetry, sent by any of its exporters. Raises OtlpError."""
    user = known_user(host)
    media, body = host.raw_body()
    answer = host.trace_pipe().take_otlp(media, body, user=user.name, is_trusted=is_trusted(user))
    return ProtocolAnswer(answer, media)


def is_trusted(user: User) -> bool:
    """Whether `user` may trace in anybody's name: a server that serves many people does, with such a key."""
    return user.is_reviewer or user.is_operator


def acknowledge(host: RequestHost, task_id: Any, seq: Any) -> dict[str, Any]:
    """A client's receipt: it has the events of its task up to `seq`."""
    user = known_user(host)
    ref = TaskRef(site=host.site, user=user.name, id=str(check.task_id(task_id)))
    if seq is None or seq == "":
        raise ValidationError("seq: is missing")
    number = check.integer("seq", seq, low=0, high=MAX_SEQ, default=0)
    settings = host.access().settings()
    task = host.tasks().get(ref, settings)
    if number > task.seq:
        raise ValidationError(f"seq: {number} is more than the {task.seq} events that the task has")
    if number and settings.trace_chats:
        host.trace_pipe().receipt(task.trace_id, number)
    return {"task_id": ref.id, "seq": number}


def get_dead_letters(host: RequestHost, limit: Any, before: Any) -> dict[str, Any]:
    """Events that could not be stored, each with the reason, without what it said."""
    require_overseer(known_user(host), "get_dead_letters")
    count = check.integer("limit", limit, low=1, high=MAX_LETTERS, default=50)
    last = letter_id("before", before) if before not in (None, "") else None
    return {"dead_letters": host.trace_pipe().dead_letters(count, last)}


def retry_dead_letters(host: RequestHost, ids: Any) -> dict[str, Any]:
    """Puts dead letters back into the stream: those of `ids`, or the oldest ones."""
    require_overseer(known_user(host), "retry_dead_letters")
    return {"retried": host.trace_pipe().retry_dead_letters(letter_ids(ids))}


def letter_ids(ids: Any) -> list[str] | None:
    """Ids as `get_dead_letters` gives them, `None` where none are named."""
    found = check.parsed("ids", ids) if ids not in (None, "") else None
    if found is None:
        return None
    if not isinstance(found, list):
        raise ValidationError(f"ids: must be a list, not {check.kind(found)}")
    if len(found) > MAX_LETTERS:
        raise ValidationError(f"ids: {len(found)} ids; at most {MAX_LETTERS} are allowed")
    return [letter_id(f"ids[{i}]", each) for i, each in enumerate(found)]


def letter_id(field: str, value: Any) -> str:
    """An id of a Redis Stream: two numbers of 64 bits."""
    match = _LETTER.fullmatch(value) if isinstance(value, str) else None
    if match is None or any(int(part) >= 2**64 for part in match.groups()):
        raise ValidationError(f"{field}: must be an id of get_dead_letters, not {check.shown(value)}")
    return value
