"""One run of the benchmark: every load that was asked for, one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, nullcontext
from pathlib import Path

import msgspec

from . import compare, imports
from .child import Child, ChildError
from .gateway_alone import Figures, Trial
from .generator import Upstream, upstream
from .host import Model, Target, embedded
from .loads import DIRECT, ON_SITE, PROXY, UPSTREAM, Load, loads_of, on_site
from .machine import machine
from .measure import job_of, measure, warm_up
from .pace import pace_of
from .peer import executable, proxy, version_of
from .report import Report
from .row import Check
from .running import RunningHost
from .usage import Serving

GATEWAY, IMPORTS = "gateway", "imports"
#: Users of the idle sockets.
IDLE_USERS = 10
#: CPU that the gateway may take for a token of a direct wire, in µs.
GATEWAY_MOST = 40.0
#: Seconds of the gateway's paced streams, and the pace of the others: everything at once.
GATEWAY_S = 10.0
FLOOD = "once-2000"


class Options(msgspec.Struct, kw_only=True):
    """What was asked for on the command line."""

    seconds: float
    chats: int
    users: int
    is_quick: bool
    only: list[str]
    litellm_proxy: str | None = None
    running: RunningHost | None = None
    """A host that runs already and is to be measured."""
    is_beside: bool = False
    """Whether an embedded host of our own is measured beside it."""
    repeat: int = 1
    upstream_port: int = 0

    def wants(self, name: str) -> bool:
        """Whether a load is to run."""
        return name in (self.only or ON_SITE) if self.running else not self.only or name in self.only

    @property
    def hosts(self) -> list[str]:
        """The hosts that a load on the wire goes to, one after the other."""
        if not self.is_beside:
            return [""]
        return [compare.SITE, compare.EMBEDDED]


class Session:
    """The parts of one run, started as they are needed."""

    def __init__(self, options: Options, folder: Path, source: Upstream, say: Callable[[str], None]):
        self._options = options
        self._folder = folder
        self._upstream = source
        self._say = say
        self.report = Report(machine=machine(), is_quick=options.is_quick)

    async def run(self) -> None:
        """Every load. Raises ChildError when the generator fails; a host or a proxy that does is noted."""
        loads = [
            load for load in loads_of(self._options.seconds, self._options.chats) if self._options.wants(load.name)
        ]
        if self._options.wants(IMPORTS):
            await self._imports()
        if self._options.wants(GATEWAY):
            await self._gateway()
        await self._floor([load for load in loads if load.path == UPSTREAM])
        await self._wire([load for load in loads if load.is_wire])
        await self._proxy([load for load in loads if load.path == PROXY])

    async def _floor(self, loads: list[Load]) -> None:
        for load in loads:
            await self._measure(load, None, [])

    async def _wire(self, loads: list[Load]) -> None:
        """Each load, as often as was asked for; where there are two hosts, on one after the other."""
        if not loads:
            return
        try:
            async with self._running(loads) as running:
                for load in loads:
                    for number in range(self._options.repeat):
                        for host in self._options.hosts:
                            await self._one(load, host, running, self._folder / f"{load.name}-{number}")
        except ChildError as error:
            self._failed("the host that runs", error)

    def _running(self, loads: list[Load]) -> AbstractAsyncContextManager[Target | None]:
        running = self._options.running
        if running is None:
            return nullcontext()
        models = {load.model: model_of(load) for load in loads}
        idle = IDLE_USERS if any(load.idle_sockets for load in loads) else 0
        return running.target(self._upstream.base, models.values(), self._options.users, idle)

    async def _one(self, load: Load, host: str, running: Target | None, folder: Path) -> None:
        """One load on one host; an embedded host is a new one, so that none inherits another's memory."""
        try:
            async with AsyncExitStack() as stack:
                if running is None or host == compare.EMBEDDED:
                    target = await stack.enter_async_context(self._embedded(load, folder))
                else:
                    target = msgspec.structs.replace(running, users=running.users[: load.streams])
                judged = msgspec.structs.replace(load, must=None) if host == compare.EMBEDDED else load
                await self._measure(on_site(judged) if running else judged, target, target.serving, host=host)
        except ChildError as error:
            self._failed(f"{load.name} {host}".strip(), error)

    def _embedded(self, load: Load, folder: Path) -> AbstractAsyncContextManager[Target]:
        folder.mkdir(exist_ok=True)
        idle = IDLE_USERS if load.idle_sockets else 0
        users = min(self._options.users, load.streams)
        return embedded(folder, self._upstream.base, [model_of(load)], users, idle, load.task_ttl_s)

    async def _measure(
        self,
        load: Load,
        target: Target | None,
        serving: list[Serving],
        *,
        base: str = "",
        key: str = "",
        host: str = "",
    ) -> None:
        self._say(f"{load.path}{host and ', '}{host}: {load.title} ({load.pace}) …")
        job = job_of(load, target, base or self._upstream.base, key)
        await warm_up(self._folder, job)
        row = await measure(self._folder, load, job, self._upstream, serving)
        row.host = host
        self.report.rows.append(row)

    async def _proxy(self, loads: list[Load]) -> None:
        if not loads:
            return
        path = self._options.litellm_proxy
        program = executable(path) if path else None
        if program is None:
            why = (
                f"{path} holds no litellm"
                if path
                else "give a virtual environment with litellm[proxy] by --litellm-proxy"
            )
            self.report.skipped.append(f"the LiteLLM proxy; {why}.")
            return
        self._say("LiteLLM proxy: starting …")
        self.report.machine["versions"]["LiteLLM proxy"] = await version_of(program)
        paces = sorted({load.pace for load in loads} | {"once-1"})
        try:
            async with proxy(program, self._folder, self._upstream.base, paces) as peer:
                for load in loads:
                    await self._measure(load, None, [Serving(peer.pid)], base=peer.base, key=peer.key)
        except ChildError as error:
            self._failed("the LiteLLM proxy", error)

    def _failed(self, name: str, error: ChildError) -> None:
        """What was measured before is reported nevertheless."""
        self.report.failures.append(f"{name}: {error}")

    async def _imports(self) -> None:
        found = await asyncio.to_thread(imports.forbidden_after_import)
        must = f"import {', '.join(imports.PACKAGES)} without {', '.join(imports.FORBIDDEN)}"
        self.report.checks.append(Check(must=must, was=", ".join(found) or "none", met=not found))

    async def _gateway(self) -> None:
        """The gateway alone, with tokens as fast as it takes them and with tokens that come one by one."""
        for trial in trials(self._upstream.base, 2.0 if self._options.is_quick else GATEWAY_S):
            self._say(f"gateway alone: {trial.reader} ({trial.pace}) …")
            figures = await alone(self._folder, trial)
            self.report.gateway.append(figures)
            if trial.reader == "direct" and trial.pace == FLOOD:
                self.report.checks.append(gateway_check(figures))


def model_of(load: Load) -> Model:
    """The model that the load asks."""
    return Model(load.model, load.pace, "direct" if load.path == DIRECT else "litellm")


def trials(base: str, seconds: float) -> list[Trial]:
    """Each reader at each pace."""
    paced = f"steady-50-{seconds:g}"
    return [
        Trial(reader=reader, base=base, pace=pace, tokens=pace_of(pace).tokens, streams=streams)
        for pace, streams in ((FLOOD, 10), (paced, 20))
        for reader in ("httpx", "direct", "litellm")
    ]


def gateway_check(figures: Figures) -> Check:
    """The gateway's target. Its figures of comparison (httpx 14 µs, LiteLLM 330) are of tokens that do not wait."""
    met = figures.cpu_us_per_token <= GATEWAY_MOST and figures.delivered == figures.expected
    must = f"direct wire, gateway alone ≤ {GATEWAY_MOST:g} µs CPU per token"
    return Check(must=must, was=f"{figures.cpu_us_per_token:.1f} µs", met=met)


async def alone(folder: Path, trial: Trial) -> Figures:
    """One trial in a process of its own. Raises ChildError."""
    async with await Child.module("streaming_parts.gateway_alone", folder) as child:
        await child.tell(msgspec.json.encode(trial))
        return msgspec.json.decode(await child.line(180.0), type=Figures)


async def run(options: Options, folder: Path, say: Callable[[str], None]) -> Report:
    """Runs everything and gives the report. `say` is told what is under way. Raises ChildError."""
    async with upstream(folder, options.upstream_port) as source:
        session = Session(options, folder, source, say)
        await session.run()
        return session.report
