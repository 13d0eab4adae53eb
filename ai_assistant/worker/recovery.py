"""Puts right what a crash left in the conversations: placeholders of answers that nobody is writing any more."""

from __future__ import annotations

import asyncio
import logging

from ai_assistant.core.conversation import FinalMessage, Unfinished
from ai_assistant.core.errors import ChatError
from ai_assistant.core.task import Message, Outcome, TaskRef
from ai_assistant.streams.tasks import Tasks
from ai_assistant.worker.site_thread import SiteThreads

log = logging.getLogger("ai_assistant.worker")


async def recover(sites: SiteThreads, names: tuple[str, ...], tasks: Tasks) -> int:
    """Marks the placeholders whose task is gone or has ended; gives their number."""
    recovered = 0
    for site in names:
        for left in await sites.run(site, lambda access: access.conversations.unfinished()):
            task = await asyncio.to_thread(tasks.find, TaskRef(site=site, user=left.user, id=left.task_id))
            if task is None or task.outcome:
                await finish(sites, site, left, task.outcome if task and task.outcome else lost())
                recovered += 1
    if recovered:
        log.warning("%d answers that a crash had cut off were marked", recovered)
    return recovered


async def finish(sites: SiteThreads, site: str, left: Unfinished, outcome: Outcome) -> None:
    """Writes the outcome into one placeholder."""
    final = FinalMessage(
        user=left.user,
        conversation=left.conversation,
        message_id=left.message_id,
        task_id=left.task_id,
        outcome=outcome,
    )
    await sites.run(site, lambda access: access.conversations.finish(final))


def lost() -> Outcome:
    """The outcome of an answer whose server and task are both gone."""
    error = ChatError("worker_lost", "The server stopped in the middle of the answer; try again.")
    return Outcome(status="failed", message=Message(), error=error.as_dict())
