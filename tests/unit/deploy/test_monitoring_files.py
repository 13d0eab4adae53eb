"""The alert rules and the dashboard ask for figures that exist, and Prometheus takes them."""

from __future__ import annotations

import json
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from ai_assistant.core import genai
from ai_assistant.core.metrics import Family, full_name, probe_families
from ai_assistant.streams.metrics import (
    Standing,
    lease_families,
    redis_families,
    redis_up,
    task_families,
    total_families,
    worker_families,
)
from ai_assistant.streams.model_metrics import gateway_families, model_families
from ai_assistant.streams.tasks import Tasks
from ai_assistant.traces import metrics as traces
from ai_assistant.traces.anomalies import Anomaly
from ai_assistant.traces.anomaly_check import Checked
from ai_assistant.traces.heartbeat import now_ms
from ai_assistant.traces.intake import Backlog
from ai_assistant.worker.metrics_server import worker_families as figures_of_one_worker
from tests.prometheus import program

DEPLOY = Path(__file__).parents[3] / "deploy"
RULES = DEPLOY / "prometheus" / "ai_assistant.rules.yml"
TRIED = DEPLOY / "prometheus" / "ai_assistant.test.yml"
DASHBOARD = DEPLOY / "grafana" / "ai_assistant.json"
GUIDE = DEPLOY.parent / "docs" / "monitoring.md"
OF_HOSTS = ("build_info", "socket_connections", "realtime_listening")
"""Figures of the hosts, whose own tests look at them."""
NAME = re.compile(r"\b(?:ai_assistant|gen_ai|process)_[a-z_]+")
LABELS = {"gen_ai_request_model", "gen_ai_provider_name", "gen_ai_token_type", "gen_ai_operation_name"}
TOTALS = {
    genai.field_of(genai.DURATION, "p", "m", "", "0.01"): 1,
    genai.field_of(genai.FIRST_CHUNK, "p", "m", "", "0.01"): 1,
    genai.field_of(genai.FIRST_TOKEN, "p", "m", "", "0.01"): 1,
    genai.field_of(genai.TOKEN_USAGE, "p", "m", "input", "4"): 1,
}
INFO = {
    "kind": "daemon",
    "version": "1",
    "host": "h",
    "pid": 1,
    "running": 0,
    "taken": 0,
    "stopping": False,
    "window_ms": 16,
    "gateway": {"providers": {}, "breakers": {"m": {"state": "open"}}},
}


def standing() -> Standing:
    """Of a Redis that has everything."""
    return Standing(
        now_ms=time.time() * 1000,
        answer_s=0.001,
        beats=[(b"w", time.time() * 1000)],
        infos={b"w": b'{"kind": "job", "window_ms": 16}'},
        queued=0,
        oldest_ms=0,
        open=0,
        unsaved=0,
        lease={},
        totals={},
        memory={"used_memory": 1, "maxmemory": 2, "maxmemory_policy": "noeviction"},
    )


def of_traces() -> list[Family]:
    """The figures of a site that has traced."""
    found = traces.Standing(
        consumers=[{"beat": now_ms(), "age_ms": 1, "batch_ms": 1.0}],
        producers=[],
        counts={},
        backlog=Backlog(entries=1, oldest_ms=1, bytes=1, dead_letters=0, now_ms=now_ms()),
        anomalies=[Anomaly(model="m", kind="errors", since=1, value=1, usual=0, calls=1)],
        checked=Checked(at=1, models=1, calls=1, hours=1, incomplete=0, took_ms=1),
    )
    return [
        traces.redis_up(1),
        *traces.stream_families([found]),
        *traces.consumer_families([found]),
        *traces.producer_families([found]),
        *traces.count_families([found]),
        *traces.anomaly_families([found]),
    ]


def families() -> list[Family]:
    """All that there are, but those of hosts."""
    now = standing()
    tasks = Tasks(None, "s")  # type: ignore[arg-type]  # only its constants are asked for
    return [
        redis_up(1),
        *redis_families(now),
        *worker_families(tasks, now),
        *task_families(now),
        *lease_families(now),
        *total_families({}),
        *model_families(TOTALS),
        *gateway_families([INFO]),
        *of_traces(),
        *figures_of_one_worker(INFO, TOTALS),
        *probe_families(1.0, {"direct": 1.0}, {"direct": 1.0}),
    ]


def known() -> set[str]:
    """The names of all samples."""
    names = {full_name(family.name) + sample.suffix for family in families() for sample in family.samples}
    return names | {full_name(name) for name in OF_HOSTS}


def rules() -> list[dict[str, Any]]:
    """Every rule."""
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def asked(expression: str) -> set[str]:
    """The figures in an expression."""
    return set(NAME.findall(re.sub(r'"[^"]*"', "", expression))) - LABELS


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_a_rule_asks_for_what_there_is(rule: dict[str, Any]) -> None:
    assert asked(rule["expr"]) or "up{" in rule["expr"]
    assert asked(rule["expr"]) <= known()
    assert rule["labels"]["severity"] in ("warning", "critical")
    assert rule["annotations"].keys() == {"summary", "description"}


def test_each_of_the_requirement_has_an_alert() -> None:
    watched = set().union(*(asked(rule["expr"]) for rule in rules()))
    wanted = {
        "socket_connections",
        "events_total",
        "publish_errors_total",
        "first_reasoning_seconds_bucket",
        "probe_delivery_seconds",
        "trace_unattended_sites",
        "trace_consumer_heartbeat_age_seconds",
        "trace_stream_entries",
        "trace_stream_fill_ratio",
        "trace_events_total",
        "trace_dead_letters",
        "trace_missing_events",
        "trace_incomplete",
        "anomaly",
    }
    assert watched >= {full_name(name) for name in wanted}


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_each_alert_is_tried_and_explained(rule: dict[str, Any]) -> None:
    assert rule["alert"] in TRIED.read_text(), "promtool must see it fire"
    assert f"`{rule['alert']}`" in GUIDE.read_text()


def test_each_figure_is_explained() -> None:
    """By its whole name, by its name without the prefix, or by the beginning that a family of names has in common."""
    text = GUIDE.read_text()
    names = {family.name for family in families() if not family.name.startswith(("worker_", "process_"))}
    missing = {name for name in names if f"`{name}" not in text and not by_pattern(name, text)}
    assert not missing


def by_pattern(name: str, text: str) -> bool:
    """Whether the guide has a name with a `*` for it."""
    patterns = re.findall(r"`([a-z_]+\*[a-z_]*)", text)
    return any(re.fullmatch(pattern.replace("*", "[a-z_]*"), name) for pattern in patterns)


def test_the_dashboard_asks_for_what_there_is() -> None:
    board = json.loads(DASHBOARD.read_text())
    expressions = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
    for expression in expressions:
        assert asked(expression) and asked(expression) <= known(), expression
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "rules", "ai_assistant.rules.yml"),
        ("test", "rules", "ai_assistant.test.yml"),
        ("check", "config", "--syntax-only", "scrape.yml"),
    ],
)
def test_promtool(arguments: tuple[str, ...]) -> None:
    run = subprocess.run(
        [program("promtool"), *arguments], cwd=RULES.parent, capture_output=True, text=True, timeout=60, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
