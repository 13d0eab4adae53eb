"""Makes the pictures of the Desk again: `python -m tests.browser.desk_pictures`, for the site that `desk.py` names."""

from __future__ import annotations

import os
import shutil
import sys

from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from . import desk, desk_traces
from .actions import answer, ask, ended
from .conftest import logged_in
from .pictures import IMAGES, shoot
from .upstream import Upstream

SIZE: ViewportSize = {"width": 1180, "height": 760}
TALL: ViewportSize = {"width": 1180, "height": 1000}
QUESTION = "How is an addition upheld by type hints? Please think long about it."
"""In the words that the provider waits for: `held` and `think long`."""


def main() -> None:
    """Writes them to docs/images."""
    if not desk.given():
        sys.exit(desk.WHY_NOT)
    IMAGES.mkdir(parents=True, exist_ok=True)
    path = os.environ.get("AI_ASSISTANT_BROWSER") or shutil.which("chromium")
    upstream = Upstream()
    with desk.Site() as site, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            take(page_of(browser, site.make_user("System Manager", "AI Manager")), site, upstream)
            take_traces(browser, site.make_user("System Manager", "AI User"))
        finally:
            browser.close()
            upstream.stop()


def page_of(browser: Browser, person: tuple[str, str]) -> Page:
    """The Desk of this user and password, at twice the size."""
    sid = desk.login(*person).cookies["sid"]
    return logged_in(browser, desk.URL, sid, viewport=SIZE, device_scale_factor=2).new_page()


def take(page: Page, site: desk.Site, upstream: Upstream) -> None:
    """A test of a model, a chat in its thinking, the same in the dark, the conversation's form, the settings."""
    model = site.make_model(upstream.base_url, title="Fast")
    desk.open_desk(page, f"ai-model/{model}")
    upstream.go.set()
    desk.press_test(page).locator("dl").wait_for()
    shoot(page, "desk-model-test.png")

    upstream.go.clear()
    desk.open_chat(page, model)
    ask(page, QUESTION)
    page.wait_for_timeout(2_500)
    shoot(page, "desk-chat.png")
    page.evaluate("document.documentElement.setAttribute('data-theme', 'dark')")
    shoot(page, "desk-chat-dark.png")
    upstream.go.set()
    ended(answer(page))
    name = desk.conversation_of(page)

    for route, picture in ((f"ai-conversation/{name}", "conversation"), ("ai-assistant-settings", "settings")):
        desk.open_desk(page, route)
        page.wait_for_timeout(2_000)
        shoot(page, f"desk-{picture}.png")


def take_traces(browser: Browser, person: tuple[str, str]) -> None:
    """The form of a trace in both themes, its reasoning, one observation, the list."""
    page = page_of(browser, person)
    page.set_viewport_size(TALL)
    with desk_traces.client_of(*person) as client:
        trace = desk_traces.agent_run(client, user=person[0])
        desk_traces.with_a_gap(client, person[0])
        desk.open_desk(page, f"ai-trace/{trace}")
        page.locator("ai-trace-tree li").first.wait_for()
        page.wait_for_timeout(1_500)
        shoot(page, "desk-trace.png")
        page.get_by_role("button", name="Reasoning of plan the steps").click()
        page.locator("ai-trace-payload pre").wait_for()
        page.wait_for_timeout(600)
        shoot(page, "desk-trace-reasoning.png")
        page.keyboard.press("Escape")
        page.wait_for_timeout(600)
        page.evaluate("document.documentElement.setAttribute('data-theme', 'dark')")
        shoot(page, "desk-trace-dark.png")
        page.get_by_role("link", name="plan the steps").click()
        page.locator("ai-trace-payload pre").first.wait_for()
        shoot(page, "desk-trace-observation-dark.png")
        desk.open_desk(page, "ai-trace")
        page.locator(".list-row").first.wait_for()
        page.wait_for_timeout(1_000)
        shoot(page, "desk-trace-list.png")
        for row in client.get("get_traces")["traces"]:
            client.call("delete_trace", trace=row["trace"])


if __name__ == "__main__":
    main()
