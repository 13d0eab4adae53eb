"""Subjects for the doctor. Nothing here needs Frappe: checks that do are tried on a site."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis

from ai_assistant.site.doctor.finding import Finding, Subject
from tests.servers import free_port, redis_program


def subject_at(url: str, bench: Path, **more: Any) -> Subject:
    """A bench in a folder, whose Redis is at `url`."""
    (bench / "sites").mkdir(exist_ok=True)
    conf = {"redis_queue": url, **more.pop("conf", {})}
    given: dict[str, Any] = {"redis_url": url, "redis_key": "redis_queue", "scope": "bench", "conf": conf, **more}
    return Subject(site="s.localhost", sites_path=bench / "sites", **given)


@contextmanager
def redis_with(*options: str) -> Iterator[str]:
    """The URL of another Redis, started with these options."""
    port = free_port()
    command = [redis_program(), "--port", str(port), "--bind", "127.0.0.1", "--save", "", *options]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"redis://127.0.0.1:{port}"
    deadline = time.monotonic() + 20
    try:
        while True:
            with contextlib.suppress(redis.RedisError), redis.Redis.from_url(url) as one:
                one.ping()
                break
            assert process.poll() is None and time.monotonic() < deadline, "Redis did not start"
            time.sleep(0.02)
        yield url
    finally:
        process.kill()
        process.wait()


def by_id(findings: Any) -> dict[str, Finding]:
    """The findings by their id; of several with one id the last."""
    return {finding.id: finding for finding in findings}
