"""Fixtures for faults on a site. `README.md` says what the environment must give."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.wire.background import Background
from tests.wire.client import Client
from tests.wire.site import Desk, prepare
from tests.wire.sockets import Listener
from tests.wire.upstream import Upstream

from .chats import Chats
from .leftovers import Leftovers
from .services import PARTS, Services, until

_HERE = Path(__file__).parent
NEEDED = ("AI_ASSISTANT_FAULTS", "AI_ASSISTANT_FAULTS_URL", "AI_ASSISTANT_FAULTS_URL2", "AI_ASSISTANT_FAULTS_PASSWORD")
IDLE_S = 4
"""A background job that has nothing to do ends after this here, not after 30 s."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without a bench that may be broken there is nothing to test."""
    missing = [name for name in NEEDED if not os.environ.get(name)]
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.timeout(300))
            if missing:
                item.add_marker(pytest.mark.skip(reason=f"needs a bench that may be broken: {', '.join(missing)}"))


@dataclass(frozen=True)
class Site:
    """A site of the bench, and who may use it."""

    url: str
    name: str
    socket_url: str
    user: str
    password: str
    desk: Desk

    def client(self) -> Client:
        """A session of the user."""
        return Client(self.url).login(self.user, self.password)


@pytest.fixture(scope="session")
def background() -> Iterator[Background]:
    """The loop on which provider and sockets run."""
    with Background() as running:
        yield running


@pytest.fixture(scope="session")
def upstream(background: Background) -> Iterator[Upstream]:
    """The provider."""
    with Upstream(background) as running:
        yield running


@pytest.fixture(scope="session")
def services() -> Services:
    """The parts of the bench, all of them running."""
    found = Services(Path(os.environ["AI_ASSISTANT_FAULTS"]))
    for part in PARTS:
        found.start(part)
    return found


@pytest.fixture(scope="session")
def sites(services: Services, upstream: Upstream) -> list[Site]:
    """Two sites of the bench, with users and models; the background job ends soon when it is idle."""
    services.bench("set-config", "-g", "-p", "ai_assistant_job_idle_s", str(IDLE_S))
    return [prepared(os.environ[name], upstream) for name in ("AI_ASSISTANT_FAULTS_URL", "AI_ASSISTANT_FAULTS_URL2")]


def prepared(url: str, upstream: Upstream) -> Site:
    """A site with users and models."""
    host = httpx.URL(url).host
    desk = Desk(url, host, os.environ["AI_ASSISTANT_FAULTS_PASSWORD"])
    made = prepare(desk, upstream.address)
    port = os.environ.get("AI_ASSISTANT_FAULTS_SOCKET_PORT", "9000")
    return Site(url, host, f"http://{host}:{port}", made["AI_ASSISTANT_USER"], made["AI_ASSISTANT_PASSWORD"], desk)


@pytest.fixture(scope="session")
def site(sites: list[Site]) -> Site:
    """The first site."""
    return sites[0]


@pytest.fixture
def leftovers() -> Leftovers:
    """What is left in Redis."""
    return Leftovers(os.environ.get("AI_ASSISTANT_FAULTS_REDIS", "redis://127.0.0.1:11000"))


@pytest.fixture
def user(site: Site) -> Iterator[Client]:
    """The first site's user."""
    with site.client() as client:
        yield client


@pytest.fixture
def chats(
    services: Services, user: Client, upstream: Upstream, leftovers: Leftovers, daemons: Callable[[int], list[str]]
) -> Iterator[Chats]:
    """Makes chats. Behind each test the bench is whole again, a chat works, and nothing is left behind."""
    made = Chats(user, upstream)
    yield made
    made.open_gates()
    for part in PARTS:
        services.start(part)
    made.one_works()
    daemons(0)
    until(lambda: not leftovers.found() or None, 60, _Left(leftovers))


class _Left:
    """What is left, said when the assertion fails."""

    def __init__(self, leftovers: Leftovers):
        self._leftovers = leftovers

    def __str__(self) -> str:
        return f"left behind: {self._leftovers.found()}; nothing of it is gone"


@pytest.fixture
def daemons(services: Services, site: Site) -> Iterator[Callable[[int], list[str]]]:
    """Starts that many daemons, `daemon-1` and so on, and returns when they take tasks; 0 ends them."""
    names = [f"daemon-{number}" for number in (1, 2)]

    def run(count: int) -> list[str]:
        for name in names[count:]:
            services.stop(name)
        for name in names[:count]:
            services.start(name)
        if count:
            with site.client() as client:
                until(lambda: len(daemons_of(client)) == count, 60, f"{count} daemons do not live")
        return names[:count]

    yield run
    for name in names:
        services.kill(name)


def daemons_of(client: Client) -> list[dict[str, object]]:
    """The living daemons, as `status` tells."""
    return [each for each in client.call("status")["workers"] if each["kind"] == "daemon" and not each["stopping"]]


@pytest.fixture
def listener(site: Site, background: Background) -> Iterator[Callable[[], Listener]]:
    """Makes sockets that are closed behind the test."""
    made: list[Listener] = []

    def make() -> Listener:
        made.append(Listener(background, site.socket_url, site.name, origin=site.url))
        return made[-1]

    yield make
    for socket in made:
        socket.close()


@pytest.fixture
def socket(listener: Callable[[], Listener], user: Client) -> Listener:
    """A connected socket of the user."""
    return listener().connect(sid=user.sid)
