"""A Frappe site whose Desk is driven: who logs in, and what is made and removed through its REST API.

    export AI_ASSISTANT_DESK_URL=http://site.localhost:8000 AI_ASSISTANT_DESK_PASSWORD=…
    python -m pytest tests/browser/test_desk.py

The site's worker must be able to reach a provider on this machine's 127.0.0.1.
"""

from __future__ import annotations

import json
import os
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any
from urllib.parse import quote

import httpx
from playwright.sync_api import Locator, Page, expect

URL = os.environ.get("AI_ASSISTANT_DESK_URL", "").rstrip("/")
USER = os.environ.get("AI_ASSISTANT_DESK_USER", "Administrator")
PASSWORD = os.environ.get("AI_ASSISTANT_DESK_PASSWORD", "")
WHY_NOT = "No site: set AI_ASSISTANT_DESK_URL and AI_ASSISTANT_DESK_PASSWORD (and AI_ASSISTANT_DESK_USER)"
TIMEOUT_S = 30.0


def given() -> bool:
    """Whether a site is named to be tested."""
    return bool(URL and PASSWORD)


def login(user: str = USER, password: str = PASSWORD) -> httpx.Client:
    """A client with a session of its own; one that a browser uses gets a CSRF token, and is no good for writing."""
    client = httpx.Client(base_url=URL, timeout=TIMEOUT_S)
    answer = client.post("/api/method/login", json={"usr": user, "pwd": password})
    assert answer.status_code == 200, answer.text
    return client


class Site:
    """Makes documents and removes them at its end, the last one first."""

    def __init__(self) -> None:
        self._client = login()
        self._made: list[tuple[str, str]] = []
        self._users: list[str] = []

    def __enter__(self) -> Site:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        for user in self._users:
            self._remove_chats(user)
        for doctype, name in reversed(self._made):
            self._client.delete(path(doctype, name))
        self._client.close()

    def make(self, doctype: str, **fields: Any) -> str:
        """The new document's name."""
        answer = self._client.post(path(doctype), json=fields)
        assert answer.status_code == 200, answer.text
        name = answer.json()["data"]["name"]
        self.remove_later(doctype, name)
        return name

    def remove_later(self, doctype: str, name: str) -> None:
        """For what was made in the browser."""
        self._made.append((doctype, name))

    def field(self, doctype: str, name: str, field: str) -> Any:
        """One value of a document."""
        answer = self._client.get(path(doctype, name))
        assert answer.status_code == 200, answer.text
        return answer.json()["data"].get(field)

    def make_model(self, base_url: str, **fields: Any) -> str:
        """A model of OpenAI's protocol at `base_url`."""
        name = f"desk-{uuid.uuid4().hex[:8]}"
        usual = {
            "title": name.title(),
            "model": "openai/test-desk",
            "api_base": base_url,
            "api_key": "none",
            "retries": 0,
        }
        return self.make("AI Model", model_name=name, **usual | fields)

    def make_user(self, *roles: str) -> tuple[str, str]:
        """Mail address and password of a new System User."""
        address, password = f"desk-{uuid.uuid4().hex[:8]}@example.com", uuid.uuid4().hex
        fields = {"first_name": "Desk", "send_welcome_email": 0, "new_password": password, "user_type": "System User"}
        self.make("User", email=address, roles=[{"role": role} for role in roles], **fields)
        self._users.append(address)
        return address, password

    def find(self, doctype: str, **filters: Any) -> list[dict[str, Any]]:
        """Documents with these values, all their fields."""
        query = {"filters": json.dumps(filters), "fields": '["*"]', "limit_page_length": 0}
        return self._client.get(path(doctype), params=query).json()["data"]

    @contextmanager
    def without_payloads(self, role: str) -> Iterator[None]:
        """The role does not include permission level 1 of traces meanwhile."""
        manager = "/api/method/frappe.core.page.permission_manager.permission_manager."
        for doctype in ("AI Trace", "AI Observation"):
            change = {"doctype": doctype, "role": role, "permlevel": 1, "ptype": "read", "value": 0}
            answer = self._client.post(f"{manager}update", json=change)
            assert answer.status_code == 200, answer.text
        try:
            yield
        finally:
            for doctype in ("AI Trace", "AI Observation"):
                self._client.post(f"{manager}reset", json={"doctype": doctype})

    def _remove_chats(self, user: str) -> None:
        """A user who has conversations cannot be deleted."""
        query = {"filters": json.dumps({"user": user}), "limit_page_length": 0}
        for row in self._client.get(path("AI Conversation"), params=query).json()["data"]:
            self._client.delete(path("AI Conversation", row["name"]))


def path(doctype: str, name: str | None = None) -> str:
    """Address of a DocType's documents, or of one."""
    return f"/api/resource/{quote(doctype)}" + (f"/{quote(name, safe='')}" if name else "")


def open_desk(page: Page, route: str) -> None:
    """Goes to a place in the Desk and waits until it is there."""
    page.goto(f"{URL}/app/{route}")
    page.wait_for_function("window.frappe?.get_route?.()?.length && !document.querySelector('#freeze')")


def go(page: Page, *route: str) -> None:
    """Goes there by the Desk's own router, without a reload."""
    page.evaluate("route => frappe.set_route(...route)", list(route))


def open_chat(page: Page, model: str, conversation: str = "") -> Locator:
    """The chat's box for questions, with the model chosen."""
    open_desk(page, "ai-chat" + (f"/{conversation}" if conversation else ""))
    box = page.get_by_role("textbox", name="Message")
    box.wait_for()
    page.get_by_role("combobox", name="Model").select_option(model)
    return box


def conversation_of(page: Page) -> str:
    """Name of the conversation in the address, once it is there."""
    expect(page).to_have_url(re.compile(r"/app/ai-chat/\w+$"))
    return page.url.rsplit("/", 1)[1]


def fill(page: Page, field: str, value: str) -> None:
    """Writes into a field of the form."""
    page.locator(f"[data-fieldname={field}]:visible input").first.fill(value)


def save(page: Page) -> None:
    """Leaves the field first: Frappe's form takes a click on Save that comes with a change for the change alone."""
    page.keyboard.press("Tab")
    page.get_by_role("button", name="Save", exact=True).click()


def press_test(page: Page) -> Locator:
    """Presses the form's Test button; returns the dialog's element."""
    page.get_by_role("button", name="Test", exact=True).click()
    return page.locator("ai-model-test")
