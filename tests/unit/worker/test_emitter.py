"""The emitter's promises for any answer in any timing, through the real publisher and a real Redis."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ai_assistant.core.events import MAX_EVENT_BYTES
from ai_assistant.core.settings import Limits, Settings
from ai_assistant.streams.publisher import Command, Emission
from ai_assistant.streams.tasks import Tasks
from ai_assistant.worker.emitter import storable
from ai_assistant.worker.window import FRAME_S
from tests.kit import Client, Hands, check_promises, events_of, start

NO_LIMIT = Settings(limits=Limits(requests_per_minute=0, concurrent_tasks=0))


@dataclass(frozen=True)
class Piece:
    """What a provider sends: after a pause (ms), a piece of a kind. Kinds beside text and reasoning are calls' ids."""

    kind: str
    text: str
    pause: int

    def __repr__(self) -> str:
        return f"Piece({self.kind!r}, {self.text[:40]!r} ({len(self.text)}), {self.pause})"


TEXTS = st.one_of(
    st.text(max_size=8),
    st.text(alphabet='aé漢🙂\u0000\u2028"\\', max_size=12),
    st.sampled_from(["x" * 40_000, "🙂" * 9_000, "\x01" * 6_000]),
)
PIECES = st.lists(
    st.builds(
        Piece,
        st.sampled_from(["text", "text", "reasoning", "reasoning", "c1", "c2", "id:text", "id:reasoning"]),
        TEXTS,
        st.sampled_from([0, 0, 0, 0, 1, 3, 20]),
    ),
    max_size=40,
)
CALL_IDS = ["c1", "c2", "id:text", "id:reasoning"]


async def play(url: str, tasks: Tasks, pieces: list[Piece]) -> tuple[list[dict], list[tuple[float, dict]]]:
    """Plays pieces into an emitter; gives the log, and each event with the time at which it was handed over."""
    ref = start(tasks, settings=NO_LIMIT)
    handed: list[tuple[float, dict]] = []
    async with Hands(url) as hands:
        task = await hands.claim()
        submit = hands.publisher.submit

        def watched(item: Emission | Command) -> None:
            if isinstance(item, Emission):
                handed.append((asyncio.get_running_loop().time(), json.loads(item.message)))
            submit(item)

        hands.publisher.submit = watched  # type: ignore[method-assign]  # looked at, and handed on
        emitter = hands.emitter(task)
        for piece in pieces:
            if piece.pause:
                await asyncio.sleep(piece.pause / 1000)
            before = len(handed)
            feed(emitter, piece)
            if piece.text and not any(is_delta(event) for _, event in handed[:before]):
                assert len(handed) > before, "the first delta was held back"
        assert await hands.complete(emitter, task) == 1
        assert hands.lost == []
    return events_of(tasks, ref), handed


def feed(emitter, piece: Piece) -> None:
    """One piece as the runner gives it."""
    if piece.kind == "text":
        emitter.text(piece.text)
    elif piece.kind == "reasoning":
        emitter.reasoning(piece.text)
    else:
        index = CALL_IDS.index(piece.kind)
        new = index not in emitter.transcript.calls
        id_ = piece.kind.removeprefix("id:")
        emitter.tool_call(index, id_ if new else None, "look" if new else None, piece.text)


def is_delta(event: dict) -> bool:
    """Whether an event carries a piece of the answer."""
    return event["partial"]


def kind_of(event: dict) -> str:
    """What a delta adds to."""
    return f"{event['type']} {event.get('tool_call_id', '')}"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pieces=PIECES)
@example(pieces=[Piece("id:text", "{}", 0), Piece("text", "a", 0), Piece("id:text", "x", 0), Piece("text", "b", 0)])
@example(pieces=[Piece("reasoning", "", 0), Piece("text", "", 0)])
def test_any_answer_in_any_timing(redis_url: str, tasks: Tasks, pieces: list[Piece]) -> None:
    events, handed = asyncio.run(play(redis_url, tasks, pieces))
    client = check_promises(events)  # numbers, offsets, reasoning closed before text, joined deltas = completion
    want = {kind: "".join(p.text for p in pieces if p.kind == kind) for kind in {p.kind for p in pieces}}
    assert client.text == want.pop("text", "")
    assert client.reasoning == want.pop("reasoning", "")
    assert {id_: call["arguments"] for id_, call in client.calls.items()} == {
        kind.removeprefix("id:"): text for kind, text in want.items()
    }
    check_sizes(events)
    check_reasoning(events)
    if all(len(piece.text) < 5_000 for piece in pieces):  # longer ones are cut into several
        check_spacing(handed)


def check_sizes(events: list[dict]) -> None:
    """No delta is longer than it may be."""
    for event in events:
        if event["partial"]:
            raw = json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
            assert len(raw) <= MAX_EVENT_BYTES


def check_reasoning(events: list[dict]) -> None:
    """Each stretch of thinking is closed once, with its length in characters."""
    chars = 0
    for event in events:
        if event["type"] == "reasoning" and event["partial"]:
            chars += len(event["text"])
        elif event["type"] == "reasoning":
            assert (event["chars"], event["text"]) == (chars, "")
            assert event["reasoning_ms"] >= 0
            chars = 0
    assert chars == 0


def check_spacing(handed: list[tuple[float, dict]]) -> None:
    """Deltas of one kind that follow each other are a frame apart, but when
    the kind changes behind them: what was held then goes out before its time."""
    deltas = [(i, at, event) for i, (at, event) in enumerate(handed) if is_delta(event)]
    for (i, earlier, first), (j, later, second) in pairwise(deltas):
        forced = j + 1 >= len(handed) or kind_of(handed[j + 1][1]) != kind_of(second) or not is_delta(handed[j + 1][1])
        if j == i + 1 and kind_of(first) == kind_of(second) and not forced:
            assert later - earlier >= FRAME_S * 0.95


async def test_a_steady_stream_is_joined_to_frames(redis_url: str, tasks: Tasks) -> None:
    """The figure of the contract: at most one event per task and 16 ms, at 500 tokens a second."""
    _, handed = await play(redis_url, tasks, [Piece("text", f"{i} ", 2) for i in range(150)])
    times = [at for at, event in handed if is_delta(event)]
    assert all(later - earlier >= FRAME_S * 0.95 for earlier, later in pairwise(times[:-1]))
    assert len(times) >= 3


async def test_the_first_delta_goes_out_at_once_behind_a_status(redis_url: str, tasks: Tasks) -> None:
    start(tasks)
    async with Hands(redis_url) as hands:
        task = await hands.claim()
        emitter = hands.emitter(task)
        emitter.status(state="connecting", detail="", attempt=1)
        emitter.text("first")
        assert [type(item).__name__ for item in hands.publisher._queue] == ["Emission"] * 2
        emitter.text(" second")
        assert len(hands.publisher._queue) == 2
        assert await hands.complete(emitter, task) == 1


async def test_an_empty_piece_is_no_delta(redis_url: str, tasks: Tasks) -> None:
    ref = start(tasks)
    async with Hands(redis_url) as hands:
        task = await hands.claim()
        emitter = hands.emitter(task)
        emitter.reasoning("")
        emitter.text("")
        assert emitter.first_delta_ms is None
        assert await hands.complete(emitter, task) == 1
    assert [event["type"] for event in events_of(tasks, ref)] == ["start", "completion"]


@pytest.mark.parametrize("text", ["a\ud800b", "\udc00", "ok\ud83d"])
async def test_half_a_character_does_not_hang_the_task(redis_url: str, tasks: Tasks, text: str) -> None:
    ref = start(tasks)
    async with Hands(redis_url) as hands:
        task = await hands.claim()
        emitter = hands.emitter(task)
        emitter.reasoning(text)
        emitter.text("a")
        emitter.text(text)
        emitter.tool_call(0, f"id{text}", f"name{text}", text)
        emitter.tool_call(0, None, None, text)
        assert await hands.complete(emitter, task) == 1
    assert check_promises(events_of(tasks, ref)).text == "a" + storable(text)


async def test_a_lost_emitter_says_so_and_is_quiet(redis_url: str, tasks: Tasks) -> None:
    ref = start(tasks)
    async with Hands(redis_url) as hands:
        task = await hands.claim()
        emitter = hands.emitter(task)
        tasks.client.hset(f"ai_assistant:{ref.site}:task:{ref.user}:{ref.id}", "gen", 2)
        emitter.text("a")
        assert await hands.owns(task) == -2
        emitter.text("b")
        await asyncio.sleep(0.03)
        assert await hands.owns(task) == -2
        assert hands.lost == [-2], "it went on after it had lost the task"
    assert [event["type"] for event in events_of(tasks, ref)] == ["start"]


async def test_a_reconnecting_client_of_a_folded_log(redis_url: str, tasks: Tasks) -> None:
    ref = start(tasks)
    async with Hands(redis_url) as hands:
        task = await hands.claim()
        emitter = hands.emitter(task)
        emitter.limit_log(1_000)
        for i in range(50):
            emitter.text(f"{i} ")
            emitter.flush()
        assert await hands.complete(emitter, task) == 1
    client = Client()
    for event in events_of(tasks, ref):
        client.take(event)
    assert client.text == "".join(f"{i} " for i in range(50))
    assert tasks.events(ref, 0, 1)["gap"]
