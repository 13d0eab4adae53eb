"""Makes the pictures of the Desk again: `python -m tests.browser.desk_pictures`, for the site that `desk.py` names."""

from __future__ import annotations

import os
import shutil
import sys

from playwright.sync_api import Browser, Page, sync_playwright

from . import desk
from .actions import answer, ask, ended
from .conftest import logged_in
from .pictures import IMAGES, shoot
from .upstream import Upstream

SIZE = {"width": 1180, "height": 760}
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
            take(new_page(browser, site), site, upstream)
        finally:
            browser.close()
            upstream.stop()


def new_page(browser: Browser, site: desk.Site) -> Page:
    """The Desk of a new manager, at twice the size."""
    sid = desk.login(*site.make_user("System Manager", "AI Manager")).cookies["sid"]
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


if __name__ == "__main__":
    main()
