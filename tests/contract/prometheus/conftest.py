"""Fixtures of this folder."""

from tests.redis_fixtures import client, redis_server, redis_url  # noqa: F401
