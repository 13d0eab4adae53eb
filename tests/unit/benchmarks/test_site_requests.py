"""The verdicts of `benchmarks/site_requests.py`; a site itself is not needed here."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import site_requests
from streaming_parts.web_times import CHAT, Stopwatch, Times
from streaming_parts.web_waiting import Held, Waiting

SCRIPT = Path(site_requests.__file__)


def waiting_of(*seconds: float) -> Waiting:
    calls = [Held(seconds=each, status="completed" if each > 5 else "running", task_id="t") for each in seconds]
    return Waiting(calls=calls, ping_median_ms=5.0, ping_most_ms=9.0)


@pytest.mark.parametrize(
    ("seconds", "workers", "longest", "met"),
    [
        ((10.1, 10.2, 0.1, 0.2), 8, None, True),
        ((10.1, 10.2, 10.3, 0.2), 8, None, False),
        ((10.1, 0.1), 3, None, True),
        ((0.1, 0.1), 3, None, False),
        ((5.1, 0.1), 3, 6.0, True),
        ((10.1, 0.1), 3, 6.0, False),
    ],
)
def test_a_quarter_may_wait_and_somebody_must(
    seconds: tuple[float, ...], workers: int, longest: float | None, met: bool, capsys: pytest.CaptureFixture[str]
):
    assert site_requests.told_waiting(waiting_of(*seconds), workers, longest) is met
    assert ("yes" if met else "NO") in capsys.readouterr().out


@pytest.mark.parametrize(("median_ms", "met"), [(14.9, True), (15.1, False)])
def test_a_chat_must_be_accepted_soon(median_ms: float, met: bool):
    times = [Times(name=CHAT, count=9, median_ms=median_ms, p90_ms=99.0, least_ms=1.0)]
    assert site_requests.told_times(times, markdown=True) is met


async def test_calls_are_timed_by_name():
    watch = Stopwatch([])

    async def call() -> str:
        return "answer"

    assert await watch.time("one", call) == "answer"
    await watch.time("other", call)
    await watch.time("one", call)
    assert [(each.name, each.count, each.cpu_ms) for each in watch.times()] == [("one", 2, None), ("other", 1, None)]


def test_it_needs_a_password():
    env = {name: value for name, value in os.environ.items() if name != "AI_ASSISTANT_ADMIN_PASSWORD"}
    command = [sys.executable, str(SCRIPT), "http://127.0.0.1:1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=env)
    assert done.returncode == 2
    assert "AI_ASSISTANT_ADMIN_PASSWORD" in done.stderr
