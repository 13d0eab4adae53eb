"""Measures a Frappe site's web requests: their times, and how many of them wait; see docs/performance.md.

    AI_ASSISTANT_ADMIN_PASSWORD=… python benchmarks/site_requests.py http://site [--pid 1234] [--rounds 200]
    AI_ASSISTANT_ADMIN_PASSWORD=… python benchmarks/site_requests.py http://site --waiting 12 --web-workers 8

The first form times each request, the second sends so many calls at once that wait for answers of ten seconds. Makes
what it needs on the site over REST and takes it away again. Ends with 0 when the targets were reached, 1 when not, 2
when something failed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from pathlib import Path

import aiohttp
from streaming_parts.api import Api, ApiError, open_http
from streaming_parts.child import ChildError
from streaming_parts.generator import upstream
from streaming_parts.host import Model
from streaming_parts.report import number, table
from streaming_parts.site import PASSWORD_VARIABLE, prepared
from streaming_parts.usage import Serving
from streaming_parts.web_times import CHAT, MOST_MS, Times, web_times
from streaming_parts.web_waiting import Waiting, waiting

FAILED = 2
BRIEF, LONG = "once-1", "steady-50-{:g}"


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = argparse.ArgumentParser(description="Measure the web requests of a Frappe site.")
    found.add_argument("url")
    found.add_argument("--rounds", type=int, default=200, help="times that each request is sent (200)")
    found.add_argument(
        "--pid", type=Serving.parse, action="append", default=[], help="the web server, for its CPU; with its children"
    )
    found.add_argument("--waiting", type=int, default=0, metavar="N", help="send N calls at once that wait")
    found.add_argument("--web-workers", type=int, default=0, metavar="W", help="processes of the web server")
    found.add_argument("--answer", type=float, default=10.0, metavar="S", help="seconds of an answer waited for (10)")
    found.add_argument("--longest", type=float, metavar="S", help="no call may be held longer than this")
    found.add_argument("--markdown", action="store_true", help="print the table in Markdown")
    return found


async def run(given: argparse.Namespace, password: str, folder: Path) -> bool:
    """Prepares, measures and prints; whether the targets were reached. Raises ChildError, ApiError."""
    pace = LONG.format(given.answer) if given.waiting else BRIEF
    model = Model(f"requests-{pace}", pace)
    async with (
        upstream(folder) as source,
        prepared(given.url, password, source.base, [model], 1, 0) as (users, _idle),
        open_http() as http,
    ):
        api = Api(http, given.url)
        await api.login(users[0].user, users[0].password)
        if given.waiting:
            found = await waiting(api, model.name, given.waiting)
            return told_waiting(found, given.web_workers, given.longest)
        return told_times(await web_times(api, model.name, given.rounds, given.pid), given.markdown)


def told_times(found: list[Times], markdown: bool) -> bool:
    """Prints the times; whether a chat is accepted soon enough."""
    lines = [
        [each.name, str(each.count), *map(number, (each.median_ms, each.p90_ms, each.least_ms, each.cpu_ms))]
        for each in found
    ]
    print(table(("request", "times", "median ms", "p90 ms", "least ms", "web CPU ms"), lines, markdown))
    chat = next(each for each in found if each.name == CHAT)
    is_met = chat.median_ms <= MOST_MS
    print(f"\n{CHAT}: median {chat.median_ms:.1f} ms, must be ≤ {MOST_MS:g} ms: {'yes' if is_met else 'NO'}")
    return is_met


def told_waiting(found: Waiting, web_workers: int, longest_s: float | None) -> bool:
    """Prints who waited; whether no more did than may, and for no longer."""
    held = ", ".join(f"{call.seconds:g} s {call.status}" for call in found.held) or "none"
    print(f"{len(found.calls)} calls at once: {len(found.held)} waited ({held}); {len(found.at_once)} were answered")
    print(f"at once, within {max((call.seconds for call in found.at_once), default=0):g} s. ", end="")
    print(f"frappe.ping meanwhile: median {found.ping_median_ms:.1f} ms, at most {found.ping_most_ms:.0f} ms.")
    most = max(1, web_workers // 4) if web_workers else len(found.calls)
    is_met = 0 < len(found.held) <= most and (longest_s is None or found.longest_s <= longest_s)
    print(
        f"must: at most {most} wait{f', none over {longest_s:g} s' if longest_s else ''}: {'yes' if is_met else 'NO'}"
    )
    return is_met


def main() -> int:
    """Runs the measurement and gives the exit code."""
    given = parser().parse_args()
    password = os.environ.get(PASSWORD_VARIABLE)
    if not password:
        print(f"{PASSWORD_VARIABLE}: is missing; set it to Administrator's password", file=sys.stderr)
        return FAILED
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        try:
            return int(not asyncio.run(run(given, password, Path(folder))))
        except (ChildError, ApiError, aiohttp.ClientError, asyncio.TimeoutError) as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            return FAILED


if __name__ == "__main__":
    sys.exit(main())
