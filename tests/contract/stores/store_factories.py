"""Every implementation of `core.ports.ConversationStore` that can run here, by name: the fixture `stores`.

`stores()` opens a unit of work and gives the store of it: committed at the end of the `with`, rolled back when that
raises. An implementation joins the suite by one more factory in the `FACTORIES` of `host_stores`, or of the module that
the environment names instead: on a bench, where the embedded host's libraries are not installed, it is
`ai_assistant.tests.site_stores`.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path

from ai_assistant.core.ports import ConversationStore

Stores = Callable[[], AbstractContextManager[ConversationStore]]
Factory = Callable[[Path], AbstractContextManager[Stores]]

MODULE = "AI_ASSISTANT_TEST_STORES"
"""Names a module that has `FACTORIES`."""
EXAMPLES = "AI_ASSISTANT_TEST_EXAMPLES"
"""Sequences of calls that the state machine tries; fewer where a unit of work costs milliseconds."""


@cache
def factories() -> dict[str, Factory]:
    return importlib.import_module(os.environ.get(MODULE) or "host_stores").FACTORIES


def examples() -> int:
    return int(os.environ.get(EXAMPLES) or 40)
