"""The few HTTP calls of a client of the wire contract, over aiohttp."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import aiohttp

TIMEOUT = aiohttp.ClientTimeout(total=60)


class ApiError(Exception):
    """The host answered with another status than 200."""


class Api:
    """One user's session."""

    def __init__(self, http: aiohttp.ClientSession, url: str):
        self._http = http
        self._url = url.rstrip("/")
        self.headers: dict[str, str] = {}
        """The credential, for HTTP and for Socket.IO alike."""

    async def login(self, user: str, password: str) -> None:
        """Logs in as Frappe has it. Raises ApiError."""
        async with self._http.post(f"{self._url}/api/method/login", json={"usr": user, "pwd": password}) as answer:
            if answer.status != 200 or "sid" not in answer.cookies:
                raise ApiError(f"login of {user}: {answer.status} {(await answer.text())[:300]}")
            self.headers = {"Cookie": f"sid={answer.cookies['sid'].value}"}

    async def call(self, method: str, **arguments: Any) -> Any:
        """Calls `ai_assistant.api.<method>` and gives its `message`. Raises ApiError."""
        return await self.method(f"ai_assistant.api.{method}", **arguments)

    async def method(self, dotted: str, **arguments: Any) -> Any:
        """Calls any method of the host and gives its `message`. Raises ApiError."""
        url = f"{self._url}/api/method/{dotted}"
        async with self._http.post(url, json=arguments, headers=self.headers) as answer:
            if answer.status != 200:
                raise ApiError(f"{dotted}: {answer.status} {(await answer.text())[:300]}")
            return (await answer.json())["message"]


def open_http() -> aiohttp.ClientSession:
    """A session with a connection per call at once; cookies are ours to send, for there are many users."""
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=30)
    return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar(), timeout=TIMEOUT)


def hostname_of(url: str) -> str:
    """The host of a URL: the name of the site, where nothing else is known."""
    return urlsplit(url).hostname or ""
