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

from ai_assistant.core.metrics import Family, probe_families
from ai_assistant.streams.metrics import (
    Standing,
    lease_families,
    redis_families,
    redis_up,
    task_families,
    total_families,
    worker_families,
)
from ai_assistant.streams.tasks import Tasks
from tests.prometheus import PROMTOOL

DEPLOY = Path(__file__).parents[3] / "deploy"
RULES = DEPLOY / "prometheus" / "ai_assistant.rules.yml"
DASHBOARD = DEPLOY / "grafana" / "ai_assistant.json"
OF_HOSTS = ("build_info", "socket_connections", "realtime_listening")
"""Figures of the hosts, whose own tests look at them."""
NAME = re.compile(r"\bai_assistant_([a-z_]+)")


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


def known() -> set[str]:
    """The names of all samples."""
    now = standing()
    tasks = Tasks(None, "s")  # type: ignore[arg-type]  # only its constants are asked for
    families: list[Family] = [
        redis_up(1),
        *redis_families(now),
        *worker_families(tasks, now),
        *task_families(now),
        *lease_families(now),
        *total_families({}),
        *probe_families(1.0, {"direct": 1.0}, {"direct": 1.0}),
    ]
    names = {family.name + sample.suffix for family in families for sample in family.samples}
    return names | set(OF_HOSTS)


def rules() -> list[dict[str, Any]]:
    """Every rule."""
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def asked(expression: str) -> set[str]:
    """The app's figures in an expression."""
    return set(NAME.findall(re.sub(r'"[^"]*"', "", expression)))


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_a_rule_asks_for_what_there_is(rule: dict[str, Any]) -> None:
    assert asked(rule["expr"]) or "up{" in rule["expr"]
    assert asked(rule["expr"]) <= known()
    assert rule["labels"]["severity"] in ("warning", "critical")
    assert rule["annotations"].keys() == {"summary", "description"}


def test_each_of_the_requirement_has_an_alert() -> None:
    watched = set().union(*(asked(rule["expr"]) for rule in rules()))
    assert watched >= {
        "socket_connections",
        "events_total",
        "publish_errors_total",
        "first_reasoning_seconds_bucket",
        "probe_delivery_seconds",
    }


def test_the_dashboard_asks_for_what_there_is() -> None:
    board = json.loads(DASHBOARD.read_text())
    expressions = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    for expression in expressions:
        assert asked(expression) and asked(expression) <= known(), expression
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed (Debian: prometheus)")
@pytest.mark.parametrize(
    "arguments", [("check", "rules", "ai_assistant.rules.yml"), ("test", "rules", "ai_assistant.test.yml")]
)
def test_promtool(arguments: tuple[str, ...]) -> None:
    run = subprocess.run(
        [str(PROMTOOL), *arguments], cwd=RULES.parent, capture_output=True, text=True, timeout=60, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
