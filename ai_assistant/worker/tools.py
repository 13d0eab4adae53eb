"""What runners work with."""

from __future__ import annotations

import msgspec
import redis.asyncio

from ai_assistant.core.model import ModelConfig
from ai_assistant.core.settings import Settings
from ai_assistant.gateway.gateway import Gateway
from ai_assistant.streams import keys as names
from ai_assistant.streams.publisher import Publisher
from ai_assistant.worker.chat_traces import ChatTraces
from ai_assistant.worker.meters import Meters
from ai_assistant.worker.site_thread import SiteThreads
from ai_assistant.worker.window import Window


class Tools(msgspec.Struct):
    """What every runner of a worker uses."""

    gateway: Gateway
    publisher: Publisher
    window: Window
    sites: SiteThreads
    redis: redis.asyncio.Redis
    keys: names.ScopeKeys
    meters: Meters
    traces: ChatTraces


class Preparation(msgspec.Struct):
    """What the site said before the stream."""

    settings: Settings
    models: list[ModelConfig]
    trace_redis_url: str | None
