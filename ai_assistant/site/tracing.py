"""The pipeline of a site's traces in Redis."""

from __future__ import annotations

import functools

import frappe

from ai_assistant.site import bench
from ai_assistant.streams.connection import request_client
from ai_assistant.traces.ingest import RedisTracePipe

REDIS_KEY = "ai_assistant_traces_redis_url"
"""Site or common configuration: another Redis for the stream of traces than the bench's own."""


def traces_redis_url() -> str:
    """The Redis of the open site's traces."""
    return str(frappe.conf.get(REDIS_KEY) or bench.redis_url())


def trace_pipe() -> RedisTracePipe:
    """The pipeline of the open site; its connections outlive the request."""
    return _trace_pipe(traces_redis_url(), frappe.local.site)


@functools.lru_cache(maxsize=64)
def _trace_pipe(url: str, site: str) -> RedisTracePipe:
    return RedisTracePipe(_client(url), site)


@functools.lru_cache(maxsize=8)
def _client(url: str):
    return request_client(url)
