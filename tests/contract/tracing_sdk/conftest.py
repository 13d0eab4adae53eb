"""Fixtures of this folder."""

from tests.redis_fixtures import (  # noqa: F401
    client,
    proxy,
    redis_server,
    redis_url,
)
