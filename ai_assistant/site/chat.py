"""`bench --site SITE ai-assistant chat`: ask a model from the terminal of the bench, as a user of the site."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import msgspec
from redis.exceptions import RedisError

from ai_assistant.cli.context import question
from ai_assistant.cli.follow import Follower
from ai_assistant.cli.remote import RemoteError
from ai_assistant.cli.stream import CANCELLED_EXIT, Question, question_options, stream
from ai_assistant.core import service
from ai_assistant.core.errors import ApiError
from ai_assistant.core.session import GUEST
from ai_assistant.core.task import TaskRef
from ai_assistant.streams import keys as names
from ai_assistant.streams.connection import worker_client

log = logging.getLogger("ai_assistant.site")

BLOCK_MS = 2000
"""How long one read of a task's log waits; after it, the task is looked at, which settles it when it is overdue."""
PAUSE_S = 0.5
EVENTS = 500

Endpoint = Callable[[Any, dict[str, Any]], Any]

ENDPOINTS: dict[str, Endpoint] = {
    "chat_completion": service.chat_completion,
    "cancel": lambda host, given: service.cancel(host, given["task_id"]),
    "get_events": lambda host, given: service.get_events(host, given["task_id"], given["after_seq"], EVENTS),
}


@click.command()
@question_options
@click.option("--user", default="Administrator", show_default=True, help="The user of the site who asks.")
@click.pass_context
def chat(ctx: click.Context, prompt: str, files: tuple[Path, ...], user: str, **options: Any) -> None:
    """Ask a model; the answer streams into the terminal. Files and standard input are added as context."""
    sites = (ctx.obj or {}).get("sites") or []
    if len(sites) != 1:
        raise click.UsageError('Name one site: bench --site SITE ai-assistant chat "Explain microservices"')
    asked = Question(text=question(prompt, files), **options)
    logging.getLogger("ai_assistant").addHandler(logging.NullHandler())  # the terminal is the answer's
    logging.getLogger("ai_assistant").propagate = False
    try:
        code = asyncio.run(run(asked, sites[0], user))
    except RemoteError as error:
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt:
        code = CANCELLED_EXIT
    sys.exit(code)


command = chat
"""The name under which `ai_assistant.commands` looks for it."""


async def run(asked: Question, site: str, user: str) -> int:
    """Asks, shows, and gives the exit code."""
    caller = SiteCaller(site, user)
    try:
        name, redis_url = await caller.look()
        follower = LogFollower(caller, site, name, redis_url)
        try:
            return await stream(asked, caller, follower)
        finally:
            await follower.close()
    finally:
        caller.close()


class SiteCaller:
    """Calls the endpoints in this process, as a web request of the user would. One thread owns Frappe; each call is a
    unit of work of its own, so that it sees what others have written meanwhile."""

    def __init__(self, site: str, user: str):
        self._site = site
        self._user = user
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="site")

    async def look(self) -> tuple[str, str]:
        """The user's name as the site writes it, and the Redis of tasks. Raises RemoteError for a site or a user that
        will not do."""
        return await self._run(looked_up)

    async def call(self, method: str, **arguments: Any) -> Any:
        """The result of `ai_assistant.api.<method>`. Raises RemoteError."""
        return await self._run(lambda: answer(method, arguments))

    async def _run(self, work: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._unit, work)

    def _unit(self, work: Callable[[], Any]) -> Any:
        with errors_in_words(), as_user(self._site, self._user):
            return work()

    def close(self) -> None:
        """Lets the thread end."""
        self._thread.shutdown(wait=False, cancel_futures=True)


def looked_up() -> tuple[str, str]:
    """The user and the Redis of the open unit of work."""
    import frappe

    from ai_assistant.site import bench

    return frappe.session.user, bench.redis_url()


def answer(method: str, arguments: dict[str, Any]) -> Any:
    """What the endpoint answers the user of the open unit of work, as plain data."""
    from ai_assistant.site.endpoint import ROLES, plain, require_role
    from ai_assistant.site.request import SiteRequest

    require_role(ROLES)
    return plain(ENDPOINTS[method](SiteRequest(), arguments))


@contextmanager
def as_user(site: str, user: str) -> Iterator[None]:
    """A unit of work on the site as that user. Raises RemoteError for one who could not log in."""
    import frappe

    from ai_assistant.site.opener import BenchOpener

    with BenchOpener().open(site):
        found = frappe.db.get_value("User", user, ["name", "enabled"], as_dict=True)
        if not found or found.name == GUEST:
            raise RemoteError(f"--user: there is no user {user!r} on {site}", 404)
        if not found.enabled:
            raise RemoteError(f"--user: {found.name} is disabled on {site}", 403)
        frappe.set_user(found.name)
        yield


@contextmanager
def errors_in_words() -> Iterator[None]:
    """Every error as what the terminal shows; 500 for one that nobody meant, whose traceback is logged."""
    try:
        yield
    except RemoteError:
        raise
    except ApiError as error:
        raise RemoteError(error.message, error.http_status) from error
    except Exception as error:
        log.info("a call failed", exc_info=True)
        raise RemoteError(f"the site failed: {type(error).__name__}: {' '.join(str(error).split())}", 500) from error


class LogFollower(Follower):
    """Reads the events of a task from its log in Redis as they are written."""

    def __init__(self, caller: SiteCaller, site: str, user: str, redis_url: str):
        super().__init__(caller)
        self._site = site
        self._user = user
        self._client = worker_client(redis_url)
        self._read: deque[dict[str, Any]] = deque()

    async def _next(self, task_id: str, seen: int) -> dict[str, Any] | None:
        if not self._read:
            key = names.TaskKeys(TaskRef(site=self._site, user=self._user, id=task_id)).log
            try:
                reply: Any = await self._client.xread({key: f"{seen}-0"}, count=EVENTS, block=BLOCK_MS)
            except (RedisError, OSError):
                await asyncio.sleep(PAUSE_S)  # the caller asks next, and says in words what is wrong if it stays so
                return None
            rows = [row for _, found in (reply.items() if isinstance(reply, dict) else reply or ()) for row in found]
            self._read.extend(msgspec.json.decode(fields[b"e"]) for _, fields in rows)
        return self._read.popleft() if self._read else None

    async def close(self) -> None:
        """Closes the connection."""
        with contextlib.suppress(RedisError, OSError):  # it may be broken already, and this is its end
            await (self._client.aclose() if hasattr(self._client, "aclose") else self._client.close())
