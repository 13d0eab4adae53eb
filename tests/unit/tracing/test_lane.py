"""What a lane tells of the events that it had to give up."""

from __future__ import annotations

from ai_assistant.core.trace_event import unpack_one
from ai_assistant.tracing.lane import Lane
from ai_assistant.tracing.trace_state import TraceState

AT = 1_767_225_600_000_000


def lane_with(events: int) -> Lane:
    lane = Lane("site", "producer")
    state = TraceState("1" * 32, lane, 1)
    for _ in range(events):
        lane.add("update", AT, state, "2" * 16, {"progress": 1.0})
    return lane


def reports(lane: Lane) -> list[dict]:
    return [event.fields for waiting in lane.waiting if (event := unpack_one(waiting.event)).kind == "drop"]


def test_a_report_that_is_dropped_itself_is_told_again_with_it():
    lane = lane_with(3)
    for _ in range(3):
        lane.drop_oldest("no room")
    lane.report_drops(AT)
    lane.drop_oldest("no room")
    lane.report_drops(AT)
    assert reports(lane) == [
        {"ranges": [[1, 4]], "traces": [["1" * 32, 1, 3, 3]], "reason": "no room", "count": 4},
    ]
    assert (lane.made, lane.dropped) == (5, 4)


def test_a_report_between_other_losses_names_each_number_once():
    lane = lane_with(4)
    lane.drop_oldest("no room")
    lane.report_drops(AT)
    for _ in range(4):
        lane.drop_oldest("no room")
    lane.report_drops(AT)
    (report,) = reports(lane)
    numbers = [number for first, last in report["ranges"] for number in range(first, last + 1)]
    assert sorted(numbers) == [1, 2, 3, 4, 5]
    assert (report["count"], report["traces"]) == (5, [["1" * 32, 1, 4, 4]])
