"""Imports litellm once, late, in a thread, and keeps it quiet and off the network."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from typing import Any

#: Read by litellm while it is imported: no price table, header list or blog posts from the network, no `.env` file.
_ENVIRONMENT = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
    "LITELLM_LOCAL_BLOG_POSTS": "True",
    "LITELLM_MODE": "PRODUCTION",
}
_LOGGERS = ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy")
_LOCK = threading.Lock()
_library: Any = None


async def load() -> Any:
    """The litellm module. The first call takes seconds of CPU, in a thread; the event loop goes on."""
    return _library if _library is not None else await asyncio.to_thread(_import)


def _import() -> Any:
    global _library
    with _LOCK:
        if _library is None:
            os.environ.update(_ENVIRONMENT)
            import litellm

            _quiet(litellm)
            _library = litellm
    return _library


def _quiet(litellm: Any) -> None:
    """No telemetry, no prints, no log lines with request data; httpx, which closes a cancelled stream at once."""
    for name, value in {
        "telemetry": False,
        "suppress_debug_info": True,
        "set_verbose": False,
        "turn_off_message_logging": True,
        "disable_token_counter": True,
        "disable_aiohttp_transport": True,
        "drop_params": True,
    }.items():
        setattr(litellm, name, value)
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.setLevel(logging.CRITICAL)
        logger.propagate = False
