"""Real parts for tests of the host: a Redis, a database, and the web application on a real port."""

from __future__ import annotations

import asyncio
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis
import socketio

from ai_assistant.host import accounts  # noqa: F401 - declares the tables
from ai_assistant.host.access import HostOpener
from ai_assistant.host.accounts_setup import prepare_accounts
from ai_assistant.host.app import build_app
from ai_assistant.host.bridge import Bridge
from ai_assistant.host.config import HostConfig, load_config
from ai_assistant.host.database import Database
from ai_assistant.host.listener import listen, web_server
from ai_assistant.host.metrics import HostMeters
from ai_assistant.host.origin import HostNames
from ai_assistant.host.pool import CallPool
from ai_assistant.host.redis_server import find_redis
from ai_assistant.host.request_host import Services
from ai_assistant.host.sockets import Sockets
from ai_assistant.streams.connection import request_client
from ai_assistant.streams.tasks import Tasks
from ai_assistant.traces.ingest import RedisTracePipe
from ai_assistant.traces.metrics import Bounds

SITE = "assistant.localhost"
PASSWORD = "correct horse battery"


@contextmanager
def running_redis() -> Iterator[str]:
    """A Redis on a UNIX socket; gives its URL."""
    with tempfile.TemporaryDirectory(prefix="aia-redis-") as folder:
        path = Path(folder) / "redis.sock"
        command = [str(find_redis()), "--port", "0", "--unixsocket", str(path), "--save", "", "--dir", folder]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        url = f"unix://{path}"
        try:
            until(lambda: path.exists() and redis.Redis.from_url(url).ping())
            yield url
        finally:
            process.terminate()
            process.wait(10)


def until(condition: Any, seconds: float = 10.0) -> None:
    """Waits until `condition()` is true; fails the test when it does not become so."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


async def eventually(condition: Any, seconds: float = 10.0) -> None:
    """Like `until`, for the event loop."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.02)


class WebHost:
    """The host's web side on a real port, over a real Redis and database; there is no worker."""

    def __init__(self, config: HostConfig, redis_url: str):
        self.config = config
        self.redis_url = redis_url
        self.database = Database.open(config.database)
        self.auth = prepare_accounts(config, self.database)
        self.pool = CallPool(threads=4)
        names = HostNames(config.site, config.host, config.allowed_hosts)
        self.sockets = Sockets(config.site, self.auth, self.pool, names.names)
        self.bridge = Bridge(redis_url, self.sockets)
        tasks = Tasks(request_client(redis_url), config.site)
        meters = HostMeters(self.sockets, self.bridge)
        pipe = RedisTracePipe(tasks.client, config.site)
        services = Services(config.site, HostOpener(config, self.database), tasks, self._no_wait, meters, pipe)
        meters.watch_traces(tasks.client, Bounds())
        app = build_app(
            auth=self.auth,
            services=services,
            pool=self.pool,
            sockets=self.sockets,
            names=names,
            public_metrics=config.metrics.public,
        )
        self._listener = listen("127.0.0.1", 0)
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._server = web_server(app, 1)
        self._jobs: list[asyncio.Task[Any]] = []

    async def start(self) -> WebHost:
        """Serves."""
        self._jobs = [
            asyncio.create_task(self._server.serve([self._listener])),
            asyncio.create_task(self.bridge.run()),
        ]
        await asyncio.wait_for(self.bridge.subscriber.connected.wait(), 10)
        await eventually(lambda: self._server.started)
        return self

    async def stop(self) -> None:
        """Stops what `start` started."""
        await self.sockets.close()
        self._server.should_exit = True
        await asyncio.wait_for(self._jobs[0], 10)
        self._jobs[1].cancel()
        await asyncio.gather(*self._jobs, return_exceptions=True)
        self.pool.close()
        self.database.close()

    async def connect(self, sid: str | None = None, **options: Any) -> socketio.AsyncClient:
        """A socket of the namespace; by cookie when there is a sid."""
        headers = {"Origin": self.url, **({"Cookie": f"sid={sid}"} if sid else {}), **options.pop("headers", {})}
        client = socketio.AsyncClient(reconnection=False)
        client.received = []  # type: ignore[attr-defined]
        client.on("*", lambda event, *data: client.received.append((event, *data)), namespace=f"/{SITE}")  # type: ignore[attr-defined]
        namespaces = options.pop("namespaces", [f"/{SITE}"])
        transports = options.pop("transports", ["websocket"])
        await client.connect(self.url, headers=headers, namespaces=namespaces, transports=transports, wait_timeout=10)
        return client

    def publish(self, envelope: bytes | str) -> int:
        """Publishes on the channel that the bridge hears."""
        client = redis.Redis.from_url(self.redis_url)
        try:
            return int(client.publish("events", envelope))  # type: ignore[arg-type]
        finally:
            client.close()

    def _no_wait(self, ref: Any, timeout: float) -> Any:
        raise AssertionError("there is no worker to wait for")


def test_config(folder: Path, **overrides: Any) -> HostConfig:
    """A configuration in `folder`, untouched by the machine's environment."""
    return load_config(None, environ={}, overrides={"data_dir": folder, **overrides})


test_config.__test__ = False  # type: ignore[attr-defined]
