"""Who may see which trace: everybody their own, reviewers and Administrator all.

Another user's trace, for one who may not see it, is the same as none: 404 everywhere. Payloads stand behind one more
door, permission level 1, which an admin of a site may close. A look at somebody else's trace is itself recorded, before
anything of it is given.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

from ai_assistant.core import check
from ai_assistant.core.errors import AuthenticationError, DoesNotExistError, PermissionError_
from ai_assistant.core.ports import RequestHost
from ai_assistant.core.session import OPERATOR_ROLE, REVIEWER_ROLE, User

HOUR_US: Final = 3_600_000_000


def known_user(host: RequestHost) -> User:
    """The user of the request. Raises AuthenticationError for a guest."""
    user = host.user()
    if user.is_guest:
        raise AuthenticationError("Log in first, or send an API key: Authorization: token <key>:<secret>")
    return user


def owner_of(user: User) -> str | None:
    """The one user whose traces `user` sees; `None`: everybody's."""
    return None if user.is_reviewer else user.name


def visible_trace(host: RequestHost, user: User, trace: str) -> dict[str, Any]:
    """A trace that `user` may see. Raises DoesNotExistError."""
    row = host.access().traces.get(trace, owner=owner_of(user))
    if row is None:
        raise unknown(trace)
    return row


def note_look(host: RequestHost, user: User, row: dict[str, Any]) -> None:
    """Records that `user` looks at somebody else's trace; many traces of programs are nobody's.

    To be called after everything was read and before it is given: where a database lets one writer in at a time, nobody
    waits while a large trace is read.
    """
    owner = row.get("user")
    if owner and owner != user.name:
        host.access().traces.note_view(row["name"], owner, user)


def view_name(trace: str, viewer: User, at: int) -> str:
    """The name of the record of a look at `at` (epoch microseconds): one for each viewer, trace and hour."""
    digest = hashlib.sha256(viewer.name.encode("utf-8", "replace")).hexdigest()[:16]
    return f"{trace}-{at // HOUR_US}-{digest}"


def unknown(trace: str) -> DoesNotExistError:
    """The error for a trace that is not there, or is another user's: the two are not told apart."""
    return DoesNotExistError(f"trace: there is no trace {check.shown(trace)}")


def require_payloads(host: RequestHost, what: str) -> None:
    """Raises PermissionError_ where prompts, reasoning and responses are closed to the user."""
    if not host.sees_trace_payloads():
        raise PermissionError_(
            f"{what}: your roles do not include permission level 1 of AI Trace and AI Observation; ask an admin"
        )


def require_overseer(user: User, what: str) -> None:
    """Raises PermissionError_ for one who neither reviews traces nor runs the site."""
    if not (user.is_reviewer or user.is_operator):
        raise PermissionError_(f"{what}: {user.name} needs the role {REVIEWER_ROLE} or {OPERATOR_ROLE}")
