"""Prepares a Frappe site for this suite over its REST API: role, users, API key, models, settings.

`python -m tests.wire.site http://site:8000 --site NAME --upstream http://127.0.0.1:9977` prints the variables that the
suite wants, for `eval`. It asks Administrator's password of AI_ASSISTANT_ADMIN_PASSWORD. A second run changes nothing
but the API key, the passwords and what differs. Not for a site that people use: it lifts their limits.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shlex
import sys
from typing import Any

import httpx

from .catalogue import API_KEY, ROLE, models
from .client import Client
from .host import USER, USER2, USER3

SETTINGS = "AI Assistant Settings"


class Desk:
    """The site's REST API, as Administrator."""

    def __init__(self, url: str, site: str, password: str):
        self._http = httpx.Client(base_url=url, headers={"Host": site} if site else {}, timeout=60, trust_env=False)
        self.post("login", usr="Administrator", pwd=password)

    def post(self, method: str, **arguments: Any) -> Any:
        """The result of a whitelisted method."""
        return self._json(self._http.post(f"/api/method/{method}", json=arguments)).get("message")

    def save(self, doctype: str, name: str, values: dict[str, Any]) -> None:
        """Makes the document, or writes the values into it."""
        path = f"/api/resource/{doctype}/{name}"
        if self._http.get(path).status_code == 404:
            self._json(self._http.post(f"/api/resource/{doctype}", json=values))
        else:
            self._json(self._http.put(path, json=values))

    def delete(self, doctype: str, name: str) -> None:
        """Removes the document, if it is there."""
        self._http.delete(f"/api/resource/{doctype}/{name}")

    @staticmethod
    def _json(response: httpx.Response) -> dict[str, Any]:
        if response.status_code != 200:
            raise SystemExit(f"{response.request.method} {response.url}: {response.status_code} {response.text[:2000]}")
        return response.json()


def model_document(model: dict[str, Any]) -> dict[str, Any]:
    """The AI Model of a `[[models]]` table."""
    row = {key: model[key] for key in ("model", "api_base", "transport", "wire", "context_window") if key in model}
    row |= {"model_name": model["name"], "api_key": API_KEY, "retries": model.get("retries", 2)}
    row["enabled"] = int(model.get("enabled", True))
    row["parameters"] = json.dumps(model["parameters"]) if "parameters" in model else ""
    row["fallbacks"] = [{"model": name} for name in model.get("fallbacks", [])]
    row["roles"] = [{"role": name} for name in model.get("roles", [])]
    row |= {f"{name}_timeout": value for name, value in model.get("timeouts", {}).items()}
    if prices := model.get("prices"):
        row |= {"own_prices": 1, **{f"{name}_price": value for name, value in prices.items()}}
    return row


def prepare(desk: Desk, upstream: str) -> dict[str, str]:
    """Everything; gives the variables of `conftest.py`."""
    desk.save("Role", ROLE, {"role_name": ROLE})
    found = {}
    for number, (user, roles) in enumerate([(USER, ["AI User", ROLE]), (USER2, ["AI User"])]):
        suffix = str(number + 1) if number else ""
        found[f"AI_ASSISTANT_USER{suffix}"] = user
        found[f"AI_ASSISTANT_PASSWORD{suffix}"] = add_user(desk, user, roles)
    add_user(desk, USER3, ["AI Manager"])  # the API key is a manager's, as that of an embedded host is
    secret = desk.post("frappe.core.doctype.user.user.generate_keys", user=USER3)["api_secret"]
    key = desk.post("frappe.client.get_value", doctype="User", filters=USER3, fieldname="api_key")["api_key"]
    for model in models(upstream):
        desk.save("AI Model", model["name"], model_document(model))
    limits = {"requests_per_minute": 0, "concurrent_tasks": 0, "tokens_per_day": 0}
    desk.save(SETTINGS, SETTINGS, {"default_model": "plain", **limits})
    return found | {"AI_ASSISTANT_API_KEY": key, "AI_ASSISTANT_API_SECRET": secret, "AI_ASSISTANT_UPSTREAM": upstream}


class TightSite:
    """The site with other settings and fresh users, whose limits nothing has used up. A context manager."""

    def __init__(self, desk: Desk, url: str, settings: dict[str, Any]):
        self._desk = desk
        self._url = url
        self._settings = settings
        self._before: dict[str, Any] = {}
        self._passwords: dict[str, str] = {}
        self._mark = secrets.token_hex(4)

    def __enter__(self) -> TightSite:
        stored = self._desk.post("frappe.client.get", doctype=SETTINGS, name=SETTINGS)
        self._before = {name: stored[name] for name in self._settings}
        self._desk.save(SETTINGS, SETTINGS, self._settings)
        return self

    def __exit__(self, *_: object) -> None:
        self._desk.save(SETTINGS, SETTINGS, self._before)

    def login(self, name: str) -> Client:
        """A session of this run's stand-in for `name`."""
        user = f"{self._mark}-{name.lower()}" + ("" if "@" in name else "@wire.example")
        if user not in self._passwords:
            self._passwords[user] = add_user(self._desk, user, ["AI User"])
        return Client(self._url).login(user, self._passwords[user])


def add_user(desk: Desk, user: str, roles: list[str]) -> str:
    """Makes the user, or gives it these roles; the result is its new password."""
    password = secrets.token_urlsafe(18)
    values = {"email": user, "first_name": user.split("@")[0], "send_welcome_email": 0, "new_password": password}
    desk.save("User", user, {**values, "enabled": 1, "roles": [{"role": role} for role in roles]})
    return password


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--site", default="", help="the site's name, where it is not the URL's host")
    parser.add_argument("--upstream", required=True, help="where the suite's providers will listen")
    given = parser.parse_args()
    password = os.environ.get("AI_ASSISTANT_ADMIN_PASSWORD")
    if not password:
        parser.error("AI_ASSISTANT_ADMIN_PASSWORD: is missing; set it to Administrator's password")
    site = given.site or httpx.URL(given.url).host
    found = prepare(Desk(given.url, site, password), given.upstream)
    found |= {"AI_ASSISTANT_URL": given.url, "AI_ASSISTANT_SITE": site}
    sys.stdout.writelines(f"export {name}={shlex.quote(value)}\n" for name, value in found.items())


if __name__ == "__main__":
    main()
