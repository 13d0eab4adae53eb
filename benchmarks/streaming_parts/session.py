"""One run of the benchmark: every load that was asked for, one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec

from . import imports
from .child import Child, ChildError
from .gateway_alone import Figures, Trial
from .generator import Upstream, upstream
from .host import Model, Target, embedded, running_target
from .loads import DIRECT, PROXY, UPSTREAM, Load, loads_of
from .machine import machine
from .measure import job_of, measure, warm_up
from .pace import pace_of
from .peer import executable, proxy, version_of
from .report import Report
from .row import Check

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
    url: str | None = None
    user: str = ""
    password: str = ""
    site: str = ""
    socket_url: str = ""
    pids: list[int] = []
    upstream_port: int = 0

    def wants(self, name: str) -> bool:
        """Whether a load is to run."""
        return not self.only or name in self.only


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
        """Each load on a host of its own, so that none inherits another's memory."""
        for load in loads:
            try:
                async with AsyncExitStack() as stack:
                    target = await self._target(stack, load)
                    await self._measure(load, target, target.pids)
            except ChildError as error:
                self._failed(load.name, error)

    async def _target(self, stack: AsyncExitStack, load: Load) -> Target:
        asked = self._options
        if asked.url:
            return running_target(asked.url, asked.user, asked.password, asked.site, asked.socket_url, asked.pids)
        transport = "direct" if load.path == DIRECT else "litellm"
        model = Model(load.model, load.pace, transport)
        short = Model(f"{load.model}-warm", "once-1", transport)
        folder = self._folder / load.name
        folder.mkdir(exist_ok=True)
        idle = IDLE_USERS if load.idle_sockets else 0
        users = min(asked.users, load.streams)
        return await stack.enter_async_context(
            embedded(folder, self._upstream.base, [model, short], users, idle, load.task_ttl_s)
        )

    async def _measure(self, load: Load, target: Target | None, pids: list[int], base: str = "", key: str = "") -> None:
        self._say(f"{load.path}: {load.title} ({load.pace}) …")
        job = job_of(load, target, base or self._upstream.base, key)
        if target is None or not self._options.url:
            await warm_up(self._folder, job)
        row = await measure(self._folder, load, job, self._upstream, pids)
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
                    await self._measure(load, None, [peer.pid], peer.base, peer.key)
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
