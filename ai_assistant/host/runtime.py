"""The embedded host in one process and on one event loop, from its start to its end."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import msgspec
from sqlalchemy.exc import SQLAlchemyError

import ai_assistant
from ai_assistant.core.errors import ConfigError
from ai_assistant.core.session import ADMINISTRATOR
from ai_assistant.core.task import TaskRef
from ai_assistant.host import accounts  # noqa: F401 - declares the tables that Database.open makes
from ai_assistant.host.access import HostOpener
from ai_assistant.host.accounts_setup import RUN_LABEL, prepare_accounts
from ai_assistant.host.anomaly_watch import AnomalyWatch
from ai_assistant.host.app import build_app
from ai_assistant.host.auth import Auth
from ai_assistant.host.bridge import Bridge
from ai_assistant.host.config import HostConfig
from ai_assistant.host.database import Database
from ai_assistant.host.demo import PATH as DEMO_PATH
from ai_assistant.host.demo import DemoModel, speed_of
from ai_assistant.host.listener import listen, url_of, web_server
from ai_assistant.host.metrics import HostMeters
from ai_assistant.host.origin import HostNames
from ai_assistant.host.pool import CallPool
from ai_assistant.host.probe import DeliveryProbe
from ai_assistant.host.redis_server import RedisServer, find_redis
from ai_assistant.host.request_host import Services
from ai_assistant.host.retention import Retention
from ai_assistant.host.run_file import DataFolder, Running
from ai_assistant.host.sockets import Sockets
from ai_assistant.streams.connection import AWAY, end_tasks, request_client, worker_client
from ai_assistant.streams.tasks import Tasks
from ai_assistant.streams.waiter import EndWaiter
from ai_assistant.traces.ingest import RedisTracePipe
from ai_assistant.traces.metrics import Bounds
from ai_assistant.worker.worker import Worker, WorkerOptions

log = logging.getLogger(__name__)

#: Seconds that running tasks may take to finish after the first signal.
GRACE = 10.0
RESTART_PAUSE = 1.0
READY_TIMEOUT = 20.0
SIGNALS = (signal.SIGTERM, signal.SIGINT)

Announce = Callable[["Runtime"], None]


class Runtime:
    """One embedded host. `run` returns after a signal, when everything has been stopped."""

    def __init__(self, config: HostConfig, *, announce: Announce, grace: float = GRACE):
        """`announce` is called once, when the host answers."""
        self.config = config
        self.url = ""
        self.auth: Auth
        self.restarts: Counter[str] = Counter()
        self._announce = announce
        self._grace = grace
        self._stop = asyncio.Event()
        self._redis: RedisServer | None = None
        self._services: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Starts, serves until `stop`, stops in order. Raises ConfigError when it cannot start."""
        async with AsyncExitStack() as stack:
            loop = asyncio.get_running_loop()
            for number in SIGNALS:
                loop.add_signal_handler(number, self.stop)
            folder = DataFolder(self.config.data_dir)
            folder.lock()
            stack.callback(folder.release)
            listener = listen(self.config.host, self.config.port)
            stack.callback(listener.close)
            self.url = url_of(self.config.host, listener.getsockname()[1])
            redis_url = await self._start_redis(stack)
            database = await asyncio.to_thread(Database.open, self.config.database)
            stack.callback(database.close)
            self.auth = await asyncio.to_thread(prepare_accounts, self.config, database)
            demo = self._with_demo()
            await self._serve(stack, folder, redis_url, database, demo, listener)

    def stop(self) -> None:
        """Begins the orderly end; a second call ends the process at once."""
        if self._stop.is_set():
            if self._redis is not None:
                self._redis.kill()
            os._exit(1)
        log.info("stopping; a second signal stops at once")
        self._stop.set()

    def login_link(self) -> str:
        """A new one-time link for Administrator."""
        return f"{self.url}/login?token={self.auth.links.create(ADMINISTRATOR)}"

    async def _start_redis(self, stack: AsyncExitStack) -> str:
        """The URL of the Redis to use; starts one where none was named."""
        if self.config.redis_url is not None:
            await asyncio.to_thread(check_redis, self.config.redis_url)
            return self.config.redis_url
        self._redis = RedisServer(find_redis(), self.config.data_dir / "redis")
        stack.push_async_callback(self._redis.stop)
        await self._redis.start()
        self._keep("redis", self._redis.run)
        return self._redis.url

    def _with_demo(self) -> DemoModel | None:
        """The demonstration model where the configuration has it; its address goes into the configuration."""
        wanted = [model for model in self.config.models if model.demo]
        if not wanted:
            return None
        demo = DemoModel(speed_of(os.environ))
        for model in wanted:
            ready = msgspec.structs.replace(model, api_base=self.url + DEMO_PATH, api_key=demo.key)
            self.config = self.config.with_model(ready)
        return demo

    async def _serve(
        self,
        stack: AsyncExitStack,
        folder: DataFolder,
        redis_url: str,
        database: Database,
        demo: DemoModel | None,
        listener: Any,
    ) -> None:
        config = self.config
        pool = CallPool()
        stack.callback(pool.close)
        names = HostNames(config.site, config.host, config.allowed_hosts)
        sockets = Sockets(config.site, self.auth, pool, names.names)
        bridge = Bridge(redis_url, sockets)
        probe = DeliveryProbe(redis_url, bridge)
        opener = HostOpener(config, database)
        services = self._request_services(opener, redis_url, HostMeters(sockets, bridge, probe))
        app = build_app(
            auth=self.auth,
            services=services,
            pool=pool,
            sockets=sockets,
            names=names,
            demo_routes=demo.routes() if demo else None,
            public_metrics=config.metrics.public,
        )
        server = web_server(app, self._grace)
        serving = asyncio.create_task(server.serve([listener]), name="web server")
        self._keep("bridge", bridge.run)
        self._keep("socket sweep", sockets.run)
        trace_urls = (config.traces.redis_url or redis_url,)
        options = WorkerOptions(grace_s=self._grace, trace_redis_urls=trace_urls, trace_bounds=config.traces.bounds)
        workers = WorkerKeeper(redis_url, opener, config.site, options)
        self._keep("worker", workers.run)
        await self._until_ready(server, serving, bridge, workers)
        self._keep("probe", probe.run)
        self._keep("retention", Retention(opener, config.site, config.traces.retention).run)
        key, secret = await asyncio.to_thread(self.auth.api_keys.create, self._administrator(), RUN_LABEL)
        folder.write(self._running(redis_url, f"{key}:{secret}", demo))
        self._announce(self)
        await self._stop.wait()
        server.stop_accepting()
        await workers.stop()
        await sockets.close()
        server.should_exit = True
        await serving
        await self._revoke(key)
        await self._end_services()

    async def _revoke(self, key: str) -> None:
        """Ends the key of this machine's commands; where the database fails, the next start does it."""
        try:
            await asyncio.to_thread(self.auth.api_keys.revoke, key)
        except SQLAlchemyError as error:
            log.warning("the key of run.json could not be ended, the next start will do it: %s", error)

    def _request_services(self, opener: HostOpener, redis_url: str, meters: HostMeters) -> Services:
        client, traces = request_client(redis_url), self.config.traces
        trace_client = request_client(traces.redis_url) if traces.redis_url else client
        meters.watch_traces(trace_client, Bounds(traces.max_stream_entries, traces.max_stream_bytes))
        self._keep("anomalies", AnomalyWatch(trace_client, opener, self.config.site).run)
        pipe = RedisTracePipe(
            trace_client,
            self.config.site,
            max_entries=traces.max_stream_entries,
            max_bytes=traces.max_stream_bytes,
        )
        tasks = Tasks(client, self.config.site)
        waiter = EndWaiter(worker_client(redis_url), tasks)
        self._keep("waiter", waiter.run)
        settings = self.config.settings

        async def wait(ref: TaskRef, timeout: float) -> dict[str, Any]:
            return (await waiter.wait(ref, timeout, settings)).view()

        return Services(self.config.site, opener, tasks, wait, meters, pipe)

    async def _until_ready(
        self, server: Any, serving: asyncio.Task[None], bridge: Bridge, workers: WorkerKeeper
    ) -> None:
        """Waits until the host would answer a chat; a web server that fails is told at once."""
        while not server.started:
            if serving.done():
                await serving
                raise ConfigError("port", "the web server ended while it was starting")
            await asyncio.sleep(0.01)
        ready = asyncio.gather(bridge.subscriber.connected.wait(), workers.ready())
        try:
            await asyncio.wait_for(ready, READY_TIMEOUT)
        except asyncio.TimeoutError as error:
            message = f"the worker was not ready within {READY_TIMEOUT:g} s; the log says why"
            raise ConfigError("redis_url", message) from error

    def _administrator(self) -> Any:
        return self.auth.users.get(ADMINISTRATOR)

    def _running(self, redis_url: str, api_key: str, demo: DemoModel | None) -> Running:
        return Running(
            pid=os.getpid(),
            url=self.url,
            site=self.config.site,
            version=ai_assistant.__version__,
            redis_url=redis_url,
            api_key=api_key,
            demo_base=self.url + DEMO_PATH if demo else None,
            demo_key=demo.key if demo else None,
        )

    def _keep(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        task = asyncio.get_running_loop().create_task(self._again(name, run), name=name)
        self._services.add(task)
        task.add_done_callback(self._services.discard)

    async def _again(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Runs a service, again when it fails, until the host stops."""
        while True:
            try:
                return await run()
            except Exception:
                if self._stop.is_set():
                    log.exception("%s failed while stopping", name)
                    return None
                self.restarts[name] += 1
                log.exception("%s failed; it is started again", name)
                await asyncio.sleep(RESTART_PAUSE)

    async def _end_services(self) -> None:
        await end_tasks(list(self._services))


class WorkerKeeper:
    """The worker inside the process; a new one each time it has to be started again."""

    def __init__(self, redis_url: str, opener: HostOpener, site: str, options: WorkerOptions):
        self._redis_url = redis_url
        self._opener = opener
        self._site = site
        self._options = options
        self._worker: Worker | None = None
        self._started = asyncio.Event()
        self._ended = asyncio.Event()

    async def run(self) -> None:
        """Works until `stop`."""
        self._worker = Worker(self._redis_url, self._site, self._opener, sites=(self._site,), options=self._options)
        self._started.set()
        try:
            await self._worker.run()
        finally:
            self._ended.set()

    async def ready(self) -> None:
        """Returns when tasks are taken."""
        await self._started.wait()
        if self._worker is not None:
            await self._worker.ready.wait()

    async def stop(self) -> None:
        """Lets running tasks finish within the grace time, or hands them over."""
        if self._worker is None:
            return
        self._ended.clear()
        self._worker.stop()
        try:
            await asyncio.wait_for(self._ended.wait(), self._options.grace_s + 10.0)
        except asyncio.TimeoutError:
            log.error("the worker did not stop in time; it is left behind")


def check_redis(url: str) -> None:
    """Raises ConfigError unless a Redis answers at `url`."""
    client = request_client(url)
    try:
        client.ping()
    except AWAY as error:
        raise ConfigError(
            "redis_url", f"no Redis answers there ({type(error).__name__}); start it, or unset REDIS_URL"
        ) from error
    finally:
        client.close()
