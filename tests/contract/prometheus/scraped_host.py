"""What is scraped: an embedded host that has answered chats and stored their traces, and a worker beside it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import msgspec
import redis

from ai_assistant.core.metrics import gauge, probe_families, render
from ai_assistant.core.trace_keys import ObservabilityKeys
from ai_assistant.traces.anomalies import Anomaly
from ai_assistant.traces.anomaly_check import Checked
from tests.servers import Delta, Finish, Refusal, Upstream

START_S = 90.0
CONFIG = """
default_model = "good"
[metrics]
public = true
[limits]
requests_per_minute = 0
[[models]]
name = "good"
model = "openai/gpt-test"
api_base = "{base}"
api_key = "k"
wire = "openai-chat"
prices = {{ input = 1000.0, output = 2000.0 }}
[[models]]
name = "bad"
model = "openai/gpt-broken"
api_base = "{base}"
api_key = "k"
wire = "openai-chat"
retries = 0
"""


class Host:
    """An embedded host. A context manager."""

    def __init__(self, folder: Path, upstream: Upstream, config: str = CONFIG):
        self.folder = folder
        self.running: dict[str, Any] = {}
        self._text = config.format(base=upstream.base)
        self._processes: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Host:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "config.toml").write_text(self._text)
        process = self._start("serve", "--port", "0", "--no-browser")
        until, run_file = time.monotonic() + START_S, self.folder / "data" / "run.json"
        while not run_file.exists():
            assert process.poll() is None and time.monotonic() < until, self.log()[-3000:]
            time.sleep(0.05)
        self.running = json.loads(run_file.read_text())
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._processes):
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(40)
            except subprocess.TimeoutExpired:
                process.kill()

    def _start(self, command: str, *options: str) -> subprocess.Popen[str]:
        line = [sys.executable, "-m", "ai_assistant.cli", command, "--data-dir", str(self.folder / "data")]
        line += ["--config", str(self.folder / "config.toml"), *options]
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("AI_ASSISTANT_", "REDIS_", "OLLAMA_"))}
        kept = {name: value for name, value in kept.items() if not name.endswith("_API_KEY")}
        with (self.folder / "log").open("a") as log:
            process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=log, env=kept, text=True)
        self._processes.append(process)
        if command == "serve":
            threading.Thread(target=lambda: process.stdout and process.stdout.read(), daemon=True).start()
        return process

    def start_worker(self) -> str:
        """One more worker, with figures of its own; gives their address."""
        process = self._start("worker", "--metrics-port", "0")
        assert process.stdout is not None
        line = process.stdout.readline()
        assert "/metrics" in line, line + self.log()[-3000:]
        return line.split()[-1]

    def log(self) -> str:
        """All that they have written so far."""
        return (self.folder / "log").read_text(errors="replace")

    def chat(self, text: str, **arguments: Any) -> dict[str, Any]:
        """A chat, to its end."""
        body = {"messages": [{"role": "user", "content": text}], **arguments}
        answer = self.call("chat_completion", body)
        return answer.json()["message"]

    def call(self, method: str, body: dict[str, Any] | None = None) -> httpx.Response:
        """An endpoint as Administrator; GET without a body."""
        url = f"{self.running['url']}/api/method/ai_assistant.api.{method}"
        headers = {"Authorization": f"token {self.running['api_key']}"}
        if body is None:
            return httpx.get(url, headers=headers, timeout=60, trust_env=False)
        return httpx.post(url, json=body, headers=headers, timeout=60, trust_env=False)

    def redis(self) -> tuple[redis.Redis, ObservabilityKeys]:
        """Its Redis, and where the traces are."""
        return redis.Redis.from_url(self.running["redis_url"]), ObservabilityKeys(self.running["site"])

    def send_junk(self) -> None:
        """An entry of the stream that nobody can read."""
        client, keys = self.redis()
        client.xadd(keys.events, {"p": "broken", "b": b"\xc1junk", "n": 1})
        client.close()

    def put_anomaly(self) -> None:
        """An anomaly that stands, as a check leaves it; the host's own checks are kept off."""
        client, keys = self.redis()
        client.set(keys.checking, 1, ex=3600)
        found = Anomaly(model="gpt-test", kind="first_chunk", since=time.time(), value=900, usual=300, calls=40)
        client.hset(keys.anomalies, "x", msgspec.json.encode(found))
        checked = Checked(at=time.time(), models=1, calls=40, hours=24, incomplete=0, took_ms=5.0)
        client.set(keys.checked, msgspec.json.encode(checked))
        client.close()


def play(upstream: Upstream) -> None:
    """What the provider answers."""
    upstream.play("think", Delta(reasoning="Hm."), Delta(text="Because "), Delta(text="so."), Finish())
    upstream.play("fail", Refusal(500, "no"))


@contextmanager
def site_figures() -> Iterator[str]:
    """A server with what only a Frappe site has: the realtime server's port, and cron's measurement of delivery."""
    text = render(
        [
            gauge("realtime_listening", "Whether it listens.", 1),
            *probe_families(time.time(), {"direct": 0.01}, {"direct": 0.02}),
        ]
    )

    class Answer(BaseHTTPRequestHandler):
        """The page."""

        def do_GET(self) -> None:
            """Always the same."""
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
