"""What axe-core finds against WCAG A and AA, in each state of the page, light and dark, wide and narrow."""

from __future__ import annotations

from typing import Literal

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, expect

from .actions import answer, ask, ended
from .serve import ROOT
from .upstream import Upstream

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
RUN = """async tags => (await axe.run(document, { runOnly: tags, resultTypes: ['violations'] }))
    .violations.map(it => it.nodes.map(node => `${it.id}: ${node.target} ${node.failureSummary}`).join(' '))"""
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
NARROW: ViewportSize = {"width": 400, "height": 820}


@pytest.fixture
def still(context: BrowserContext, host: str) -> Page:
    """The page, without motion, so that its colours are the final ones at any moment."""
    page = context.new_page()
    page.goto(host)
    page.get_by_role("textbox", name="Message").wait_for()
    return page


def audit(page: Page) -> None:
    """Fails with what is wrong and where, in the light or the dark theme."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.read_text())
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        found = page.evaluate(RUN, RULES)
        assert found == [], f"{scheme}:\n" + "\n".join(found)


def audit_both_widths(page: Page) -> None:
    """Wide, and narrow with its menu closed."""
    audit(page)
    wide = page.viewport_size
    page.set_viewport_size(NARROW)
    audit(page)
    assert wide
    page.set_viewport_size(wide)


def test_the_login(chromium: Browser, host: str) -> None:
    page = chromium.new_page(reduced_motion="reduce")
    page.goto(host)
    page.get_by_label("User").fill("Administrator")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    audit_both_widths(page)
    page.close()


def test_an_empty_chat_and_the_menu(still: Page) -> None:
    audit_both_widths(still)
    still.set_viewport_size(NARROW)
    still.get_by_role("button", name="Chats").click()
    expect(still.get_by_role("button", name="Log out")).to_be_visible()
    audit(still)


def test_while_it_thinks(still: Page) -> None:
    article = ask(still, "think long, held, for the audit")
    expect(article.get_by_role("region", name="Reasoning")).to_contain_text("Then I write it down")
    audit_both_widths(still)


def test_an_answer_with_code_and_a_table(still: Page) -> None:
    article = ask(still, "plain, for the audit")
    ended(article)
    article.get_by_role("button", name="Thought for").click()
    still.get_by_role("link", name="plain, for the audit").first.hover()
    audit_both_widths(still)
    still.get_by_role("button", name="Delete plain, for the audit").first.click()
    expect(still.get_by_role("dialog")).to_be_visible()
    audit(still)


def test_errors_and_what_was_stopped(still: Page, upstream: Upstream) -> None:
    ended(ask(still, "refuse this, for the audit"))
    audit_both_widths(still)
    article = ask(still, "slow one, held, to be stopped for the audit")
    expect(article).to_contain_text("word5")
    still.keyboard.press("Escape")
    ended(article)
    audit(still)
    article.get_by_role("button", name="Try again").click()
    upstream.go.set()
    ended(answer(still))
    still.get_by_role("button", name="Earlier attempt, stopped").click()
    audit_both_widths(still)


def test_without_a_connection(still: Page, context: BrowserContext) -> None:
    context.set_offline(True)
    ended(ask(still, "plain, offline, for the audit"))
    audit_both_widths(still)
