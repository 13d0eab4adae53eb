"""Every implementation of `core.trace_ports.TraceStore` that can run here, by name: the fixture `stores`.

`stores()` opens a unit of work and gives the store of it: committed at the end of the `with`, rolled back when that
raises. An implementation joins by one more factory in the `FACTORIES` of `trace_host_stores`, or of the module that the
environment names instead: on a bench it is `ai_assistant.tests.site_trace_stores`.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path

from ai_assistant.core.trace_ports import TraceStore

Stores = Callable[[], AbstractContextManager[TraceStore]]
Factory = Callable[[Path], AbstractContextManager[Stores]]

MODULE = "AI_ASSISTANT_TEST_TRACE_STORES"
"""Names a module that has `FACTORIES`."""
EXAMPLES = "AI_ASSISTANT_TEST_EXAMPLES"
"""Examples of hypothesis; fewer where a unit of work costs milliseconds."""


@cache
def factories() -> dict[str, Factory]:
    return importlib.import_module(os.environ.get(MODULE) or "trace_host_stores").FACTORIES


def examples(usual: int) -> int:
    return int(os.environ.get(EXAMPLES) or usual)
