"""A task as a Redis hash: writes the fields and reads them back."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ai_assistant.core.task import Outcome, Task, TaskRef

_outcome = msgspec.json.Decoder(Outcome)


def fields_of(task: Task) -> list[str | bytes | int]:
    """The fields that do not change, as a flat list of names and values."""
    values = {
        "site": task.ref.site,
        "user": task.ref.user,
        "id": task.ref.id,
        "mode": task.mode,
        "model": task.model,
        "candidates": msgspec.json.encode(task.candidates),
        "accepted_ms": task.accepted_ms,
        "conversation": task.conversation or "",
        "message_id": task.message_id or "",
        "subject": task.subject or "",
        "trace_id": task.trace_id,
        "request": task.request,
    }
    return [item for pair in values.items() for item in pair]


def pairs(flat: Sequence[bytes]) -> dict[str, bytes]:
    """A flat reply of names and values as a dict."""
    return {flat[i].decode(): flat[i + 1] for i in range(0, len(flat) - 1, 2)}


def task_of(fields: dict[str, bytes]) -> Task:
    """The task that a hash describes."""

    def text(name: str) -> str:
        return fields.get(name, b"").decode()

    return Task(
        ref=TaskRef(site=text("site"), user=text("user"), id=text("id")),
        status=text("status"),  # type: ignore[arg-type]  # written by our scripts only
        gen=int(fields["gen"]),
        seq=int(fields["seq"]),
        mode=text("mode"),
        model=text("model"),
        candidates=msgspec.json.decode(fields.get("candidates", b"[]"), type=list[str]),
        accepted_ms=int(fields["accepted_ms"]),
        conversation=text("conversation") or None,
        message_id=text("message_id") or None,
        subject=text("subject") or None,
        trace_id=text("trace_id"),
        request=fields.get("request", b"{}"),
        worker=text("worker") or None,
        shown=fields.get("shown") == b"1",
        cancel_by=text("cancel") or None,
        outcome=_outcome.decode(fields["outcome"]) if "outcome" in fields else None,
    )
