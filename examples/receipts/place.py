"""Where the example's task goes: to a running host, or nowhere but the terminal."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from ai_assistant.host.config import default_data_dir
from ai_assistant.host.run_file import DataFolder


@dataclass(frozen=True)
class Place:
    """A running host, as far as it is known."""

    redis_url: str
    site: str
    url: str | None = None
    """Of its page and endpoints; None where only its Redis was named."""
    api_key: str | None = None


def find_place(data_dir: Path | None) -> Place | None:
    """The host of the environment (`AI_ASSISTANT_TRACING_REDIS_URL`, `AI_ASSISTANT_SITE`), else the one that runs on
    the data folder (`bin/serve`)."""
    redis_url = os.environ.get("AI_ASSISTANT_TRACING_REDIS_URL")
    site = os.environ.get("AI_ASSISTANT_SITE")
    if redis_url and site:
        return Place(redis_url, site)
    running = DataFolder(data_dir or default_data_dir(os.environ)).running()
    if running is None:
        return None
    return Place(running.redis_url, running.site, running.url, running.api_key)


def line_of(event: dict) -> str:
    """One event for the terminal."""
    kept = {
        name: event[name]
        for name in ("name", "arguments", "progress", "message", "data", "error", "text", "result")
        if event.get(name) not in (None, "")
    }
    return f"{event['seq']:4}  {event['type']:14} {json.dumps(kept, ensure_ascii=False)}"
