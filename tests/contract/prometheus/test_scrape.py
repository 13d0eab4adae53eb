"""A real Prometheus scrapes the real processes; each expression of the alerts and of the dashboard is asked of it."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from scraped_host import Host, play, site_figures

from tests.prometheus import PrometheusServer, program
from tests.servers import Upstream

DEPLOY = Path(__file__).parents[3] / "deploy"
RULES = DEPLOY / "prometheus" / "ai_assistant.rules.yml"
SCRAPE = DEPLOY / "prometheus" / "scrape.yml"
DASHBOARD = DEPLOY / "grafana" / "ai_assistant.json"
FIGURE = re.compile(r"\b(?:ai_assistant|gen_ai|process)_[a-z_]+\b")
LABELS = {"gen_ai_request_model", "gen_ai_provider_name", "gen_ai_token_type", "gen_ai_operation_name"}
VARIABLES = {"$__rate_interval": "1m", "$job": ".*", "$instance": ".*"}


def alerts() -> list[str]:
    """The expressions of all rules."""
    return [rule["expr"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def panels() -> list[str]:
    """The expressions of the dashboard, as Grafana asks them."""
    board = json.loads(DASHBOARD.read_text())
    found = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
    for name, value in VARIABLES.items():
        found = [expression.replace(name, value) for expression in found]
    return found


def figures_in(expression: str) -> set[str]:
    """The names of figures in an expression."""
    return set(FIGURE.findall(re.sub(r'"[^"]*"', "", expression))) - LABELS


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A host that has done everything there are figures of."""
    program("prometheus")
    with Upstream() as upstream, Host(tmp_path_factory.mktemp("host"), upstream) as found:
        play(upstream)
        assert found.chat("think")["status"] == "completed"
        assert found.chat("fail", model="bad")["status"] == "failed"
        found.put_anomaly()
        yield found


@pytest.fixture(scope="module")
def prometheus(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusServer]:
    """It has scraped host, worker, and what stands for cron's probe on a site."""
    worker = host.start_worker().removeprefix("http://").removesuffix("/metrics")
    with site_figures() as node:
        scrapes = [
            job("ai_assistant", host.running["url"].removeprefix("http://")),
            {**job("ai_assistant_worker", worker), **relabelling()},
            job("node", node),
        ]
        with PrometheusServer(tmp_path_factory.mktemp("prometheus"), scrapes, RULES) as server:
            server.wait("count(up == 1) == 3")
            server.wait('ai_assistant_trace_events_total{outcome="stored"} > 0')
            server.wait('rate(ai_assistant_redis_up{job="ai_assistant"}[1m]) + 1')
            yield server


def job(name: str, target: str) -> dict[str, Any]:
    """A job with one target."""
    return {"job_name": name, "static_configs": [{"targets": [target]}]}


def relabelling() -> dict[str, Any]:
    """What the shipped configuration drops of a worker's page."""
    shipped = next(
        each for each in yaml.safe_load(SCRAPE.read_text())["scrape_configs"] if "worker" in each["job_name"]
    )
    return {"metric_relabel_configs": shipped["metric_relabel_configs"]}


@pytest.mark.parametrize("expressions", [alerts, panels])
def test_every_expression_is_answered(prometheus: PrometheusServer, expressions: Any) -> None:
    for expression in expressions():
        prometheus.query(expression)


@pytest.mark.parametrize("expressions", [alerts, panels])
def test_every_figure_was_scraped(prometheus: PrometheusServer, expressions: Any) -> None:
    names = {name for expression in expressions() for name in figures_in(expression)}
    missing = {name for name in names if not prometheus.query(f"count({name})")}
    assert not missing


def test_the_rules_run(prometheus: PrometheusServer) -> None:
    prometheus.wait('ALERTS{alertname="AIAssistantAnomaly", model="gpt-test", kind="first_chunk"}')
    groups = prometheus.get("rules")["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert len(rules) == len(alerts())
    assert {rule["health"] for rule in rules if rule["lastEvaluation"] > "0002"} == {"ok"}
    firing = {alert["labels"]["alertname"] for alert in prometheus.get("alerts")["data"]["alerts"]}
    assert firing <= {"AIAssistantAnomaly", "AIAssistantRealtimeDown", "AIAssistantBreakerOpen"}, "all else is well"


def test_what_was_done_is_seen(prometheus: PrometheusServer) -> None:
    good = 'gen_ai_request_model="gpt-test",gen_ai_provider_name="openai"'
    assert value(prometheus, f'gen_ai_client_operation_duration_seconds_count{{{good},error_type=""}}') == 1
    assert value(prometheus, f"gen_ai_client_operation_time_to_first_chunk_seconds_count{{{good}}}") == 1
    assert value(prometheus, f'gen_ai_client_token_usage_sum{{{good},gen_ai_token_type="input"}}') == 3
    assert value(prometheus, f'ai_assistant_tokens_total{{{good},type="output"}}') == 5
    assert value(prometheus, f"ai_assistant_cost_dollars_total{{{good}}}") == pytest.approx(0.013)
    failed = 'gen_ai_client_operation_duration_seconds_count{gen_ai_request_model="gpt-broken",error_type!=""}'
    assert value(prometheus, failed) >= 1
    assert value(prometheus, 'ai_assistant_tasks_ended_total{status="completed"}') == 1
    assert value(prometheus, "ai_assistant_trace_dead_letters") == 0
    assert value(prometheus, "ai_assistant_trace_consumers") >= 1
    assert not prometheus.query('gen_ai_client_operation_duration_seconds_count{job="ai_assistant_worker"}')
    assert value(prometheus, 'ai_assistant_worker_info{job="ai_assistant_worker"}') == 1


def value(prometheus: PrometheusServer, expression: str) -> float:
    """The sum of what is found."""
    return sum(float(each["value"][1]) for each in prometheus.wait(expression, 20))


def test_an_event_that_cannot_be_stored_is_an_alarm(host: Host, prometheus: PrometheusServer) -> None:
    assert not prometheus.query('ALERTS{alertname="AIAssistantTraceDeadLetters"}')
    host.send_junk()
    prometheus.wait('ALERTS{alertname="AIAssistantTraceDeadLetters", alertstate="firing"}')
    assert value(prometheus, "ai_assistant_trace_dead_letters") == 1


def test_both_addresses_show_the_same(host: Host) -> None:
    page = httpx.get(f"{host.running['url']}/metrics", trust_env=False)
    assert page.status_code == 200
    names = set(re.findall(r"^# TYPE (\S+)", page.text, re.MULTILINE))
    assert names == set(re.findall(r"^# TYPE (\S+)", host.call("metrics").text, re.MULTILINE))
    command = [program("promtool"), "check", "metrics"]
    checked = subprocess.run(command, input=page.text, capture_output=True, text=True, timeout=30, check=False)
    assert checked.returncode == 0, checked.stderr
