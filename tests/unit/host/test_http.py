"""The web side over real HTTP: login, RPC, bad input, headers.

No `from __future__ import annotations`: the probe endpoint needs real annotations, as the API has them.
"""

import asyncio
import gzip
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hosting import PASSWORD, SITE, WebHost

from ai_assistant.core import endpoint as registry
from ai_assistant.core.errors import ServiceUnavailableError
from ai_assistant.host.body import MAX_BODY
from ai_assistant.host.errors import ERROR_COUNTS

STATUS = "/api/method/ai_assistant.api.status"


def probe(value: Any = None, number: int | None = None, items: list | str | None = None) -> Any:
    """Gives its arguments back, or does what `value` says."""
    if value == "explode":
        raise RuntimeError("secret detail")
    if value == "none":
        return None
    if value == "large":
        return "large " * 200_000
    if value == "surrogate":
        return {"a": "x\ud800y"}
    if value == "busy":
        raise ServiceUnavailableError("The queue is away. Try again.", retry_after=5)
    return {"value": value, "number": number, "items": items}


@pytest.fixture(autouse=True)
def probe_endpoint() -> Iterator[None]:
    """An endpoint of our own beside the real ones."""
    registry.endpoint(methods=("GET", "POST"), allow_guest=True)(probe)
    yield
    del registry.ENDPOINTS["ai_assistant.api.probe"]


PROBE = "/api/method/ai_assistant.api.probe"


async def login(http: httpx.AsyncClient, name: str = "ann") -> httpx.Response:
    answer = await http.post("/api/method/login", data={"usr": name, "pwd": PASSWORD})
    assert answer.status_code == 200
    return answer


def message_of(answer: httpx.Response) -> str:
    """The text that Frappe's clients show."""
    return json.loads(json.loads(answer.json()["_server_messages"])[0])["message"]


@pytest.mark.parametrize("form", ["data", "json"])
async def test_login_by_form_and_by_json(http: httpx.AsyncClient, form: str) -> None:
    answer = await http.post("/api/method/login", **{form: {"usr": "ann", "pwd": PASSWORD}})
    assert answer.json() == {"message": "Logged In", "home_page": "/", "full_name": "Ann"}
    cookie = next(value for value in answer.headers.get_list("set-cookie") if value.startswith("sid="))
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Secure" not in cookie
    assert (await http.get("/api/method/frappe.auth.get_logged_user")).json() == {"message": "ann"}


async def test_a_failed_login_answers_as_frappe_does(http: httpx.AsyncClient) -> None:
    answer = await http.post("/api/method/login", data={"usr": "ann", "pwd": "wrong password"})
    assert answer.status_code == 401
    assert answer.json()["message"] == "Invalid login credentials"
    assert answer.json()["exc_type"] == "AuthenticationError"
    assert "set-cookie" not in answer.headers
    assert (await http.get("/api/method/login", params={"usr": "ann", "pwd": PASSWORD})).status_code == 403


async def test_login_is_throttled_with_429(http: httpx.AsyncClient) -> None:
    for _ in range(5):
        await http.post("/api/method/login", data={"usr": "ann", "pwd": "wrong password"})
    answer = await http.post("/api/method/login", data={"usr": "ann", "pwd": PASSWORD})
    assert answer.status_code == 429
    assert answer.json()["exc_type"] == "TooManyRequestsError"
    assert 0 < int(answer.headers["retry-after"]) <= 300


async def test_logout_ends_the_session(http: httpx.AsyncClient) -> None:
    await login(http)
    sid = http.cookies["sid"]
    assert (await http.post("/api/method/logout")).status_code == 200
    http.cookies.set("sid", sid)
    answer = await http.get("/api/method/frappe.auth.get_logged_user")
    assert answer.status_code == 403
    assert answer.json()["exc_type"] == "PermissionError"
    answer = await http.post("/api/method/ai_assistant.api.get_models")
    assert answer.json()["session_expired"] == 1


async def test_a_guest_may_call_only_what_is_for_guests(http: httpx.AsyncClient) -> None:
    assert (await http.get(STATUS)).json()["message"]["site"] == SITE
    for name in ("get_models", "chat_completion", "get_task", "get_conversations"):
        answer = await http.post(f"/api/method/ai_assistant.api.{name}", json={})
        assert (answer.status_code, answer.json()["exc_type"]) == (403, "PermissionError")


async def test_an_api_key_works_without_a_session(host: WebHost, http: httpx.AsyncClient) -> None:
    key, secret = host.auth.api_keys.create(host.auth.users.get("bob"))
    headers = {"Authorization": f"token {key}:{secret}"}
    answer = await http.get("/api/method/frappe.auth.get_logged_user", headers=headers)
    assert answer.json() == {"message": "bob"}
    answer = await http.get(STATUS, headers={"Authorization": "token a:b"})
    assert (answer.status_code, answer.json()["exc_type"]) == (401, "AuthenticationError")
    answer = await http.get(STATUS, headers={"Authorization": "Basic §§§".encode()})
    assert answer.status_code in (400, 401)


async def test_the_page_gives_a_csrf_token_that_writes_must_bring(http: httpx.AsyncClient) -> None:
    await login(http)
    assert (await http.post(PROBE, json={"value": 1})).status_code == 200, "a plain API login needs none"
    page = (await http.get("/")).text
    boot = page.partition('id="boot">')[2].partition("</script>")[0]
    if not boot:
        pytest.skip("the page is not built")
    known = json.loads(boot)
    assert (known["user"], known["site"], known["full_name"]) == ("ann", SITE, "Ann")
    answer = await http.post(PROBE, json={"value": 1})
    assert (answer.status_code, answer.json()["exc_type"]) == (400, "CSRFTokenError")
    answer = await http.post(PROBE, json={"value": 1}, headers={"X-Frappe-CSRF-Token": known["csrf_token"]})
    assert answer.json()["message"]["value"] == 1
    assert (await http.get(PROBE, params={"value": "1"})).status_code == 200


async def test_a_write_from_another_origin_is_refused(http: httpx.AsyncClient, host: WebHost) -> None:
    await login(http)
    for headers in ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        assert (await http.post(PROBE, json={}, headers=headers)).status_code == 403
        answer = await http.post("/api/method/login", data={"usr": "ann", "pwd": PASSWORD}, headers=headers)
        assert answer.status_code == 403
    assert (await http.post(PROBE, json={}, headers={"Origin": host.url})).status_code == 200


@pytest.mark.parametrize("name", ["evil.example", "127.0.0.1.evil.example", "", "localhost.evil.example", "[::2]"])
async def test_an_unknown_host_name_is_refused(http: httpx.AsyncClient, name: str) -> None:
    for path in ("/", STATUS, "/socket.io/?EIO=4&transport=polling", "/healthz"):
        answer = await http.get(path, headers={"Host": name})
        assert answer.status_code == 421, path
        assert "allowed_hosts" in message_of(answer)


@pytest.mark.parametrize("name", ["localhost:1", "assistant.localhost", "ASSISTANT.localhost:8000", "[::1]:8000"])
async def test_names_of_loopback_and_of_the_site_are_accepted(http: httpx.AsyncClient, name: str) -> None:
    assert (await http.get(STATUS, headers={"Host": name})).status_code == 200


async def test_arguments_come_as_json_form_multipart_or_query(http: httpx.AsyncClient) -> None:
    answers = [
        await http.post(PROBE, json={"value": "ä b", "unknown": 1, "_": 2}),
        await http.post(PROBE, data={"value": "ä b", "unknown": "1"}),
        await http.post(PROBE, data={"value": "ä b"}, files={"file": b"ignored"}),
        await http.post(PROBE, params={"value": "ä b"}),
        await http.get(PROBE, params={"value": "ä b"}),
    ]
    assert [answer.json()["message"]["value"] for answer in answers] == ["ä b"] * 5
    both = await http.post(PROBE, params={"value": "query"}, data={"value": "form"})
    assert both.json()["message"]["value"] == "form"
    json_alone = await http.post(PROBE, params={"number": "5"}, json={"value": 1})
    assert json_alone.json()["message"]["number"] is None


async def test_a_result_of_none_has_no_message(http: httpx.AsyncClient) -> None:
    assert (await http.post(PROBE, json={"value": "none"})).json() == {}


@pytest.mark.parametrize("value", [7, 1.5, True, [], {}, "no uuid", "a" * 5000])
async def test_a_wrong_argument_is_417_and_named(http: httpx.AsyncClient, value: Any) -> None:
    await login(http)
    answer = await http.post("/api/method/ai_assistant.api.get_task", json={"task_id": value})
    assert (answer.status_code, answer.json()["exc_type"]) == (417, "ValidationError")
    assert "task_id" in message_of(answer)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b'{"a": 1', 400),
        (b"\xef\xbb\xbf{}", 400),
        (b'{"a": "\x00"}', 400),
        (b'{"value": ' + b"9" * 5000 + b"}", 400),
        (b"[" * 100_000, 400),
        (b'{"value":' * 5000 + b"1" + b"}" * 5000, 400),
        (b'{"value":' + b"[" * 250 + b"]" * 250 + b"}", 400),
        (b"5", 417),
        (b"null", 417),
        (b'"text"', 417),
        (b"[1, 2]", 200),
        (b'{"value": "\xff\xfe"}', 200),
        (b'{"value": "\\ud800 \\u0000"}', 200),
        (b'{"value": NaN}', 200),
    ],
)
async def test_bodies_that_are_hardly_json(http: httpx.AsyncClient, body: bytes, status: int) -> None:
    answer = await http.post(PROBE, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == status
    assert "Traceback" not in answer.text
    if status != 200:
        assert answer.json()["exc_type"] in ("BadRequest", "ValidationError")
        assert message_of(answer)


async def test_json_without_its_content_type_has_no_arguments(http: httpx.AsyncClient) -> None:
    answer = await http.post(PROBE, content=b'{"value": 1}', headers={"Content-Type": "text/plain"})
    assert answer.json()["message"]["value"] is None
    broken = {"Content-Type": "multipart/form-data"}
    assert (await http.post(PROBE, content=b"x", headers=broken)).status_code == 400
    many = "&".join(f"a{n}=1" for n in range(1200)).encode()
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert (await http.post(PROBE, content=many, headers=form)).status_code == 400


async def test_a_body_that_is_announced_over_the_limit_is_413_before_it_is_sent(host: WebHost) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", host.port)
    head = f"POST {PROBE} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {MAX_BODY + 1}\r\n\r\n"
    writer.write(head.encode())
    answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
    assert answer.startswith(b"HTTP/1.1 413")
    writer.close()


async def test_a_body_that_grows_over_the_limit_is_413(http: httpx.AsyncClient) -> None:
    async def unannounced() -> Any:
        for _ in range(MAX_BODY // 65536 + 2):
            yield b"x" * 65536

    try:
        answer = await http.post(PROBE, content=unannounced())
    except (httpx.WriteError, httpx.ReadError, httpx.RemoteProtocolError):
        return  # the server had answered and closed while the client was still sending
    assert answer.status_code == 413


async def test_an_unexpected_error_is_told_by_an_id_only(http: httpx.AsyncClient, caplog: Any) -> None:
    before = ERROR_COUNTS["unexpected"]
    answer = await http.post(PROBE, json={"value": "explode"})
    assert (answer.status_code, answer.json()["exc_type"]) == (500, "InternalError")
    assert "secret detail" not in answer.text
    assert "Traceback" not in answer.text
    assert ERROR_COUNTS["unexpected"] == before + 1
    reference = message_of(answer).split()[-1].rstrip(".")
    assert any(reference in record.getMessage() and record.exc_info for record in caplog.records)


async def test_busy_is_503_with_retry_after(http: httpx.AsyncClient) -> None:
    answer = await http.post(PROBE, json={"value": "busy"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert answer.json()["exc_type"] == "ServiceUnavailable"


@pytest.mark.parametrize("name", ["ai_assistant.api.nothing", "os.system", "x", "ai_assistant.api.__init__", "a%00b"])
async def test_an_unknown_method_is_417(http: httpx.AsyncClient, name: str) -> None:
    answer = await http.post(f"/api/method/{name}")
    assert (answer.status_code, answer.json()["exc_type"]) == (417, "ValidationError")
    assert "Failed to get method" in message_of(answer)


async def test_a_wrong_verb_is_403(http: httpx.AsyncClient) -> None:
    await login(http)
    for verb in ("PUT", "DELETE", "PATCH", "HEAD"):
        assert (await http.request(verb, PROBE)).status_code == 403, verb
    assert (await http.get("/api/method/ai_assistant.api.cancel")).status_code == 403


async def test_what_is_not_served_is_404_in_frappes_form(http: httpx.AsyncClient) -> None:
    for path in ("/api/resource/User", "/nothing", "/assets/ai_assistant/../../pyproject.toml", "/api/method/"):
        answer = await http.get(path)
        assert answer.status_code in (404, 417), path
    for path in ("/assets/ai_assistant/%2e%2e/__init__.py", "/assets/ai_assistant/..%2fhooks.py"):
        answer = await http.get(path)
        assert answer.status_code == 404, path
        assert "__version__" not in answer.text


async def test_every_answer_has_an_id_and_security_headers(http: httpx.AsyncClient) -> None:
    for path in ("/", STATUS, "/nothing", "/healthz"):
        answer = await http.get(path)
        assert len(answer.headers["x-request-id"]) == 16
        assert "script-src 'self';" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert (await http.get(STATUS, headers={"X-Request-Id": "abc-1"})).headers["x-request-id"] == "abc-1"
    assert (await http.get(STATUS, headers={"X-Request-Id": "a b<"})).headers["x-request-id"] != "a b<"


async def test_large_answers_are_compressed_where_the_client_wants_it(http: httpx.AsyncClient) -> None:
    plain = await http.post(PROBE, json={"value": "large"}, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    async with http.stream("POST", PROBE, json={"value": "large"}, headers={"Accept-Encoding": "gzip"}) as answer:
        assert answer.headers["content-encoding"] == "gzip"
        raw = b"".join([part async for part in answer.aiter_raw()])
    assert len(raw) < len(plain.content) / 50
    assert gzip.decompress(raw) == plain.content
    small = await http.get(STATUS, headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in small.headers


async def test_a_lone_surrogate_in_a_result_does_not_break_the_answer(http: httpx.AsyncClient) -> None:
    assert (await http.post(PROBE, json={"value": "surrogate"})).json() == {"message": {"a": "x?y"}}


async def test_ping_and_health(http: httpx.AsyncClient) -> None:
    for name in ("frappe.ping", "ping"):
        assert (await http.get(f"/api/method/{name}")).json() == {"message": "pong"}
    assert (await http.get("/healthz")).text == "ok"


async def test_the_description_names_every_endpoint(http: httpx.AsyncClient) -> None:
    described = (await http.get("/openapi.json")).json()
    assert described["openapi"] == "3.1.0"
    chat = described["paths"]["/api/method/ai_assistant.api.chat_completion"]["post"]
    schema = chat["requestBody"]["content"]["application/json"]["schema"]
    assert schema["properties"]["messages"]["type"] == ["array", "string", "null"]
    assert "417" in chat["responses"]
    names = {path.rsplit(".", 1)[1] for path in described["paths"]}
    assert {"chat_completion", "cancel", "get_task", "get_events", "status"} <= names


async def test_the_access_log_has_no_query_and_no_content(http: httpx.AsyncClient, caplog: Any) -> None:
    caplog.set_level("INFO", "ai_assistant.access")
    await login(http)
    await http.post(f"{PROBE}?value=hidden-query", json={"value": "hidden-content"})
    lines = [record for record in caplog.records if record.name == "ai_assistant.access"]
    last = lines[-1]
    assert last.getMessage().startswith(f"POST {PROBE} 200 ")
    assert last.user == "ann"
    assert all("hidden" not in record.getMessage() and PASSWORD not in record.getMessage() for record in lines)


async def test_a_link_logs_a_browser_in_once(host: WebHost, http: httpx.AsyncClient) -> None:
    token = host.auth.links.create("ann")
    answer = await http.get("/login", params={"token": token})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert (await http.get("/api/method/frappe.auth.get_logged_user")).json() == {"message": "ann"}
    again = await http.get("/login", params={"token": token})
    assert again.status_code == 401
    assert "used already" in again.text
    assert token not in again.text


async def test_garbage_on_the_wire_gets_400(host: WebHost) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", host.port)
    writer.write(b"\x16\x03\x01 nonsense\r\n\r\n")
    assert b"400" in await asyncio.wait_for(reader.read(), 10)
    writer.close()
