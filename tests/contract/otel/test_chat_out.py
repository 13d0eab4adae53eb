"""A chat of a running host goes out to a collector, by its config file alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sink import Sink

from tests.aimock.server import AiMock
from tests.wire.background import Background
from tests.wire.client import Client
from tests.wire.host import EmbeddedHost
from tests.wire.traces import stored
from tests.wire.upstream import Upstream


def wait(look: Callable[[], Any]) -> None:
    """Returns when `look` gives something."""
    deadline = time.monotonic() + 30
    while not look():
        assert time.monotonic() < deadline, "it did not arrive in time"
        time.sleep(0.05)


def test_a_chat_goes_out(sink: Sink, tmp_path: Path) -> None:
    settings = f'[otel]\nendpoint = "{sink.url}"\nservice = "desk"\nheaders = {{ api-key = "k" }}\n'
    with (
        AiMock() as aimock,
        Background() as background,
        Upstream(background, aimock_url=aimock.url) as upstream,
        EmbeddedHost(tmp_path, upstream.address, settings=settings) as host,
        Client(host.url, token=host.admin_key) as client,
    ):
        aimock.on("hello", content="Hello there, SECRET.", usage={"prompt_tokens": 11, "completion_tokens": 7})
        task = client.call("chat_completion", messages=[{"role": "user", "content": "hello SECRET"}], model="mock-chat")
        assert task["status"] == "completed", task
        found = stored(client, task["trace_id"], lambda found: found["trace"]["status"] == "completed")
        ended = {each["span"]: each for each in found["observations"] if each.get("ended_at") is not None}
        wait(lambda: set(ended) <= set(sink.spans))
    calls = [each for each in ended.values() if each["type"] == "generation"]
    assert calls
    for call in calls:
        span = sink.spans[call["span"]]
        assert span.trace_id.hex() == task["trace_id"]
        assert (span.kind, span.name) == (3, f"chat {call['model']}")
        values = {pair.key: pair.value for pair in span.attributes}
        assert values["gen_ai.usage.input_tokens"].int_value == 11
        assert values["gen_ai.usage.output_tokens"].int_value == 7
    assert not any(b"SECRET" in each.body for each in sink.received), "content is off unless it is switched on"
    assert sink.exports[0].headers["api-key"] == "k"
    assert sink.metrics, "metrics go out at the latest when the host stops"
    assert "gen_ai.client.token.usage" in sink.metrics[-1].metrics
