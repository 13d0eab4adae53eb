"""What cannot be stored becomes a dead letter, alone; it can be shown, tried again, and deleted."""

from __future__ import annotations

import secrets
from typing import Any

import msgspec
import pytest

from ai_assistant.core.trace_event import encode_event, pack
from ai_assistant.traces.deadletters import DeadLetters, body_of_letter
from tests.trace_kit import QUICK, SITE, Maker, TraceSites, consuming, until

POISON = (
    "CREATE TRIGGER poison BEFORE INSERT ON ai_observation WHEN new.title = 'poison' "
    "BEGIN SELECT RAISE(ABORT, 'no'); END"
)


@pytest.fixture
def letters(maker: Maker) -> DeadLetters:
    """The dead letters of the site."""
    return DeadLetters(maker.client, SITE)


async def drained(maker: Maker) -> None:
    """Returns when nothing waits."""
    await until(lambda: not maker.client.xlen(maker.keys.events), "entries are left on the stream")


def producer(sites: TraceSites) -> tuple[Any, ...]:
    """What is known of the only producer."""
    (row,) = sites.rows("SELECT stored, dead, missing_count FROM ai_trace_producer")
    return row


async def test_only_what_the_database_refuses_is_dead(
    redis_url: str, sites: TraceSites, maker: Maker, letters: DeadLetters
) -> None:
    sites.change(POISON)
    events = [maker.whole(title="poison" if i in (7, 61) else "sound") for i in range(100)]
    maker.send(*events)
    async with consuming(redis_url, sites):
        await drained(maker)
    assert sites.observations() == 98
    newest, oldest = letters.list()
    assert (oldest.number, newest.number) == (8, 62)
    assert (oldest.kind, oldest.trace, oldest.span) == ("whole", events[7].trace, events[7].span)
    assert (oldest.producer, oldest.user, oldest.tries) == (maker.name, "", 1)
    assert "no" in oldest.error
    assert producer(sites) == ("1-7,9-61,63-100", "8,62", 0)
    lost = sites.rows("SELECT name FROM ai_trace WHERE missing_events > 0 OR NOT is_complete")
    assert sorted(lost) == sorted([(events[7].trace,), (events[61].trace,)]), "their traces say so"


async def test_dead_letters_that_are_tried_again_are_stored_or_dead_again(
    redis_url: str, sites: TraceSites, maker: Maker, letters: DeadLetters
) -> None:
    sites.change(POISON)
    trace = secrets.token_hex(16)
    maker.send(maker.whole(trace, title="poison"), maker.whole(trace, title="poison"), user="ann@example.com")
    async with consuming(redis_url, sites):
        await drained(maker)
        assert letters.count() == 2
        assert letters.retry(limit=1) == 1
        await until(lambda: sorted(letter.tries for letter in letters.list()) == [1, 2])
        assert sites.rows("SELECT missing_events, user FROM ai_trace") == [(2, "ann@example.com")]
        sites.change("DROP TRIGGER poison")
        assert letters.retry() == 2
        await until(lambda: sites.observations() == 2)
        assert letters.list() == []
        await drained(maker)
    assert producer(sites) == ("1-2", "", 0)
    assert sites.rows("SELECT missing_events, user FROM ai_trace") == [(0, "ann@example.com")]


async def test_an_event_of_a_wrong_kind_is_dead_at_once(
    redis_url: str, sites: TraceSites, maker: Maker, letters: DeadLetters
) -> None:
    maker.send(maker.whole(), maker.whole(started_at="yesterday"), maker.event("whole", "no trace", "no span"))
    async with consuming(redis_url, sites):
        await drained(maker)
    assert sites.observations() == 1
    assert sorted(letter.number for letter in letters.list()) == [2, 3]
    assert any("started_at" in letter.error for letter in letters.list())
    assert producer(sites) == ("1", "2-3", 0)


async def test_what_cannot_be_read_is_one_dead_letter(
    redis_url: str, sites: TraceSites, maker: Maker, letters: DeadLetters
) -> None:
    sound = maker.whole()
    maker.send(sound)
    maker.send_raw(b=b"\xc1nothing", n=3)
    maker.send_raw(b=b"not zlib", z=1)
    maker.send_raw()
    maker.client.xadd(maker.keys.events, {"b": b"", "p": b"\xff"})
    maker.client.xadd(maker.keys.events, {"x": "y"})
    async with consuming(redis_url, sites):
        await drained(maker)
        found = letters.list()
        assert [letter.kind for letter in found] == ["entry"] * 5
        assert found[-1].events == 3
        assert sites.observations() == 1
        assert letters.retry() == 5
        await until(lambda: letters.count() == 5 and all(letter.tries == 2 for letter in letters.list()))


async def test_an_event_that_cannot_be_read_spares_the_others_of_its_entry(
    redis_url: str, sites: TraceSites, maker: Maker, letters: DeadLetters
) -> None:
    first, lost, last = maker.whole(), maker.whole(), maker.whole()
    broken = msgspec.msgpack.encode([lost.number, 5, "no time"])
    body = pack([encode_event(first), broken, encode_event(last)])
    maker.send_raw(b=body, n=3)
    async with consuming(redis_url, sites):
        await drained(maker)
    assert sites.observations() == 2
    (letter,) = letters.list()
    assert (letter.kind, letter.bytes) == ("unreadable", len(broken))
    assert producer(sites) == ("1,3", "2", 0), "its number is not missing"


async def test_a_bomb_is_a_dead_letter(redis_url: str, sites: TraceSites, maker: Maker, letters: DeadLetters) -> None:
    import zlib

    maker.send_raw(b=zlib.compress(bytes(64 * 1024 * 1024)), z=1, n=1)
    async with consuming(redis_url, sites):
        await drained(maker)
    assert "16777216 bytes" in letters.list()[0].error


async def test_another_users_trace_is_not_touched(
    redis_url: str, sites: TraceSites, maker: Maker, letters: DeadLetters
) -> None:
    trace = secrets.token_hex(16)
    maker.send(maker.whole(trace), user="ann@example.com")
    async with consuming(redis_url, sites):
        await until(lambda: sites.observations() == 1)
        thief = Maker(maker.client)
        thief.send(thief.whole(trace), thief.whole(), user="bob@example.com")
        await drained(maker)
    assert sites.rows("SELECT count(*), user, max(missing_events) FROM ai_trace GROUP BY user ORDER BY user") == [
        (1, "ann@example.com", 0),
        (1, "bob@example.com", 0),
    ], "nobody can make another's trace look incomplete"
    assert letters.list()[0].user == "bob@example.com"


async def test_an_error_that_says_away_for_ever_is_looked_behind(
    redis_url: str, sites: TraceSites, maker: Maker, letters: DeadLetters
) -> None:
    """SQLite calls much an OperationalError: one event must not stop a site's traces for good."""
    sites.change(
        "CREATE TRIGGER poison AFTER INSERT ON ai_observation WHEN new.title = 'poison' BEGIN SELECT json('{'); END"
    )
    maker.send(*(maker.whole(title="poison" if i == 3 else "sound") for i in range(10)))
    options = msgspec.structs.replace(QUICK, pause_s=0.01, longest_pause_s=0.02)
    async with consuming(redis_url, sites, options):
        await drained(maker)
    assert sites.observations() == 9
    assert [letter.number for letter in letters.list()] == [4]


async def test_the_list_goes_back_page_by_page_and_letters_can_be_deleted(
    redis_url: str, sites: TraceSites, maker: Maker, letters: DeadLetters
) -> None:
    maker.send(*(maker.whole(cost="dear") for _ in range(25)))
    async with consuming(redis_url, sites):
        await drained(maker)
    first = letters.list(10)
    second = letters.list(20, before=first[-1].id)
    assert [letter.number for letter in (*first, *second)] == list(range(25, 0, -1))
    assert letters.list(ids=[first[0].id, "1-1"]) == [first[0]]
    assert letters.delete([first[0].id, "1-1"]) == 1
    assert letters.delete(limit=4) == 4
    assert [letter.number for letter in letters.list()] == list(range(24, 4, -1))
    assert letters.retry([first[0].id]) == 0, "it is gone"
    assert letters.delete() == 20
    assert letters.count() == 0


async def test_there_is_room_for_so_many(redis_url: str, sites: TraceSites, maker: Maker, letters: DeadLetters) -> None:
    maker.send(*(maker.whole(cost="dear") for _ in range(2000)))
    async with consuming(redis_url, sites, msgspec.structs.replace(QUICK, dead_letters=500)):
        await drained(maker)
    assert 500 <= letters.count() < 1000
    assert letters.list(1)[0].number == 2000, "the newest stay"


def test_what_a_letter_said_can_be_read(maker: Maker) -> None:
    event = maker.whole(input="hello")
    assert body_of_letter({b"b": encode_event(event)})[7] == {"input": "hello"}
    raw = {b"raw": b"1", b"b": pack([encode_event(event)])}
    assert body_of_letter(raw)[0][7] == {"input": "hello"}


async def test_dead_letters_take_no_more_of_redis_than_they_may(
    redis_url: str, sites: TraceSites, maker: Maker, letters: DeadLetters
) -> None:
    sites.change(POISON)
    size = 100_000
    maker.send(*[maker.whole(title="poison", input=secrets.token_hex(size // 2)) for _ in range(40)], per_entry=1)
    async with consuming(redis_url, sites, msgspec.structs.replace(QUICK, dead_letter_bytes=10 * size)):
        await drained(maker)
    assert 5 <= letters.count() <= 10
    assert letters.list()[0].number == 40, "the oldest have gone"
    assert len(producer(sites)[1]) > 0, "that they are dead is known all the same"
