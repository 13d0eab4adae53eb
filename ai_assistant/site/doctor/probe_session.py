"""A session for a socket that tries the realtime server: short-lived, written as Frappe writes its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ai_assistant.core.errors import ValidationError
from ai_assistant.site.doctor.finding import Subject

LIFE = "00:02:00"
"""After this Frappe ends the session by itself, should nobody be left to do it."""


@contextmanager
def session(subject: Subject) -> Iterator[str]:
    """The id of a session of `subject.user`; it is gone afterwards. Nothing is noted as a login.

    Raises ValidationError for a user who may not log in.
    """
    with subject.open():
        sid = begin(subject.user)
    try:
        yield sid
    finally:
        with subject.open():
            end(sid)


def begin(user: str) -> str:
    """Writes the session and gives its id. The unit of work must be committed before it counts."""
    import frappe
    from frappe.sessions import Session

    if not frappe.db.get_value("User", user, "enabled"):
        raise ValidationError(f"user: {user} does not exist or is disabled; name another one by --user")
    sid = frappe.generate_hash()
    # without __init__, which reads a web request, and start(), which counts as a login and may end other sessions
    written = Session.__new__(Session)
    data = {
        "user": user,
        "session_ip": "127.0.0.1",
        "last_updated": frappe.utils.now(),
        "session_expiry": LIFE,
        "full_name": "AI Assistant doctor",
        "user_type": frappe.db.get_value("User", user, "user_type"),
    }
    written.data = frappe._dict(user=user, sid=sid, data=frappe._dict(data))
    written.sid, written.user = sid, user
    written.insert_session_record()
    return sid


def end(sid: str) -> None:
    """Removes the session from the database and from Frappe's cache."""
    import frappe

    frappe.db.delete("Sessions", {"sid": sid})
    for key in ("session", "last_db_session_update"):
        frappe.cache.hdel(key, sid)
