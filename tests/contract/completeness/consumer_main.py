"""A consumer as a process of its own, for tests that kill it: `consumer_main.py '<JSON>'`; says `ready` when it is."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from pathlib import Path

import msgspec

from ai_assistant.traces.consumer_options import ConsumerOptions
from ai_assistant.worker.traces import TraceConsumers
from tests.trace_kit import TraceSites


class Orders(msgspec.Struct):
    """What the test wants of it."""

    redis: str
    folder: str
    options: ConsumerOptions


async def main(orders: Orders) -> None:
    """Works until SIGTERM."""
    consumers = TraceConsumers((orders.redis,), TraceSites(Path(orders.folder), busy_timeout=5.0), orders.options)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, consumers.stop)
    running = asyncio.create_task(consumers.run())
    await consumers.consumers[0].ready.wait()
    print("ready", flush=True)  # noqa: T201  # the test waits for it
    await running


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    asyncio.run(main(msgspec.json.decode(sys.argv[1], type=Orders)))
