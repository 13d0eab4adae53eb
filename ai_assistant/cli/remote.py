"""Calls the endpoints of any host over HTTP: the embedded one or a Frappe site."""

from __future__ import annotations

import re
from typing import Any

import httpx
import msgspec

METHOD = "/api/method/"
PREFIX = "ai_assistant.api."


class RemoteError(Exception):
    """The host refused or could not be reached; the text is for a person. `status` is 0 without an answer."""

    def __init__(self, message: str, status: int = 0):
        super().__init__(message)
        self.status = status


class Remote:
    """A host, with the credentials of one user."""

    def __init__(self, url: str, *, api_key: str | None = None, timeout: float = 30.0):
        """`api_key` is `key:secret`; without it call `login` first. `timeout` in seconds, per call."""
        self.url = url.rstrip("/")
        headers = {"Accept": "application/json"}
        if api_key:
            headers["Authorization"] = f"token {api_key}"
        self._client = httpx.AsyncClient(base_url=self.url, headers=headers, timeout=timeout, trust_env=False)

    async def login(self, user: str, password: str) -> None:
        """Opens a session. Raises RemoteError when the host refuses."""
        await self._post(f"{METHOD}login", {"usr": user, "pwd": password})

    async def call(self, method: str, **arguments: Any) -> Any:
        """The result of `ai_assistant.api.<method>`. Raises RemoteError."""
        given = {key: value for key, value in arguments.items() if value is not None}
        answer = await self._post(f"{METHOD}{PREFIX}{method}", given)
        return answer.get("message")

    async def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        try:
            response = await self._client.post(path, json=body)
        except httpx.HTTPError as error:
            raise RemoteError(f"{self.url} cannot be reached: {error or type(error).__name__}") from error
        try:
            answer = response.json()
        except ValueError:
            answer = {}
        if response.status_code >= 400 or not isinstance(answer, dict):
            words = readable(answer) or by_status(self.url, response.status_code)
            raise RemoteError(words, response.status_code)
        return answer

    def socket_headers(self) -> dict[str, str]:
        """What a Socket.IO connection of the same user sends: a Cookie header is asked for in every case."""
        headers = {"Origin": self.url, "Cookie": "; ".join(f"{k}={v}" for k, v in self._client.cookies.items())}
        headers["Cookie"] = headers["Cookie"] or "client=ai-assistant"
        if "Authorization" in self._client.headers:
            headers["Authorization"] = self._client.headers["Authorization"]
        return headers

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.aclose()


def readable(answer: Any) -> str:
    """The text of an error in Frappe's body form; empty where it has none but the name of a class."""
    if not isinstance(answer, dict):
        return ""
    texts = server_messages(answer.get("_server_messages"))
    if texts:
        return " ".join(texts)
    exception, message = answer.get("exception"), answer.get("message")
    if isinstance(exception, str) and ": " in exception:
        return exception.split(": ", 1)[1]
    return message if isinstance(message, str) else ""


def by_status(url: str, status: int) -> str:
    """What a status without any words means."""
    if status == 401:
        return f"{url} does not accept this user and password, or API key"
    if status == 404:
        return f"{url} answered 404: it is no AI Assistant, or not the address of the site"
    return f"{url} answered {status}"


def server_messages(value: Any) -> list[str]:
    """Frappe's messages: JSON of a list of JSON objects with `message`, which may hold HTML."""
    if not isinstance(value, str):
        return []
    try:
        items = msgspec.json.decode(value, type=list[str])
        texts = [str(msgspec.json.decode(item, type=dict[str, Any]).get("message", "")) for item in items]
    except msgspec.DecodeError:
        return []
    return [re.sub(r"<[^>]+>", "", text) for text in texts if text]
