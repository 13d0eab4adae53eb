"""The Desk of a real site in Chromium: a model added and tested, a chat with its thinking, its form, a plain user.

Runs where a site is given; see `desk.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from . import desk
from .actions import answer, ask, ended, text_of, thinking
from .conftest import logged_in, watch
from .upstream import ANSWER, HOSTILE, Upstream

pytestmark = pytest.mark.skipif(not desk.given(), reason=desk.WHY_NOT)

CLOSED_PORT = "http://127.0.0.1:9/v1"


@pytest.fixture(scope="module")
def site() -> Iterator[desk.Site]:
    with desk.Site() as site:
        yield site


@pytest.fixture(scope="module")
def model(site: desk.Site, upstream: Upstream) -> str:
    """A model that the test's own provider answers for."""
    return site.make_model(upstream.base_url)


@pytest.fixture(scope="module")
def sid(site: desk.Site) -> str:
    """Session of a manager, whose chats go when the tests are over."""
    return desk.login(*site.make_user("System Manager", "AI Manager")).cookies["sid"]


@pytest.fixture
def page(chromium: Browser, sid: str, problems: list[str]) -> Iterator[Page]:
    """The Desk's browser; the test fails on any error in its console."""
    context = logged_in(chromium, desk.URL, sid)
    page = context.new_page()
    watch(page, problems)
    yield page
    context.close()
    assert problems == []


def test_a_model_is_added_and_tested(page: Page, site: desk.Site, upstream: Upstream) -> None:
    desk.open_desk(page, "ai-model/new")
    desk.fill(page, "model_name", "desk-added")
    site.remove_later("AI Model", "desk-added")
    desk.fill(page, "model", "openai/test-added")
    desk.fill(page, "api_base", upstream.base_url)
    expect(page.locator("[data-provider-hint]")).to_contain_text("OpenAI: API Key")
    desk.fill(page, "api_key", "not-a-key")
    desk.save(page)
    expect(page).to_have_url(re.compile("/app/ai-model/desk-added$"))

    test = desk.press_test(page)
    expect(test).to_contain_text("The end of it, word for word.")
    for words in ("First token", "Whole answer", "12 in, 34 out", "live, over Socket.IO", "desk-added · openai"):
        expect(test).to_contain_text(words)
    test.get_by_role("button", name=re.compile("Thought for")).click()
    expect(test).to_contain_text("First I look at the question.")
    upstream.asked.clear()
    page.get_by_role("button", name="Test Again").click()
    expect(test.locator("dl")).to_be_visible()
    assert upstream.asked == ["Say hello in one short sentence."]


def test_unsaved_changes_are_not_tested(page: Page, model: str) -> None:
    desk.open_desk(page, f"ai-model/{model}")
    page.get_by_role("button", name="Test", exact=True).wait_for()
    desk.fill(page, "title", "Another Title")
    desk.press_test(page)
    expect(page.get_by_role("dialog")).to_contain_text("Save your changes, then test.")
    expect(page.locator("ai-model-test")).to_have_count(0)


def test_a_failing_model_says_why_and_what_to_do(page: Page, site: desk.Site) -> None:
    desk.open_desk(page, f"ai-model/{site.make_model(CLOSED_PORT)}")
    failure = desk.press_test(page).get_by_role("alert")
    expect(failure).to_contain_text("provider_unavailable", timeout=40_000)
    expect(failure).to_contain_text("Check api_base")


def test_a_chat_shows_its_thinking_and_survives_a_reload_and_another_page(
    page: Page, model: str, upstream: Upstream
) -> None:
    desk.open_chat(page, model)
    article = ask(page, "think long, held")
    expect(thinking(article)).to_be_visible()
    expect(article.locator("ai-markdown").first).to_contain_text("First I look at the question")
    name = desk.conversation_of(page)

    page.reload()
    expect(thinking(answer(page))).to_have_text(re.compile(r"Thinking \d+s"))
    desk.go(page, "ai-model")
    expect(page).to_have_url(re.compile("/app/ai-model"))
    upstream.go.set()
    desk.go(page, "ai-chat")
    ended(answer(page))
    assert text_of(answer(page)) == ANSWER
    assert desk.conversation_of(page) == name
    expect(answer(page).get_by_role("button", name=re.compile("Thought for"))).to_be_visible()


def test_the_router_leads_from_chat_to_chat(page: Page, model: str) -> None:
    desk.open_chat(page, model)
    ended(ask(page, "first question"))
    first = desk.conversation_of(page)
    page.get_by_role("button", name="New chat").first.click()
    expect(page.get_by_role("article")).to_have_count(0)
    expect(page).to_have_url(re.compile("/app/ai-chat$"))
    ended(ask(page, "second question"))
    assert desk.conversation_of(page) != first
    desk.go(page, "ai-chat", first)
    expect(page.get_by_role("article", name="You")).to_have_text("first question")
    page.go_back()
    expect(page.get_by_role("article", name="You")).to_have_text("second question")


def test_the_form_shows_the_conversation_as_text_and_leads_to_the_chat(page: Page, model: str) -> None:
    desk.open_chat(page, model)
    ended(ask(page, "hostile <b>question</b>"))
    name = desk.conversation_of(page)
    desk.open_desk(page, f"ai-conversation/{name}")
    shown = page.locator("ai-transcript")
    expect(shown.get_by_role("article", name="You")).to_have_text("hostile <b>question</b>")
    article = shown.get_by_role("article", name="Assistant")
    expect(article).to_contain_text("That was all.")
    assert text_of(article) == HOSTILE
    assert page.evaluate("window.pwned") is None
    page.get_by_role("button", name="Open in Chat").click()
    expect(page).to_have_url(f"{desk.URL}/app/ai-chat/{name}")
    expect(answer(page)).to_contain_text("That was all.")


def test_without_a_live_connection_the_answer_is_asked_for(page: Page, model: str, problems: list[str]) -> None:
    page.route("**/socket.io/**", lambda route: route.abort())
    desk.open_chat(page, model)
    ended(ask(page, "no socket"))
    assert text_of(answer(page)) == ANSWER
    expect(page.get_by_text("No live connection")).to_be_visible()
    assert [it for it in problems if "socket" not in it and "ERR_FAILED" not in it] == []
    problems.clear()


def test_plain_keys_are_not_taken_for_the_desks_shortcuts(page: Page, model: str) -> None:
    box = desk.open_chat(page, model)
    box.press_sequentially("what? / G h")
    expect(box).to_have_value("what? / G h")
    expect(page.locator(".modal.show")).to_have_count(0)


def test_nothing_of_ours_reaches_the_desks_own_look(page: Page, model: str) -> None:
    facts = """() => [document.body, document.querySelector('.navbar'), document.querySelector('.page-head h3')]
        .map(it => { const s = getComputedStyle(it); return [s.font, s.color, s.backgroundColor, s.letterSpacing] })"""
    desk.open_desk(page, "ai-model")
    page.locator(".page-head h3:visible").wait_for()
    before = page.evaluate(facts)
    desk.go(page, "ai-chat")
    page.get_by_role("textbox", name="Message").wait_for()
    assert page.evaluate(facts) == before
    assert page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--ai-bg')") == ""


def test_the_settings_say_what_runs(page: Page) -> None:
    desk.open_desk(page, "ai-assistant-settings")
    service = page.locator("[data-fieldname=service_status]")
    expect(service).to_contain_text("answers")
    expect(page.locator(".form-message")).to_contain_text(re.compile("daemon"))


def test_lists_tell_the_state_of_models_and_messages(page: Page, site: desk.Site, model: str) -> None:
    off = site.make_model(CLOSED_PORT, enabled=0)
    page.goto(f"{desk.URL}/app/ai-model?name=%5B%22in%22%2C%22{model},{off}%22%5D")
    expect(page.locator(".list-row", has_text=model.title())).to_contain_text(re.compile("Enabled|Default"))
    expect(page.locator(".list-row", has_text=off.title())).to_contain_text("Disabled")
    desk.open_chat(page, model)
    ended(ask(page, "please refuse"))
    desk.open_desk(page, f"ai-message?conversation={desk.conversation_of(page)}&role=assistant")
    expect(page.locator(".list-row .indicator-pill.red").first).to_contain_text("failed")


def test_a_plain_user_chats_and_configures_nothing(
    chromium: Browser, site: desk.Site, model: str, problems: list[str]
) -> None:
    user, password = site.make_user("AI User")
    context = logged_in(chromium, desk.URL, desk.login(user, password).cookies["sid"])
    page = context.new_page()
    watch(page, problems)
    desk.open_desk(page, "ai-assistant")
    expect(page.get_by_text("AI Chat").first).to_be_visible()
    expect(page.get_by_text("AI Assistant Settings")).to_have_count(0)
    desk.open_chat(page, model)
    ended(ask(page, "as a plain user"))
    assert text_of(answer(page)) == ANSWER
    context.close()
    assert problems == []


@pytest.mark.parametrize("size", [(1280, 860), (400, 760)])
def test_the_chat_fits_the_window(page: Page, model: str, size: tuple[int, int]) -> None:
    page.set_viewport_size({"width": size[0], "height": size[1]})
    desk.open_chat(page, model)
    ended(ask(page, "how wide is it"))
    measured: dict[str, Any] = page.evaluate(
        "(({scrollWidth, scrollHeight}) => ({scrollWidth, scrollHeight}))(document.scrollingElement)"
    )
    assert (measured["scrollWidth"], measured["scrollHeight"]) == size
