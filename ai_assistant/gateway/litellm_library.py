"""Imports litellm once, late, in a thread, and keeps it quiet and off the network."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import weakref
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
_loop: weakref.ref[asyncio.AbstractEventLoop] | None = None


async def load() -> Any:
    """The litellm module. The first call takes seconds of CPU, in a thread; the event loop goes on."""
    library = _library if _library is not None else await asyncio.to_thread(_import)
    _forget_other_loops(library)
    return library


def _forget_other_loops(library: Any) -> None:
    """LiteLLM keeps HTTP clients by the id of their event loop, which a later loop may have again, and one for all
    loops: in a process with one loop after the other (a script, a test) both would be stale."""
    global _loop
    loop = asyncio.get_running_loop()
    if _loop is None or _loop() is not loop:
        _loop = weakref.ref(loop)
        library.in_memory_llm_clients_cache.flush_cache()
        library.module_level_aclient = library.AsyncHTTPHandler(timeout=library.request_timeout)


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
