"""Two daemons: one is killed, stopped, frozen; the other goes on."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.wire.client import Client
from tests.wire.sockets import Listener

from .chats import Chat, Chats
from .conftest import daemons_of
from .leftovers import Leftovers
from .services import Services, until

Daemons = Callable[[int], list[str]]
READ_S = 1.2
"""A worker's read of the queue, which Redis answers to a frozen one too, lasts for a second."""


def shared(chats: Chats, client: Client, services: Services, daemons: Daemons) -> dict[str, list[Chat]]:
    """Chats of all kinds on each of two daemons, by the daemon's name."""
    daemons(1)
    found = {"daemon-1": chats.all_kinds()}
    daemons(2)
    with services.frozen(services.process("daemon-1")):  # who takes a task is Redis' choice otherwise
        time.sleep(READ_S)
        found["daemon-2"] = chats.all_kinds()
    until(lambda: [each["running"] for each in daemons_of(client)] == [6, 6], 20, "both run what they were given")
    return found


def test_one_of_two_is_killed(
    chats: Chats, user: Client, services: Services, daemons: Daemons, socket: Listener, leftovers: Leftovers
) -> None:
    found = shared(chats, user, services, daemons)
    services.kill("daemon-1")
    for chat in [*found["daemon-1"], *found["daemon-2"]]:
        if chat in found["daemon-2"] or chat.kind == "silent":
            chat.gate.open()
    for chat in found["daemon-1"]:
        chat.completed(gen=2) if chat.kind == "silent" else chat.lost()
        chat.heard(socket)
    for chat in found["daemon-2"]:
        chat.completed(gen=1)
        chat.heard(socket)
    chats.one_works()
    assert not leftovers.lease(), "a job was woken though a daemon lives"


def test_one_of_two_is_stopped_and_loses_nothing(
    chats: Chats, user: Client, services: Services, daemons: Daemons, socket: Listener
) -> None:
    """What ends within the grace is complete; what has shown nothing by then is handed over; the rest is cut."""
    found = shared(chats, user, services, daemons)
    ending, cut = [found["daemon-1"][at] for at in (2, 4)], [found["daemon-1"][at] for at in (3, 5)]
    services.process("daemon-1").terminate()
    for chat in [*ending, *found["daemon-2"]]:
        chat.gate.open()
    for chat in [*ending, *found["daemon-2"]]:
        chat.completed(gen=1)
        chat.heard(socket)
    for chat in cut:
        chat.lost()
    for chat in found["daemon-1"][:2]:
        chat.gate.open()
        chat.completed(gen=2)
        chat.heard(socket)
    until(lambda: not services.is_running("daemon-1"), 30, "the daemon does not end")


def test_both_are_stopped_and_the_next_job_goes_on(chats: Chats, services: Services, daemons: Daemons) -> None:
    """Handed over where no daemon is left: a background job takes it."""
    daemons(1)
    silent = [chats.running("silent", stored=stored) for stored in (True, False)]
    services.stop("daemon-1")
    for chat in silent:
        chat.gate.open()
        chat.completed(gen=2)


def test_a_daemon_that_stands_still_for_a_moment_loses_nothing(
    chats: Chats, services: Services, daemons: Daemons, socket: Listener
) -> None:
    daemons(1)
    running = chats.all_kinds()
    with services.frozen(services.process("daemon-1")):
        time.sleep(4)
        queued = chats.make("text", stored=True).ask()
    for chat in [*running, queued]:
        chat.gate.open()
        chat.completed(gen=1)
        chat.heard(socket)


def test_a_daemon_that_stands_still_for_too_long_says_nothing_more(
    chats: Chats, user: Client, services: Services, daemons: Daemons, socket: Listener
) -> None:
    """Its tasks are settled and started over elsewhere; what it says when it goes on is nobody's any more."""
    found = shared(chats, user, services, daemons)
    with services.frozen(services.process("daemon-1")):
        for chat in found["daemon-2"]:
            chat.gate.open()
            chat.completed(gen=1)
        ended = [chat for chat in found["daemon-1"] if chat.kind != "silent"]
        before = [chat.lost().events for chat in ended]
        silent = [chat for chat in found["daemon-1"] if chat.kind == "silent"]
        for chat in silent:
            until(lambda chat=chat: user.call("get_task", task_id=chat.id) and len(chat.script.calls) > 1, 40)
    for chat in found["daemon-1"]:
        chat.gate.open()
    time.sleep(3)  # for what the daemon may say now
    assert [chat.record().events for chat in ended] == before
    for chat in ended:
        chat.lost()
        chat.heard(socket)
    for chat in silent:
        chat.completed(gen=2)
        chat.heard(socket)


def test_a_daemon_that_comes_takes_over_from_the_job(
    chats: Chats, services: Services, daemons: Daemons, leftovers: Leftovers
) -> None:
    running = chats.all_kinds()
    daemons(1)
    until(lambda: not leftovers.lease(), 30, "the job keeps its lease")
    new = chats.running("text", stored=True)
    for chat in [*running, new]:
        chat.gate.open()
        chat.completed(gen=1)
    until(lambda: not services.process("worker").children(), 30, "the job does not end")
