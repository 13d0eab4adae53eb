"""Makes the README's pictures again: `python -m tests.browser.pictures`, after `npm run build`.

They show the real page on a host of its own with the built-in demonstration model.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Page, expect, sync_playwright

from .actions import answer, ended, thinking
from .conftest import logged_in
from .serve import ROOT, Host

IMAGES = ROOT / "docs" / "images"
QUESTION = "Explain microservices"
SIZE = {"width": 1040, "height": 640}
SPEED = "28"
"""Tokens per second: a little slower than usual, so that the thinking takes long enough for its picture."""


def main() -> None:
    """Writes the three pictures."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    path = os.environ.get("AI_ASSISTANT_BROWSER") or shutil.which("chromium")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        host = Host(Path(folder), "", AI_ASSISTANT_DEMO_SPEED=SPEED)
        host.start()
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            light = picture_thinking(browser, host, "light", "thinking.png")
            ended(answer(light))
            light.get_by_role("region", name="Conversation").evaluate("element => element.scrollTo(0, 0)")
            shoot(light, "answer.png")
            picture_thinking(browser, host, "dark", "thinking-dark.png")
        finally:
            browser.close()
            host.stop()


def picture_thinking(browser: Browser, host: Host, scheme: Literal["light", "dark"], name: str) -> Page:
    """Asks, and takes the picture in the middle of the thinking, at twice the size."""
    context = logged_in(
        browser,
        host.url,
        host.login(),
        device_scale_factor=2,
        viewport=SIZE,
        color_scheme=scheme,
        reduced_motion="no-preference",
    )
    page = context.new_page()
    page.goto(host.url)
    page.get_by_role("button", name=QUESTION, exact=True).click()
    expect(thinking(answer(page))).to_have_text(re.compile("Thinking [2-9]s"))
    shoot(page, name)
    return page


def shoot(page: Page, name: str) -> None:
    """Writes one picture and says how large it is."""
    page.wait_for_timeout(250)
    page.screenshot(path=IMAGES / name)
    sys.stdout.write(f"{name}: {(IMAGES / name).stat().st_size // 1024} KB\n")


if __name__ == "__main__":
    main()
