"""Who asks."""

from __future__ import annotations

import msgspec

GUEST = "Guest"
ADMINISTRATOR = "Administrator"
MANAGER_ROLE = "AI Manager"


class User(msgspec.Struct, frozen=True, kw_only=True):
    """The user of a request, as the host authenticated it."""

    name: str
    full_name: str = ""
    roles: frozenset[str] = frozenset()

    @property
    def is_guest(self) -> bool:
        """True for a request without credentials."""
        return self.name == GUEST

    @property
    def is_manager(self) -> bool:
        """May read every user's conversations and use every model."""
        return self.name == ADMINISTRATOR or MANAGER_ROLE in self.roles

    def may_use(self, roles: tuple[str, ...]) -> bool:
        """Whether a model that is kept to `roles` is open to this user; no roles means everybody logged in."""
        return not self.is_guest and (not roles or self.is_manager or not self.roles.isdisjoint(roles))
