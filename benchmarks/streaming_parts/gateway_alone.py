"""CPU of the gateway alone for each token, beside httpx reading the same stream.

Run as a process of its own: `python -m streaming_parts.gateway_alone`. Reads a Trial as one JSON line from standard
input and prints its figures.
"""

from __future__ import annotations

import asyncio
import sys
import time

import httpx
import msgspec

from .loop import run_fast
from .stamps import RawReader, StampReader


class Trial(msgspec.Struct, kw_only=True):
    """What is read: `reader` is `httpx`, or the transport of a model (`direct` or `litellm`)."""

    reader: str
    base: str
    pace: str
    tokens: int
    streams: int = 20


class Figures(msgspec.Struct, kw_only=True):
    """What it took."""

    reader: str
    pace: str
    delivered: int
    expected: int
    cpu_us_per_token: float


async def raw(trial: Trial, client: httpx.AsyncClient) -> StampReader:
    """Reads one stream with httpx alone."""
    reader = StampReader(trial.tokens)
    tokens = RawReader(reader)
    body = {"model": trial.pace, "messages": [{"role": "user", "content": "Say the tokens."}], "stream": True}
    async with client.stream("POST", f"{trial.base}/chat/completions", json=body) as answer:
        async for data in answer.aiter_bytes():
            tokens.feed(data, 0)
    return reader


async def raw_streams(trial: Trial) -> tuple[list[StampReader], float]:
    """Every stream at once, and the CPU seconds that they took."""
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(limits=limits, timeout=60) as client:
        await raw(msgspec.structs.replace(trial, pace="once-1", tokens=1), client)
        began = time.process_time()
        readers = await asyncio.gather(*(raw(trial, client) for _ in range(trial.streams)))
        return list(readers), time.process_time() - began


async def gateway_streams(trial: Trial) -> tuple[list[StampReader], float]:
    """The same through the gateway."""
    from ai_assistant.core.model import ModelConfig
    from ai_assistant.gateway.chunks import TextDelta
    from ai_assistant.gateway.gateway import Gateway
    from ai_assistant.gateway.request import GatewayRequest

    gateway = Gateway()
    request = GatewayRequest(messages=[{"role": "user", "content": "Say the tokens."}])

    async def read(pace: str, tokens: int) -> StampReader:
        reader = StampReader(tokens)
        model = ModelConfig(
            name="bench",
            model=f"openai/{pace}",
            api_base=trial.base,
            api_key="none",
            transport="litellm" if trial.reader == "litellm" else "direct",
            max_streams=1000,
        )
        async for chunks in gateway.stream(request, [model]):
            for chunk in chunks:
                if isinstance(chunk, TextDelta):
                    reader.feed(chunk.text, 0)
        return reader

    await read("once-1", 1)
    began = time.process_time()
    readers = await asyncio.gather(*(read(trial.pace, trial.tokens) for _ in range(trial.streams)))
    took = time.process_time() - began
    await gateway.aclose()
    return list(readers), took


async def main() -> None:
    """Runs one trial."""
    trial = msgspec.json.decode(await asyncio.to_thread(sys.stdin.readline), type=Trial)
    readers, took = await (raw_streams(trial) if trial.reader == "httpx" else gateway_streams(trial))
    delivered = sum(reader.delivered for reader in readers)
    figures = Figures(
        reader=trial.reader,
        pace=trial.pace,
        delivered=delivered,
        expected=trial.streams * trial.tokens,
        cpu_us_per_token=round(took / max(1, delivered) * 1e6, 1),
    )
    print(msgspec.json.encode(figures).decode(), flush=True)


if __name__ == "__main__":
    run_fast(main())
