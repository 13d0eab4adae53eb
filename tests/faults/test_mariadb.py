"""MariaDB is restarted in the middle of a stream, or away while a turn begins or ends."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.wire.client import text_of
from tests.wire.sockets import Listener

from .chats import WHOLE, Chats
from .services import Services

DATABASE = "mariadb"


@pytest.fixture(params=["job", "daemon"])
def worker(request: pytest.FixtureRequest, daemons: Callable[[int], list[str]]) -> str:
    """Who runs the chats."""
    if request.param == "daemon":
        daemons(1)
    return request.param


def test_restarted_in_mid_stream(chats: Chats, services: Services, worker: str, socket: Listener) -> None:
    """The site's thread connects again."""
    running = chats.all_kinds()
    waiting = chats.running("text", stored=True, waits=True)
    services.restart(DATABASE)
    for chat in [*running, waiting]:
        chat.gate.open()
        chat.completed(gen=1)
        chat.heard(socket)
    answer = waiting.waited()
    assert not isinstance(answer, Exception), answer
    assert answer["status"] == "completed"


def test_away_when_an_answer_ends(chats: Chats, services: Services, worker: str, socket: Listener) -> None:
    """The answer comes all the same; its message is written when the database is back."""
    running = [chats.running(kind, stored=stored) for kind in ("thinking", "text") for stored in (True, False)]
    services.kill(DATABASE)
    for chat in running:
        chat.gate.open()
    for chat in running:
        assert socket.wait_for_end(chat.id)[-1]["text"] == WHOLE
    services.start(DATABASE)
    for chat in running:
        chat.completed(gen=1)
        chat.heard(socket)


def test_away_when_a_turn_begins(
    chats: Chats, services: Services, daemons: Callable[[int], list[str]], socket: Listener
) -> None:
    """Accepted, but not yet begun: without models and settings there is no stream; it ends with an error, as soon as
    the worker knows, and may be tried again."""
    daemons(1)
    stored, bare = chats.make("text", stored=True), chats.make("text")
    with services.frozen(services.process("daemon-1")):
        stored.ask()
        bare.ask()
        services.kill(DATABASE)
    for chat in (stored, bare):
        end = socket.wait_for_end(chat.id, 40)[-1]
        assert (end["type"], end["code"], end["retryable"]) == ("error", "internal", True), end
    services.start(DATABASE)
    for chat in (stored, bare):
        assert chat.ended()["status"] == "failed"
        chat.record()
    stored.is_stored("failed")
    chats.one_works()


def test_frozen_while_a_turn_begins(
    chats: Chats, services: Services, daemons: Callable[[int], list[str]], socket: Listener
) -> None:
    """A database that says nothing holds up what needs it, and nothing else."""
    daemons(1)
    running = chats.running("text")
    with services.frozen(services.process("daemon-1")):
        stored = chats.make("text", stored=True).ask()
        frozen = services.process(DATABASE)
        frozen.suspend()
    try:
        running.gate.open()
        assert socket.wait_for_end(running.id)[-1]["text"] == WHOLE
        end = socket.wait_for_end(stored.id, 40)[-1]
        assert (end["type"], end["code"], end["retryable"]) == ("error", "internal", True), end
    finally:
        frozen.resume()
    running.completed(gen=1)
    stored.is_stored("failed")
    chats.one_works()


def test_away_while_the_job_dies(chats: Chats, services: Services) -> None:
    """The job's answers are kept in Redis until somebody can write them."""
    chat = chats.running("text", stored=True)
    chat.client.events_until(chat.id, lambda events: text_of(events) == "First, ")
    services.kill(DATABASE)
    services.horse().kill()
    time.sleep(10)
    services.start(DATABASE)
    chat.lost()
