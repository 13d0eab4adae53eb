"""The doctor's look at ports, workers, models, packages and built files."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis
import redis.asyncio
from examined import by_id

import ai_assistant
from ai_assistant.core.model import ModelConfig, Prices
from ai_assistant.core.settings import Settings
from ai_assistant.site.doctor import assets, listening, models, versions, workers
from ai_assistant.site.doctor.finding import Subject
from ai_assistant.streams import keys as names
from ai_assistant.streams.queue import TaskQueue
from ai_assistant.streams.tasks import Tasks
from tests.servers import Delta, Finish, Refusal, Upstream, free_port

# -- ports


@contextmanager
def listener(address: str) -> Iterator[int]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as server:
        server.bind((address, 0))
        server.listen()
        yield server.getsockname()[1]


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2", "::1"])
def test_where_a_port_listens(address: str) -> None:
    with listener(address) as port:
        assert listening.listening_on(port) == {address}
        assert listening.reachable(address, port)
    assert listening.listening_on(port) == set()
    assert not listening.reachable(address, port)


def test_all_interfaces_as_linux_writes_them(tmp_path: Path) -> None:
    head = "  sl  local_address rem_address   st tx_queue\n"
    (tmp_path / "tcp").write_text(
        f"{head}   0: 00000000:2328 00000000:0000 0A x\n   1: 0100007F:2328 0100007F:1 01 x\n"
    )
    (tmp_path / "tcp6").write_text(f"{head}   0: {'0' * 32}:2328 {'0' * 32}:0000 0A x\n")
    assert listening.listening_on(9000, tmp_path) == {"0.0.0.0", "::"}
    assert listening.listening_on(9001, tmp_path) == set()
    assert listening.listening_on(9000, tmp_path / "none") is None


def test_own_addresses_are_this_machines_and_no_loopback() -> None:
    for address in listening.own_addresses():
        assert not address.startswith(("127.", "fe80"))
        with listener(address):
            pass


# -- workers


async def beat(url: str, worker: str, **info: Any) -> None:
    client = redis.asyncio.Redis.from_url(url)
    await TaskQueue(client, client, "bench", worker).beat(info, [])
    await client.connection_pool.disconnect()


def worker_info(**more: Any) -> dict[str, Any]:
    info = {"kind": "daemon", "host": socket.gethostname(), "pid": 7, "version": ai_assistant.__version__, "running": 1}
    return info | {"started": time.time() * 1000, "taken": 5} | more


async def test_workers_by_their_heartbeats(client: redis.Redis, redis_url: str) -> None:
    tasks = Tasks(client, "bench")
    assert [finding.state for finding in workers.running(tasks.workers(), [])] == ["note"]
    assert [finding.state for finding in workers.running(tasks.workers(), ["Procfile"])] == ["failure"]
    await beat(redis_url, "j", **worker_info(kind="job"))
    assert [finding.state for finding in workers.running(tasks.workers(), [])] == ["ok", "note"]
    await beat(redis_url, "d", **worker_info())
    assert [finding.state for finding in workers.running(tasks.workers(), ["Procfile"])] == ["ok", "ok"]
    assert len(workers.daemons(tasks.workers())) == 1


async def test_a_worker_that_runs_other_code(client: redis.Redis, redis_url: str) -> None:
    await beat(redis_url, "old", **worker_info(version="0.0.1"))
    (found,) = workers.code(Tasks(client, "bench").workers(), 0)
    assert found.state == "failure"
    assert "0.0.1" in found.text
    client.flushall()
    await beat(redis_url, "stale", **worker_info())
    listed = Tasks(client, "bench").workers()
    assert [finding.state for finding in workers.code(listed, time.time() + 60)] == ["warning"]
    assert list(workers.code(listed, time.time() - 60)) == []


def test_the_backlog_and_its_oldest(client: redis.Redis) -> None:
    tasks, queue = Tasks(client, "bench"), names.ScopeKeys("bench").queue
    assert workers.waiting(tasks, []).state == "ok"
    client.xadd(queue, {"task": "x"}, id=f"{int((time.time() - 60) * 1000)}-0")
    found = workers.waiting(tasks, [])
    assert found.state == "failure"
    assert 55 < found.data["oldest_s"] < 90
    assert workers.waiting(tasks, [{"worker": "w"}]).state == "warning"


def test_a_job_that_was_asked_for_and_does_not_come() -> None:
    now = time.time() * 1000
    states = [
        [finding.state for finding in workers.lease(found, now)]
        for found in (
            {},
            {"state": "pending", "until": str(now + 5000)},
            {"state": "held", "until": str(now + 5000)},
            {"state": "pending", "until": str(now - 60_000)},
            {"state": "held", "until": str(now - 60_000)},
        )
    ]
    assert states == [[], ["ok"], ["ok"], ["warning"], []]


def test_rq_workers() -> None:
    def rq(alive: bool, state: str = "idle", queue: str = "long") -> workers.RqWorker:
        return workers.RqWorker(name="w", queues=["short", queue], state=state, silent_s=3, alive=alive)

    def states(found: list[workers.RqWorker], has_daemon: bool = False) -> list[str]:
        return [finding.state for finding in workers.rq(found, has_daemon)]

    assert states([rq(True)]) == ["ok"]
    assert states([]) == states([rq(False)]) == states([rq(True, queue="default")]) == ["failure"]
    assert states([], has_daemon=True) == ["note"]
    assert states([rq(True, "busy")]) == ["warning"]
    assert states([rq(True, "busy")], has_daemon=True) == ["ok"]
    assert states([rq(True, "busy"), rq(True)]) == ["ok"]
    assert workers.is_process(os.getpid())
    assert not workers.is_process(2**22 + 1)


def test_the_files_that_start_a_daemon(tmp_path: Path) -> None:
    assert workers.configured_in(tmp_path) == []
    (tmp_path / "Procfile").write_text("web: bench serve\n# ai: bench ai-worker\n")
    assert workers.configured_in(tmp_path) == []
    (tmp_path / "Procfile").write_text("web: bench serve\nai: bench ai-worker\n")
    (tmp_path / "config").mkdir()
    (tmp_path / "config/supervisor.conf").write_text("[program:x]\ncommand=/x/bench ai-worker\n")
    assert workers.configured_in(tmp_path) == ["Procfile", "config/supervisor.conf"]


# -- models


def model(name: str = "m", **more: Any) -> ModelConfig:
    return ModelConfig(**{"name": name, "model": "openai/m", "api_key": "sk-1", **more})


@pytest.mark.parametrize(
    ("found", "state"),
    [
        (model(), None),
        (model(api_key=None), "failure"),
        (model(api_key=None, model="anthropic/x"), "failure"),
        (model(api_key=None, api_base="http://127.0.0.1:1/v1"), "note"),
        (model(api_key=None, model="ollama/x"), None),
        (model(api_key=None, model="bedrock/x"), "note"),
    ],
)
def test_keys(found: ModelConfig, state: str | None) -> None:
    assert [finding.state for finding in models.key(found)] == ([state] if state else [])


def test_the_default_model() -> None:
    known = {"on": model("on"), "off": model("off", enabled=False)}

    def state(name: str | None) -> str:
        return models.default(known, Settings(default_model=name), [known["on"]]).state

    assert [state("on"), state(None), state("off"), state("gone")] == ["ok", "note", "failure", "failure"]


def test_prices_and_fallbacks() -> None:
    known = model("known", model="openai/gpt-4o")
    own = model("own", model="openai/nobody-knows", prices=Prices(input=0))
    unknown = model("unknown", model="openai/nobody-knows", fallbacks=("own", "gone"))
    (found,) = models.unpriced([known, own, unknown])
    assert found.data["models"] == ["unknown"]
    (lost,) = models.fallbacks(unknown, {"own": own})
    assert "fallback gone is" in lost.text


async def test_addresses_that_answer_and_that_do_not(upstream: Upstream) -> None:
    nobody = f"http://127.0.0.1:{free_port()}/v1"
    found = await models.reached([model("a", api_base=upstream.base), model("b", api_base=nobody)])
    assert {finding.data["base"]: finding.state for finding in found} == {upstream.base: "ok", nobody: "failure"}
    assert nobody in next(finding for finding in found if finding.state == "failure").fix[0]


async def test_a_model_is_asked(upstream: Upstream) -> None:
    upstream.play(models.QUESTION, Delta(reasoning="hm"), Delta(text="ready\x1b[2J"), Finish())
    found = await models.asked(model(api_base=upstream.base))
    assert found.state == "ok"
    assert found.data["ttft_ms"] >= 0
    assert "ready" in found.text
    assert "\x1b" not in found.text


async def test_a_model_that_refuses_is_asked_once(upstream: Upstream) -> None:
    upstream.play(models.QUESTION, Refusal(401, "Incorrect API key provided"))
    found = await models.asked(model(api_base=upstream.base))
    assert (found.state, found.data["code"]) == ("failure", "provider_auth")
    assert "sk-1" not in found.text
    assert len(upstream.of(models.QUESTION)) == 1


# -- packages


def installed_as(folder: Path, name: str, version: str, *requires: str) -> None:
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    lines = [
        "Metadata-Version: 2.1",
        f"Name: {name}",
        f"Version: {version}",
        *(f"Requires-Dist: {r}" for r in requires),
    ]
    (info / "METADATA").write_text("\n".join(lines) + "\n")


def test_a_malicious_upload_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(versions.malicious()) == []
    installed_as(tmp_path, "litellm", "1.82.8")
    monkeypatch.syspath_prepend(str(tmp_path))
    (found,) = versions.malicious()
    assert found.state == "failure"
    assert "uninstall" in found.fix[0]


def test_requirements_that_are_not_met(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    requires = ("held~=1.2.0", "lost>=1", "other<1; python_version < '3'", "extra>1; extra == 'serve'")
    installed_as(tmp_path, "probed-app", "1", *requires)
    installed_as(tmp_path, "held", "1.3.0")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert list(versions.problems_of("probed-app")) == [
        "probed-app needs held~=1.2.0; installed is 1.3.0",
        "probed-app needs lost>=1, which is not installed",
    ]


# -- built files


def test_bundles(subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    public = tmp_path / "app" / "public"
    (public / "js").mkdir(parents=True)
    source = public / "js" / "chat.bundle.ts"
    source.write_text("1")
    monkeypatch.setattr(ai_assistant, "__file__", str(tmp_path / "app" / "__init__.py"))
    folder = subject.sites_path / "assets"
    folder.mkdir()
    assert by_id(assets.check(subject))["assets.linked"].state == "failure"
    (folder / "ai_assistant").symlink_to(public)
    assert "never built" in by_id(assets.check(subject))["assets.built"].text
    built = public / "dist" / "js" / "chat.bundle.ABC.js"
    (folder / "assets.json").write_text(
        json.dumps({"chat.bundle.js": "/assets/ai_assistant/dist/js/chat.bundle.ABC.js"})
    )
    assert "is missing" in by_id(assets.check(subject))["assets.built"].text
    built.parent.mkdir(parents=True)
    built.write_text("1")
    assert {finding.state for finding in assets.check(subject)} == {"ok"}
    os.utime(source, (time.time() + 60, time.time() + 60))
    assert by_id(assets.check(subject))["assets.outdated"].state == "warning"


def test_findings_are_plain_data(subject: Subject) -> None:
    assert json.loads(msgspec.json.encode(list(assets.check(subject))))
