"""The site's ConversationStore for the contract suite `tests/contract/stores`, and for tests of its own.

Each unit of work is the worker's: `BenchOpener` initialises Frappe in the calling thread, commits, and takes it down.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import frappe

from ai_assistant.core.conversation import Unfinished
from ai_assistant.site.conversations import SiteConversations
from ai_assistant.site.opener import BenchOpener
from ai_assistant.tests.people import DOMAIN

SITE = "AI_ASSISTANT_TEST_SITE"
PEOPLE = tuple(f"{name}@{DOMAIN}" for name in ("ann", "bob", "boss"))


class OurConversations(SiteConversations):
    """The site's store, seeing what the suite's users left unfinished: others may be chatting on the site."""

    def unfinished(self, limit: int = 1000) -> list[Unfinished]:
        assert len(super().unfinished(limit)) <= limit
        return [each for each in super().unfinished(100_000) if each.user in PEOPLE][:limit]


@contextmanager
def open_store() -> Iterator[SiteConversations]:
    """A unit of work on the site that the environment names."""
    with BenchOpener().open(os.environ[SITE]):
        frappe.flags.in_test = True
        yield OurConversations()


@contextmanager
def site(folder: Path) -> Iterator[Callable[[], AbstractContextManager[SiteConversations]]]:
    """The factory: no conversation of the suite's users is there before a test and after it."""
    clear()
    try:
        yield open_store
    finally:
        clear()


def clear() -> None:
    """Removes what the suite's users own."""
    with BenchOpener().open(os.environ[SITE]):
        names = frappe.get_all("AI Conversation", {"user": ("in", PEOPLE)}, pluck="name")
        if names:
            frappe.db.delete("AI Message", {"conversation": ("in", names)})
            frappe.db.delete("AI Conversation", {"name": ("in", names)})


FACTORIES = {"site": site}
