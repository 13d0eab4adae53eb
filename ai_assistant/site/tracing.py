"""The pipeline of a site's traces in Redis."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from typing import Any

import frappe
import redis
from frappe.utils import get_sites

from ai_assistant.core.trace_pipe import TraceEntry
from ai_assistant.site import bench
from ai_assistant.site.wake import wake_if_needed
from ai_assistant.streams.connection import request_client
from ai_assistant.traces.ingest import RedisTracePipe

REDIS_KEY = "ai_assistant_trace_redis_url"
"""Site or common configuration: another Redis for the stream of traces than the bench's own."""


def traces_redis_url() -> str:
    """The Redis of the open site's traces."""
    return str(frappe.conf.get(REDIS_KEY) or bench.redis_url())


def traces_redis_urls() -> tuple[str, ...]:
    """Every Redis that has traces of a site of this bench, each once, the bench's own choice first. Reads the sites'
    configuration, no database."""
    found = [str(frappe.get_common_site_config().get(REDIS_KEY) or bench.redis_url())]
    for site in get_sites():
        try:
            conf = frappe.get_site_config(site_path=os.path.join(frappe.local.sites_path, site))
        except Exception as error:  # noqa: BLE001  # one site's broken configuration must not keep the others
            frappe.logger(bench.APP).warning("site %s is left out: %s", site, error)
            continue
        found.append(str(conf.get(REDIS_KEY) or bench.redis_url()))
    return tuple(dict.fromkeys(found))


def trace_client() -> redis.Redis:
    """A client of the open site's Redis of traces; its connections outlive the request."""
    return _client(traces_redis_url())


def trace_pipe() -> SiteTracePipe:
    """The pipeline of the open site; its connections outlive the request."""
    return _trace_pipe(traces_redis_url(), frappe.local.site)


class SiteTracePipe(RedisTracePipe):
    """One that sees to it that somebody stores what it takes: without a daemon, the bench's background job."""

    def send(
        self, producer: str, entries: Sequence[TraceEntry], *, user: str | None, beat: dict[str, Any] | None
    ) -> None:
        """See `TracePipe.send`."""
        super().send(producer, entries, user=user, beat=beat)
        if entries:
            wake_if_needed(bench.tasks(), is_wanted=True)


@functools.lru_cache(maxsize=64)
def _trace_pipe(url: str, site: str) -> SiteTracePipe:
    return SiteTracePipe(_client(url), site)


@functools.lru_cache(maxsize=8)
def _client(url: str) -> redis.Redis:
    return request_client(url)
