"""The cookies of a session, as Frappe names them."""

from __future__ import annotations

from urllib.parse import quote

from starlette.responses import Response

from ai_assistant.host.sessions import WEEK, Session

#: Cookies that Frappe sets beside `sid`; its JavaScript clients read them.
SHOWN_COOKIES = ("system_user", "full_name", "user_id")


def set_session_cookies(response: Response, session: Session, *, secure: bool) -> None:
    """`sid`, out of reach for scripts, and the cookies that Frappe's clients read."""
    shown = ("yes", session.user.full_name, session.user.name)
    for name, value in zip(SHOWN_COOKIES, shown, strict=True):
        response.set_cookie(name, quote(value), samesite="lax", secure=secure)
    response.set_cookie("sid", session.sid, max_age=int(WEEK), httponly=True, samesite="lax", secure=secure)


def clear_session_cookies(response: Response) -> None:
    """Makes a browser forget what `set_session_cookies` set."""
    for name in ("sid", *SHOWN_COOKIES):
        response.delete_cookie(name)
