"""Measures streaming from a provider's write to a client's receipt; see docs/performance.md.

    python benchmarks/streaming.py                     every load, on an embedded host of its own
    python benchmarks/streaming.py --quick             a smoke test
    python benchmarks/streaming.py --load 50 --json 50.json
    python benchmarks/streaming.py --litellm-proxy ~/litellm-venv
    AI_ASSISTANT_ADMIN_PASSWORD=… python benchmarks/streaming.py --url https://site --prepare --beside

Ends with 0 when every target was reached, 1 when one was not, 2 for a wrong call or a part that failed, 3 when the run
is void.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from pathlib import Path

from streaming_parts.child import ChildError
from streaming_parts.loads import loads_of
from streaming_parts.loop import raise_file_limit
from streaming_parts.report import text_of
from streaming_parts.running import RunningHost
from streaming_parts.session import GATEWAY, IMPORTS, Options, run
from streaming_parts.site import PASSWORD_VARIABLE
from streaming_parts.usage import Serving

FAILED, VOID = 2, 3


def parser() -> argparse.ArgumentParser:
    """The command line."""
    names = [load.name for load in loads_of(1, 10)] + [GATEWAY, IMPORTS]
    found = argparse.ArgumentParser(description="Measure streaming, end to end.")
    found.add_argument("--load", action="append", choices=names, help="only this load; may be given several times")
    found.add_argument("--quick", action="store_true", help="short streams: a smoke test that judges delivery only")
    found.add_argument("--seconds", type=float, default=20.0, help="length of a stream (20)")
    found.add_argument("--chats", type=int, default=1000, help="chats one after the other (1000)")
    found.add_argument("--users", type=int, default=10, help="users who ask, each with one socket (10)")
    found.add_argument("--markdown", action="store_true", help="print the table in Markdown")
    found.add_argument("--json", type=Path, metavar="FILE", help="write the report as JSON")
    found.add_argument("--keep", type=Path, metavar="DIR", help="keep the host's data and all logs in this folder")
    found.add_argument("--litellm-proxy", metavar="PATH", help="a virtual environment with litellm[proxy]")
    found.add_argument("--repeat", type=int, default=1, help="how often each load on the wire runs (1)")
    add_running(found)
    return found


def add_running(found: argparse.ArgumentParser) -> None:
    """The options of a host that runs already."""
    running = found.add_argument_group("a host that runs already, for example a Frappe site")
    running.add_argument("--url")
    running.add_argument(
        "--prepare",
        action="store_true",
        help="make the models and users on a Frappe site, lift its limits, and take it all back at the end; "
        f"Administrator's password is asked of {PASSWORD_VARIABLE}",
    )
    running.add_argument("--beside", action="store_true", help="measure an embedded host of our own by turns with it")
    running.add_argument("--user", default="Administrator", help="who asks, where nothing is prepared")
    running.add_argument("--password")
    running.add_argument("--site", default="", help="the namespace, where it is not the URL's host name")
    running.add_argument("--socket-url", default="", help="where Socket.IO is, where it is not the same URL")
    running.add_argument(
        "--pid",
        type=Serving.parse,
        action="append",
        default=[],
        metavar="[NAME=]PID",
        help="a process that serves, with its children; may be repeated",
    )
    running.add_argument("--upstream-port", type=int, default=0, help="the port that the host's models point to")


def options_of(given: argparse.Namespace) -> Options:
    """The options of a run. Raises SystemExit for some that do not go together."""
    if given.seconds <= 0 or given.chats < 10 or given.users < 1 or given.repeat < 1:
        raise SystemExit("--seconds must be above 0, --chats at least 10, --users and --repeat at least 1")
    if (given.beside or given.prepare) and not given.url:
        raise SystemExit("--beside and --prepare need --url")
    return Options(
        seconds=2.0 if given.quick else given.seconds,
        chats=20 if given.quick else given.chats,
        users=given.users,
        is_quick=given.quick,
        only=given.load or [],
        litellm_proxy=given.litellm_proxy,
        running=running_of(given) if given.url else None,
        is_beside=given.beside,
        repeat=given.repeat,
        upstream_port=given.upstream_port,
    )


def running_of(given: argparse.Namespace) -> RunningHost:
    """The host that runs. Raises SystemExit when nobody may use it."""
    admin_password = os.environ.get(PASSWORD_VARIABLE, "") if given.prepare else ""
    if given.prepare and not admin_password:
        raise SystemExit(f"--prepare needs Administrator's password in {PASSWORD_VARIABLE}")
    if not given.prepare and not given.password:
        raise SystemExit("--url needs --prepare, or --password, and --user where it is not Administrator")
    return RunningHost(
        url=given.url,
        site=given.site,
        socket_url=given.socket_url,
        serving=given.pid,
        user=given.user,
        password=given.password or "",
        admin_password=admin_password,
    )


def main(arguments: list[str] | None = None) -> int:
    """Runs the benchmark and gives the exit code."""
    given = parser().parse_args(arguments)
    options = options_of(given)
    raise_file_limit()
    with tempfile.TemporaryDirectory(prefix="bench-") as temporary:
        folder = given.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            report = asyncio.run(run(options, folder, say=lambda line: print(line, file=sys.stderr, flush=True)))
        except ChildError as error:
            print(error, file=sys.stderr)
            return FAILED
    print(text_of(report, given.markdown))
    if given.json:
        given.json.write_bytes(report.as_json())
    if report.failures:
        return FAILED
    return VOID if report.is_void else int(not report.is_met)


if __name__ == "__main__":
    sys.exit(main())
