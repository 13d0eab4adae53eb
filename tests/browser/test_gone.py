"""The server is gone in the middle of an answer, and perhaps comes back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from .actions import answer, ask, ended, text_of
from .conftest import logged_in
from .serve import Host
from .upstream import ANSWER, SLOW, Upstream

UNREACHABLE = "The server cannot be reached. Trying again…"


@pytest.fixture
def lonely(chromium: Browser, own_host: Host) -> Iterator[Page]:
    """A page whose host the test may kill; what its console says about that is no matter."""
    context = logged_in(chromium, own_host.url, own_host.login())
    page = context.new_page()
    page.goto(own_host.url)
    yield page
    context.close()


def cut_off(page: Page, host: Host) -> Locator:
    """An answer whose server dies in its middle."""
    article = ask(page, "slow one, held, to be cut off")
    expect(article).to_contain_text("word20")
    host.kill()
    expect(page.get_by_text(UNREACHABLE)).to_be_visible()
    return article


def test_one_can_stop_and_go_on_although_the_server_is_gone(lonely: Page, own_host: Host, upstream: Upstream) -> None:
    article = cut_off(lonely, own_host)
    lonely.get_by_role("button", name="Stop", exact=True).click()
    ended(article)
    expect(article.get_by_role("group", name="Error")).to_contain_text("The answer was interrupted")
    assert SLOW.startswith(text_of(article)) and text_of(article)
    expect(lonely.get_by_text(UNREACHABLE)).to_be_visible()
    box = lonely.get_by_role("textbox", name="Message")
    expect(box).to_be_focused()
    box.fill("plain, for later")
    expect(lonely.get_by_role("button", name="Send")).to_be_enabled()

    upstream.go.set()
    own_host.start()
    expect(lonely.get_by_text(UNREACHABLE)).to_have_count(0)
    box.press("Enter")
    ended(answer(lonely))
    assert text_of(answer(lonely)) == ANSWER
    expect(lonely.get_by_role("article", name="Assistant")).to_have_count(2)


def test_an_answer_that_died_with_its_server_is_shown_as_it_is_stored(lonely: Page, own_host: Host) -> None:
    article = cut_off(lonely, own_host)
    before = text_of(article)
    own_host.start()
    ended(article)
    expect(article.get_by_role("group", name="Error")).to_contain_text("worker_lost")
    expect(article.get_by_role("group", name="Error")).to_contain_text("The answer was interrupted")
    assert text_of(article).startswith(before)
    expect(article.get_by_role("button", name="Try again")).to_be_visible()
    lonely.reload()
    expect(answer(lonely).get_by_role("group", name="Error")).to_contain_text("worker_lost")
    expect(answer(lonely).get_by_role("button", name="Try again")).to_be_visible()
