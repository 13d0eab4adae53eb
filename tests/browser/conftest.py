"""A host of its own for the page's tests, with a provider that the tests write; and Chromium.

`AI_ASSISTANT_BROWSER` names another Chromium than the one that is found. All fixtures end with this package:
Playwright's loop must not be there when the asynchronous tests of other packages run.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Error, Page, sync_playwright

from .upstream import Upstream

ROOT = Path(__file__).resolve().parents[2]
INDEX = ROOT / "ai_assistant" / "public" / "page" / "index.html"
SCREENSHOTS = Path(__file__).parent / "screenshots"
PASSWORD = "browser-tests-only"
START_TIMEOUT_S = 60.0

CONFIG = """
default_model = "fast"

[limits]
requests_per_minute = 0
concurrent_tasks = 0

[[models]]
name = "fast"
title = "Fast"
model = "openai/test-fast"
api_base = "{base_url}"
api_key = "not-a-key"
retries = 0

[[models]]
name = "other"
title = "Other"
model = "openai/test-other"
api_base = "{base_url}"
api_key = "not-a-key"
retries = 0
"""


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
    if not INDEX.is_file():
        pytest.fail("The page is not built. Run: npm install && npm run build")
    folder = tmp_path_factory.mktemp("host")
    config = folder / "config.toml"
    config.write_text(CONFIG.format(base_url=upstream.base_url))
    port = free_port()
    command = [sys.executable, "-m", "ai_assistant.cli", "serve", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--data-dir", str(folder / "data"), "--config", str(config), "--no-browser"]
    environ = {**os.environ, "AI_ASSISTANT_ADMIN_PASSWORD": PASSWORD}
    log = folder / "host.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=output, stderr=output)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until_up(url, process, log)
        yield url
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


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
    context = chromium.new_context(viewport={"width": 1280, "height": 860}, color_scheme="light")
    context.set_default_timeout(20_000)
    context.add_cookies([{"name": "sid", "value": session_cookie, "url": host}])
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=host)
    yield context
    context.close()


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


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_up(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < end:
        if process.poll() is not None:
            pytest.fail(f"The host ended at once:\n{log.read_text()}")
        try:
            if httpx.get(f"{url}/api/method/ai_assistant.api.status", timeout=2).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    pytest.fail(f"The host did not come up within {START_TIMEOUT_S} s:\n{log.read_text()}")
