"""Reads what either kind of client gives, synchronous or not."""

from __future__ import annotations

import inspect
import json
from typing import Any

from ai_assistant.tracing import testing


async def settled(value: Any) -> Any:
    """What a call of either kind of client gives."""
    return await value if inspect.isawaitable(value) else value


async def chunks_of(stream: Any) -> list[Any]:
    """All chunks of either kind of stream."""
    if hasattr(stream, "__aiter__"):
        return [chunk async for chunk in stream]
    return list(stream)


async def first_of(stream: Any, count: int) -> list[Any]:
    """The first chunks; then the iteration is broken off."""
    found: list[Any] = []
    if hasattr(stream, "__aiter__"):
        iterator = stream.__aiter__()
        async for chunk in iterator:
            found.append(chunk)
            if len(found) == count:
                break
        await iterator.aclose()  # what the event loop does a little later
    else:
        for chunk in stream:
            found.append(chunk)
            if len(found) == count:
                break
    return found


def the_one(traces: testing.MemoryExporter) -> dict[str, Any]:
    """The only observation."""
    (found,) = traces.observations()
    return found


def metadata(observation: dict[str, Any]) -> dict[str, Any]:
    """An observation's metadata."""
    return json.loads(observation["metadata"])
