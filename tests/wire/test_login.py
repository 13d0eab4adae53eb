"""Who may come in: sessions, API keys, CSRF, and what a foreign page may not do."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from .chunks import answer
from .client import Client, Refused, result
from .conftest import Host
from .script import Script

FOREIGN = "http://evil.example"
Scripts = Callable[..., Script]


def log_in(client: Client, host: Host, **how: object):
    return client.http.post("/api/method/login", **how)  # type: ignore[arg-type]


def test_a_json_login_gives_a_session_cookie(host: Host, guest: Client) -> None:
    response = log_in(guest, host, json={"usr": host.user, "pwd": host.password})
    assert response.status_code == 200
    assert response.json()["message"] == "Logged In"
    cookie = next(c for c in response.headers.get_list("set-cookie") if c.startswith("sid="))
    assert "httponly" in cookie.lower()
    assert guest.call("get_models")


def test_a_form_login_gives_a_session(host: Host, guest: Client) -> None:
    assert log_in(guest, host, data={"usr": host.user, "pwd": host.password}).status_code == 200
    assert guest.call("get_models")


@pytest.mark.parametrize("who", ["known", "unknown"])
def test_a_wrong_password_is_401(host: Host, guest: Client, who: str) -> None:
    name = host.user if who == "known" else "nobody@wire.example"
    response = log_in(guest, host, json={"usr": name, "pwd": "not the password"})
    assert response.status_code == 401
    assert response.json()["exc_type"] == "AuthenticationError" or not host.is_embedded
    assert guest.sid in ("", "Guest")
    with pytest.raises(Refused) as refused:
        guest.call("get_models")
    assert refused.value.status in (401, 403)


@pytest.mark.parametrize(
    "body", [{}, {"usr": ""}, {"usr": 1, "pwd": []}, {"usr": "a\x00b", "pwd": "x"}, {"pwd": "x" * 5000}]
)
def test_a_malformed_login_is_refused_plainly(guest: Client, host: Host, body: dict[str, object]) -> None:
    response = log_in(guest, host, json=body)
    if host.is_embedded:
        assert 400 <= response.status_code < 500
    else:  # Frappe's own login, before the app: v15 answers 500 to a password that is no string
        assert response.status_code >= 400
        assert guest.sid in ("", "Guest")
    assert "Traceback" not in response.text or not host.is_embedded


def test_an_api_key_needs_no_session(keyed: Client, script: Scripts) -> None:
    played = script(answer("By key."))
    assert keyed.chat(played.messages())["message"]["content"] == "By key."
    assert keyed.sid in ("", "Guest"), "Frappe sets the cookies of a guest"


def test_a_wrong_api_key_is_401(host: Host) -> None:
    with Client(host.url, token="0123456789abcde:0123456789abcde") as client:
        refused = client.refused("get_models")
    assert (refused.status, refused.exc_type) == (401, "AuthenticationError")


def test_an_api_session_needs_no_csrf_token(user: Client, script: Scripts) -> None:
    """Curl with a sid cookie and nothing else works."""
    played = script(answer("No token."))
    bare = user.http.build_request(
        "POST", "/api/method/ai_assistant.api.chat_completion", json={"messages": played.messages()}
    )
    assert "x-frappe-csrf-token" not in bare.headers
    assert result(user.http.send(bare))["status"] == "completed"


def page_token(client: Client, host: Host) -> str:
    """Load a page, as a browser does; gives the session's CSRF token that stands in it."""
    html = client.http.get(
        "/" if host.is_embedded else "/app", follow_redirects=True, headers={"Accept": "text/html"}
    ).text
    found = re.search(r"csrf[_-]?token\W{1,12}?(?:content\W{1,3})?([0-9A-Za-z_-]{16,})", html, re.IGNORECASE)
    assert found, f"no CSRF token in the page: {html[:1500]}"
    return found[1]


def test_a_session_that_loaded_a_page_needs_the_token(host: Host, guest: Client, script: Scripts) -> None:
    guest.login(host.user, host.password)
    token = page_token(guest, host)
    body = {"messages": script(answer("With a token.")).messages()}
    without = guest.request("chat_completion", json=body)
    assert without.status_code == 400
    assert "csrf" in without.text.lower()
    wrong = guest.request("chat_completion", json=body, headers={"X-Frappe-CSRF-Token": "0" * len(token)})
    assert wrong.status_code == 400
    right = guest.request("chat_completion", json=body, headers={"X-Frappe-CSRF-Token": token})
    assert result(right)["message"]["content"] == "With a token."
    assert guest.get("get_models"), "reading needs no token"


@pytest.mark.parametrize("origin", [FOREIGN, "null", "http://127.0.0.1:1"])
def test_a_cross_origin_write_with_a_cookie_is_refused(
    only_embedded: None, host: Host, user: Client, script: Scripts, origin: str
) -> None:
    played = script(answer())
    response = user.request("chat_completion", json={"messages": played.messages()}, headers={"Origin": origin})
    assert response.status_code in (400, 403)
    assert not played.calls


def test_a_same_origin_write_is_taken(user: Client, script: Scripts) -> None:
    played = script(answer())
    response = user.request("chat_completion", json={"messages": played.messages()}, headers={"Origin": user.base_url})
    assert result(response)["status"] == "completed"


def test_a_foreign_host_name_is_refused(only_embedded: None, user: Client) -> None:
    """DNS rebinding: a name that the host was not started for."""
    response = user.request("get_models", "GET", headers={"Host": "evil.example"})
    assert 400 <= response.status_code < 500
    assert "message" not in response.json() or response.json().get("exc_type")


def test_a_made_up_session_is_a_guest(host: Host) -> None:
    with Client(host.url) as client:
        client.http.cookies.set("sid", "f" * 40)
        refused = client.refused("get_models")
    assert refused.status in (401, 403)


def test_a_logout_ends_the_session(host: Host, guest: Client) -> None:
    guest.login(host.user, host.password)
    sid = guest.sid
    assert guest.http.post("/api/method/logout").status_code == 200
    with Client(host.url) as again:
        again.http.cookies.set("sid", sid)
        assert again.refused("get_models").status in (401, 403)
