"""A site goes into maintenance, loses the app, or is dropped, while its tasks wait or run; the other one goes on."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator

import pytest

from tests.wire.client import FINAL, Refused
from tests.wire.upstream import Upstream

from .chats import WHOLE, Chats
from .conftest import Site, prepared
from .leftovers import Leftovers
from .services import Services, until

Daemons = Callable[[int], list[str]]


@pytest.fixture
def other(sites: list[Site], upstream: Upstream, chats: Chats) -> Iterator[Chats]:
    """Chats on the second site."""
    with sites[1].client() as client:
        made = Chats(client, upstream)
        yield made
        made.open_gates()
        made.one_works()


def test_two_sites_are_apart(
    chats: Chats, other: Chats, sites: list[Site], services: Services, leftovers: Leftovers, daemons: Daemons
) -> None:
    """The same user, the same task id, one worker: two tasks, and keys of their own."""
    daemons(1)
    here, there = chats.make("text", stored=True), other.make("text", stored=True)
    there.id = here.id
    here.ask().reached()
    there.ask().reached()
    for chat, site in ((here, sites[0]), (there, sites[1])):
        mine = [name for name in leftovers.keys(site.name) if chat.id in name]
        assert {name.split(":")[2] for name in mine} >= {"task", "log"}
    here.gate.open()
    here.completed()
    assert there.client.call("get_task", task_id=there.id)["status"] == "running"
    there.gate.open()
    there.completed()


def test_a_site_in_maintenance(
    chats: Chats, other: Chats, sites: list[Site], services: Services, daemons: Daemons
) -> None:
    """What runs there ends, and is written afterwards; what waits there is refused, for now."""
    daemons(1)
    running, queued = other.running("text", stored=True), other.make("text", stored=True)
    here = chats.running("text", stored=True)
    with services.frozen(services.process("daemon-1")):
        queued.ask()
        services.bench("--site", sites[1].name, "set-maintenance-mode", "on")
    try:
        with pytest.raises(Refused) as refused:
            other.client.call("get_task", task_id=running.id)
        assert refused.value.status == 503
        for chat in (here, running):
            chat.gate.open()
        here.completed(gen=1)
        chats.one_works()
    finally:
        services.bench("--site", sites[1].name, "set-maintenance-mode", "off")
    running.completed(gen=1)
    task = queued.ended()
    assert (task["status"], task["error"]["retryable"]) == ("failed", True), task["error"]
    queued.record()
    queued.is_stored("failed")


@pytest.fixture
def third(services: Services, sites: list[Site], upstream: Upstream) -> Iterator[Site]:
    """A site of its own, which the test may destroy."""
    name = f"faults-{secrets.token_hex(3)}.localhost"
    services.run("new-site", name)
    yield prepared(sites[0].url.replace(sites[0].name, name), upstream)
    services.run("drop-site", name)


@pytest.mark.parametrize("worker", ["daemon", "job"])
@pytest.mark.parametrize("how", ["uninstalled", "dropped"])
def test_a_site_that_goes(
    chats: Chats,
    third: Site,
    upstream: Upstream,
    services: Services,
    daemons: Daemons,
    leftovers: Leftovers,
    how: str,
    worker: str,
) -> None:
    """The job was woken by that very site, and serves the other one all the same."""
    if worker == "daemon":
        daemons(1)
    with third.client() as client:
        there = Chats(client, upstream)
        running, queued = there.running("text", stored=True), there.make("text", stored=True)
        process = services.process("daemon-1") if worker == "daemon" else services.horse()
        here = chats.running("text", stored=True)
        with services.frozen(process):
            queued.ask()
            if how == "dropped":
                services.run("drop-site", third.name)
            else:
                services.bench("--site", third.name, "uninstall-app", "ai_assistant", "--yes", "--no-backup", "--force")
        for chat in (here, running, queued):
            chat.gate.open()
    here.completed(gen=1)
    chats.one_works()
    until(lambda: not unfinished(leftovers), 60, "tasks of the site that is gone stay")
    if how == "dropped":  # what Frappe tells nobody of; the keys expire
        assert set(leftovers.statuses(third.name)) <= set(FINAL)
    else:
        until(lambda: not leftovers.keys(third.name), 10, f"keys stay: {leftovers.keys(third.name)}")


def unfinished(leftovers: Leftovers) -> list[str]:
    """What `found` finds of tasks that have not ended."""
    return [line for line in leftovers.found() if "is not empty" in line]


def test_a_site_that_gets_the_app_is_served_at_once(
    chats: Chats, services: Services, daemons: Daemons, upstream: Upstream, request: pytest.FixtureRequest
) -> None:
    """A daemon that runs already serves a site that comes later."""
    daemons(1)
    site: Site = request.getfixturevalue("third")
    with site.client() as client:
        chat = Chats(client, upstream).running("text", stored=True)
        chat.gate.open()
        chat.completed(gen=1)
        assert chat.stored()["content"] == WHOLE
