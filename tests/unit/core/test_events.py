"""Events, their envelope and their size; titles."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from ai_assistant.core.conversation import title_of
from ai_assistant.core.events import EventWriter, cut_text, envelope, user_room
from ai_assistant.core.task import Task, TaskRef

TASK = Task(
    ref=TaskRef(site="s", user="u", id="i"), status="running", gen=2, seq=7, mode="ask", model="m", accepted_ms=0,
    trace_id="t",
)  # fmt: skip


def test_every_event_has_the_common_fields() -> None:
    event = json.loads(EventWriter(TASK).write("text", "x", True, offset=3))
    assert {k: event[k] for k in ("v", "task_id", "gen", "seq", "type", "text", "partial", "offset")} == {
        "v": 1, "task_id": "i", "gen": 2, "seq": 8, "type": "text", "text": "x", "partial": True, "offset": 3,
    }  # fmt: skip
    assert event["elapsed_ms"] == event["ts"]
    assert "conversation" not in event


def test_the_envelope_is_that_of_publish_realtime() -> None:
    prefix, suffix = envelope("site.one", user_room("a@b"))
    assert json.loads(prefix + b'{"x":1}' + suffix) == {
        "event": "ai_progress",
        "message": {"x": 1},
        "room": "user:a@b",
        "namespace": "site.one",
    }


@given(st.text(max_size=300), st.integers(40, 400))
def test_cut_texts_are_whole_and_small_enough(text: str, limit: int) -> None:
    pieces = cut_text(text, limit)
    assert "".join(pieces) == text
    assert all(len(json.dumps(piece, ensure_ascii=False).encode("utf-8")) <= limit + 2 for piece in pieces)


def test_titles() -> None:
    def title(text: str) -> str:
        return title_of([{"role": "system", "content": "s"}, {"role": "user", "content": text}])

    assert title("Explain  microservices\nplease") == "Explain microservices"
    assert title("") == "New conversation"
    long = title("word " * 40)
    assert len(long) <= 61
    assert long.endswith("word…")
    assert title_of([{"role": "user", "content": [{"type": "text", "text": "in parts"}]}]) == "in parts"
