"""What is stored goes to a collector: over a real Redis, SQLite and HTTP."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import Any

import msgspec
import pytest
from sink import Answer, Sink, partly

from ai_assistant.core.errors import ConfigError
from ai_assistant.core.metrics import render
from ai_assistant.core.otel import OtelConfig
from ai_assistant.traces import otlp_sender
from ai_assistant.traces.otlp_post import Mailer, retry_after
from ai_assistant.traces.otlp_schema import TRACE_REQUEST, TRACE_RESPONSE
from ai_assistant.traces.otlp_sender import OtlpSender
from ai_assistant.worker.site_thread import SiteThreads
from ai_assistant.worker.traces import TraceConsumers
from tests.trace_kit import QUICK, SITE, Maker, TraceAccess, TraceSites, until

CALL = {
    "type": "generation",
    "title": "answer",
    "model": "claude",
    "provider": "anthropic",
    "prompt_tokens": 7,
    "completion_tokens": 5,
    "input": "SECRET",
    "output": "SECRET",
}


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits for little."""
    monkeypatch.setattr(otlp_sender, "CONFIG_S", 0.1)
    monkeypatch.setattr(otlp_sender, "AWAY_S", 0.05)
    monkeypatch.setattr(otlp_sender, "Mailer", lambda config: Mailer(config, patience_s=20, first_pause_s=0.02))


@asynccontextmanager
async def storing(url: str, sites: TraceSites, **options: Any) -> AsyncIterator[OtlpSender]:
    """A consumer that stores, and sends what it has stored."""
    consumers = TraceConsumers((url,), sites, QUICK)
    consumers.sender._delay_s = 0.02
    for name, value in options.items():
        setattr(consumers.sender, name, value)
    running = asyncio.create_task(consumers.run())
    try:
        yield consumers.sender
    finally:
        consumers.stop()
        await asyncio.wait_for(running, 30)


def stored(maker: Maker, sites: TraceSites, count: int, **fields: Any) -> list[str]:
    """Sends observations of one trace, the first of which is the root; gives their span ids."""
    trace = secrets.token_hex(16)
    root = maker.whole(trace, title="work", service="shop")
    events = [root, *(maker.whole(trace, parent=root.span, **{**CALL, **fields}) for _ in range(count - 1))]
    maker.send(maker.event("trace", trace, service="shop", environment="staging", session="s1"), *events)
    return [event.span for event in events]


async def test_what_is_stored_arrives(redis_url: str, sites: TraceSites, maker: Maker, sink: Sink) -> None:
    async with storing(redis_url, sites) as sender:
        root, call = stored(maker, sites, 2)
        await until(lambda: {root, call} <= set(sink.spans))
        await until(lambda: sender.figures.sent == 2)
    span = sink.spans[call]
    assert (span.name, span.kind, span.parent_span_id.hex()) == ("chat claude", 3, root)
    assert {pair.key for pair in span.attributes} >= {"gen_ai.operation.name", "gen_ai.usage.input_tokens"}
    first = sink.exports[0]
    assert first.resource == {
        "service.name": "shop",
        "deployment.environment.name": "staging",
        "ai_assistant.site": SITE,
    }
    assert first.headers["content-type"] == "application/x-protobuf"
    assert first.headers["content-encoding"] == "gzip"
    assert not any(b"SECRET" in each.body for each in sink.received), "content goes out only when it is wanted"


async def test_an_observation_of_several_events_goes_out_once_and_whole(
    redis_url: str, sites: TraceSites, maker: Maker, sink: Sink
) -> None:
    assert sites.otel is not None
    sites.otel = msgspec.structs.replace(sites.otel, content=True, headers={"api-key": "k"})
    trace, span = secrets.token_hex(16), secrets.token_hex(8)
    async with storing(redis_url, sites):
        maker.send(maker.event("start", trace, span, type="tool", title="weather", input="Paris"))
        await until(lambda: sites.observations() == 1)
        assert not sink.exports
        maker.send(maker.event("update", trace, span, progress=50.0), maker.event("end", trace, span, output="sunny"))
        await until(lambda: span in sink.spans)
    values = {pair.key: pair.value.string_value for pair in sink.spans[span].attributes}
    assert (values["gen_ai.tool.call.arguments"], values["gen_ai.tool.call.result"]) == ("Paris", "sunny")
    assert len(sink.exports) == 1
    assert sink.exports[0].headers["api-key"] == "k"


async def test_metrics_follow_at_the_end(redis_url: str, sites: TraceSites, maker: Maker, sink: Sink) -> None:
    async with storing(redis_url, sites):
        stored(maker, sites, 4, ttft_ms=90)
        await until(lambda: len(sink.spans) == 4)
    (export,) = sink.metrics
    assert {name: each.histogram.data_points[0].count for name, each in export.metrics.items()} == {
        "gen_ai.client.operation.duration": 3,
        "gen_ai.client.token.usage": 3,
        "gen_ai.client.operation.time_to_first_chunk": 3,
        "gen_ai.server.time_to_first_token": 3,
    }
    assert export.resource["service.name"] == "ai-assistant"
    assert export.resource["service.instance.id"]


async def test_metrics_go_out_in_their_time(
    redis_url: str, sites: TraceSites, maker: Maker, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(otlp_sender, "METRICS_S", 0.1)
    async with storing(redis_url, sites, _metrics_at=0.0):
        stored(maker, sites, 3)
        await until(lambda: sink.metrics)
        first = len(sink.metrics)
        await until(lambda: len(sink.metrics) > first)


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_what_passes_is_tried_again(
    redis_url: str, sites: TraceSites, maker: Maker, sink: Sink, status: int
) -> None:
    sink.answers = [Answer(status), Answer(status, {"Retry-After": "0"})]
    async with storing(redis_url, sites) as sender:
        spans = stored(maker, sites, 3)
        await until(lambda: sender.figures.sent == 3)
    assert len(sink.exports) == 3
    assert {span.span_id.hex() for span in sink.exports[-1].spans} == set(spans)
    assert sender.figures.dropped == 0


async def test_a_collector_that_comes_back_gets_everything(
    redis_url: str, sites: TraceSites, maker: Maker, sink: Sink
) -> None:
    assert sites.otel is not None
    with Sink().listening() as other:
        away = other.url
    sites.otel = msgspec.structs.replace(sites.otel, traces_url=f"{away}/v1/traces", metrics_url=None)
    async with storing(redis_url, sites) as sender:
        spans = stored(maker, sites, 5)
        await until(lambda: sites.observations() == 5)
        with Sink(int(away.rpartition(":")[2])).listening() as late:
            await until(lambda: set(spans) <= set(late.spans))
            await until(lambda: sender.figures.sent == 5)


@pytest.mark.parametrize("status", [400, 401, 404, 500])
async def test_what_does_not_pass_is_given_up_and_counted(
    redis_url: str, sites: TraceSites, maker: Maker, sink: Sink, status: int
) -> None:
    sink.answers = [Answer(status)]
    async with storing(redis_url, sites) as sender:
        stored(maker, sites, 3)
        await until(lambda: sender.figures.dropped == 3)
        kept = stored(maker, sites, 2)
        await until(lambda: set(kept) <= set(sink.spans) and sender.figures.sent == 2)


async def test_spans_that_the_collector_refuses_are_counted(
    redis_url: str, sites: TraceSites, maker: Maker, sink: Sink, caplog: pytest.LogCaptureFixture
) -> None:
    sink.answers = [partly(2, "too old")]
    async with storing(redis_url, sites) as sender:
        stored(maker, sites, 5)
        await until(lambda: sender.figures.sent)
    assert (sender.figures.sent, sender.figures.rejected) == (3, 2)
    assert "refused 2: too old" in caplog.text
    text = render(sender.families())
    assert 'ai_assistant_worker_otel_spans_total{outcome="sent"} 3' in text
    assert 'ai_assistant_worker_otel_spans_total{outcome="rejected"} 2' in text
    assert "ai_assistant_worker_otel_waiting 0" in text


async def test_a_collector_that_hangs_holds_up_nothing(
    redis_url: str, sites: TraceSites, maker: Maker, sink: Sink
) -> None:
    sink.hold.clear()
    async with storing(redis_url, sites, _limit=10) as sender:
        stored(maker, sites, 5)
        await until(lambda: sink.exports)
        stored(maker, sites, 40)
        await until(lambda: sites.observations() == 45)
        await until(lambda: sender.figures.dropped == 30)
        assert sender.queued == 10
        sink.hold.set()
        await until(lambda: sender.figures.sent == 15)


async def test_one_site_that_hangs_holds_up_no_other(sink: Sink) -> None:
    with Sink().listening() as other:
        sites = PlainSites({"slow.test": sink.url, "quick.test": other.url})
        sender = OtlpSender(SiteThreads(sites), "test", delay_s=0.01)
        running = asyncio.create_task(sender.run())
        sink.hold.clear()
        sender.offer("slow.test", ["a" * 48])
        await until(lambda: sink.exports)
        sender.offer("quick.test", ["b" * 48])
        await until(lambda: other.exports)
        sink.hold.set()
        await until(lambda: sender.figures.sent == 2)
        running.cancel()
        await asyncio.wait([running])
        await sender.finish()


class PlainSites:
    """Sites whose every observation exists: as much of `core.ports.SiteOpener` as a sender needs."""

    def __init__(self, urls: dict[str, str]):
        self._urls = urls

    def open(self, site: str) -> Any:
        """A unit of work."""
        url = self._urls[site]
        return nullcontext(PlainAccess(OtelConfig(traces_url=f"{url}/v1/traces" if url else "")))


class PlainAccess:
    """A unit of work, and its store."""

    def __init__(self, otel: OtelConfig):
        self.otel = otel
        self.traces = self

    def rows(self, names: list[str]) -> list[dict[str, Any]]:
        """One observation for each name."""
        now = time.time_ns() // 1000
        plain = {"type": "span", "title": "x", "started_at": now, "ended_at": now}
        return [{"trace": name[:32], "span": name[32:], **plain} for name in names]

    def get(self, trace: str, *, owner: str | None) -> dict[str, Any]:
        """A trace."""
        return {"name": trace}


async def test_nothing_is_kept_for_a_site_without_an_endpoint(
    redis_url: str, sites: TraceSites, maker: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(otlp_sender, "CONFIG_S", 60.0)
    sites.otel = None
    async with storing(redis_url, sites) as sender:
        stored(maker, sites, 3)
        await until(lambda: sender._targets)
        stored(maker, sites, 3)
        await until(lambda: sites.observations() == 6)
        assert sender.queued == 0
    assert msgspec.to_builtins(sender.figures) == {"sent": 0, "dropped": 0, "rejected": 0}


async def test_a_wrong_configuration_is_said_and_keeps_nothing_from_being_stored(
    redis_url: str, sites: TraceSites, maker: Maker, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_self: Any) -> None:
        raise ConfigError("ai_assistant_otel_endpoint", "must be an address")

    monkeypatch.setattr(TraceAccess, "otel", property(broken, lambda _self, _value: None), raising=False)
    async with storing(redis_url, sites):
        stored(maker, sites, 3)
        await until(lambda: sites.observations() == 3)
        await until(
            lambda: "nothing of traces.test is sent: ai_assistant_otel_endpoint: must be an address" in caplog.text
        )


async def test_what_came_in_over_otlp_does_not_go_out(
    redis_url: str, sites: TraceSites, client: Any, sink: Sink
) -> None:
    """An endpoint that leads back here would turn in circles."""
    async with storing(redis_url, sites):
        stored(Maker(client, name="0123456789abcdef:otlp"), sites, 3)
        kept = stored(Maker(client), sites, 1)
        await until(lambda: set(kept) <= set(sink.spans))
        await until(lambda: sites.observations() == 4)
    assert set(sink.spans) == set(kept)


async def test_the_last_ones_go_out_before_the_process_ends(
    redis_url: str, sites: TraceSites, maker: Maker, sink: Sink
) -> None:
    async with storing(redis_url, sites, _delay_s=30.0):
        spans = stored(maker, sites, 3)
        await until(lambda: sites.observations() == 3)
    assert set(sink.spans) == set(spans)


async def test_a_collector_that_hangs_keeps_no_process_from_ending(
    redis_url: str, sites: TraceSites, maker: Maker, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(otlp_sender, "FLUSH_S", 0.1)
    sink.hold.clear()
    async with storing(redis_url, sites) as sender:
        stored(maker, sites, 3)
        await until(lambda: sink.exports)
        stored(maker, sites, 2)
        await until(lambda: sender.queued == 2)
    assert msgspec.to_builtins(sender.figures) == {"sent": 0, "dropped": 5, "rejected": 0}


async def test_what_did_not_fit_counts_only_where_something_goes_out(sink: Sink) -> None:
    sites = PlainSites({"some.test": sink.url, "none.test": ""})
    sender = OtlpSender(SiteThreads(sites), "test", queue=5, delay_s=0.01)
    sender.offer("none.test", [f"{i:048x}" for i in range(1, 9)])
    sender.offer("some.test", [f"{i:048x}" for i in range(1, 9)])
    assert sender.figures.dropped == 0  # nobody knows yet
    running = asyncio.create_task(sender.run())
    await until(lambda: sender.queued == 0 and not sender._sending)
    sender.offer("some.test", [f"{i:048x}" for i in range(1, 3)])
    await until(lambda: sender.figures.sent == 2)
    assert sender.figures.dropped == 8
    running.cancel()
    await asyncio.wait([running])
    await sender.finish()


async def test_many_go_out_in_batches(redis_url: str, sites: TraceSites, maker: Maker, sink: Sink) -> None:
    async with storing(redis_url, sites) as sender:
        spans = stored(maker, sites, 1500)
        await until(lambda: sender.figures.sent == 1500)
    assert set(sink.spans) == set(spans)
    assert max(len(each.spans) for each in sink.exports) <= otlp_sender.BATCH


async def test_it_gives_up_after_a_while(sink: Sink) -> None:
    sink.answers = [Answer(503)] * 100
    mailer = Mailer(OtelConfig(), patience_s=0.2, first_pause_s=0.05)
    result = await mailer.send(f"{sink.url}/v1/traces", TRACE_REQUEST, {}, TRACE_RESPONSE)
    await mailer.close()
    assert not result.ok
    assert result.tries == len(sink.exports) > 1


async def test_retry_after_is_honoured(sink: Sink) -> None:
    """Longer than its patience: it is not tried again at once."""
    sink.answers = [Answer(503, {"Retry-After": "3600"})]
    mailer = Mailer(OtelConfig(), patience_s=10, first_pause_s=0.01)
    result = await mailer.send(f"{sink.url}/v1/traces", TRACE_REQUEST, {}, TRACE_RESPONSE)
    await mailer.close()
    assert (result.ok, result.tries, len(sink.exports)) == (False, 1, 1)


@pytest.mark.parametrize(
    ("value", "low", "high"),
    [
        ("5", 5.0, 5.0),
        ("Fri, 31 Dec 1999 23:59:59 GMT", 0.0, 0.0),
        ("Fri, 31 Dec 2098 23:59:59 GMT", 1e9, 1e10),
        ("soon", None, None),
        ("", None, None),
        (None, None, None),
        ("9" * 400, None, None),
    ],
)
def test_what_retry_after_says(value: str | None, low: float | None, high: float | None) -> None:
    found = retry_after(value)
    assert found is None if low is None or high is None else found is not None and low <= found <= high
