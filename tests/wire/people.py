"""People with one role alone: users of an embedded host's configuration, or made on a site for the purpose."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from .client import Client

if TYPE_CHECKING:
    from .conftest import Host


def logged_in(host: Host, name: str, role: str) -> Client:
    """A session of `name`, whose only role is `role`, or of Administrator. Skips where the host was given without
    Administrator's password."""
    if host.process is not None:
        return host.process.login(name)
    password = os.environ.get("AI_ASSISTANT_ADMIN_PASSWORD")
    if not password or host.is_embedded:
        pytest.skip("makes users on a site: set AI_ASSISTANT_ADMIN_PASSWORD to allow it")
    if role:
        from .site import Desk, add_user

        password = add_user(Desk(host.url, os.environ["AI_ASSISTANT_SITE"], password), name, [role])
    return Client(host.url).login(name, password)
