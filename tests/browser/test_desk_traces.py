"""Traces in the Desk of a real site in Chromium: the form of a trace, of an observation, lists, dead letters.

Runs where a site is given (see `desk.py`) whose worker or consumer runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.wire.client import Client

from . import desk, desk_traces
from .actions import ask, ended
from .conftest import logged_in, watch
from .upstream import HOSTILE, REASONING, Upstream

pytestmark = pytest.mark.skipif(not desk.given(), reason=desk.WHY_NOT)

MANY = 1_500


@pytest.fixture(scope="module")
def site() -> Iterator[desk.Site]:
    with desk.Site() as site:
        yield site


@pytest.fixture(scope="module")
def ann(site: desk.Site) -> tuple[str, str]:
    """Somebody who traces."""
    return site.make_user("System Manager", "AI User")


@pytest.fixture(scope="module")
def program(ann: tuple[str, str]) -> Iterator[Client]:
    """Her program, whose traces go when the tests are over."""
    with desk_traces.client_of(*ann) as client:
        yield client
        for row in client.get("get_traces", limit=200)["traces"]:
            client.call("delete_trace", trace=row["trace"])


@pytest.fixture(scope="module")
def trace(ann: tuple[str, str], program: Client) -> str:
    return desk_traces.agent_run(program, user=ann[0])


@pytest.fixture
def page(chromium: Browser, ann: tuple[str, str], problems: list[str]) -> Iterator[Page]:
    """Her browser; the test fails on any error in its console."""
    yield from desk_of(chromium, ann, problems)


def desk_of(chromium: Browser, person: tuple[str, str], problems: list[str]) -> Iterator[Page]:
    """The Desk of this user and password."""
    context = logged_in(chromium, desk.URL, desk.login(*person).cookies["sid"])
    page = context.new_page()
    watch(page, problems)
    yield page
    context.close()
    assert problems == []


def rows(page: Page) -> Locator:
    return page.locator("ai-trace-tree li")


def payload(page: Page) -> Locator:
    """What the open dialog shows."""
    return page.get_by_role("dialog").locator("ai-trace-payload")


def close(page: Page) -> None:
    page.keyboard.press("Escape")
    expect(page.locator(".modal.show")).to_have_count(0)


def test_the_form_shows_figures_and_the_tree_in_its_order(page: Page, trace: str) -> None:
    desk.open_desk(page, f"ai-trace/{trace}")
    figures = page.locator("ai-trace-figures")
    for words in ("completed", "2.0 s", "310 ms", "gpt-desk", "1,200 in, 340 out", "200 of reasoning", "complete"):
        expect(figures).to_contain_text(words)
    expect(figures.get_by_role("list", name="Tags")).to_contain_text("boxes")
    expect(rows(page)).to_have_count(4)
    expect(rows(page).locator("a")).to_have_text(["find the boxes", "plan the steps", "read_shelf", "box found"])
    depths = rows(page).evaluate_all("rows => rows.map(row => row.style.getPropertyValue('--depth'))")
    assert depths == ["0", "1", "2", "1"]
    expect(rows(page).nth(2)).to_contain_text("no shelf <i>9</i>")
    expect(page.locator(".page-head .title-text:visible")).to_have_text("Find <b>the boxes</b>")


def test_there_are_buttons_where_there_is_something_to_show(page: Page, trace: str) -> None:
    desk.open_desk(page, f"ai-trace/{trace}")
    expect(rows(page)).to_have_count(4)
    buttons = [row.get_by_role("button").all_text_contents() for row in rows(page).all()]
    assert buttons == [[], ["Prompt", "Reasoning", "Response"], ["Prompt"], ["Response"]]


def test_reasoning_is_yellow_with_its_count_and_a_mark_where_it_was_cut(page: Page, trace: str) -> None:
    desk.open_desk(page, f"ai-trace/{trace}")
    rows(page).nth(1).get_by_role("button", name="Reasoning").click()
    shown = payload(page)
    expect(shown).to_contain_text("427 of 51,200 characters")
    expect(shown).to_contain_text("Cut here: 50,773 more characters were not kept.")
    red, green, blue = shown.locator("pre").evaluate(
        "pre => getComputedStyle(pre).backgroundColor.match(/\\d+/g).slice(0, 3).map(Number)"
    )
    assert red >= green > blue, "it is yellow"
    close(page)
    rows(page).nth(1).get_by_role("button", name="Prompt").click()
    expect(payload(page).locator("pre")).to_contain_text('"role": "user"')
    expect(payload(page).locator("pre")).to_contain_text("<b>blue</b>")


def test_what_a_model_wrote_is_text(page: Page, trace: str) -> None:
    desk.open_desk(page, f"ai-trace/{trace}")
    rows(page).nth(3).get_by_role("button", name="Response").click()
    pre = payload(page).locator("pre")
    expect(pre).to_contain_text("That was all.")
    assert pre.evaluate("pre => pre.textContent") == HOSTILE
    assert page.evaluate("window.pwned") is None
    close(page)
    page.get_by_role("link", name="box found").click()
    expect(page.locator("ai-trace-payload pre").first).to_contain_text("That was all.")
    assert page.evaluate("window.pwned") is None


def test_a_click_opens_the_observation_and_leads_back(page: Page, trace: str) -> None:
    desk.open_desk(page, f"ai-trace/{trace}")
    page.get_by_role("link", name="plan the steps").click()
    expect(page).to_have_url(re.compile(f"/app/ai-observation/{trace}[0-9a-f]{{16}}$"))
    form = page.locator(".page-container:visible")
    for words in ("completed", "1.9 s", "gpt-desk", "1,200 in, 340 out"):
        expect(form.locator("ai-trace-figures")).to_contain_text(words)
    expect(form.locator("ai-trace-payload")).to_have_count(3)
    expect(form.locator("ai-trace-payload").nth(1)).to_contain_text("427 of 51,200 characters")
    form.get_by_role("button", name="Trace", exact=True).click()
    expect(page).to_have_url(re.compile(f"/app/ai-trace/{trace}$"))


def test_a_gap_is_said_in_red(page: Page, program: Client, ann: tuple[str, str]) -> None:
    trace = desk_traces.with_a_gap(program, ann[0])
    desk.open_desk(page, f"ai-trace/{trace}")
    expect(page.locator("ai-trace-figures .bad")).to_have_text("3 events missing")
    expect(page.locator(".form-message")).to_contain_text("3 events of this trace are missing")
    desk.open_desk(page, "ai-trace")
    expect(page.locator(".list-row", has_text="With a gap").locator(".indicator-pill.red").first).to_contain_text("3")


def test_many_observations_come_a_part_at_a_time(page: Page, program: Client, ann: tuple[str, str]) -> None:
    trace = desk_traces.with_many(program, ann[0], MANY)
    desk.open_desk(page, f"ai-trace/{trace}")
    expect(rows(page)).to_have_count(200)
    page.get_by_role("button", name="Show 500 more").click()
    expect(rows(page)).to_have_count(700)
    expect(page.locator("ai-trace-tree")).to_contain_text("700 of 1,500 observations")


def test_a_chat_leaves_a_trace_that_tells_of_it(
    page: Page, site: desk.Site, program: Client, upstream: Upstream
) -> None:
    model = site.make_model(upstream.base_url)
    desk.open_chat(page, model)
    ended(ask(page, "what does its trace say"))
    conversation = desk.conversation_of(page)
    desk.open_desk(page, f"ai-trace?conversation={conversation}")
    row = page.locator(".list-row", has_text="what does its trace say")
    for _ in range(20):
        if row.count():
            break
        page.wait_for_timeout(500)
        page.reload()
        page.locator(".list-row, .no-result").first.wait_for()
    expect(row).to_contain_text("completed")
    row.locator("a.ellipsis").first.click()
    page.get_by_role("button", name="Reasoning").first.click()
    expect(payload(page).locator("pre")).to_have_text(REASONING)
    expect(payload(page)).to_contain_text(f"{len(REASONING)} characters")
    close(page)
    for field in ("chunks_received", "events_emitted", "events_persisted"):
        shown = page.locator(f"[data-fieldname={field}]:visible .control-value")
        expect(shown).to_have_text(re.compile(r"^\s*[1-9]\d*\s*$"))
    page.get_by_role("button", name="Conversation", exact=True).click()
    expect(page).to_have_url(re.compile(f"/app/ai-conversation/{conversation}$"))


def test_a_look_at_somebody_elses_is_recorded_and_takes_nothing_away(
    chromium: Browser, site: desk.Site, trace: str, ann: tuple[str, str], problems: list[str]
) -> None:
    person = site.make_user("AI Trace Reviewer")
    for page in desk_of(chromium, person, problems):
        desk.open_desk(page, f"ai-trace/{trace}")
        expect(rows(page)).to_have_count(4)
        rows(page).nth(1).get_by_role("button", name="Prompt").click()
        expect(payload(page).locator("pre")).to_be_visible()
        close(page)
        page.locator(".page-head:visible .menu-btn-group button").click()
        expect(page.locator(".page-head:visible").get_by_text("Delete", exact=True)).to_be_hidden()
    looks = site.find("AI Trace View", trace=trace)
    assert [(row["viewer"], row["trace_user"]) for row in looks] == [(person[0], ann[0])]


def test_without_level_one_there_is_no_button(
    chromium: Browser, site: desk.Site, trace: str, problems: list[str]
) -> None:
    person = site.make_user("AI Trace Reviewer")
    with site.without_payloads("AI Trace Reviewer"):
        for page in desk_of(chromium, person, problems):
            desk.open_desk(page, f"ai-trace/{trace}")
            expect(rows(page)).to_have_count(4)
            expect(rows(page).get_by_role("button")).to_have_count(0)
            page.get_by_role("link", name="plan the steps").click()
            expect(page.get_by_text("Your roles do not include what was written.")).to_be_visible()
            expect(page.locator("ai-trace-payload")).to_have_count(0)


def test_dead_letters_are_shown_and_tried_again(page: Page, site: desk.Site, trace: str) -> None:
    with desk_traces.client_of(*site.make_user("AI User")) as client:
        desk_traces.refused_event(client, trace)
    shown = page.get_by_role("dialog").locator("ai-dead-letters")
    letter = shown.locator("tbody tr", has_text=trace[:8])
    for _ in range(20):
        desk.open_desk(page, "ai-trace")
        page.locator(".page-head:visible .menu-btn-group button").click()
        page.locator(".page-head:visible").get_by_text("Dead Letters", exact=True).click()
        expect(shown.locator("tbody tr, p").first).to_be_visible()
        if letter.count():
            break
        page.wait_for_timeout(500)
    expect(letter.first).to_contain_text("whole")
    letter.first.get_by_role("button", name="Retry").click()
    expect(shown.get_by_role("status")).to_contain_text("1 on their way again")


def test_the_workspace_leads_to_traces(page: Page) -> None:
    desk.open_desk(page, "ai-assistant")
    page.locator(".shortcut-widget-box", has_text="Traces").click()
    expect(page).to_have_url(re.compile("/app/ai-trace"))


@pytest.mark.parametrize("width", [1280, 400])
def test_nothing_is_wider_than_the_window(page: Page, trace: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 860})
    desk.open_desk(page, f"ai-trace/{trace}")
    expect(rows(page)).to_have_count(4)
    assert page.evaluate("document.scrollingElement.scrollWidth") == width
