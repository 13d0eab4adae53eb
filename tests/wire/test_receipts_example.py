"""`examples/receipts`: run as a program of its own, beside the host and without one."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from .client import Client
from .conftest import Host
from .events import checked
from .sockets import Listener

RUN = Path(__file__).parents[2] / "examples" / "receipts" / "run.py"
RECEIPTS = ["bakery", "cafe", "grocery", "hardware", "smudged", "taxi"]
TREE = [
    "read-receipts [span]",
    "  bakery [span]",
    "    read [tool]",
    "    find-fields [tool]",
    "      merchant [event]",
    "      date [event]",
    "      total [event]",
    "      currency [event]",
    "      tax [event]",
    "    check-sum [tool]",
    "      sum [event]",
    "    categorise [tool]",
    "      category [event]",
]


def run(*arguments: str) -> str:
    """What it prints."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AI_ASSISTANT_")}
    command = [sys.executable, str(RUN), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def titles(printed: str) -> list[str]:
    """The lines of the tree, without their figures."""
    return re.findall(r"^ *[\w-]+ \[\w+\]", printed, re.MULTILINE)


def test_beside_a_host(host: Host, user: Client, socket: Listener) -> None:
    if host.process is None:
        pytest.skip("the example finds the host by its data folder")
    printed = run("--data-dir", str(host.process.folder / "data"), "--user", user.user)
    task_id = re.findall(r"^Task (\S+) of", printed)[0]
    record = checked(socket.wait_for_end(task_id), task_id)
    assert record.text == "5 receipts read, 1 to look at by hand."
    assert {event["subject"] for event in record.events} == {"Receipts/example"}
    totals = [event["data"] for event in record.of("data") if event["name"] == "total"]
    assert [(data["receipt"], data["value"]) for data in totals] == [
        ("bakery", "26.00"), ("cafe", "24.00"), ("grocery", "16.50"), ("hardware", "149.46"), ("taxi", "42.00"),
    ]  # fmt: skip
    assert all(0 < data["confidence"] <= 1 and data["reasoning"] for data in totals)
    sums = {event["data"]["receipt"]: event["data"]["value"] for event in record.of("data") if event["name"] == "sum"}
    assert sums == {"bakery": "right", "cafe": "right", "grocery": "wrong", "hardware": "right", "taxi": "right"}
    (failed,) = record.of("tool_failed")
    assert failed["error"] == "smudged: no total and no date can be read; scan it again"
    own = [event["progress"] for event in record.of("tool_progress") if event["tool_call_id"] == task_id]
    assert own == sorted(own)
    assert own[-1] == 100
    assert sorted(record.end["result"]["receipts"]) == [name for name in RECEIPTS if name != "smudged"]
    assert titles(printed)[: len(TREE)] == TREE
    _check_stored(user, record.events[0]["trace_id"], task_id)


def _check_stored(user: Client, trace_id: str, task_id: str) -> None:
    """The trace is its user's, and whole."""
    found = user.get("get_trace", trace=trace_id)
    trace = found["trace"]
    assert (trace["title"], trace["status"], trace["user"]) == ("read-receipts", "completed", user.user)
    assert (trace["task_id"], trace["source"], trace["service"]) == (task_id, "task", "receipts-example")
    assert (trace["reference_doctype"], trace["reference_name"]) == ("Receipts", "example")
    assert trace["is_complete"]
    rows = found["observations"]
    assert [row["title"] for row in rows if row["depth"] == 1 and row["type"] == "span"] == RECEIPTS
    failed = {row["title"] for row in rows if row["status"] == "failed"}
    assert failed == {"smudged", "find-fields"}
    date = next(row for row in rows if row["title"] == "date" and row["confidence"] < 0.6)
    payload = user.get("get_trace_payload", trace=trace_id, span=date["span"], field="reasoning")
    assert payload["text"] == "Either number may be the month; most countries write the day first."


def test_without_a_host() -> None:
    printed = run("--no-server")
    assert titles(printed)[: len(TREE)] == TREE
    kinds = re.findall(r"^ *\d+  (\w+)", printed, re.MULTILINE)
    assert (kinds[0], kinds[-1]) == ("start", "completion")
    first = re.findall(r"^ *\d+  data +(.*)$", printed, re.MULTILINE)[0]
    assert json.loads(first)["data"]["value"] == "BAKERY SONNENSCHEIN"
