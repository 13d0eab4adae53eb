"""The benchmark of traces from its command line: real processes, no figure judged."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.tracing_parts.session import PARTS

ROOT = Path(__file__).resolve().parents[3]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "benchmarks" / "tracing.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=110, check=False, cwd=ROOT)


def report_of(path: Path, *parts: str) -> dict[str, dict]:
    """The parts of a quick run."""
    only = [word for part in parts for word in ("--only", part)]
    done = run("--quick", "--json", str(path), *only)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Quick: too short to judge." in done.stdout
    report = json.loads(path.read_text())
    assert report["failures"] == []
    return report["parts"]


def test_a_consumer_stores_what_the_stream_holds(tmp_path: Path):
    parts = report_of(tmp_path / "report.json", "stream", "store")
    assert list(parts) == ["stream", "store"]
    assert parts["store"]["figures"]["per_s"] > 0
    assert parts["store"]["figures"]["cpu_us"] > 0
    assert 550 < parts["stream"]["figures"]["publisher"]["bytes"] < 650
    assert 550 < parts["stream"]["figures"]["entries"]["bytes"] < 650


@pytest.mark.timeout(120)
def test_lists_trees_and_chats_through_a_host_of_its_own(tmp_path: Path):
    parts = report_of(tmp_path / "report.json", "stored", "steady")
    stored, steady = parts["stored"]["figures"], parts["steady"]["figures"]
    assert stored["http"].keys() <= stored["store"].keys()
    assert stored["tree"]["gzip"]["bytes"] < stored["tree"]["plain"]["bytes"]
    rows = {name: times["rows"] for name, times in stored["store"].items() if "rows" in times}
    assert not any(count for name, count in rows.items() if name.endswith("none"))
    assert rows["no filter"] == rows["search, common"] == rows["tag on all"] == 50
    assert 0 < rows["search, rare"] < 10
    assert (steady["chats"], steady["without_trace"], steady["not_whole"], steady["foreign"]) == (50, 0, 0, 0)


def test_a_site_without_its_redis_is_refused():
    done = run("--only", "site", "--site", "s1.localhost")
    assert done.returncode == 2
    assert "--redis and --site go together" in done.stderr


def test_a_site_that_is_not_named_is_skipped():
    done = run("--quick", "--only", "site")
    assert done.returncode == 0
    assert "Not measured: a site's consumer" in done.stdout


def test_the_help_knows_every_part():
    done = run("--help")
    assert done.returncode == 0
    for name in PARTS:
        assert name in done.stdout
