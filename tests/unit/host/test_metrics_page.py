"""`/metrics` of the embedded host: who gets it with a key, and who without."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import msgspec
import pytest
from hosting import SITE, WebHost, test_config

from ai_assistant.core.errors import ConfigError
from ai_assistant.host.config import load_config
from ai_assistant.host.config_metrics import MetricsConfig
from tests.prometheus import Page


def authorization(host: WebHost, *roles: str) -> dict[str, str]:
    """The header of a user with these roles."""
    user = host.auth.users.add(f"watcher{len(roles)}", roles=roles)
    key, secret = host.auth.api_keys.create(user)
    return {"Authorization": f"token {key}:{secret}"}


@pytest.fixture
async def open_host(tmp_path: Path, redis_url: str) -> AsyncIterator[WebHost]:
    """A host that gives its figures to this machine."""
    config = msgspec.structs.replace(test_config(tmp_path), metrics=MetricsConfig(public=True))
    web = WebHost(config, redis_url)
    await web.start()
    yield web
    await web.stop()


async def test_with_the_rights_of_the_endpoint(host: WebHost, http: httpx.AsyncClient) -> None:
    assert (await http.get("/metrics")).status_code == 403
    assert (await http.get("/metrics", headers=authorization(host))).status_code == 403
    answer = await http.get("/metrics", headers=authorization(host, "AI Manager"))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    page = Page(answer.text)
    assert page["redis_up"] == page["trace_redis_up"] == 1
    assert page.samples["process_resident_memory_bytes", frozenset()] > 0
    assert (await http.post("/metrics")).status_code == 404


async def test_public_on_this_machine(open_host: WebHost) -> None:
    async with httpx.AsyncClient(base_url=open_host.url) as client:
        assert Page((await client.get("/metrics")).text)["redis_up"] == 1
        assert (await client.get("/metrics", headers={"Host": SITE})).status_code == 200
        assert (await client.get("/api/method/ai_assistant.api.metrics")).status_code == 403, "only that address"
        assert (await client.get("/metrics", headers={"Sec-Fetch-Site": "same-origin"})).status_code == 200


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        ("X-Forwarded-For", "203.0.113.1", 403),
        ("X-Real-IP", "203.0.113.1", 403),
        ("Forwarded", "for=203.0.113.1", 403),
        ("Via", "1.1 proxy", 403),
        ("Sec-Fetch-Site", "cross-site", 403),
        ("Host", "evil.example", 421),
    ],
)
async def test_not_for_others(open_host: WebHost, name: str, value: str, status: int) -> None:
    """A proxy's clients, a browser's other pages, and names that only pretend to be this machine."""
    async with httpx.AsyncClient(base_url=open_host.url) as client:
        assert (await client.get("/metrics", headers={name: value})).status_code == status


def test_the_configuration(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    assert test_config(tmp_path).metrics == MetricsConfig(public=False)
    file.write_text("[metrics]\npublic = true\n")
    assert load_config(file, environ={}).metrics.public
    for text, named in (("public = 1", "metrics.public"), ("pubic = true", "metrics.pubic")):
        file.write_text(f"[metrics]\n{text}\n")
        with pytest.raises(ConfigError, match=named):
            load_config(file, environ={})
