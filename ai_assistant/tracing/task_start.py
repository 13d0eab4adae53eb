"""`tracing.task` and `tracing.start_task`: any server code opens a task of its own.

with tracing.task("label-receipt", user="ann@example.com", subject="Receipt/R-1") as task:
    with task.tool("ocr"):
        text = read(receipt)
    task.event("total", "41.20", confidence=0.93, reasoning="The last line says so.")
    task.result = {"total": "41.20"}
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from typing import Any, Final

from ai_assistant.core.events import now_ms
from ai_assistant.core.session import GUEST
from ai_assistant.core.task import Task as TaskRecord
from ai_assistant.core.task import TaskRef
from ai_assistant.tracing.task_handle import Task
from ai_assistant.tracing.task_home import Home, find_home
from ai_assistant.tracing.task_observation import TaskObservation
from ai_assistant.tracing.task_values import words

MODE: Final = "agent"
"""A program works on its own, as an agent does."""


def task(
    name: str,
    *,
    user: str | None = None,
    subject: str | None = None,
    conversation: str | None = None,
    task_id: str | None = None,
    type: str = "span",
    input: Any = None,
    redis_url: str | None = None,
    site: str | None = None,
    scope: str | None = None,
) -> Task:
    """A task that begins with its `with`: its user, and nobody else, sees what it says on `ai_progress`.

    `user`: on a site by default who is logged in. `subject`: what it is about, in every event; `DocType/name` also
    makes the document the trace's reference. `task_id`: a UUID that the client chose. `type`, `input`: of its
    observation. `redis_url`, `site`, `scope`: see `task_home`. Raises ValueError, which names the argument.
    """
    home = find_home(redis_url, site, scope)
    name = words("name", name)
    subject = words("subject", subject) if subject is not None else None
    if conversation is not None:
        conversation = words("conversation", conversation)
    ref = TaskRef(site=home.site, user=checked_user(user, home), id=checked_id(task_id))
    observation = TaskObservation(
        name, type, user=ref.user, task_id=ref.id, subject=subject, given=input, conversation=conversation
    )
    record = TaskRecord(
        ref=ref,
        status="running",
        gen=1,
        seq=0,
        mode=MODE,
        model=name,
        accepted_ms=now_ms(),
        conversation=conversation,
        subject=subject,
        trace_id=observation.trace_id,
        shown=True,
    )
    return Task(record, home, observation, must_be_new=task_id is not None)


def start_task(
    name: str,
    *,
    target: Callable[..., Any],
    args: Sequence[Any] = (),
    kwargs: dict[str, Any] | None = None,
    **given: Any,
) -> Task:
    """Begins `target(task, *args, **kwargs)` beside the caller and returns at once: an endpoint answers with
    `{"task_id": started.task_id}`. `given`: as in `task`; see `Task.run_in_background`."""
    return task(name, **given).run_in_background(target, *args, **(kwargs or {}))


def checked_user(user: str | None, home: Home) -> str:
    """Who sees the task. Raises ValueError for nobody: a guest's room is everybody's."""
    user = user if user is not None else home.user
    if user is None:
        raise ValueError("user: say who sees the task; nobody is logged in here")
    user = words("user", user)
    if user == GUEST:
        raise ValueError("user: a task cannot be a guest's, for all guests would see it; name a user")
    return user


def checked_id(task_id: str | None) -> str:
    """A UUID. Raises ValueError."""
    if task_id is None:
        return str(uuid.uuid4())
    try:
        return str(uuid.UUID(task_id))
    except (ValueError, AttributeError, TypeError):
        raise ValueError(f"task_id: must be a UUID, not {task_id!r:.100}") from None
