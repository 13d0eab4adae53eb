"""The columns of AI Observation and AI Trace as events fill them: which there are, and who said what.

Each column that an event has said keeps a *stamp*, the number of that event, so that events may come in any order: the
later one of two wins, whichever is stored first. The stamps of a row are one short text, `versions`: groups of one
stamp and the letters of the columns that have it, `51a2b3c4d:abd;7…:ce`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from ai_assistant.core import trace as columns
from ai_assistant.traces import values

Check = Callable[[str, Any], Any]

RUNNING_STAMP: Final = 0
LOST_STAMP: Final = 1
"""Stamps below any event's: an observation runs until something is known, and was lost until its end is."""
LOST: Final = "producer_lost"
"""The `error_type` of observations whose producer has died."""

TRACE_LISTED: Final = (
    "name", "title", "status", "user", "started_at", "ended_at", "duration_ms", "model", "provider", "ttft_ms",
    "observation_count", "error_count", "cost", *columns.TOKENS, "error_message", "scores", "is_complete", "events",
    "missing_events", *columns.TRACE_INTS, "reference_doctype", "reference_name", "conversation", "session", "task_id",
    "message_id", "mode", "source", "service", "environment", "release", "cancelled_by",
)  # fmt: skip
"""Columns of a trace in lists: none of its payloads, and nothing that is for the writer only."""
OBSERVATION_LISTED: Final = (
    "span", *columns.OBSERVATION_WORDS, "error_message", "progress_message", "scores", *columns.OBSERVATION_INTS,
    *columns.OBSERVATION_FLOATS, *columns.OBSERVATION_TIMES, "duration_ms", "input_chars", "output_chars",
    "reasoning_kept", "producer",
)  # fmt: skip
# letters are written into databases: never change one, and never use one again
_OBSERVATION_LETTERS: Final = (
    "a parent|b type|c title|d status|e level|f model|g provider|h finish_reason|i error_type|j tool_call_id|"
    "k input|l output|m reasoning|n metadata|o marks|p error_stack|q error_message|r progress_message|s scores|"
    "t prompt_tokens|u completion_tokens|v reasoning_tokens|w cached_tokens|x total_tokens|y usage_estimated|"
    "z ttft_ms|A reasoning_ms|B reasoning_chars|C input_truncated|D output_truncated|E reasoning_truncated|"
    "F attempt|G segment_events|H cost|I confidence|J progress|K started_at|L ended_at"
)
_TRACE_LETTERS: Final = (
    "a title|b user|c session|d conversation|e task_id|f message_id|g mode|h environment|i release|j service|"
    "k source|l status|m reference_doctype|n reference_name|o cancelled_by|p input|q output|r reasoning|s metadata|"
    "t scores|u chunks_received|v events_emitted|w events_persisted|x acknowledged_seq|y tags"
)

_SPECIAL: Final[dict[str, Check]] = {
    "type": values.choice(columns.TYPES),
    "status": values.choice(columns.STATUSES),
    "level": values.choice(columns.LEVELS),
    "error_message": values.text(10_000),
    "progress_message": values.text(1_000),
    "scores": values.text(50_000),
    "error_stack": values.text(200_000),
    "cost": values.decimal(values.MAX_COST),
    "confidence": values.decimal(1.0),
    "progress": values.decimal(100.0),
    "tags": values.tags,
    **dict.fromkeys(("usage_estimated", "input_truncated", "output_truncated", "reasoning_truncated"), values.flag),
}


def _checks(words: Iterable[str], texts: Iterable[str], ints: Iterable[str], times: Iterable[str]) -> dict[str, Check]:
    return {
        **dict.fromkeys(words, values.word),
        **dict.fromkeys(texts, values.text()),
        **dict.fromkeys(ints, values.integer),
        **dict.fromkeys(times, values.moment),
    }


OBSERVATION_CHECKS: Final[dict[str, Check]] = {
    name: _SPECIAL.get(name, check)
    for name, check in (
        _checks(
            columns.OBSERVATION_WORDS, columns.OBSERVATION_TEXTS, columns.OBSERVATION_INTS, columns.OBSERVATION_TIMES
        )
        | dict.fromkeys(columns.OBSERVATION_FLOATS, values.decimal(1e9))
    ).items()
}
TRACE_CHECKS: Final[dict[str, Check]] = {
    name: _SPECIAL.get(name, check)
    for name, check in _checks(
        columns.TRACE_WORDS, columns.TRACE_TEXTS, (*columns.TRACE_INTS, columns.TRACE_TAGS), ()
    ).items()
}
"""What each field of an event goes through; it gives the value to store, or raises StoreError."""


MAX_WRITTEN: Final = 10_000
"""Combinations of columns that are remembered."""


class Letters:
    """The letters of a table's columns, both ways."""

    __slots__ = ("_written", "column", "letter")

    def __init__(self, table: str):
        pairs = [(entry[0], entry[2:]) for entry in table.split("|")]
        self.column = dict(pairs)
        self.letter = {column: letter for letter, column in pairs}
        self._written: dict[tuple[str, ...], str] = {}

    def written(self, columns: tuple[str, ...]) -> str:
        """The letters of these columns, in order. Most events say the same ones: they are put together once."""
        found = self._written.get(columns)
        if found is None:
            found = "".join(sorted(self.letter[column] for column in columns))
            if len(self._written) < MAX_WRITTEN:
                self._written[columns] = found
        return found


OBSERVATION_LETTERS: Final = Letters(_OBSERVATION_LETTERS)
TRACE_LETTERS: Final = Letters(_TRACE_LETTERS)


def read_stamps(text: str | None, letters: Letters) -> dict[str, int]:
    """The stamp of each column that was said."""
    found: dict[str, int] = {}
    for group in text.split(";") if text else ():
        stamp, _, names = group.partition(":")
        number = int(stamp, 16)
        for name in names:
            if name in letters.column:
                found[letters.column[name]] = number
    return found


def write_stamps(stamps: Mapping[str, int], letters: Letters) -> str:
    """The text that `read_stamps` reads: the same for the same stamps, in whatever order they are."""
    if len(set(stamps.values())) == 1:  # most observations are told of by one event
        return f"{next(iter(stamps.values())):x}:{letters.written(tuple(stamps))}"
    groups: dict[int, list[str]] = {}
    for column, stamp in stamps.items():
        if stamp in groups:
            groups[stamp].append(column)
        else:
            groups[stamp] = [column]
    return ";".join(f"{stamp:x}:{letters.written(tuple(names))}" for stamp, names in sorted(groups.items()))


class Change:
    """What events of a batch say of one row: values, and the stamp of each."""

    __slots__ = ("highest", "producer", "stamps", "values")

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.stamps: dict[str, int] = {}
        self.highest = 0
        """The highest place of an event in it."""
        self.producer = ""

    def take(self, said: Mapping[str, Any], stamp: int) -> None:
        """Takes values that an event has said; of two for the same column the one with the higher stamp stays."""
        if not self.stamps:
            self.values.update(said)
            self.stamps = dict.fromkeys(said, stamp)
            return
        stamps = self.stamps
        for column, value in said.items():
            if stamps.get(column, -1) < stamp:
                self.values[column] = value
                stamps[column] = stamp

    def merge(self, stored: str | None, letters: Letters) -> None:
        """Drops what a stored row knows better, and keeps the stamps of both."""
        known = read_stamps(stored, letters)
        for column, stamp in known.items():
            if self.stamps.get(column, -1) <= stamp:
                self.values.pop(column, None)
                self.stamps[column] = stamp
