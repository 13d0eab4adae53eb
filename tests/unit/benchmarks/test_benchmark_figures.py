"""Percentiles, stamps, paces and verdicts of the streaming benchmark."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from streaming_parts.compare import COLUMNS, comparison
from streaming_parts.generator import UpstreamStats
from streaming_parts.job import Result
from streaming_parts.loads import ON_SITE, Must, loads_of, on_site
from streaming_parts.pace import Pace, pace_of
from streaming_parts.realtime import Event
from streaming_parts.report import Report, text_of
from streaming_parts.row import Row, checks_of
from streaming_parts.stamps import RawReader, StampReader, token
from streaming_parts.stats import latency_of, percentile
from streaming_parts.task_watch import Tally, TaskWatch
from streaming_parts.usage import Processes, Serving


@pytest.mark.parametrize(("share", "value"), [(0.5, 50), (0.95, 95), (0.99, 99), (1.0, 100), (0.0, 1), (0.001, 1)])
def test_percentile_is_nearest_rank(share: float, value: int):
    assert percentile(list(range(1, 101)), share) == value


def test_percentile_of_nothing_is_an_error():
    with pytest.raises(ValueError, match="empty"):
        percentile([], 0.5)


@settings(deadline=None)
@given(st.lists(st.integers(0, 10**12), min_size=1), st.floats(0, 1))
def test_percentile_covers_its_share(values: list[int], share: float):
    found = percentile(sorted(values), share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values) - 1e-6


def test_latency_is_in_milliseconds():
    found = latency_of([3_000_000, 1_000_000, 2_000_000])
    assert found is not None
    assert (found.p50, found.p99, found.max, found.count) == (2.0, 3.0, 3.0, 3)
    assert latency_of([]) is None


@settings(deadline=None)
@given(st.data())
def test_tokens_are_found_however_they_are_cut(data: st.DataObject):
    count = data.draw(st.integers(1, 30))
    text = "".join(f"[{i}:{1_000 + i}] " for i in range(count))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=20)))
    reader, raw = StampReader(count), StampReader(count)
    raw_reader = RawReader(raw)
    latencies, raw_latencies = [], []
    for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
        latencies += reader.feed(text[start:end], 5_000)
        raw_latencies += raw_reader.feed(text[start:end].encode(), 5_000)
    assert latencies == raw_latencies == [4_000 - i for i in range(count)]
    assert reader.delivered == count
    assert (reader.duplicates, reader.out_of_order, reader.first_stamp) == (0, 0, 1_000)


def test_raw_reader_finds_tokens_in_json_and_frames():
    reader = StampReader(2)
    event = 'data: {{"choices":[{{"index":0,"delta":{{"content":"{}"}}}}]}}\n\n'
    data = "".join(event.format(f"[{i}:7] ") for i in range(2)).encode()
    raw = RawReader(reader)
    assert raw.feed(data[:70], 10) + raw.feed(data[70:], 10) == [3, 3]


def test_a_token_carries_the_clock_of_its_writing():
    before = time.monotonic_ns()
    reader = StampReader(1)
    (latency,) = reader.feed(token(0), time.monotonic_ns())
    assert reader.first_stamp is not None
    assert before <= reader.first_stamp <= time.monotonic_ns()
    assert latency >= 0


def test_repeated_missing_and_disordered_tokens_are_counted():
    reader = StampReader(4)
    reader.feed("[0:1] [2:1] [2:1] ", 2)
    assert (reader.delivered, reader.duplicates, reader.out_of_order) == (2, 1, 1)


@pytest.mark.parametrize(
    ("name", "pace"),
    [
        ("steady-50-10", Pace(500, 1, 20_000_000)),
        ("openai/steady-50-0.5", Pace(25, 1, 20_000_000)),
        ("bursty-200-2", Pace(400, 10, 50_000_000)),
        ("bursty-200-2-4", Pace(800 // 2, 4, 20_000_000)),
        ("once-20", Pace(20, 20, 0)),
    ],
)
def test_the_model_names_the_pace(name: str, pace: Pace):
    assert pace_of(name) == pace


@pytest.mark.parametrize("name", ["gpt-4", "steady-0-10", "steady-50", "bursty-200-2-0", ""])
def test_other_models_are_refused(name: str):
    with pytest.raises(ValueError, match="model"):
        pace_of(name)


def test_tokens_are_due_without_drift():
    pace = pace_of("steady-30-100")
    assert pace.due_ns(0) == 0
    assert abs(pace.due_ns(2999) - 2999 * 10**9 / 30) < 3000
    assert [pace_of("bursty-200-1").due_ns(i) for i in (0, 9, 10)] == [0, 0, 50_000_000]


async def test_events_of_a_task_are_judged():
    watch = TaskWatch("t", 3)
    events = [
        Event("start", seq=1),
        Event("text", seq=2, text="[0:5] ", partial=True, ts=100),
        Event("text", seq=3, text="[1:5] ", partial=True, ts=110),
        Event("text", seq=5, text="[2:5] ", partial=True, ts=112),
        Event("completion", seq=6, text="[0:5] [1:5] [2:5] "),
    ]
    for event in events:
        watch.take(event, 10)
    tally = Tally()
    tally.add(watch)
    assert watch.spacings == [10]  # what is held at the end goes out at once
    assert (tally.delivered, tally.deltas, tally.events, tally.wrong_seq) == (3, 3, 5, 1)
    assert (tally.completed, tally.text_differs, tally.spacings_below_16_ms) == (1, 0, 1)


def row_of(core: float = 0.1, **tally: int) -> Row:
    load = next(load for load in loads_of(1, 10) if load.name == "50")
    sums = Tally(chats=1, completed=1, expected=100, delivered=100)
    for name, value in tally.items():
        setattr(sums, name, value)
    result = Result(tally=sums, latency=latency_of([1_000_000]), first_event=None, ask_to_first=None, cpu_s=0, wall_s=1)
    stats = UpstreamStats(cpu_s=0, requests=1, tokens=100, late_tokens=0, latest_ms=0)
    row = Row(load=load, result=result, upstream=stats, upstream_core=core, client_core=0.1)
    row.checks = checks_of(row)
    return row


@pytest.mark.parametrize(
    "fault", [{"delivered": 99}, {"duplicates": 1}, {"wrong_seq": 1}, {"completed": 0}, {"text_differs": 1}]
)
def test_any_fault_of_delivery_fails_the_load(fault: dict[str, int]):
    assert row_of().is_met
    assert not row_of(**fault).is_met


def test_a_run_of_a_busy_generator_is_void():
    machine = {"cpu": "c", "cores": 2, "memory_gib": 1, "system": "s", "python": "3", "versions": {}}
    machine |= {"commit": "c", "load_before": 0}
    report = Report(machine=machine, is_quick=False, rows=[row_of(core=0.81)])
    assert report.is_void
    assert "VOID" in text_of(report, markdown=True)
    assert not Report(machine=machine, is_quick=False, rows=[row_of(core=0.8)]).is_void


def compared(host: str, p50: int, cpu: float | None) -> Row:
    row = row_of()
    row.host, row.cpu_us_per_token = host, cpu
    row.result.latency = latency_of([p50 * 1_000_000])
    return row


def test_two_hosts_stand_side_by_side_with_their_medians():
    rows = [compared("site", p50, 300.0) for p50 in (2, 9, 4)] + [compared("embedded", 2, 100.0)]
    site, embedded, quotient = comparison(rows)
    column = {name: number for number, name in enumerate(COLUMNS)}
    assert (site[column["runs"]], site[column["p50 ms"]], site[column["delivered"]]) == ("3", "4.0", "300/300")
    assert (embedded[column["runs"]], embedded[column["p50 ms"]]) == ("1", "2.0")
    assert (quotient[column["p50 ms"]], quotient[column["CPU µs/token"]]) == ("× 2.0", "× 3.0")
    assert quotient[column["first event ms"]] == "–"
    assert comparison(rows[:3]) == comparison([row_of()]) == []


def test_a_site_is_judged_by_its_own_targets():
    loads = {load.name: load for load in loads_of(1, 10)}
    assert on_site(loads["25"]).must == Must(p99_ms=100)
    assert on_site(loads["50"]).must == Must()
    assert on_site(loads["bursty-20"]).must == Must(one_event_per_frame=True)
    assert on_site(loads["litellm-50"]).must is None
    assert set(ON_SITE) <= set(loads)


@pytest.mark.parametrize(("text", "parsed"), [("12", Serving(12)), ("web=34", Serving(34, "web"))])
def test_a_serving_process_may_have_a_name(text: str, parsed: Serving):
    assert Serving.parse(text) == parsed


def test_the_cpu_of_named_processes_is_told_apart():
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        try:
            processes = Processes([Serving(busy.pid, "busy"), Serving(os.getpid())])
            before = processes.look()
            time.sleep(0.5)
            after = processes.look()
        finally:
            busy.kill()
    used = after.parts["busy"] - before.parts["busy"]
    assert set(after.parts) == {"busy"}
    # the two are read one after the other, while the process goes on, and the kernel counts in ticks of 10 ms
    assert 0 < used <= after.cpu_s - before.cpu_s + 0.1
