"""The realtime server is restarted in the middle of a stream."""

from __future__ import annotations

from collections.abc import Callable

from tests.wire.chunks import DONE, finish, text, thought
from tests.wire.client import Client, text_of
from tests.wire.events import checked
from tests.wire.script import Gate
from tests.wire.sockets import Listener, SocketRefused

from .chats import Chats
from .services import Services, until

REALTIME = "realtime"


def connected(listener: Callable[[], Listener], user: Client) -> Listener:
    """A socket, once the server takes one."""

    def look() -> Listener | None:
        try:
            return listener().connect(sid=user.sid)
        except SocketRefused:
            return None

    return until(look, 30, "the realtime server takes no socket")


def test_a_client_that_comes_back_misses_nothing(
    chats: Chats, user: Client, services: Services, listener: Callable[[], Listener]
) -> None:
    """Promise 5 across a restart: what it saw, what `get_events` has behind that, and what comes live."""
    gates = [Gate(), Gate()]
    steps = [thought("t0 "), text("w0 "), gates[0], thought("t1 "), text("w1 "), gates[1], text("w2"), finish(), DONE]
    chat = chats.played("text", gates[0], steps, stored=True)
    first = listener().connect(sid=user.sid)
    chat.ask()
    seen = first.wait_for(chat.id, lambda events: text_of(events) == "w0 ")
    services.kill(REALTIME)
    gates[0].open()
    user.events_until(chat.id, lambda events: text_of(events) == "w0 w1 ")
    services.start(REALTIME)
    second = connected(listener, user)
    missed = user.call("get_events", task_id=chat.id, after_seq=seen[-1]["seq"])
    assert missed["gap"] is False
    gates[1].open()
    live = second.wait_for_end(chat.id)
    known = {event["seq"]: event for event in [*seen, *missed["events"], *live]}
    joined = [known[seq] for seq in sorted(known)]
    assert checked(joined, chat.id).text == "w0 w1 w2"
    assert joined == user.events(chat.id)


def test_http_is_complete_while_it_is_down(chats: Chats, services: Services) -> None:
    """Promise 7."""
    running = chats.all_kinds()
    services.stop(REALTIME)
    waiting = chats.running("text", stored=True, waits=True)
    for chat in [*running, waiting]:
        chat.gate.open()
        chat.completed(gen=1)
    assert waiting.waited()["status"] == "completed"
    chats.one_works()


def test_one_that_stands_still_holds_up_nobody_else(chats: Chats, services: Services, socket: Listener) -> None:
    """Redis keeps what it does not read; it delivers all of it, in order, when it goes on."""
    running = chats.all_kinds()
    with services.frozen(services.process(REALTIME)):
        for chat in running:
            chat.gate.open()
            chat.completed(gen=1)
    for chat in running:
        chat.heard(socket)
