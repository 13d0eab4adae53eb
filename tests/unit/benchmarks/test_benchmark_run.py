"""The streaming benchmark from its command line: real processes, real sockets, no figure judged."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "benchmarks" / "streaming.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False, cwd=ROOT)


def test_the_upstream_and_the_clients_lose_nothing(tmp_path: Path):
    done = run("--quick", "--seconds", "1", "--load", "floor-50", "--json", str(tmp_path / "report.json"))
    assert done.returncode == 0, done.stderr
    (row,) = json.loads((tmp_path / "report.json").read_text())["rows"]
    assert row["result"]["tally"]["delivered"] == row["result"]["tally"]["expected"] == row["upstream"]["tokens"] > 0
    assert row["result"]["latency"]["p50"] > 0


@pytest.mark.timeout(110)
def test_one_stream_and_some_chats_through_the_embedded_host(tmp_path: Path):
    done = run("--quick", "--load", "1", "--load", "chats", "--markdown", "--json", str(tmp_path / "report.json"))
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    for row in report["rows"]:
        tally = row["result"]["tally"]
        assert tally["delivered"] == tally["expected"] > 0
        assert tally["wrong_seq"] == tally["duplicates"] == tally["text_differs"] == 0
        assert row["peak_rss_mib"] > 0
        assert row["cpu_us_per_token"] > 0
    assert "| 1 stream | direct wire |" in done.stdout


def test_a_missing_proxy_is_said():
    done = run("--quick", "--load", "proxy-1", "--litellm-proxy", "/nowhere")
    assert done.returncode == 0
    assert "Not measured: the LiteLLM proxy; /nowhere holds no litellm." in done.stdout


def test_a_host_that_runs_needs_a_password():
    done = run("--url", "http://127.0.0.1:1")
    assert done.returncode != 0
    assert "--password" in done.stderr


def test_preparing_a_site_needs_its_password():
    done = run("--url", "http://127.0.0.1:1", "--prepare")
    assert done.returncode != 0
    assert "AI_ASSISTANT_ADMIN_PASSWORD" in done.stderr


def test_a_site_that_is_away_is_said(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AI_ASSISTANT_ADMIN_PASSWORD", "none")
    done = run("--quick", "--url", "http://127.0.0.1:1", "--prepare", "--load", "1")
    assert done.returncode == 2
    assert "the site could not be prepared" in done.stdout
