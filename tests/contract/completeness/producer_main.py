"""A program that traces, for the proof of completeness: `producer_main.py '<JSON of Orders>'`.

It makes traces until it is told to stop, and writes down for itself what it made. Files in the folder of the test are
how they talk: `stop` ends it, `away` says that Redis is.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any, Literal

import msgspec

from ai_assistant import tracing
from ai_assistant.tracing.trace_state import TraceState
from tests.trace_kit import SITE

PATIENCE_S = 60.0
POISON_EVERY = 100


class Orders(msgspec.Struct, kw_only=True):
    """What the test wants of one program."""

    folder: str
    name: str
    redis: str
    kind: Literal["plain", "tight", "forks", "dies"] = "plain"
    """`tight`: has little room while Redis is away; `forks`: goes on in a child, too; `dies`: kills itself with
    observations open, once all was delivered."""
    payload: int = 200
    """Characters of each input."""
    buffer_bytes: int = 64 * 1024 * 1024
    pause_s: float = 0.01
    """Between two traces."""


class Program:
    """One process of it."""

    def __init__(self, orders: Orders, name: str):
        self.orders = orders
        self.name = name
        self.folder = Path(orders.folder)
        self.states: list[TraceState] = []
        self.spans = 0
        self.poison = 0
        self.open: list[str] = []
        self._opened: list[Any] = []

    def work(self) -> None:
        """Makes traces until the test says stop."""
        number = 0
        while not (self.folder / "stop").exists():
            number += 1
            self._trace(number)
            time.sleep(self.orders.pause_s)
            if self.orders.kind == "tight":
                self._tell_drops()

    def _trace(self, number: int) -> None:
        """A root with two steps, one of which is updated while it runs; some have a step that no database takes."""
        text = f"{self.name} {number} " + "x" * self.orders.payload
        with tracing.span("root", "agent", input=text) as root:
            self.states.append(root.state)
            tracing.set_trace(user=f"{self.name}@example.com", tags=[self.name])
            with tracing.span("step", "tool", input=text) as step:
                step.progress(1, 2)
            with tracing.span("poison" if number % POISON_EVERY == 0 else "step", input=text) as step:
                step.update(output=str(number))
            root.update(output=str(number))
        self.spans += 3
        self.poison += number % POISON_EVERY == 0

    def _tell_drops(self) -> None:
        if (self.folder / "away").exists() and self.lane.dropped:
            (self.folder / f"{self.name}.dropped").touch()

    @property
    def lane(self) -> Any:
        """The way to the site: it knows the numbers."""
        client = tracing.client()
        assert client is not None
        assert client.pipeline is not None
        return client.pipeline.lane(SITE)

    def leave_open(self) -> None:
        """Begins observations that it will not end."""
        for _ in range(3):
            span = tracing.start_span("left open", input="x")
            self._opened.append(span)
            self.states.append(span.state)
            self.open.append(span.trace_id)
            self.spans += 1

    def deliver(self) -> None:
        """Waits until Redis has everything."""
        assert tracing.flush(PATIENCE_S), tracing.status()

    def write_down(self) -> None:
        """What it made, in one step: the test reads it when it is there."""
        lane = self.lane
        found = {
            "producer": lane.producer,
            "made": lane.made,
            "dropped": lane.dropped,
            "spans": self.spans,
            "poison": self.poison,
            "open": self.open,
            "traces": {state.id: state.places for state in self.states},
        }
        part = self.folder / f"{self.name}.part"
        part.write_text(json.dumps(found))
        part.rename(self.folder / f"{self.name}.made")


def main(orders: Orders) -> None:
    """One program, from its start to its end."""
    tracing.init(
        redis_url=orders.redis,
        site=SITE,
        service=orders.name,
        verify=False,
        flush_interval=0.02,
        buffer_bytes=orders.buffer_bytes,
    )
    program = Program(orders, orders.name)
    program._trace(1)
    child = 0
    if orders.kind == "forks":
        child = os.fork()
        if child == 0:
            program = Program(orders, f"{orders.name}-child")
    (program.folder / f"{program.name}.ready").touch()
    program.work()
    if orders.kind == "dies":
        program.leave_open()
        program.deliver()
        program.write_down()
        os.kill(os.getpid(), signal.SIGKILL)
    program.deliver()
    assert tracing.shutdown(PATIENCE_S)
    program.write_down()
    if child:
        _, status = os.waitpid(child, 0)
        sys.exit(os.waitstatus_to_exitcode(status))
    if orders.kind == "forks":
        os._exit(0)


if __name__ == "__main__":
    main(msgspec.json.decode(sys.argv[1], type=Orders))
