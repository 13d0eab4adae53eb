"""Nothing that a model writes runs, loads or leads into the host."""

from __future__ import annotations

from playwright.sync_api import BrowserContext, Page, Request, expect

from .actions import ask, ended, text_of
from .upstream import HOSTILE

DANGEROUS = "script, img, svg[onload], iframe, object, embed, style, link, form, base, meta"

#: Every element that the answer's markdown became, in a list of plain facts.
INSPECT = """element => [...element.shadowRoot.querySelector('.body').querySelectorAll('*')].map(it => ({
    tag: it.localName,
    attributes: Object.fromEntries([...it.attributes].map(a => [a.name, a.value])),
}))"""


def test_hostile_markdown_is_text(context: BrowserContext, page: Page, host: str) -> None:
    foreign: list[str] = []

    def on_request(request: Request) -> None:
        if not request.url.startswith((host, "ws://127.0.0.1")):
            foreign.append(request.url)

    context.on("request", on_request)
    article = ask(page, "hostile content")
    ended(article)
    assert text_of(article) == HOSTILE
    expect(article).to_contain_text("That was all.")
    markdown = article.locator("> ai-markdown")
    found = markdown.evaluate(INSPECT)
    assert markdown.locator(DANGEROUS).count() == 0
    assert not [it for it in found if any(name.startswith("on") for name in it["attributes"])]
    for it in found:
        if "href" in it["attributes"]:
            assert it["attributes"]["href"].startswith(("https://example.org/", "http://127.0.0.1:9/"))
            assert it["attributes"]["rel"] == "noopener noreferrer"
            assert it["attributes"]["target"] == "_blank"
        assert "src" not in it["attributes"]
    assert page.evaluate("window.pwned") is None
    assert foreign == []


def test_links_that_are_refused_stay_words(page: Page) -> None:
    article = ask(page, "hostile links")
    ended(article)
    for words in ("js", "data", "relative"):
        expect(article.get_by_text(words, exact=True)).to_be_visible()
    expect(article.get_by_role("link", name="js", exact=True)).to_have_count(0)
    expect(article.get_by_role("link", name="relative", exact=True)).to_have_count(0)
    expect(article.get_by_role("link", name="ok", exact=True)).to_have_attribute("href", "https://example.org/ok")
    expect(article.get_by_role("link", name="Image: remote")).to_be_visible()


def test_a_hostile_question_is_text_too(page: Page) -> None:
    question = "<img src=x onerror=window.pwned=1> plain"
    ended(ask(page, question))
    page.reload()
    expect(page.get_by_role("article", name="You")).to_have_text(question)
    assert page.evaluate("window.pwned") is None


def test_the_page_asks_nobody_else(context: BrowserContext, host: str) -> None:
    urls: list[str] = []
    page = context.new_page()
    page.on("request", lambda request: urls.append(request.url))
    page.goto(host)
    page.get_by_role("textbox", name="Message").wait_for()
    page.wait_for_timeout(500)
    assert urls
    assert [url for url in urls if not url.startswith((host, host.replace("http", "ws")))] == []
