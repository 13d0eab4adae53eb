"""What an observer is told of each attempt: the request as it went out, the answer's first bytes, and the end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from conftest import KEY, ask, stream
from raw_upstream import CHAT_OK, CUT, HOLD, RawUpstream, answer, chat, sse_head

from ai_assistant.core.errors import ChatError
from ai_assistant.core.model import ModelConfig
from ai_assistant.gateway.chunks import Finish, TextDelta
from ai_assistant.gateway.gateway import Gateway
from ai_assistant.gateway.observer import HIDDEN, Attempt, Sent, bare_url
from tests.aimock.server import AiMock

Make = Callable[..., ModelConfig]
BUSY = [answer("503 Service Unavailable", b"{}")]


class Notes:
    """An observer that writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def attempt_started(self, attempt: Attempt) -> None:
        self.told.append(("started", attempt.model, attempt.number))

    def request_sent(self, sent: Sent) -> None:
        self.told.append(("sent", sent))

    def answer_began(self, status: int | None) -> None:
        self.told.append(("answered", status))

    def attempt_ended(self, error: ChatError | None, finish: Finish | None, chunks: int) -> None:
        self.told.append(("ended", error, finish, chunks))

    @property
    def words(self) -> list[str]:
        """The kinds of what it was told, in order."""
        return [each[0] for each in self.told]

    @property
    def sent(self) -> list[Sent]:
        """The requests."""
        return [each[1] for each in self.told if each[0] == "sent"]

    @property
    def ends(self) -> list[tuple[Any, ...]]:
        """What it was told at the ends: error, finish, chunks."""
        return [each[1:] for each in self.told if each[0] == "ended"]


async def watched(gateway: Gateway, notes: Notes, *models: ModelConfig, text: str = "hello", **options: Any) -> int:
    """Reads a watched stream to its end; gives how many chunks of the provider came."""
    count = 0
    async for chunks in gateway.stream(ask(text, **options), models, notes):
        count += sum(not hasattr(chunk, "state") for chunk in chunks)
    return count


async def test_every_wire_tells_what_it_sent(gateway: Gateway, model: ModelConfig, aimock: AiMock) -> None:
    aimock.on("hello", content="Hi there.")
    notes = Notes()
    count = await watched(gateway, notes, model)
    assert notes.words == ["started", "sent", "answered", "ended"]
    error, finish, chunks = notes.ends[0]
    assert (error, finish.reason, chunks) == (None, "stop", count)
    assert finish.usage.total_tokens > 0
    document = notes.sent[0].document()
    assert "hello" in json.dumps(document)
    assert KEY not in json.dumps(document)
    assert model.api_base in notes.sent[0].url


async def test_the_body_is_the_one_that_arrived(gateway: Gateway, upstream: RawUpstream, at: Make) -> None:
    upstream.play(CHAT_OK)
    notes = Notes()
    await watched(gateway, notes, at(parameters={"top_p": 0.5}), temperature=0.2, max_tokens=10)
    assert notes.sent[0].document() == upstream.bodies()[0]
    assert notes.sent[0].size == len(upstream.requests[0][2])
    assert ("answered", 200) in notes.told


async def test_retry_and_fallback_are_attempts_of_their_own(gateway: Gateway, upstream: RawUpstream, at: Make) -> None:
    upstream.play(BUSY, BUSY, CHAT_OK)
    notes = Notes()
    await watched(gateway, notes, at(retries=1), at(label="other"))
    assert [each[1:] for each in notes.told if each[0] == "started"] == [("raw", 1), ("raw", 2), ("other", 1)]
    assert [error.code if error else None for error, _, _ in notes.ends] == ["provider_unavailable"] * 2 + [None]
    assert [error.status for error, _, _ in notes.ends[:2]] == [503, 503]
    assert notes.ends[2][1].usage.total_tokens == 5


async def test_a_connection_that_never_came_has_no_answer(gateway: Gateway, at: Make) -> None:
    notes = Notes()
    with pytest.raises(ChatError):
        await watched(gateway, notes, at(api_base="http://127.0.0.1:1"))
    assert notes.words == ["started", "sent", "ended"]
    assert notes.ends[0][0].code == "provider_unavailable"


async def test_a_request_that_cannot_be_written_was_not_sent(gateway: Gateway, at: Make) -> None:
    notes = Notes()
    with pytest.raises(ChatError):
        await watched(gateway, notes, at(), tools=[{"type": "magic"}])
    assert notes.words == ["started", "ended"]
    assert notes.ends[0][0].code == "invalid_request"


async def test_an_answer_that_broke_off_tells_how_much_came(gateway: Gateway, upstream: RawUpstream, at: Make) -> None:
    upstream.play([sse_head(), chat("Hel"), 0.05, chat("lo"), 0.05, CUT])
    notes = Notes()
    with pytest.raises(ChatError):
        await watched(gateway, notes, at())
    error, finish, chunks = notes.ends[0]
    assert (error.code, finish, chunks) == ("stream_interrupted", None, 2)


async def test_a_reader_who_leaves_ends_the_attempt(gateway: Gateway, upstream: RawUpstream, at: Make) -> None:
    upstream.play([sse_head(), chat("Hello"), HOLD])
    notes, first = Notes(), asyncio.Event()

    async def read() -> None:
        async for chunks in gateway.stream(ask(), [at()], notes):
            if any(isinstance(chunk, TextDelta) for chunk in chunks):
                first.set()

    task = asyncio.ensure_future(read())
    await asyncio.wait_for(first.wait(), 10)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert notes.ends == [(None, None, 1)]


async def test_a_model_without_a_free_stream_was_an_attempt(gateway: Gateway, upstream: RawUpstream, at: Make) -> None:
    upstream.play([sse_head(), chat("Hello"), HOLD])
    held = gateway.stream(ask(), [at(max_streams=1)])
    await anext(held)  # connecting: it has the one stream
    notes = Notes()
    with pytest.raises(ChatError):
        await watched(gateway, notes, at(max_streams=1, total=0.2))
    assert notes.words == ["started", "ended"]
    assert notes.ends[0][0].code == "provider_timeout"
    await held.aclose()


async def test_no_key_is_told(gateway: Gateway, upstream: RawUpstream, at: Make) -> None:
    """Neither the model's own, wherever it is repeated, nor what else looks like one among the parameters."""
    upstream.play(CHAT_OK)
    parameters = {"extra_headers": {"X-Auth": "hush-1"}, "user_api_key": "hush-2", "extra_body": {"secret": "hush-3"}}
    notes = Notes()
    await watched(gateway, notes, at(parameters=parameters), text=f"my key is {KEY}")
    text = json.dumps(notes.sent[0].document())
    assert KEY not in text
    assert "hush" not in text
    assert text.count(HIDDEN) >= 4
    assert KEY not in repr(notes.sent[0])


async def test_litellm_is_watched_without_its_key(gateway: Gateway, upstream: RawUpstream, at: Make) -> None:
    upstream.play(CHAT_OK)
    notes = Notes()
    await watched(gateway, notes, at("openai/m", transport="litellm"), max_tokens=7)
    document = notes.sent[0].document()
    assert document.keys() == {"model", "messages", "max_tokens", "stream", "stream_options"}
    assert document["messages"] == [{"role": "user", "content": "hello"}]
    assert (notes.sent[0].size, notes.words) == (None, ["started", "sent", "answered", "ended"])


async def test_nobody_needs_to_watch(gateway: Gateway, upstream: RawUpstream, at: Make) -> None:
    upstream.play(BUSY, CHAT_OK)
    assert (await stream(gateway, ask(), at(retries=1))).answer.text == "Hello world"


@pytest.mark.parametrize(
    ("url", "bare"),
    [
        ("https://user:pass@host:8/v1/chat?key=s#f", "https://host:8/v1/chat"),
        ("http://[::1]:9/v1", "http://[::1]:9/v1"),
        ("http://[broken", None),
        (None, None),
    ],
)
def test_urls_are_told_without_what_may_be_secret(url: str | None, bare: str | None) -> None:
    assert bare_url(url) == bare
