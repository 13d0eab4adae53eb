"""What the worker writes into a conversation: the turn before the stream, the answer after it."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from ai_assistant.core.chat import NEW_CONVERSATION, ChatRequest
from ai_assistant.core.conversation import FinalMessage, Turn, title_of
from ai_assistant.core.ports import SiteAccess
from ai_assistant.core.task import Outcome, Task

_request = msgspec.json.Decoder(ChatRequest)


def request_of(task: Task) -> ChatRequest:
    """The request that the task is to answer."""
    return _request.decode(task.request)


def turn_of(task: Task, request: ChatRequest) -> Turn | None:
    """The turn of the task's conversation; `None` where it has none."""
    if not (task.conversation and task.message_id):
        return None
    return Turn(
        user=task.ref.user,
        conversation=task.conversation,
        is_new=request.conversation == NEW_CONVERSATION,
        message_id=task.message_id,
        task_id=task.ref.id,
        model=task.model,
        messages=request.messages,
        title=title_of(request.messages),
    )


def writing(task: Task, outcome: Outcome, request: ChatRequest | None) -> Callable[[SiteAccess], None] | None:
    """The work for the site's thread that writes the answer, and (`request`) before it the turn that nobody has
    written yet; `None` where the task has no conversation."""
    if not (task.conversation and task.message_id):
        return None
    turn = turn_of(task, request) if request else None
    final = FinalMessage(
        user=task.ref.user,
        conversation=task.conversation,
        message_id=task.message_id,
        task_id=task.ref.id,
        outcome=outcome,
    )

    def write(access: SiteAccess) -> None:
        if turn:
            access.conversations.begin(turn)
        access.conversations.finish(final)

    return write
