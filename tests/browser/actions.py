"""What the tests do on the page, in a person's words."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect

END_TIMEOUT_MS = 40_000


def ask(page: Page, question: str) -> Locator:
    """Writes a question, sends it by Enter and returns the answer's place."""
    box = page.get_by_role("textbox", name="Message")
    box.fill(question)
    box.press("Enter")
    expect(page.get_by_role("article", name="You").last).to_have_text(question)
    return answer(page)


def answer(page: Page) -> Locator:
    """The newest answer."""
    return page.get_by_role("article", name="Assistant").last


def ended(article: Locator) -> None:
    """Waits for the end of an answer."""
    expect(article).to_have_attribute("aria-busy", "false", timeout=END_TIMEOUT_MS)


def text_of(article: Locator) -> str:
    """The answer's text as it was streamed, from the component that shows it."""
    return article.locator("> ai-markdown").evaluate("element => element.text")


def tab_to(page: Page, target: Locator, limit: int = 60, key: str = "Tab") -> None:
    """Reaches an element by the Tab key alone; behind the last one comes the first."""
    for _ in range(limit):
        page.keyboard.press(key)
        if target.count() and target.first.evaluate("element => element.matches(':focus')"):
            return
    raise AssertionError(f"{target} was not reached by {limit} times {key}")


def thinking(article: Locator) -> Locator:
    """The timer of an answer that has not begun."""
    return article.get_by_role("timer")
