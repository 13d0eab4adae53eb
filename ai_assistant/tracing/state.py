"""The program's one client, and what `init` and the short forms do with it."""

from __future__ import annotations

import logging
import os
import threading
from typing import Any

from ai_assistant.core.trace import TRACE_INTS, TRACE_TEXTS, TRACE_WORDS
from ai_assistant.tracing.capture import as_text
from ai_assistant.tracing.client import HEALTHY_S, Client
from ai_assistant.tracing.columns import MAX_METADATA_CHARS
from ai_assistant.tracing.context import CURRENT
from ai_assistant.tracing.propagation import Remote
from ai_assistant.tracing.settings import PREFIX, Settings, settings_from
from ai_assistant.tracing.sinks import Health, Sink
from ai_assistant.tracing.span import Span
from ai_assistant.tracing.tracer import NOTHING, Tracer

log = logging.getLogger("ai_assistant.tracing")

_lock = threading.Lock()
_client: Client | None = None
_tracer: Tracer | None = None
"""Of the client that traces; None while nothing does. Read by every traced call."""
_looked = False
"""Whether the environment was asked."""


def init(*, sink: Sink | None = None, verify: bool = True, **given: Any) -> Client:
    """Begins tracing, and says in one line of the log how it stands. Never raises: what is wrong is logged, and
    tracing is off, or waits for what is away.

    `given`: see `tracing.settings.Settings`. `sink`: where events go instead; for tests. `verify`: whether to look for
    the receiver and its consumer now, which takes a second where it is away. A second call replaces the first one's
    client, which delivers what it has.
    """
    settings, problems = settings_from(given)
    for problem in problems:
        log.error("tracing: %s", problem)
    client = Client(settings, sink or sink_of(settings))
    use(client)
    if verify:
        report(client)
    return client


def use(client: Client | None) -> None:
    """Makes `client` the program's."""
    global _client, _tracer, _looked
    with _lock:
        old, _client = _client, client
        _tracer = client.default if client is not None and client.enabled else None
        _looked = True
    if client is not None and client.enabled and client.settings.propagate_threads:
        from ai_assistant.tracing.threads import propagate

        propagate()
    if old is not None and old is not client:
        old.shutdown()


def swap(client: Client | None) -> None:
    """Makes `client` the program's and leaves the one before alone: for tests."""
    global _client, _tracer, _looked
    with _lock:
        _client, _looked = client, True
        _tracer = client.default if client is not None and client.enabled else None


def sink_of(settings: Settings) -> Sink | None:
    """The sink that the settings name; None where nothing can be traced, which is logged."""
    if not settings.enabled:
        return None
    if settings.redis_url:
        if not settings.site:
            log.error("tracing is off: site is missing; it names the stream (AI_ASSISTANT_SITE)")
            return None
        from ai_assistant.tracing.sinks.redis import RedisSink

        bounds = {"max_entries": settings.max_stream_entries, "max_bytes": settings.max_stream_bytes}
        return RedisSink(settings.redis_url, **bounds)
    if settings.url and settings.api_key:
        from ai_assistant.tracing.sinks.http import HttpSink

        return HttpSink(settings.url, settings.api_key)
    if settings.url:
        log.error("tracing is off: api_key is missing; make one for %s", settings.url)
        return None
    log.warning("tracing is off: neither redis_url nor url is set (%sREDIS_URL, %sURL)", PREFIX, PREFIX)
    return None


def report(client: Client) -> None:
    """One line: connected or not, and how the consumer is."""
    if not client.enabled:
        if not client.settings.enabled:
            log.info("tracing is off: enabled is false")
        return
    health = client.check()
    level = logging.INFO if health.connected and (health.consumer_age_s or HEALTHY_S) < HEALTHY_S else logging.WARNING
    log.log(level, "tracing: %s", words_of(health))


def words_of(health: Health) -> str:
    """What a look at the receiver found, in words."""
    if not health.connected:
        return f"not connected to {health.where}, trying again; events wait meanwhile: {health.problem}"
    age = health.consumer_age_s
    if age is None:
        return f"connected to {health.where}; its consumer was never seen: nothing is stored until one runs"
    if age < HEALTHY_S:
        return f"connected to {health.where}, consumer healthy"
    return f"connected to {health.where}; its consumer has been silent for {age:.0f} s: events wait in the stream"


def client() -> Client | None:
    """The program's client; None before `init`."""
    return _client


def active() -> Tracer | None:
    """What begins observations; None where nothing is traced. Without `init` the environment decides at the first
    call: where it names a receiver, that is used."""
    if _tracer is not None or _looked:
        return _tracer
    return _from_environment()


def _from_environment() -> Tracer | None:
    global _looked
    with _lock:
        if _looked:
            return _tracer
        _looked = True
    if os.environ.get(f"{PREFIX}REDIS_URL") or os.environ.get(f"{PREFIX}URL"):
        init()
    return _tracer


def start_span(name: str, type: str = "span", *, at: int | None = None, **values: Any) -> Span:
    """Begins an observation below the current one. End it with `end`, or use it in a `with`, where it is the current
    one. `values`: as in `Span.update`. `at`: epoch microseconds."""
    tracer = active()
    if tracer is None:
        return NOTHING
    parent = CURRENT.get()
    try:
        return (parent.tracer.base if parent is not None and parent.state.lane else tracer).start(
            name, type, parent=parent, at=at, **values
        )
    except Exception as error:  # noqa: BLE001  # counted and logged; tracing must not break its program
        tracer.failed("the beginning of an observation", error)
        return NOTHING


def set_trace(
    *,
    tags: list[str] | tuple[str, ...] | None = None,
    metadata: dict[str, Any] | None = None,
    reference: tuple[str, str] | None = None,
    **fields: Any,
) -> None:
    """Says something of the current trace: `title`, `user`, `session`, `conversation`, `tags`, `metadata`, `reference`
    (a DocType and a document's name) and other columns of `core.trace`. Does nothing where nothing is traced."""
    span = CURRENT.get()
    if span is None or not span.state.lane:
        return
    try:
        span.tracer.set_trace(span, trace_fields(tags=tags, metadata=metadata, reference=reference, **fields))
    except Exception as error:  # noqa: BLE001  # counted and logged; tracing must not break its program
        span.tracer.failed("set_trace", error)


def trace_fields(*, tags: Any = None, metadata: Any = None, reference: Any = None, **fields: Any) -> dict[str, Any]:
    """Fields of a trace, in the types of their columns; names that are no column become metadata."""
    known: dict[str, Any] = {
        name: str(value) for name, value in fields.items() if name in TRACE_WORDS and value is not None
    }
    known |= {name: int(value) for name, value in fields.items() if name in TRACE_INTS and value is not None}
    for name in TRACE_TEXTS:
        if fields.get(name) is not None:
            known[name] = as_text(fields[name], MAX_METADATA_CHARS)[0]
    other = {name: value for name, value in fields.items() if name not in known and value is not None}
    if metadata or other:
        known["metadata"] = as_text({**(metadata or {}), **other}, MAX_METADATA_CHARS)[0]
    if tags is not None:
        known["tags"] = [str(tag)[:140] for tag in tags][:50]
    if reference is not None:
        known["reference_doctype"], known["reference_name"] = str(reference[0]), str(reference[1])
    return known


def remote_parent(remote: Remote) -> Span | None:
    """Stands for another program's observation: what begins below it is a local root of the same trace."""
    tracer = active()
    if tracer is None:
        return None
    try:
        state = tracer.begin_trace(remote.trace_id)
    except Exception as error:  # noqa: BLE001  # counted and logged; tracing must not break its program
        tracer.failed("the continuation of a trace", error)
        return None
    if state is None:
        return None
    stand_in = Span(tracer, state, "", "", "span", 0)
    stand_in.id = remote.span_id
    stand_in.ended = True
    return stand_in


def flush(timeout: float = 5.0) -> bool:
    """Whether everything noted so far was delivered within `timeout` seconds."""
    return _client.flush(timeout) if _client is not None else True


def shutdown(timeout: float | None = None) -> bool:
    """Delivers what waits and ends tracing; whether all was delivered."""
    global _tracer
    _tracer = None
    return _client.shutdown(timeout) if _client is not None else True


def status() -> dict[str, Any]:
    """Figures of the publisher: events made, delivered, dropped, waiting, and what is wrong, if something is."""
    return _client.status() if _client is not None else {"enabled": False}
