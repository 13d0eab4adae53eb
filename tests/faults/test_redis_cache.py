"""redis_cache, which holds sessions and cached documents, is restarted, loses all, or is away."""

from __future__ import annotations

import time

from tests.wire.client import Client
from tests.wire.sockets import Listener

from .chats import Chats
from .conftest import Site
from .services import Services

CACHE = "redis_cache"


def test_it_comes_back_empty(chats: Chats, services: Services, socket: Listener) -> None:
    """Sessions come from the database again; nothing of a chat is in it."""
    running = chats.all_kinds()
    waiting = chats.running("text", stored=True, waits=True)
    services.restart_empty(CACHE)
    for chat in [*running, waiting]:
        chat.gate.open()
        chat.completed(gen=1)
        chat.heard(socket)
    assert waiting.waited()["status"] == "completed"
    chats.one_works()


def test_chats_go_on_and_begin_while_it_is_away(chats: Chats, user: Client, services: Services) -> None:
    """Frappe does without it, more slowly; so does the assistant."""
    running = chats.all_kinds()
    services.stop(CACHE)
    answer = user.request("frappe.ping", "GET")
    assert answer.status_code == 200, "Frappe itself does not do without it"
    begun = chats.running("text", stored=True)
    for chat in [*running, begun]:
        chat.gate.open()
    for chat in running:
        chat.completed(gen=1)
    begun.completed(gen=1)
    services.start(CACHE)
    chats.one_works()


def test_it_stands_still_for_a_moment(chats: Chats, services: Services, site: Site) -> None:
    running = chats.all_kinds()
    with services.frozen(services.process(CACHE)):
        time.sleep(3)
    for chat in running:
        chat.gate.open()
        chat.completed(gen=1)
