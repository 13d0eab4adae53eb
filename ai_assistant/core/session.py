"""Who asks."""

from __future__ import annotations

import msgspec

GUEST = "Guest"
ADMINISTRATOR = "Administrator"
MANAGER_ROLE = "AI Manager"
REVIEWER_ROLE = "AI Trace Reviewer"
OPERATOR_ROLE = "System Manager"
"""Frappe's role of those who run a site; they may see its figures without being managers of conversations."""


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

    @property
    def is_reviewer(self) -> bool:
        """May read every user's traces. A manager of conversations may not: traces tell of more than these."""
        return self.name == ADMINISTRATOR or REVIEWER_ROLE in self.roles

    @property
    def is_operator(self) -> bool:
        """Runs the site, which does not mean reading what is in it."""
        return self.name == ADMINISTRATOR or OPERATOR_ROLE in self.roles

    def may_use(self, roles: tuple[str, ...]) -> bool:
        """Whether a model that is kept to `roles` is open to this user; no roles means everybody logged in."""
        return not self.is_guest and (not roles or self.is_manager or not self.roles.isdisjoint(roles))
