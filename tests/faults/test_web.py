"""Web processes die while calls wait in them; everything is told to stop at once."""

from __future__ import annotations

import time
from collections.abc import Callable

import httpx
import psutil

from tests.wire.client import Refused

from .chats import Chat, Chats
from .conftest import Site
from .services import PARTS, Services, until

SLOT_S = 15
"""The longest that the slot of a killed request stays taken."""


def test_a_killed_web_process_loses_its_call_and_nothing_else(chats: Chats, services: Services, site: Site) -> None:
    chat = chats.running("text", stored=True, waits=True)
    web = services.process("web")
    before = web.children()
    victim = until(lambda: waits_in(before, httpx.URL(site.url).port), 20, "no process waits")
    victim.kill()
    assert isinstance(chat.waited(), httpx.TransportError)
    until(lambda: len(web.children()) == len(before), 20, "gunicorn starts no other process")
    chat.gate.open()
    chat.completed(gen=1)


def test_the_slots_of_killed_requests_free_themselves(chats: Chats, services: Services) -> None:
    """As many as may wait are killed; after a while as many may wait again."""
    slots = max(1, len(services.process("web").children()) // 4)
    killed = [chats.running("text", waits=True) for _ in range(slots)]
    more = chats.running("text", waits=True)
    assert more.waited()["status"] == "running", "no slot is left"
    for child in services.process("web").children():
        child.kill()
    assert all(isinstance(chat.waited(), httpx.TransportError) for chat in killed)
    time.sleep(SLOT_S + 1)
    again = [chats.running("text", stored=True, waits=True) for _ in range(slots)]
    for chat in again:
        chat.gate.open()
        assert chat.waited()["status"] == "completed"


def test_calls_that_wait_while_the_web_server_is_restarted(chats: Chats, services: Services) -> None:
    """The call ends, the chat goes on."""
    chat = chats.running("text", stored=True, waits=True)
    services.stop("web")
    answer = chat.waited()
    assert isinstance(answer, httpx.TransportError | Refused) or answer["status"] == "running"
    services.start("web")
    chat.gate.open()
    chat.completed(gen=1)


def test_everything_is_stopped_and_started(
    chats: Chats, services: Services, daemons: Callable[[int], list[str]]
) -> None:
    """As `bench restart` does, but without waiting for one another."""
    daemons(2)
    running = chats.all_kinds()
    others = [name for name in PARTS if name not in ("mariadb", "redis_queue", "redis_cache")]
    names = [*others, "daemon-1", "daemon-2"]
    for process in [services.process(name) for name in names]:
        process.terminate()
    for name in names:
        until(lambda name=name: not services.is_running(name), 60, f"{name} does not end")
    for name in names:
        services.start(name)
    for chat in running:
        chat.gate.open()
    for chat in running:
        chat.completed(gen=2) if chat.kind == "silent" else chat.lost()


def test_the_machine_dies(chats: Chats, services: Services, daemons: Callable[[int], list[str]]) -> None:
    """Everything is killed. Redis comes back with its last snapshot, MariaDB with all that was committed: no task
    hangs, and no message is left as one that still streams."""
    daemons(1)
    running = chats.all_kinds()
    for name in ("daemon-1", *reversed(PARTS)):
        services.kill(name)
    for name in (*PARTS, "daemon-1"):
        services.start(name)
    for chat in running:
        chat.gate.open()
    chats.one_works()
    for chat in running:
        if chat.conversation:
            until(
                lambda chat=chat: statuses(chat) and "streaming" not in statuses(chat), 75, "a message streams for ever"
            )


def statuses(chat: Chat) -> list[str]:
    """Those of the conversation's messages; of one that no worker has begun to write there is none."""
    try:
        found = chat.client.call("get_conversation", conversation=chat.conversation)
    except Refused as error:
        return ["unknown"] if error.status == 404 else []
    return [message["status"] for message in found["messages"]]


def waits_in(processes: list[psutil.Process], port: int | None) -> psutil.Process | None:
    """The process that has a client."""
    for process in processes:
        found = [each for each in process.net_connections() if each.status == psutil.CONN_ESTABLISHED]
        if any(each.laddr.port == port for each in found):
            return process
    return None
