"""Who sends a request: the order of checks is Frappe's (v15 `frappe/auth.py`): session, CSRF token, Authorization."""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import Any

import msgspec
from starlette.datastructures import Headers

from ai_assistant.core.errors import ApiError, AuthenticationError
from ai_assistant.core.session import GUEST, User
from ai_assistant.host.apikeys import ApiKeys
from ai_assistant.host.errors import CsrfError, LoginError, TokenFormatError, printable
from ai_assistant.host.links import LoginLinks
from ai_assistant.host.origin import SAFE_METHODS, check_same_origin
from ai_assistant.host.passwords import MAX_LENGTH
from ai_assistant.host.sessions import Session, Sessions
from ai_assistant.host.throttle import LoginThrottle
from ai_assistant.host.users import Users

GUEST_USER = User(name=GUEST, full_name=GUEST, roles=frozenset({GUEST}))


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """The user of a request and how they proved it: by a session, by an API key, or not at all."""

    user: User = GUEST_USER
    session: Session | None = None
    key: str | None = None


class Auth:
    """Checks credentials. Every method blocks on the database; call it from a thread."""

    def __init__(self, users: Users, sessions: Sessions, api_keys: ApiKeys):
        self.users = users
        self.sessions = sessions
        self.api_keys = api_keys
        self.links = LoginLinks()
        self.throttle = LoginThrottle()

    def identify(self, method: str, headers: Headers, sid: str | None, arguments: dict[str, Any]) -> Identity:
        """The sender of an HTTP request. Raises CsrfError (400), CrossOriginError (403), AuthenticationError (401).

        An unknown or expired sid is a Guest, as in Frappe.
        """
        session = self.sessions.get(sid) if sid else None
        if session is not None and method not in SAFE_METHODS:
            check_same_origin(headers)
            check_csrf(session, headers.get("x-frappe-csrf-token") or arguments.pop("csrf_token", None))
        by_key = self.by_authorization(headers.get("authorization", ""))
        return Identity(user=session.user, session=session) if session else by_key

    def is_known(self, headers: Headers, sid: str | None) -> bool:
        """Whether the request comes from somebody who is logged in or has an API key; whether they may do what they
        ask is left to `identify`."""
        if sid and self.sessions.get(sid) is not None:
            return True
        try:
            return not self.by_authorization(headers.get("authorization", "")).user.is_guest
        except ApiError:
            return False

    def by_authorization(self, value: str) -> Identity:
        """The owner of the API key in an Authorization header; a Guest where it is not two words, as in Frappe.

        Raises AuthenticationError for a key that is wrong, TokenFormatError for one that cannot be decoded.
        """
        words = value.split(" ")
        if len(words) != 2:
            return Identity()
        key, _, secret = credentials(*words).partition(":")
        user = self.api_keys.login(key, secret)
        if user is None:
            raise AuthenticationError("The API key or its secret is wrong, or its user is disabled.")
        return Identity(user=user, key=key)

    def login(self, name: Any, password: Any, address: str) -> Session:
        """A new session. Raises LoginError (401), TooManyRequestsError (429). Texts are Frappe's."""
        if not (isinstance(name, str) and isinstance(password, str) and name and password):
            raise LoginError("Incomplete login details")
        if len(password) > MAX_LENGTH:
            raise LoginError("Password size exceeded the maximum allowed size")
        name = printable(name)[:140]
        self.throttle.check(name, address)
        user = self.users.login(name, password)
        if user is None:
            self.throttle.failed(name, address)
            raise LoginError("Invalid login credentials")
        self.throttle.succeeded(name, address)
        return self.sessions.create(user)

    def login_by_link(self, token: str) -> Session:
        """A new session for the user of a one-time link. Raises AuthenticationError."""
        user = self.users.get(self.links.redeem(token))
        if user is None:
            raise AuthenticationError("The user of this link is disabled.")
        return self.sessions.create(user)


def check_csrf(session: Session, sent: Any) -> None:
    """Raises CsrfError when the session was given a token and the request did not bring it."""
    if not session.csrf_given:
        return
    if not hmac.compare_digest(str(sent or "").encode("utf-8", "replace"), session.csrf_token.encode()):
        raise CsrfError("Invalid Request: send the page's token as X-Frappe-CSRF-Token, or load the page again.")


def credentials(scheme: str, value: str) -> str:
    """`key:secret` of an Authorization header of scheme `token` or `Basic`."""
    if scheme.lower() == "token":
        return value
    if scheme.lower() != "basic":
        raise AuthenticationError("Send Authorization: token <key>:<secret>.")
    try:
        return base64.b64decode(value, validate=True).decode("utf-8")
    except (binascii.Error, ValueError) as error:
        raise TokenFormatError("Failed to decode token, please provide a valid base64-encoded token.") from error
