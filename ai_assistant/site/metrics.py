"""Figures of a site: those of the bench's tasks and traces, from Redis, and of the realtime server of this machine.

Frappe's realtime server tells nobody how many sockets it has. What can be seen from beside it are the TCP connections
to its port: one for each socket, of all sites of the bench, the Desk's own pages included.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator

import frappe

import ai_assistant
from ai_assistant.core.metrics import Family, gauge
from ai_assistant.site import bench
from ai_assistant.site.connections import connections_to
from ai_assistant.site.tracing import trace_client
from ai_assistant.streams.metrics import collect
from ai_assistant.traces.metrics import trace_families

DEFAULT_PORT = 9000
"""Where the realtime server listens when nothing is configured (frappe v15.55.1, `node_utils.js`)."""


def families() -> list[Family]:
    """Everything but a probe. Needs `frappe.local.conf`."""
    return [build(), *collect(bench.tasks()), *trace_families(trace_client()), *realtime()]


def build() -> Family:
    """What runs here."""
    labels = {
        "version": ai_assistant.__version__,
        "python": platform.python_version(),
        "site": frappe.local.site,
        "scope": bench.scope(),
        "frappe": frappe.__version__,
    }
    return gauge("build_info", "What runs here.", 1, host="site", **labels)


def realtime() -> Iterator[Family]:
    """The realtime server's port on this machine. Nothing where the system does not tell, or a socket file is used."""
    if frappe.conf.get("socketio_uds"):
        return
    found = connections_to(int(frappe.conf.get("socketio_port") or DEFAULT_PORT))
    if found is None:
        return
    listens, connections = found
    text = "Whether a realtime server listens on this machine; always 0 where it runs on another one."
    yield gauge("realtime_listening", text, int(listens))
    if listens:
        text = "TCP connections to the realtime server of this machine: one per socket, of all sites of the bench."
        yield gauge("socket_connections", text, connections)
