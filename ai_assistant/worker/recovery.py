"""Puts right what a crash left in the conversations: placeholders of answers that nobody is writing any more."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable

from ai_assistant.core.conversation import FinalMessage, Unfinished
from ai_assistant.core.errors import ChatError
from ai_assistant.core.task import Message, Outcome, TaskRef
from ai_assistant.streams.tasks import Tasks
from ai_assistant.worker.site_thread import SiteThreads

log = logging.getLogger("ai_assistant.worker")


PAUSES_S = (10.0, 20.0, 40.0, 80.0)
"""Between attempts at sites that fail: they may be in maintenance, or their database away."""


async def site_names(sites: Iterable[str] | Callable[[], Iterable[str]]) -> list[str]:
    """The sites; a function that knows them is called in a thread, for it may open databases."""
    if not callable(sites):
        return list(sites)
    # not `to_thread`, which gives the thread a copy of this one's context: the host may have a site open in it
    return list(await asyncio.get_running_loop().run_in_executor(None, sites))


async def recover_all(sites: SiteThreads, names: list[str], tasks: Tasks) -> None:
    """Looks after each site, and again after those that failed; none keeps the others from it."""
    left = [site for site in names if not await recovered(sites, site, tasks)]
    for pause in PAUSES_S:
        if not left:
            return
        await asyncio.sleep(pause)
        left = [site for site in left if not await recovered(sites, site, tasks)]


async def recovered(sites: SiteThreads, site: str, tasks: Tasks) -> bool:
    """Looks after one site; False when that failed."""
    try:
        await recover(sites, (site,), tasks)
    except Exception as error:  # noqa: BLE001  # whatever a host's database raises; logged, and tried again
        log.warning("unfinished messages of %s cannot be looked after yet: %r", site, error)
        return False
    return True


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
