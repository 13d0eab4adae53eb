"""A reload, a lost socket, no socket at all: the answer is complete."""

from __future__ import annotations

import re

from playwright.sync_api import BrowserContext, Page, WebSocketRoute, expect

from .actions import answer, ask, ended, text_of, thinking
from .conftest import watch
from .upstream import ANSWER, SLOW, Upstream

CONVERSATION = re.compile(r"#/c/.+")


def test_a_reload_in_mid_stream_resumes(page: Page, upstream: Upstream) -> None:
    article = ask(page, "slow one, held, with a reload")
    expect(article).to_contain_text("word20")
    expect(page).to_have_url(CONVERSATION)
    page.reload()
    article = answer(page)
    expect(article).to_contain_text("word20")
    expect(article).to_have_attribute("aria-busy", "true")
    upstream.go.set()
    ended(article)
    assert text_of(article) == SLOW
    expect(page.get_by_role("article", name="Assistant")).to_have_count(1)


def test_a_reload_while_it_thinks_keeps_the_time(page: Page, upstream: Upstream) -> None:
    article = ask(page, "think long, held, with a reload")
    expect(thinking(article)).to_have_text(re.compile("Thinking 3s"))
    page.reload()
    timer = thinking(answer(page))
    expect(timer).to_have_text(re.compile(r"Thinking ([3-9]|1\d)s"), timeout=2_000)
    upstream.go.set()
    ended(answer(page))
    assert text_of(answer(page)) == ANSWER


def test_a_reload_right_after_sending_loses_nothing(page: Page, problems: list[str]) -> None:
    box = page.get_by_role("textbox", name="Message")
    box.fill("plain, with an early reload")
    with page.expect_response(lambda it: it.url.endswith("chat_completion")):
        box.press("Enter")
    page.reload()
    expect(page.get_by_role("article", name="You")).to_have_text("plain, with an early reload")
    ended(answer(page))
    assert text_of(answer(page)) == ANSWER
    # The address may name the conversation before the worker has written it; the browser logs that 404 by itself.
    problems[:] = [it for it in problems if "404" not in it]


def test_the_end_is_there_after_the_task_has_long_ended(page: Page) -> None:
    ended(ask(page, "plain, read later"))
    page.reload()
    expect(answer(page)).to_have_attribute("aria-busy", "false")
    assert text_of(answer(page)) == ANSWER
    expect(answer(page).get_by_role("button", name=re.compile("Thought for"))).to_be_visible()


def test_without_any_socket_the_chat_answers(context: BrowserContext, host: str) -> None:
    context.route(re.compile(r"/socket\.io/"), lambda route: route.abort())
    context.route_web_socket(re.compile(r"/socket\.io/"), lambda socket: socket.close())
    page = context.new_page()
    page.goto(host)
    article = ask(page, "plain, by asking")
    ended(article)
    assert text_of(article) == ANSWER
    expect(page.get_by_text("No live connection")).to_be_visible()


def test_a_socket_that_is_cut_in_mid_stream_costs_nothing(context: BrowserContext, host: str) -> None:
    sockets: list[WebSocketRoute] = []

    def through(route: WebSocketRoute) -> None:
        sockets.append(route)
        route.connect_to_server()

    context.route_web_socket(re.compile(r"/socket\.io/"), through)
    page = context.new_page()
    watch(page, [])
    page.goto(host)
    article = ask(page, "slow one, with a cut")
    for word in ("word30", "word90"):
        expect(article).to_contain_text(word)
        assert sockets
        sockets[-1].close()
    ended(article)
    assert text_of(article) == SLOW


def test_a_second_tab_follows_the_same_answer(context: BrowserContext, page: Page, upstream: Upstream) -> None:
    article = ask(page, "slow one, held, in two tabs")
    expect(article).to_contain_text("word10")
    expect(page).to_have_url(CONVERSATION)
    other = context.new_page()
    other.goto(page.url)
    expect(answer(other)).to_contain_text("word10")
    expect(answer(other)).to_have_attribute("aria-busy", "true")
    upstream.go.set()
    ended(article)
    ended(answer(other))
    assert text_of(article) == text_of(answer(other)) == SLOW


def test_a_server_out_of_reach_is_said_and_the_question_is_not_lost(
    context: BrowserContext, page: Page, problems: list[str]
) -> None:
    context.set_offline(True)
    article = ask(page, "plain, while offline")
    ended(article)
    expect(article).to_contain_text("The server cannot be reached")
    context.set_offline(False)
    article.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("article", name="You")).to_have_count(1)
    expect(answer(page).get_by_role("group", name="Error")).to_have_count(0)
    ended(answer(page))
    assert text_of(answer(page)) == ANSWER
    problems.clear()
