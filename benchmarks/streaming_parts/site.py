"""Prepares a Frappe site for the benchmark over its REST API, as Administrator, and takes it all away again."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from .api import Api, ApiError, open_http
from .child import ChildError
from .host import Model
from .job import Credential

ADMINISTRATOR = "Administrator"
PASSWORD_VARIABLE = "AI_ASSISTANT_ADMIN_PASSWORD"
SETTINGS = "AI Assistant Settings"
ROLE = "AI User"
NO_LIMITS = {"requests_per_minute": 0, "concurrent_tasks": 0, "tokens_per_day": 0}


class Desk:
    """The documents of a site."""

    def __init__(self, http: aiohttp.ClientSession, url: str, headers: dict[str, str]):
        self._http = http
        self._url = f"{url.rstrip('/')}/api/resource"
        self._headers = headers

    async def get(self, doctype: str, name: str) -> dict[str, Any] | None:
        """The document; `None` where it is not there. Raises ApiError."""
        status, found = await self._ask("GET", f"{doctype}/{name}")
        return None if status == 404 else found["data"]

    async def save(self, doctype: str, name: str, values: dict[str, Any]) -> None:
        """Makes the document, or writes the values into it. Raises ApiError."""
        if await self.get(doctype, name) is None:
            await self._ask("POST", doctype, values)
        else:
            await self._ask("PUT", f"{doctype}/{name}", values)

    async def delete(self, doctype: str, name: str) -> None:
        """Removes the document, if it is there. Raises ApiError."""
        await self._ask("DELETE", f"{doctype}/{name}")

    async def names(self, doctype: str, field: str, value: str) -> list[str]:
        """The documents whose `field` has that value. Raises ApiError."""
        query = f'filters=[["{field}","=","{value}"]]&limit_page_length=0'
        _, found = await self._ask("GET", f"{doctype}?{query}")
        return [row["name"] for row in found["data"]]

    async def _ask(self, method: str, path: str, values: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        async with self._http.request(method, f"{self._url}/{path}", json=values, headers=self._headers) as answer:
            if answer.status not in (200, 202, 404):
                raise ApiError(f"{method} {path}: {answer.status} {(await answer.text())[:500]}")
            return answer.status, await answer.json()


def model_document(model: Model, base: str) -> dict[str, Any]:
    """The AI Model of a model of the upstream."""
    return {
        "model_name": model.name,
        "model": f"openai/{model.pace}",
        "api_base": base,
        "api_key": "none",
        "transport": model.transport,
        "max_streams": 1000,
        "enabled": 1,
    }


def user_document(who: Credential) -> dict[str, Any]:
    """A user who may ask, and may log in at once."""
    return {
        "email": who.user,
        "first_name": who.user.split("@")[0],
        "new_password": who.password,
        "send_welcome_email": 0,
        "enabled": 1,
        "roles": [{"role": ROLE}],
    }


@asynccontextmanager
async def prepared(
    url: str, password: str, base: str, models: Iterable[Model], users: int, idle_users: int
) -> AsyncIterator[tuple[list[Credential], list[Credential]]]:
    """Models of the upstream at `base`, askers, and others with idle sockets; the site's limits are lifted meanwhile.

    What was made is removed at the end, and the limits are set again. Raises ChildError when the site refuses.
    """
    askers = [credential(f"asker{i}") for i in range(users)]
    idle = [credential(f"idle{i}") for i in range(idle_users)]
    wanted = list(models)
    async with open_http() as http:
        try:
            desk = await open_desk(http, url, password)
            before = await desk.get(SETTINGS, SETTINGS) or {}
            try:
                await fill(desk, base, wanted, [*askers, *idle])
                yield askers, idle
            finally:
                await clear(desk, wanted, [*askers, *idle])
                await desk.save(SETTINGS, SETTINGS, {name: before[name] for name in NO_LIMITS if name in before})
        except (ApiError, aiohttp.ClientError) as error:
            raise ChildError(f"the site could not be prepared: {error}") from error


def credential(name: str) -> Credential:
    """A user of this run; the password is strong enough for any policy."""
    return Credential(user=f"{name}@benchmark.example", password=f"{secrets.token_urlsafe(18)}-1aB")


async def open_desk(http: aiohttp.ClientSession, url: str, password: str) -> Desk:
    """The documents, as Administrator. Raises ApiError."""
    api = Api(http, url)
    await api.login(ADMINISTRATOR, password)
    return Desk(http, url, api.headers)


async def fill(desk: Desk, base: str, models: list[Model], users: list[Credential]) -> None:
    """Makes what the loads need."""
    await desk.save(SETTINGS, SETTINGS, NO_LIMITS)
    for model in models:
        await desk.save("AI Model", model.name, model_document(model, base))
    for who in users:
        await desk.save("User", who.user, user_document(who))


async def clear(desk: Desk, models: list[Model], users: list[Credential]) -> None:
    """Removes it, and what the users left."""
    for who in users:
        for name in await desk.names("AI Conversation", "user", who.user):
            await desk.delete("AI Conversation", name)
        await desk.delete("User", who.user)
    for model in models:
        await desk.delete("AI Model", model.name)
