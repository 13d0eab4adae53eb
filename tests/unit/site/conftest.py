"""Fixtures of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from examined import subject_at

from ai_assistant.site.doctor.finding import Subject
from tests.redis_fixtures import (  # noqa: F401
    client,
    redis_server,
    redis_url,
    tasks,
    upstream,
    upstream_server,
)


@pytest.fixture
def subject(tmp_path: Path, redis_url: str) -> Subject:  # noqa: F811
    """A bench in an empty folder, on the session's Redis."""
    return subject_at(redis_url, tmp_path)
