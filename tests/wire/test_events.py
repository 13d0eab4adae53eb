"""The events of a task: every field of every event, and the promises on real streams."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from .chunks import DONE, answer, finish, text, thought
from .client import Client, text_of
from .events import check_error, checked
from .script import Cut, Gate, Reply, Script
from .sockets import Listener

Ask = Callable[..., tuple[dict[str, Any], Script]]
Scripts = Callable[..., Script]


def test_a_whole_answer(user: Client, ask: Ask) -> None:
    """Start, reasoning, its closing, text, completion; each with all its fields."""
    task, _ = ask(answer("Hello there.", reasoning="A greeting."), mode="agent")
    record = checked(user.events(task["task_id"]), task["task_id"])
    kinds = list(dict.fromkeys(kind for kind in record.types if kind != "status"))
    assert kinds == ["start", "reasoning", "text", "completion"]
    assert record.events[0]["mode"] == "agent"
    assert (record.text, record.reasoning) == ("Hello there.", "A greeting.")
    end = record.end
    assert end["text"] == task["message"]["content"]
    assert [end[name] for name in ("finish_reason", "usage", "timings", "model", "provider")] == [
        task[name] for name in ("finish_reason", "usage", "timings", "model", "provider")
    ]
    assert {event["trace_id"] for event in record.events} == {task["trace_id"]}
    assert {event["gen"] for event in record.events} == {1}


def test_the_closing_of_a_reasoning_says_how_long_it_was(user: Client, ask: Ask) -> None:
    thinking = "Let me think about this for a while. " * 3
    task, _ = ask(answer("Yes.", reasoning=thinking))
    record = checked(user.events(task["task_id"]))
    (closing,) = record.closings
    assert closing["chars"] == len(thinking)
    assert closing["truncated"] is False
    assert record.reasoning == thinking


def test_reasoning_and_text_by_turns(user: Client, ask: Ask) -> None:
    """Offsets count over the whole task, and each reasoning is closed before the text behind it."""
    steps = [thought("One. "), text("A"), thought("Two. "), thought("Three."), text("B"), text("C")]
    task, _ = ask([*steps, finish(), DONE])
    record = checked(user.events(task["task_id"]))
    assert len(record.closings) == 2
    assert (record.text, record.reasoning) == ("ABC", "One. Two. Three.")
    assert task["message"]["reasoning"] == "One. Two. Three."


def test_start_is_there_before_the_provider_speaks(user: Client, script: Scripts) -> None:
    gate = Gate()
    played = script([gate, *answer("Late.")])
    task_id = user.start(played.messages())
    first = user.events(task_id)
    assert first[0]["type"] == "start", "published when the task is accepted"
    checked(first, task_id, ended=False)
    gate.open()
    user.finished(task_id)
    checked(user.events(task_id), task_id)


def test_the_first_delta_goes_out_at_once(user: Client, script: Scripts, socket: Listener) -> None:
    """It does not wait for a second piece, nor does the last one before a pause."""
    gates = [Gate(), Gate(), Gate()]
    played = script([gates[0], thought("Hm"), gates[1], text("A"), gates[2], text("B"), finish(), DONE])
    task_id = user.start(played.messages())
    for gate, kind, expected in zip(gates, ("reasoning", "text", "text"), ("Hm", "A", "AB"), strict=True):
        gate.open()
        socket.wait_for(task_id, lambda events, k=kind, e=expected: text_of(events, k) == e)
    checked(socket.wait_for_end(task_id), task_id)


def test_pieces_that_come_close_together_are_joined(user: Client, ask: Ask) -> None:
    words = "".join(f"word{number} " for number in range(1500))
    task, _ = ask([text(word + " ") for word in words.split()] + [finish(), DONE])
    record = checked(user.events(task["task_id"]))
    assert record.text == words
    assert len(record.of("text")) < 750, "joined within a frame of a screen"


@pytest.mark.parametrize("unit", ["x", "ü", "\n", '"', "👩", "\u0001"])
def test_a_long_delta_is_cut(user: Client, ask: Ask, unit: str) -> None:
    """At most 32 KiB an event, however the characters are written in JSON."""
    long = unit * 50_000
    task, _ = ask([thought(long), text(long), finish(), DONE])
    record = checked(user.events(task["task_id"]))
    assert record.text == long
    assert record.reasoning == long
    assert len(record.of("text")) >= 2


def test_long_arguments_of_a_tool_are_cut(user: Client, ask: Ask) -> None:
    from .chunks import calls

    arguments = '{"code": "' + "x" * 100_000 + '"}'
    tool = {"type": "function", "function": {"name": "write", "parameters": {"type": "object"}}}
    task, _ = ask(calls(("call_1", "write", arguments)), tools=[tool])
    record = checked(user.events(task["task_id"]))
    assert record.calls["call_1"]["arguments"] == arguments


@pytest.mark.parametrize("seed", range(6))
def test_any_cutting_of_the_stream_gives_the_same(user: Client, ask: Ask, seed: int) -> None:
    """The bytes of the provider's stream are cut anywhere, within characters too."""
    chance = random.Random(seed)
    words = "".join(chance.choice('ab \n"\\üß世👩‍👧\u2028<>&') for _ in range(400))
    thinking = "".join(chance.choice("xy é🧠\t") for _ in range(200))
    stream = b"".join(answer(words, reasoning=thinking))
    pieces = []
    while stream:
        length = chance.choice([1, 2, 3, 7, 50, 400, 3000])
        pieces.append(stream[:length])
        stream = stream[length:]
    task, _ = ask(Reply(pieces))
    record = checked(user.events(task["task_id"]))
    assert (record.text, record.reasoning) == (words, thinking)
    assert (task["message"]["content"], task["message"]["reasoning"]) == (words, thinking)


def test_an_error_brings_what_had_arrived(user: Client, ask: Ask) -> None:
    task, _ = ask([thought("Hm"), text("Half a "), text("sentence"), Cut()], model="shaky")
    ask(answer(), model="shaky")
    record = checked(user.events(task["task_id"]))
    assert record.end["type"] == "error"
    assert record.end["text"] == "Half a sentence"
    check_error(task["error"])
    assert task["error"] == {name: record.end[name] for name in ("code", "message", "retryable")}
    assert not record.open_reasoning, "its reasoning was closed before the text"


def test_the_events_name_conversation_and_message(user: Client, ask: Ask) -> None:
    task, _ = ask(answer(), conversation="new")
    record = checked(user.events(task["task_id"]))
    assert {event["conversation"] for event in record.events} == {task["conversation"]}
    assert {event["message_id"] for event in record.events} == {task["message_id"]}


def test_the_socket_brings_what_the_log_holds(user: Client, ask: Ask, socket: Listener) -> None:
    task, _ = ask(answer("Both ways.", reasoning="The same."))
    live = socket.wait_for_end(task["task_id"])
    assert live == user.events(task["task_id"])
    checked(live, task["task_id"])


def test_many_tasks_at_once_keep_their_events_apart(user: Client, script: Scripts, socket: Listener) -> None:
    scripts = [script(answer(f"Answer number {n}. " * 20, reasoning=f"Thought {n}. " * 10)) for n in range(12)]
    tasks = [user.start(played.messages()) for played in scripts]
    for n, task_id in enumerate(tasks):
        record = checked(socket.wait_for_end(task_id), task_id)
        assert record.text == f"Answer number {n}. " * 20
        assert record.reasoning == f"Thought {n}. " * 10
