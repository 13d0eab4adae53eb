"""The page around the chat: login, conversations, themes, keyboard."""

from __future__ import annotations

import re
from typing import Literal

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from .actions import answer, ask, ended, tab_to, text_of
from .conftest import SCREENSHOTS
from .serve import PASSWORD
from .upstream import ANSWER, CODE, Upstream


def test_a_guest_logs_in(chromium: Browser, host: str) -> None:
    context = chromium.new_context()
    page = context.new_page()
    page.goto(host)
    page.get_by_label("User").fill("Administrator")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("textbox", name="Message")).to_be_focused()
    page.keyboard.type("plain, after logging in")
    page.keyboard.press("Enter")
    article = answer(page)
    ended(article)
    assert text_of(article) == ANSWER
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("button", name="Log in")).to_be_visible()
    context.close()


def test_conversations_are_listed_opened_renamed_found_and_deleted(page: Page) -> None:
    ended(ask(page, "plain, first of two"))
    page.get_by_role("button", name="New chat").click()
    expect(page.get_by_role("article")).to_have_count(0)
    ended(ask(page, "plain, second of two"))
    chats = page.get_by_role("navigation", name="Chats")
    chats.get_by_role("link", name="plain, first of two").first.click()
    expect(page.get_by_role("article", name="You")).to_have_text("plain, first of two")

    chats.get_by_role("button", name="Rename plain, first of two").first.click()
    chats.get_by_role("textbox", name="New title").fill("A better title")
    page.keyboard.press("Enter")
    expect(chats.get_by_role("link", name="A better title")).to_be_visible()
    expect(page).to_have_title(re.compile("A better title"))

    page.get_by_role("searchbox", name="Search chats").fill("better")
    expect(chats.get_by_role("link")).to_have_count(1)
    page.get_by_role("searchbox", name="Search chats").fill("")

    chats.get_by_role("button", name="Delete A better title").click()
    page.get_by_role("button", name="Keep").click()
    expect(chats.get_by_role("link", name="A better title")).to_be_visible()
    chats.get_by_role("button", name="Delete A better title").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(chats.get_by_role("link", name="A better title")).to_have_count(0)
    expect(page.get_by_role("article")).to_have_count(0)


def test_one_can_type_at_once_wherever_one_comes_from(page: Page) -> None:
    box = page.get_by_role("textbox", name="Message")
    expect(box).to_be_focused()
    ended(ask(page, "plain, to come back to"))
    page.get_by_role("button", name="New chat").click()
    expect(box).to_be_focused()
    page.get_by_role("link", name="plain, to come back to").first.click()
    expect(page.get_by_role("article", name="You")).to_have_count(1)
    expect(box).to_be_focused()
    page.get_by_role("button", name="Use the dark theme").focus()
    page.go_back()
    expect(page.get_by_role("article")).to_have_count(0)
    expect(box).to_be_focused()
    page.go_forward()
    page.reload()
    expect(page.get_by_role("article", name="You")).to_have_count(1)
    expect(box).to_be_focused()


def test_a_conversation_goes_on(page: Page) -> None:
    ended(ask(page, "plain, to go on"))
    ended(ask(page, "plain, and on"))
    page.reload()
    expect(page.get_by_role("article", name="You")).to_have_count(2)
    expect(page.get_by_role("article", name="Assistant")).to_have_count(2)
    page.go_back()
    expect(page.get_by_role("article")).to_have_count(0)


def test_the_keyboard_is_enough_to_ask_choose_and_stop(page: Page) -> None:
    box = page.get_by_role("textbox", name="Message")
    expect(box).to_be_focused()
    expect(page.get_by_role("combobox", name="Model")).to_be_visible()
    tab_to(page, page.get_by_role("combobox", name="Model"), 1)
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("combobox", name="Model")).to_have_value("other")
    page.keyboard.press("Shift+Tab")
    expect(box).to_be_focused()
    page.keyboard.type("slow one, held,")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("by keyboard")
    page.keyboard.press("Enter")
    article = answer(page)
    expect(article).to_contain_text("word5")
    expect(page.get_by_role("article", name="You")).to_have_text("slow one, held,\nby keyboard", use_inner_text=True)
    tab_to(page, page.get_by_role("button", name="Stop", exact=True), 2)
    page.keyboard.press("Enter")
    expect(article).to_contain_text("You stopped this answer.")
    expect(article.locator("footer")).to_contain_text("other")
    expect(box).to_be_focused()


def test_the_keyboard_is_enough_to_read_and_copy(page: Page) -> None:
    page.keyboard.type("plain, read by keyboard")
    page.keyboard.press("Enter")
    article = answer(page)
    ended(article)
    toggle = article.get_by_role("button", name=re.compile("Thought for"))
    tab_to(page, toggle, key="Shift+Tab")
    page.keyboard.press("Enter")
    expect(toggle).to_have_attribute("aria-expanded", "true")
    assert toggle.evaluate("element => getComputedStyle(element).outlineStyle") == "solid"
    tab_to(page, article.get_by_role("region", name="Reasoning"), 1)
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Space")
    expect(toggle).to_have_attribute("aria-expanded", "false")
    copies = {"Copy code": CODE, "Copy answer": ANSWER}
    for name, text in copies.items():
        tab_to(page, article.get_by_role("button", name=name))
        page.keyboard.press("Enter")
        expect(article.get_by_role("button", name=name)).to_have_text("Copied")
        assert page.evaluate("navigator.clipboard.readText()") == text


def test_the_keyboard_is_enough_for_the_list(page: Page) -> None:
    ended(ask(page, "plain, left open"))
    page.get_by_role("button", name="New chat").press("Enter")
    ended(ask(page, "plain, named by keyboard"))
    chats = page.get_by_role("navigation", name="Chats")
    tab_to(page, chats.get_by_role("button", name="Rename plain, named by keyboard"))
    page.keyboard.press("Enter")
    page.keyboard.type("Named by keyboard")
    page.keyboard.press("Enter")
    link = chats.get_by_role("link", name="Named by keyboard")
    expect(link).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.type("Not this")
    page.keyboard.press("Escape")
    expect(link).to_be_focused()
    tab_to(page, chats.get_by_role("link", name="plain, left open"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("article", name="You")).to_have_text("plain, left open")
    tab_to(page, chats.get_by_role("button", name="Delete Named by keyboard"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Keep")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(link).to_have_count(0)
    expect(page.get_by_role("button", name="New chat")).to_be_focused()
    expect(page.get_by_role("article", name="You")).to_have_text("plain, left open")


def test_only_the_steps_of_an_answer_are_read_out(page: Page, upstream: Upstream) -> None:
    status = page.locator("ai-chat [aria-live=polite]")
    article = ask(page, "plain, held, for a screen reader")
    expect(status).to_contain_text("Thinking")
    expect(status).to_have_text("The answer is being written.")
    upstream.go.set()
    ended(article)
    expect(status).to_have_text("The answer is complete.")
    assert article.locator("[aria-live]").count() == 0


def test_the_theme_is_chosen_and_kept(page: Page) -> None:
    ground = "getComputedStyle(document.querySelector('ai-page')).backgroundColor"
    light = page.evaluate(ground)
    page.get_by_role("button", name="Use the dark theme").click()
    assert page.evaluate(ground) != light
    page.reload()
    expect(page.get_by_role("button", name="Use the light theme")).to_be_visible()
    assert page.evaluate(ground) != light


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_screenshots(context: BrowserContext, host: str, upstream: Upstream, scheme: Literal["light", "dark"]) -> None:
    """Both themes and both widths; nothing is wider than the window."""
    SCREENSHOTS.mkdir(exist_ok=True)
    page = context.new_page()
    page.emulate_media(color_scheme=scheme, reduced_motion="no-preference")
    page.goto(host)
    article = ask(page, "think long, held, for a picture")
    expect(article.get_by_role("region", name="Reasoning")).to_contain_text("First I look")
    shoot(page, f"{scheme}-{{}}-thinking.png")
    upstream.go.set()
    ended(article)
    shoot(page, f"{scheme}-{{}}-answer.png")


def shoot(page: Page, name: str) -> None:
    """A picture of each width."""
    for words, width in (("wide", 1280), ("narrow", 400)):
        page.set_viewport_size({"width": width, "height": 820})
        page.screenshot(path=SCREENSHOTS / name.format(words))
        assert page.evaluate("document.scrollingElement.scrollWidth") <= width
        overflow = answer(page).evaluate("element => element.scrollWidth - element.clientWidth")
        assert overflow <= 0
