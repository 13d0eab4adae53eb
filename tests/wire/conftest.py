"""Fixtures of the black-box suite. `README.md` beside it says how to run it against a host of your own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest

from tests.aimock.server import AiMock

from .background import Background
from .client import Client
from .host import MANAGER, REVIEWER, USER, USER2, EmbeddedHost
from .people import logged_in
from .script import Script
from .site import Desk, TightSite
from .sockets import Listener
from .traces import ANSWER, QUESTION, Program
from .upstream import Upstream

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Host:
    """The host under test and who may use it."""

    url: str
    site: str
    socket_url: str
    user: str
    password: str
    user2: str
    password2: str
    api_key: str
    """`<key>:<secret>`; empty where none was given."""
    is_embedded: bool
    process: EmbeddedHost | None = None
    """The process, where the suite started it itself."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder is a black-box test."""
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.wire)
    items.sort(key=lambda item: item.path == _HERE / "test_logs.py")  # it looks back on all that happened


@pytest.fixture(scope="session")
def background() -> Iterator[Background]:
    """The loop on which servers and sockets run."""
    with Background() as running:
        yield running


@pytest.fixture(scope="session")
def aimock() -> Iterator[AiMock]:
    """The provider emulator."""
    with AiMock(chunk_size=8) as running:
        yield running


@pytest.fixture(scope="session")
def upstream(background: Background, aimock: AiMock) -> Iterator[Upstream]:
    """The suite's own provider, aimock behind it."""
    bind = os.environ.get("AI_ASSISTANT_UPSTREAM", "127.0.0.1:0").removeprefix("http://")
    with Upstream(background, bind, aimock.url) as running:
        yield running


@pytest.fixture(scope="session")
def host(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """The host of AI_ASSISTANT_URL, or an embedded one that is started here."""
    url = os.environ.get("AI_ASSISTANT_URL", "").rstrip("/")
    if url:
        yield _given(url)
        return
    with EmbeddedHost(tmp_path_factory.mktemp("host"), upstream.address) as process:
        yield Host(
            url=process.url,
            site=process.site,
            socket_url=process.url,
            user=USER,
            password=process.passwords[USER],
            user2=USER2,
            password2=process.passwords[USER2],
            api_key=process.admin_key,
            is_embedded=True,
            process=process,
        )


def _given(url: str) -> Host:
    """The host that the environment describes."""
    env = os.environ
    key, secret = env.get("AI_ASSISTANT_API_KEY", ""), env.get("AI_ASSISTANT_API_SECRET", "")
    # only the embedded host describes its endpoints
    is_embedded = httpx.get(f"{url}/openapi.json", timeout=10, trust_env=False).status_code == 200
    return Host(
        url=url,
        site=env["AI_ASSISTANT_SITE"],
        socket_url=env.get("AI_ASSISTANT_SOCKET_URL", url),
        user=env["AI_ASSISTANT_USER"],
        password=env["AI_ASSISTANT_PASSWORD"],
        user2=env["AI_ASSISTANT_USER2"],
        password2=env["AI_ASSISTANT_PASSWORD2"],
        api_key=f"{key}:{secret}" if key and secret else "",
        is_embedded=is_embedded,
    )


@pytest.fixture(scope="session")
def user(host: Host) -> Iterator[Client]:
    """The first user, logged in."""
    with Client(host.url) as client:
        yield client.login(host.user, host.password)


@pytest.fixture(scope="session")
def other(host: Host) -> Iterator[Client]:
    """The second user, logged in."""
    with Client(host.url) as client:
        yield client.login(host.user2, host.password2)


@pytest.fixture(scope="session")
def reviewer(host: Host) -> Iterator[Client]:
    """Somebody whose only role is AI Trace Reviewer."""
    with logged_in(host, REVIEWER, "AI Trace Reviewer") as client:
        yield client


@pytest.fixture(scope="session")
def ai_manager(host: Host) -> Iterator[Client]:
    """Somebody whose only role is AI Manager."""
    with logged_in(host, MANAGER, "AI Manager") as client:
        yield client


@pytest.fixture(scope="session")
def administrator(host: Host) -> Iterator[Client]:
    """Administrator."""
    with logged_in(host, "Administrator", "") as client:
        yield client


@pytest.fixture(scope="session")
def program(user: Client) -> Program:
    """A program of the first user that traces."""
    return Program(user)


@pytest.fixture(scope="session")
def trace(program: Program) -> str:
    """A small trace of the first user's."""
    return program.traced(
        title="The small one",
        question=QUESTION,
        answer=ANSWER,
        session="session-1",
        environment="testing",
        tags=["night", "labels"],
        reference_doctype="User",
        reference_name="Administrator",
    )


@pytest.fixture
def guest(host: Host) -> Iterator[Client]:
    """Nobody."""
    with Client(host.url) as client:
        yield client


@pytest.fixture
def keyed(host: Host) -> Iterator[Client]:
    """Somebody with an API key."""
    if not host.api_key:
        pytest.skip("no API key was given (AI_ASSISTANT_API_KEY, AI_ASSISTANT_API_SECRET)")
    with Client(host.url, token=host.api_key) as client:
        yield client


@pytest.fixture
def only_embedded(host: Host) -> None:
    """For what the embedded host promises beyond Frappe."""
    if not host.is_embedded:
        pytest.skip("only the embedded host promises this")


@pytest.fixture
def worker_log(host: Host) -> Callable[[], str]:
    """Reads what the worker has logged so far."""
    if host.process is not None:
        return host.process.log
    path = os.environ.get("AI_ASSISTANT_WORKER_LOG")
    if not path:
        pytest.skip("set AI_ASSISTANT_WORKER_LOG to the file with the worker's log at DEBUG")
    return lambda: Path(path).read_text(errors="replace")


class TightHost(Protocol):
    """A host with small limits: 6 requests a minute, 2 tasks at once, 300,000 tokens a day, 100,000 bytes of log."""

    def login(self, name: str) -> Client:
        """A session of USER, USER2, USER3 of `host.py`, or of Administrator."""
        ...


@pytest.fixture(scope="module")
def tight(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TightHost]:
    """A second embedded host with small limits and a short log, on the same provider; or the given site, with such
    settings and fresh users for as long as the module runs."""
    limits = {"requests_per_minute": 6, "concurrent_tasks": 2, "tokens_per_day": 300_000}
    tasks = {"max_log_bytes": 100_000}
    if url := os.environ.get("AI_ASSISTANT_URL", "").rstrip("/"):
        password = os.environ.get("AI_ASSISTANT_ADMIN_PASSWORD")
        if not password:
            pytest.skip("changes the site's settings for a while: set AI_ASSISTANT_ADMIN_PASSWORD to allow it")
        with TightSite(Desk(url, os.environ["AI_ASSISTANT_SITE"], password), url, limits | tasks) as site:
            yield site
        return
    settings = toml_table("limits", limits) + toml_table("tasks", tasks)
    with EmbeddedHost(tmp_path_factory.mktemp("tight"), upstream.address, settings=settings) as process:
        yield process


def toml_table(name: str, values: dict[str, int]) -> str:
    """A table of whole numbers in TOML."""
    return f"[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in values.items())


@pytest.fixture
def script(upstream: Upstream) -> Callable[..., Script]:
    """Makes a script of the suite's provider."""
    return upstream.script


@pytest.fixture
def listener(host: Host, background: Background) -> Iterator[Callable[[], Listener]]:
    """Makes sockets that are closed at the end of the test."""
    made: list[Listener] = []

    def make() -> Listener:
        made.append(Listener(background, host.socket_url, host.site, origin=host.url))
        return made[-1]

    yield make
    for socket in made:
        socket.close()


@pytest.fixture
def socket(listener: Callable[[], Listener], user: Client) -> Listener:
    """A connected socket of the first user."""
    return listener().connect(sid=user.sid)


@pytest.fixture
def ask(user: Client, script: Callable[..., Script]) -> Callable[..., tuple[dict[str, Any], Script]]:
    """Asks with one script and waits; gives the task and the script."""

    def run(*replies: Any, content: str = "Question", **arguments: Any) -> tuple[dict[str, Any], Script]:
        played = script(*replies)
        return user.chat(played.messages(content), **arguments), played

    return run
