"""Reads the text format of Prometheus, strictly: what a test finds here, Prometheus finds. And runs a real one."""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.servers import free_port

Labels = frozenset[tuple[str, str]]

_SAMPLE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"(?:,|$)')
_ESCAPES = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}
START_S = 60.0


@functools.cache
def program(name: str) -> str:
    """Where `prometheus` or `promtool` is. As root it is installed from Debian's package where it is missing; else the
    test is skipped, and says so."""
    found = shutil.which(name)
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "prometheus"]
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
        for command in (["apt-get", "update", "-qq"], install):
            subprocess.run(command, env=environment, capture_output=True, timeout=600, check=False)
        found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed and could not be: sudo apt-get install prometheus")
    return found


class Page:
    """One page of figures."""

    def __init__(self, text: str):
        self.kinds: dict[str, str] = {}
        self.samples: dict[tuple[str, Labels], float] = {}
        assert text.endswith("\n")
        for line in text.split("\n")[:-1]:
            self._read(line)

    def _read(self, line: str) -> None:
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in self.kinds, f"{name} comes twice"
            self.kinds[name] = kind
        elif not line.startswith("# HELP "):
            found = _SAMPLE.fullmatch(line)
            assert found, line
            key = found[1], frozenset(labels(found[2] or ""))
            assert key not in self.samples, line
            self.samples[key] = float(found[3])

    def get(self, name: str, **labels: str) -> float | None:
        """A figure of the app; None where there is none."""
        return self.samples.get((f"ai_assistant_{name}", frozenset(labels.items())))

    def __getitem__(self, name: str) -> float:
        found = self.get(name)
        assert found is not None, f"{name} is not on the page"
        return found

    @property
    def names(self) -> set[str]:
        """Of all samples."""
        return {name for name, _ in self.samples}


def labels(text: str) -> list[tuple[str, str]]:
    """The labels between the braces."""
    found, at = [], 0
    while at < len(text):
        match = _LABEL.match(text, at)
        assert match, text
        value = re.sub(r"\\.", lambda escape: _ESCAPES[escape[0]], match[2])
        found.append((match[1], value))
        at = match.end()
    return found


class PrometheusServer:
    """A real Prometheus that scrapes every second. A context manager."""

    def __init__(self, folder: Path, scrapes: list[dict[str, Any]], rules: Path | None = None):
        """`scrapes`: the `scrape_configs` of its configuration."""
        self.url = f"http://127.0.0.1:{free_port()}"
        self._folder = folder
        seconds = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
        config = {"global": seconds, "scrape_configs": scrapes, "rule_files": [str(rules)] if rules else []}
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "prometheus.yml").write_text(json.dumps(config))  # YAML is a superset of JSON
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> PrometheusServer:
        options = {
            "config.file": self._folder / "prometheus.yml",
            "storage.tsdb.path": self._folder / "data",
            "web.listen-address": self.url.removeprefix("http://"),
        }
        command = [program("prometheus"), *(f"--{name}={value}" for name, value in options.items())]
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        until = time.monotonic() + START_S
        while not self._is_ready():
            assert self._process.poll() is None and time.monotonic() < until, (self._folder / "log").read_text()[-2000:]
            time.sleep(0.05)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(30)

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/-/ready", trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False

    def get(self, path: str, **parameters: str) -> dict[str, Any]:
        """An answer of its API, errors included."""
        return httpx.get(f"{self.url}/api/v1/{path}", params=parameters, trust_env=False, timeout=30).json()

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The result of an expression, which must be without error and without warning."""
        answer = self.get("query", query=expression)
        assert answer["status"] == "success", f"{expression}: {answer.get('error')}"
        assert not answer.get("warnings"), f"{expression}: {answer['warnings']}"
        result = answer["data"]["result"]
        return result if answer["data"]["resultType"] == "vector" else [{"metric": {}, "value": result}]

    def wait(self, expression: str, timeout: float = 60.0) -> list[dict[str, Any]]:
        """The result, as soon as there is one."""
        until = time.monotonic() + timeout
        while not (found := self.query(expression)):
            assert time.monotonic() < until, f"{expression} gave nothing in {timeout:g} s"
            time.sleep(0.2)
        return found
