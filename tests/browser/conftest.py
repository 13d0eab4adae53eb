"""A host of its own for the page's tests, with a provider that the tests write; and Chromium.

`AI_ASSISTANT_BROWSER` names another Chromium than the one that is found. All fixtures end with this package:
Playwright's loop must not be there when the asynchronous tests of other packages run.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Error, Page, sync_playwright

from .serve import PASSWORD, ROOT, Host
from .upstream import Upstream

INDEX = ROOT / "ai_assistant" / "public" / "page" / "index.html"
SCREENSHOTS = Path(__file__).parent / "screenshots"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what lies in this folder."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="package")
def upstream() -> Iterator[Upstream]:
    provider = Upstream()
    yield provider
    provider.stop()


@pytest.fixture(autouse=True)
def held(upstream: Upstream) -> Iterator[None]:
    """Each test holds its own answers, and lets go of them at its end."""
    upstream.go.clear()
    yield
    upstream.go.set()


@pytest.fixture(scope="package")
def host(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Base URL of a running embedded host."""
    with_page()
    host = Host(tmp_path_factory.mktemp("host"), upstream.base_url)
    host.start()
    yield host.url
    host.stop()


@pytest.fixture
def own_host(upstream: Upstream, tmp_path: Path) -> Iterator[Host]:
    """A running host for a test that kills it."""
    with_page()
    host = Host(tmp_path, upstream.base_url)
    host.start()
    yield host
    host.stop()


def with_page() -> None:
    """Fails where there is no page to be tested."""
    if not INDEX.is_file():
        pytest.fail("The page is not built. Run: npm install && npm run build")


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    path = os.environ.get("AI_ASSISTANT_BROWSER") or shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        except Error as error:
            pytest.skip(f"No Chromium could be started: {error}. Install it: apt-get install chromium")
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def session_cookie(host: str) -> str:
    """Administrator's `sid`."""
    answer = httpx.post(f"{host}/api/method/login", json={"usr": "Administrator", "pwd": PASSWORD}, timeout=20)
    assert answer.status_code == 200, answer.text
    return answer.cookies["sid"]


@pytest.fixture
def context(chromium: Browser, host: str, session_cookie: str) -> Iterator[BrowserContext]:
    context = logged_in(chromium, host, session_cookie)
    yield context
    context.close()


def logged_in(chromium: Browser, url: str, sid: str, **options: Any) -> BrowserContext:
    """A browser of its own, so to speak, with a session; `options` are Playwright's. Drawing what moves costs most of
    the time of a test whose Chromium has no graphics card: nothing moves, unless asked for."""
    usual = {"viewport": {"width": 1280, "height": 860}, "color_scheme": "light", "reduced_motion": "reduce"}
    context = chromium.new_context(**usual | options)
    context.set_default_timeout(20_000)
    context.add_cookies([{"name": "sid", "value": sid, "url": url}])
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=url)
    return context


@pytest.fixture
def problems() -> list[str]:
    """What the page complained about; a test that expects a complaint clears it."""
    return []


@pytest.fixture
def page(context: BrowserContext, host: str, problems: list[str]) -> Iterator[Page]:
    """The page, logged in. The test fails on any error in its console."""
    page = context.new_page()
    watch(page, problems)
    page.goto(host)
    page.get_by_role("textbox", name="Message").wait_for()
    yield page
    assert problems == []


def watch(page: Page, problems: list[str]) -> None:
    """Collects errors and warnings of the console, and exceptions."""

    def on_console(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            problems.append(message.text)

    page.on("console", on_console)
    page.on("pageerror", lambda error: problems.append(str(error)))
