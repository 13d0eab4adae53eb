"""Ask, watch the thinking, fold it, copy, stop, retry."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from .actions import answer, ask, ended, text_of, thinking
from .upstream import ANSWER, CODE, LONG, SLOW, Upstream


def test_an_answer_is_thought_about_and_then_shown_in_full(page: Page) -> None:
    article = ask(page, "plain question")
    expect(thinking(article)).to_be_visible()
    ended(article)
    assert text_of(article) == ANSWER
    expect(thinking(article)).to_have_count(0)
    expect(article.get_by_role("button", name=re.compile("Thought for [1-9]"))).to_be_visible()
    expect(article.get_by_role("heading", name="An answer")).to_be_visible()
    expect(article.get_by_role("cell", name="2")).to_be_visible()


def test_the_timer_counts_and_disappears_when_the_text_starts(page: Page, upstream: Upstream) -> None:
    article = ask(page, "think long, held")
    timer = thinking(article)
    expect(timer).to_have_text(re.compile("Thinking 0s"), timeout=2_000)
    expect(timer).to_have_text(re.compile("Thinking 2s"))
    expect(article.locator("ai-markdown").first).to_contain_text("First I look at the question")
    expect(timer).to_have_text(re.compile("Thinking [3-9]s"))
    upstream.go.set()
    ended(article)
    expect(timer).to_have_count(0)


def test_the_reasoning_folds_and_unfolds(page: Page) -> None:
    article = ask(page, "plain reasoning")
    ended(article)
    toggle = article.get_by_role("button", name=re.compile("Thought for"))
    expect(toggle).to_have_attribute("aria-expanded", "false")
    reasoning = article.get_by_role("region", name="Reasoning")
    expect(reasoning).to_be_hidden()
    toggle.click()
    expect(reasoning).to_contain_text("First I look at the question")
    toggle.click()
    expect(reasoning).to_be_hidden()


def test_reasoning_is_followed_while_it_grows_and_folds_itself_when_the_answer_starts(
    page: Page, upstream: Upstream
) -> None:
    page.set_viewport_size({"width": 400, "height": 820})
    article = ask(page, "think long, held, to be followed")
    reasoning = article.get_by_role("region", name="Reasoning")
    expect(thinking(article)).to_have_text(re.compile("Thinking [3-9]s"))
    below = "element => element.scrollHeight - element.scrollTop - element.clientHeight"
    assert reasoning.evaluate("element => element.scrollTop") > 0
    assert reasoning.evaluate(below) < 40
    upstream.go.set()
    expect(reasoning).to_be_hidden()
    ended(article)
    article.get_by_role("button", name=re.compile("Thought for [3-9]s")).click()
    expect(reasoning).to_be_visible()


def test_a_very_long_answer_is_shown_to_its_end(page: Page) -> None:
    article = ask(page, "a very long answer")
    ended(article)
    assert text_of(article) == LONG
    expect(article.get_by_role("heading", name="Part 199")).to_be_in_viewport()
    expect(page.get_by_role("button", name="Jump to newest")).to_have_count(0)


def test_stop_keeps_what_had_arrived_and_closes_the_providers_stream(page: Page, upstream: Upstream) -> None:
    upstream.closed_early.clear()
    article = ask(page, "slow one, to be stopped")
    expect(article).to_contain_text("word5")
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(article).to_contain_text("You stopped this answer.")
    assert SLOW.startswith(text_of(article))
    assert upstream.closed_early.wait(5)
    expect(page.get_by_role("button", name="Send")).to_be_visible()


def test_escape_stops(page: Page) -> None:
    article = ask(page, "slow one, for Escape")
    expect(article).to_contain_text("word2")
    page.keyboard.press("Escape")
    expect(article).to_contain_text("You stopped this answer.")


def test_an_interrupted_answer_is_shown_as_one_and_can_be_tried_again(page: Page) -> None:
    article = ask(page, "break once, please")
    ended(article)
    expect(article.get_by_role("group", name="Error")).to_contain_text("stream_interrupted")
    assert ANSWER.startswith(text_of(article))
    broken = text_of(article)
    article.get_by_role("button", name="Try again").click()
    ended(answer(page))
    assert text_of(answer(page)) == ANSWER
    one_question_with_two_attempts(page, broken)
    page.reload()
    ended(answer(page))
    one_question_with_two_attempts(page, broken)


def one_question_with_two_attempts(page: Page, broken: str) -> None:
    """The repeated question is not shown, and the failed attempt is folded away."""
    expect(page.get_by_role("article", name="You")).to_have_count(1)
    expect(page.get_by_role("article", name="Assistant")).to_have_count(1)
    toggle = page.get_by_role("button", name="Earlier attempt, interrupted")
    expect(toggle).to_have_attribute("aria-expanded", "false")
    toggle.click()
    earlier = page.get_by_role("article", name="Earlier attempt")
    assert text_of(earlier) == broken
    expect(earlier.get_by_role("group", name="Error")).to_be_visible()
    expect(earlier.get_by_role("button", name="Try again")).to_have_count(0)


def test_messages_that_did_not_fit_are_counted_at_the_answer(page: Page) -> None:
    words = "Some more to be remembered. " * 12
    for number in range(3):
        ended(ask(page, f"plain {number}. {words}".strip()))
    page.get_by_role("combobox", name="Model").select_option(label="Small")
    article = ask(page, "plain, with little room, held")
    quiet = article.get_by_text(
        re.compile(r"^The \d+ oldest messages did not fit the model's context and were left out.$")
    )
    expect(quiet).to_be_visible()


def test_a_refused_key_is_said_in_words(page: Page) -> None:
    article = ask(page, "refuse this")
    ended(article)
    error = article.get_by_role("group", name="Error")
    expect(error).to_contain_text("provider_auth")
    expect(error).not_to_contain_text("not-a-key")
    expect(article.get_by_role("button", name="Try again")).to_be_visible()


def test_code_and_answers_are_copied_as_they_are(page: Page) -> None:
    article = ask(page, "plain, to be copied")
    ended(article)
    article.get_by_role("button", name="Copy code").click()
    expect(article.get_by_role("button", name="Copy code")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == CODE
    article.get_by_role("button", name="Copy answer").click()
    expect(article.get_by_role("button", name="Copy answer")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == ANSWER


def test_the_usage_line_names_model_tokens_and_first_token(page: Page) -> None:
    article = ask(page, "plain, for its usage")
    ended(article)
    expect(article.locator("footer")).to_contain_text(re.compile(r"fast.*46 tokens.*first token", re.DOTALL))


def test_another_model_can_be_chosen(page: Page) -> None:
    page.get_by_role("combobox", name="Model").select_option(label="Other")
    article = ask(page, "plain, from the other model")
    ended(article)
    expect(article.locator("footer")).to_contain_text("other")


def test_scrolling_up_is_respected_and_the_newest_is_one_click_away(page: Page) -> None:
    page.set_viewport_size({"width": 900, "height": 480})
    ended(ask(page, "plain, to fill the page"))
    article = ask(page, "slow one, held, to scroll in")
    expect(article).to_contain_text("word60")
    page.get_by_role("region", name="Conversation").hover()
    page.mouse.wheel(0, -600)
    jump = page.get_by_role("button", name="Jump to newest")
    expect(jump).to_be_visible()
    thread = page.get_by_role("region", name="Conversation")
    top = thread.evaluate("element => element.scrollTop")
    expect(article).to_contain_text("word200")
    assert thread.evaluate("element => element.scrollTop") == top
    jump.click()
    expect(jump).to_have_count(0)
    page.keyboard.press("Escape")
