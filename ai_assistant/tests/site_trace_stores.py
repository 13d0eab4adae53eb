"""The site's TraceStore for the contract suite `tests/contract/trace_stores`, and for tests of its own.

Each unit of work is the consumer's: `BenchOpener` initialises Frappe in the calling thread, commits, and takes it down.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import frappe

from ai_assistant.core.errors import ServiceUnavailableError
from ai_assistant.site.opener import BenchOpener
from ai_assistant.site.traces import SiteTraces

SITE = "AI_ASSISTANT_TEST_SITE"
DOMAIN = "traces.example"
MARK = "traces-under-test"
"""Begins the names of the suite's producers, and is the service of its traces."""


@contextmanager
def open_store() -> Iterator[SiteTraces]:
    """A unit of work on the site that the environment names."""
    with BenchOpener().open(os.environ[SITE]):
        frappe.flags.in_test = True
        yield SiteTraces()


@contextmanager
def site(folder: Path) -> Iterator[Callable[[], AbstractContextManager[SiteTraces]]]:
    """The factory: no trace of the suite is there before a test and after it."""
    clear()
    try:
        yield open_store
    finally:
        clear()


def clear() -> None:
    """Removes what the suite has made."""
    for _ in range(10):
        try:
            with open_store() as store:
                store.delete(made())
                frappe.db.delete("AI Trace Producer", {"name": ("like", f"{MARK}%")})
                frappe.db.delete("AI Trace Producer", {"name": "otlp"})
            return
        except ServiceUnavailableError:  # a writer of the test before is at it still
            continue


def made() -> list[str]:
    """The suite's traces: by their service, or by the producer of an observation where an event was lost."""
    names = frappe.get_all("AI Trace", {"service": MARK}, pluck="name")
    names += frappe.get_all("AI Trace", {"user": ("like", f"%@{DOMAIN}")}, pluck="name")
    names += frappe.get_all("AI Observation", {"producer": ("like", f"{MARK}%")}, pluck="trace", distinct=True)
    return list(set(names))


FACTORIES = {"site": site}
