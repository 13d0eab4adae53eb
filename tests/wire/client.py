"""A plain HTTP client of the wire: Frappe's RPC form."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

import httpx

#: Longest time for one call, in seconds. It only keeps a hanging host from hanging the suite.
PATIENCE = 40.0
API = "ai_assistant.api."
FINAL = ("completed", "failed", "cancelled")


class Refused(Exception):
    """An answer that is no 200."""

    def __init__(self, response: httpx.Response):
        self.response = response
        self.status = response.status_code
        super().__init__(f"{self.status} {response.text[:300]}")

    @property
    def body(self) -> dict[str, Any]:
        """The JSON of the answer."""
        return self.response.json()

    @property
    def exc_type(self) -> str:
        """The class of Frappe's error."""
        return self.body.get("exc_type", "")

    @property
    def message(self) -> str:
        """What the user is told: the first of `_server_messages`, a JSON text of a list of JSON texts."""
        texts = json.loads(self.body["_server_messages"])
        return json.loads(texts[0])["message"]


class Client:
    """One user of one host; a session, an API key, or nobody."""

    def __init__(self, base_url: str, *, token: str | None = None, timeout: float = PATIENCE):
        """`token` is `<key>:<secret>`."""
        headers = {"Accept": "application/json"}
        if token:
            headers["Authorization"] = f"token {token}"
        self.base_url = base_url.rstrip("/")
        self.user = "Guest"
        self.http = httpx.Client(base_url=self.base_url, headers=headers, timeout=timeout, trust_env=False)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    @property
    def sid(self) -> str:
        """The session's id; empty for a guest."""
        return next((cookie.value or "" for cookie in self.http.cookies.jar if cookie.name == "sid"), "")

    def login(self, user: str, password: str) -> Client:
        """Start a session; raises Refused."""
        response = self.http.post("/api/method/login", json={"usr": user, "pwd": password})
        if response.status_code != 200:
            raise Refused(response)
        self.user = user
        return self

    def request(self, method: str, http: str = "POST", **options: Any) -> httpx.Response:
        """The bare answer to a call of `ai_assistant.api.<method>`, or of a dotted name."""
        dotted = method if "." in method else API + method
        return self.http.request(http, f"/api/method/{dotted}", **options)

    def call(self, method: str, **arguments: Any) -> Any:
        """The result of a call with a JSON body. Raises Refused."""
        return result(self.request(method, content=dumps(arguments), headers={"Content-Type": "application/json"}))

    def get(self, method: str, **arguments: Any) -> Any:
        """The result of a GET. Raises Refused."""
        return result(self.request(method, "GET", params=arguments))

    def refused(self, method: str, **arguments: Any) -> Refused:
        """The error of a call that must be refused."""
        try:
            found = self.call(method, **arguments)
        except Refused as error:
            return error
        raise AssertionError(f"{method} was not refused; it gave {str(found)[:300]}")

    def chat(self, messages: list[dict[str, Any]], **arguments: Any) -> dict[str, Any]:
        """Ask and wait for the end."""
        return self.call("chat_completion", messages=messages, **arguments)

    def start(self, messages: list[dict[str, Any]], **arguments: Any) -> str:
        """Ask without waiting; gives the task's id."""
        return self.chat(messages, wait=False, **arguments)["task_id"]

    def finished(self, task_id: str, timeout: float = PATIENCE) -> dict[str, Any]:
        """The task once it has ended."""
        until = time.monotonic() + timeout
        while time.monotonic() < until:
            task = self.call("get_task", task_id=task_id)
            if task["status"] in FINAL:
                return task
            time.sleep(0.02)
        raise AssertionError(f"the task did not end within {timeout:g} s")

    def events(self, task_id: str, after_seq: int = 0) -> list[dict[str, Any]]:
        """All the events of a task after `after_seq`, page by page."""
        found: list[dict[str, Any]] = []
        while True:
            page = self.call("get_events", task_id=task_id, after_seq=after_seq)
            found += page["events"]
            if not page["events"] or page["complete"]:
                return found
            after_seq = page["events"][-1]["seq"]

    def events_until(self, task_id: str, reached: Any, timeout: float = PATIENCE) -> list[dict[str, Any]]:
        """The events so far, once `reached(events)` holds."""
        until = time.monotonic() + timeout
        while time.monotonic() < until:
            found = self.events(task_id)
            if reached(found):
                return found
            time.sleep(0.02)
        raise AssertionError(f"the events did not come within {timeout:g} s")


def result(response: httpx.Response) -> Any:
    """What stands under `message`. Raises Refused."""
    if response.status_code != 200:
        raise Refused(response)
    return response.json()["message"]


def dumps(value: Any) -> bytes:
    """JSON as it is, lone surrogates as escapes."""
    return json.dumps(value).encode()


def new_id() -> str:
    """A task id of the client's own choice."""
    return str(uuid.uuid4())


def text_of(events: list[dict[str, Any]], type_: str = "text") -> str:
    """The joined deltas of one kind."""
    return "".join(event["text"] for event in events if event["type"] == type_ and event["partial"])
