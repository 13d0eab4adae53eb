"""A host that runs already: a Frappe site, or an embedded host elsewhere."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import msgspec

from .api import hostname_of
from .host import Model, Target
from .job import Credential
from .site import prepared
from .usage import Serving


class RunningHost(msgspec.Struct, kw_only=True):
    """Where it is, and who may use it."""

    url: str
    site: str = ""
    """The namespace; by default the URL's host name."""
    socket_url: str = ""
    serving: list[Serving] = []
    user: str = ""
    password: str = ""
    admin_password: str = ""
    """Of a site that is to be prepared. Otherwise its models must be named as the benchmark's, and `user` has no
    limits."""

    @asynccontextmanager
    async def target(self, base: str, models: Iterable[Model], users: int, idle_users: int) -> AsyncIterator[Target]:
        """The target, prepared where that is asked for. Raises ChildError."""
        if not self.admin_password:
            who = [Credential(user=self.user, password=self.password)]
            yield self._target(who, who)
            return
        async with prepared(self.url, self.admin_password, base, models, users, idle_users) as (askers, idle):
            yield self._target(askers, idle)

    def _target(self, users: list[Credential], idle_users: list[Credential]) -> Target:
        return Target(
            url=self.url.rstrip("/"),
            site=self.site or hostname_of(self.url),
            users=users,
            idle_users=idle_users,
            serving=self.serving,
            socket_url=self.socket_url,
        )
