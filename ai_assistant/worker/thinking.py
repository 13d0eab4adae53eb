"""Signed thinking that led to a tool call: kept for the call's results, since a provider wants it back with them."""

from __future__ import annotations

import logging
from typing import Any

import msgspec
import redis.asyncio
from redis.exceptions import RedisError

from ai_assistant.core.task import TaskRef
from ai_assistant.streams.connection import patiently
from ai_assistant.streams.keys import thinking_key
from ai_assistant.worker.transcript import Call

log = logging.getLogger("ai_assistant.worker")


async def recall_thinking(client: redis.asyncio.Redis, ref: TaskRef, messages: list[dict[str, Any]]) -> None:
    """Puts back the thinking before tool calls whose client did not send it along."""
    bare = [m for m in messages if m.get("tool_calls") and not m.get("thinking_blocks")]
    if not bare:
        return
    keys = [thinking_key(ref.site, ref.user, m["tool_calls"][0]["id"]) for m in bare]
    kept = await patiently(lambda: client.mget(keys))
    for message, blocks in zip(bare, kept, strict=True):
        if blocks:
            message["thinking_blocks"] = msgspec.json.decode(blocks)


async def keep_thinking(
    client: redis.asyncio.Redis, ref: TaskRef, calls: list[Call], blocks: list[dict[str, Any]], ttl_s: int
) -> None:
    """Keeps the thinking for `ttl_s` seconds. Redis away is no failure: the client has it too, in `completion`."""
    for call in calls:
        key = thinking_key(ref.site, ref.user, call.id)
        try:
            await client.set(key, msgspec.json.encode(blocks), ex=ttl_s)
        except (RedisError, OSError) as error:
            log.warning("task %s: its thinking is not kept: %s", ref.id, error)
