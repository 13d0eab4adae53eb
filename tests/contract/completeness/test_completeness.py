"""Proof of completeness: whatever fails, each event that was made is stored, a dead letter, or reported as given up.

Five programs trace with the SDK while two consumers are killed again and again, Redis is killed and started with its
file twice, and the database refuses; one of them forks, one has so little room that it must give events up, one dies
with observations open. Among what they send is what no database takes, and somebody else sends what nobody can read.
Then all is counted, to the last event.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ai_assistant.core.trace_event import encode_event, pack
from ai_assistant.core.trace_keys import GROUP, ObservabilityKeys
from ai_assistant.traces.consumer_options import ConsumerOptions
from ai_assistant.traces.deadletters import DeadLetters
from ai_assistant.traces.health import trace_health
from ai_assistant.traces.ranges import Ranges
from tests.servers import RedisServer
from tests.trace_kit import SITE, Maker, TraceSites

ROOT = Path(__file__).parents[3]
HERE = Path(__file__).parent
PATIENCE_S = 60.0
OPTIONS = ConsumerOptions(
    block_ms=100,
    claim_idle_ms=2000,
    claim_s=0.3,
    beat_s=0.3,
    sites_s=0.3,
    producers_s=0.5,
    silent_s=8.0,
    pause_s=0.1,
    longest_pause_s=0.5,
)
"""A producer beats every 5 s, so that one which is silent for 8 s is dead."""
PROGRAMS: dict[str, dict[str, Any]] = {
    "plain": {},
    "forks": {"kind": "forks"},
    "tight": {"kind": "tight", "payload": 2000, "buffer_bytes": 100_000},
    "dies": {"kind": "dies"},
    "large": {"payload": 30_000, "pause_s": 0.02},
}
WRITERS = ("plain", "forks", "forks-child", "tight", "dies", "large")
"""Who writes down what it made: a child is a producer of its own."""
POISON = (
    "CREATE TRIGGER poison BEFORE INSERT ON ai_observation WHEN new.title = 'poison' "
    "BEGIN SELECT RAISE(ABORT, 'no database takes this'); END"
)
REFUSES_ALL = "CREATE TRIGGER refuses BEFORE INSERT ON ai_observation BEGIN SELECT RAISE(ABORT, 'out of order'); END"


def wait_until(look: Callable[[], Any], message: str) -> Any:
    """What `look` gives, as soon as that is something."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := look()):
        assert time.monotonic() < deadline, message
        time.sleep(0.02)
    return found


class Scene:
    """Redis, the site, and the processes of one run."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.redis = RedisServer(folder / "redis")
        self.sites = TraceSites(folder, busy_timeout=5.0)
        self.keys = ObservabilityKeys(SITE)
        self.programs: dict[str, subprocess.Popen[bytes]] = {}
        self.consumers: list[subprocess.Popen[bytes]] = []

    def start(self, main: str, name: str, orders: dict[str, Any], **options: Any) -> subprocess.Popen[bytes]:
        """A process of ours; what it logs goes into a file."""
        command = [sys.executable, str(HERE / main), msgspec.json.encode(orders).decode()]
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(command, stderr=log, env={**os.environ, "PYTHONPATH": str(ROOT)}, **options)

    def program(self, name: str, **orders: Any) -> None:
        """One that traces."""
        said = {"folder": str(self.folder), "name": name, "redis": self.redis.url, **orders}
        self.programs[name] = self.start("producer_main.py", name, said)

    def consumer(self) -> subprocess.Popen[bytes]:
        """One that stores; returns when it does."""
        orders = {"redis": self.redis.url, "folder": str(self.folder), "options": msgspec.to_builtins(OPTIONS)}
        one = self.start("consumer_main.py", "consumer", orders, stdout=subprocess.PIPE)
        assert one.stdout
        assert one.stdout.readline() == b"ready\n", self.log("consumer")
        self.consumers.append(one)
        return one

    def kill_consumer(self) -> None:
        """The one that has run longest is killed, in the middle of whatever it does."""
        victim = self.consumers.pop(0)
        victim.kill()
        victim.wait()
        if victim.stdout:
            victim.stdout.close()

    def log(self, name: str) -> str:
        """What a process logged."""
        return (self.folder / f"{name}.log").read_text()

    def stored(self) -> int:
        """Observations that are in the database."""
        return self.sites.observations()

    def more_stored(self, count: int = 200) -> None:
        """Returns when so many more are stored: the programs, the consumers and the database are at work."""
        goal = self.stored() + count
        wait_until(lambda: self.stored() >= goal, f"nothing is stored any more:\n{self.log('consumer')[-3000:]}")

    def waiting(self) -> int:
        """Entries on the stream."""
        with self.redis.client() as client:
            return int(client.xlen(self.keys.events))  # type: ignore[arg-type]

    def made(self, name: str) -> dict[str, Any]:
        """What a program wrote down, when it has."""
        path = self.folder / f"{name}.made"
        wait_until(path.exists, f"{name} did not come to its end:\n{self.log(name.partition('-')[0])[-3000:]}")
        return json.loads(path.read_text())

    def close(self) -> None:
        """Ends everything, whatever state it is in."""
        for process in (*self.programs.values(), *self.consumers):
            process.kill()
            process.wait()
            if process.stdout:
                process.stdout.close()
        self.redis.stop()
        self.sites.close()


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """Redis runs; nothing else yet."""
    found = Scene(tmp_path)
    found.redis.start()
    yield found
    found.close()


@pytest.mark.timeout(300)  # on a busy machine; alone it takes some 30 s
def test_every_event_is_accounted_for(scene: Scene) -> None:
    scene.sites.change(POISON)
    for name, orders in PROGRAMS.items():
        scene.program(name, **orders)
    for _ in range(2):
        scene.consumer()
    for name in WRITERS:
        wait_until((scene.folder / f"{name}.ready").exists, f"{name} did not begin:\n{scene.log(name.split('-')[0])}")
    by_hand = faults(scene)
    (scene.folder / "stop").touch()
    made = {name: scene.made(name) for name in WRITERS}
    settled(scene, made["dies"])
    numbers_add_up(scene, [*made.values(), by_hand])
    dead_letters_add_up(scene, made, by_hand)
    traces_add_up(scene, {trace: places for each in made.values() for trace, places in each["traces"].items()})
    nothing_is_double(scene, made)
    the_dead_ones_observations_are_interrupted(scene, made["dies"])
    assert made["tight"]["dropped"] > 0, "the one with little room had to give events up"
    assert not any(made[name]["dropped"] for name in WRITERS if name != "tight")


def faults(scene: Scene) -> dict[str, Any]:
    """All that happens while the programs work; gives what was sent by hand."""
    scene.more_stored()
    for _ in range(3):
        scene.kill_consumer()
        scene.consumer()
        scene.more_stored()
    redis_is_away(scene)
    with scene.sites.locked():
        wait_until(lambda: scene.waiting() > 20, "nothing waits while the database is locked")
        scene.kill_consumer()
    scene.consumer()
    scene.more_stored()
    sent = poison(scene)
    scene.sites.change(REFUSES_ALL)
    wait_until(lambda: scene.waiting() > 20, "nothing waits while the database refuses all")
    redis_is_away(scene)
    scene.sites.change("DROP TRIGGER refuses")
    scene.kill_consumer()
    scene.consumer()
    scene.more_stored()
    return sent


def redis_is_away(scene: Scene) -> None:
    """Redis is killed, and started again when the program with little room has had to give something up."""
    told = scene.folder / "tight.dropped"
    scene.redis.stop()
    told.unlink(missing_ok=True)
    (scene.folder / "away").touch()
    wait_until(told.exists, "no program ran out of room")
    (scene.folder / "away").unlink()
    scene.redis.start()


def poison(scene: Scene) -> dict[str, Any]:
    """What nobody can read, and what has wrong types, between sound events."""
    with scene.redis.client() as client:
        maker = Maker(client)
        sound, odd, lost = maker.whole(), maker.whole(started_at="soon"), maker.whole()
        unreadable = msgspec.msgpack.encode([lost.number, {"no": "kind"}])
        last = maker.whole()
        maker.send_raw(b=pack([encode_event(sound), encode_event(odd), unreadable, encode_event(last)]), n=4)
        for body in (b"", b"\xc1", os.urandom(100), pack([b"\x93"])):
            maker.send_raw(b=body, n=7)
        client.xadd(scene.keys.events, {"nothing": "of this"})
        return {"producer": maker.name, "made": 4, "dropped": 0, "poison": 2 + 5, "spans": 2}


def settled(scene: Scene, dead: dict[str, Any]) -> None:
    """Returns when nothing waits, and the program that died has been looked after."""
    wait_until(lambda: not scene.waiting(), f"entries are left:\n{scene.log('consumer')[-3000:]}")
    with scene.redis.client() as client:
        assert client.xpending(scene.keys.events, GROUP)["pending"] == 0  # type: ignore[index]
        interrupted = "SELECT count(*) FROM ai_observation WHERE status = 'interrupted'"
        wait_until(lambda: scene.sites.one(interrupted) == len(dead["open"]), "what the dead left open is not closed")
        wait_until(lambda: not client.hlen(scene.keys.producers), "producers that are gone are still listed")
        wait_until(lambda: client.hexists(scene.keys.counts, "missing_events"), "nobody counts what is missing")
        found = trace_health(client, SITE)["traces"]
    assert (found["backlog"], found["missing_events"]) == (0, 0)


def numbers_add_up(scene: Scene, made: list[dict[str, Any]]) -> None:
    """Made is stored, dead, or given up, to the last one; what was given up and came nevertheless counts once."""
    columns = "name, stored, dead, dropped, highest, stored_count, dead_count, dropped_count, missing_count"
    rows = {row[0]: row[1:] for row in scene.sites.rows(f"SELECT {columns} FROM ai_trace_producer")}
    for each in made:
        stored, dead, dropped, highest, *counts = rows.pop(each["producer"])
        together = Ranges()
        for text in (stored, dead, dropped):
            together.update(Ranges(text or ""))
        assert str(together) == f"1-{each['made']}", each["producer"]
        assert sum(counts) == int(highest) == each["made"], "a number is counted twice, or not at all"
        assert counts[3] == 0, "nothing is missing without a word"
        assert Ranges(dropped or "").count() == each["dropped"], "it has said of each event that it gave up"
    assert not rows, "there are producers that nobody knows"


def dead_letters_add_up(scene: Scene, made: dict[str, dict[str, Any]], by_hand: dict[str, Any]) -> None:
    """Each is there once, with its error, and each of the database's is one."""
    with scene.redis.client() as client:
        letters = DeadLetters(client, SITE).list(10_000)
        total = client.hget(scene.keys.counts, "dead")
    dead = dict(scene.sites.rows("SELECT name, dead_count FROM ai_trace_producer"))
    for each in made.values():
        mine = [letter.number for letter in letters if letter.producer == each["producer"]]
        assert len(set(mine)) == len(mine) == dead[each["producer"]]
        # what is poison may have been given up before
        assert len(mine) == each["poison"] or (each["dropped"] and len(mine) < each["poison"])
    assert sum(letter.producer in (by_hand["producer"], "") for letter in letters) == by_hand["poison"]
    assert all(letter.error for letter in letters)
    assert int(total or 0) == len(letters)


def traces_add_up(scene: Scene, made: dict[str, int]) -> None:
    """A trace that lost something says how much, and the others say that they are whole."""
    rows = scene.sites.rows("SELECT name, events, missing_events, is_complete, status FROM ai_trace")
    found = {name: rest for name, *rest in rows if name in made}
    for name, (events, missing, complete, status) in found.items():
        assert events + missing == made[name], name
        assert bool(complete) == (missing == 0 and status != "interrupted"), (name, missing, status)
    unknown = made.keys() - found.keys()
    assert not unknown, f"{len(unknown)} traces were lost without a word"
    incomplete = {name for name, (_, missing, *_) in found.items() if missing}
    assert incomplete, "some have lost events"


def nothing_is_double(scene: Scene, made: dict[str, dict[str, Any]]) -> None:
    """As many observations as were made by those who gave nothing up, but the poison."""
    for name, each in made.items():
        stored = scene.sites.one(
            "SELECT count(*) FROM ai_observation WHERE trace IN (SELECT name FROM ai_trace WHERE user = ?)"
            " OR (producer = ? AND title = 'left open')",
            f"{name}@example.com",
            each["producer"],
        )
        if each["dropped"]:
            assert stored <= each["spans"]
        else:
            # of what is sent in two events, begun and ended, only the one that names it is poison
            nameless = "SELECT count(*) FROM ai_observation WHERE producer = ? AND title IS NULL"
            assert stored == each["spans"] - each["poison"] + scene.sites.one(nameless, each["producer"]), name
    ids = "SELECT count(*) - count(DISTINCT trace || '/' || span) FROM ai_observation"
    assert scene.sites.one(ids) == 0


def the_dead_ones_observations_are_interrupted(scene: Scene, dead: dict[str, Any]) -> None:
    """And those of nobody else."""
    rows = scene.sites.rows("SELECT trace, status FROM ai_observation WHERE status IN ('interrupted', 'running')")
    assert sorted(rows) == sorted((trace, "interrupted") for trace in dead["open"])
