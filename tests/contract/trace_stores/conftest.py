"""The fixture `stores`: each implementation of the TraceStore in turn."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from trace_factories import Stores, factories


@pytest.fixture(params=factories())
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stores]:
    with factories()[request.param](tmp_path) as found:
        yield found
