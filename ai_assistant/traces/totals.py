"""What the observations of a trace come to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from ai_assistant.core.trace import TOKENS, Totals
from ai_assistant.traces.rows import LOST

TOTAL_COLUMNS: Final = (
    "span", "parent", "type", "title", "status", "level", "started_at", "ended_at", "error_type", "error_message",
    "model", "provider", "ttft_ms", "cost", *TOKENS, "input_chars", "output_chars", "reasoning_kept",
)  # fmt: skip
"""What must be read of each observation; numbers that are not known are `None`."""
MAX_WORDS: Final = 20_000
"""Characters of names and errors that are looked at for the search."""
SUMMED_ELSEWHERE: Final = ("agent", "span")
"""Types that repeat, in many programs, the usage of the calls below them: counted again it would be doubled."""

ROW_BYTES: Final = 1_000
"""What an observation takes besides its payloads, with its part of the indexes."""

Values = Sequence[Any]


def totals_of(rows: Iterable[Values]) -> Totals:
    """The totals of one trace's observations, each given by TOTAL_COLUMNS."""
    ordered = sorted(rows, key=_began)
    found = Totals(observations=len(ordered))
    words: dict[str, None] = {}
    length = 0
    for row in ordered:
        _, parent, type_, title, status, level, _, ended_at, error_type, error_message, *_ = row
        if status == "running":
            found.running += 1
        elif status == "failed" or level == "error":
            found.errors += 1
        if error_type == LOST:
            found.lost += 1
        if ended_at is not None and (found.ended_at is None or ended_at > found.ended_at):
            found.ended_at = ended_at
        if parent == "" and found.root is None:
            _take_root(found, row)
        if error_message and found.error_message is None:
            found.error_message = error_message
        found.size += ROW_BYTES + sum(chars or 0 for chars in row[19:])
        if type_ not in SUMMED_ELSEWHERE:
            _count_usage(found, row)
        for text in (title, error_type, error_message):
            if text and text not in words and length < MAX_WORDS:
                words[text] = None
                length += len(text)
    if ordered:
        found.started_at = ordered[0][6]
        found.first_title = next((row[3] for row in ordered if row[3]), None)
    found.words = "\n".join(words)
    return found


def _began(row: Values) -> tuple[bool, int, str]:
    """Sorts by the time of the beginning; those whose beginning has not arrived come last."""
    return row[6] is None, row[6] or row[7] or 0, row[0]


def _take_root(found: Totals, row: Values) -> None:
    found.root, found.root_title, found.root_status, found.root_ended_at = row[0], row[3], row[4], row[7]
    if row[9]:
        found.error_message = row[9]


def _count_usage(found: Totals, row: Values) -> None:
    """Adds tokens and cost, and takes model and first-token time of the first generation."""
    model, provider, ttft_ms, cost, prompt, completion, reasoning, cached, total = row[10:19]
    found.prompt_tokens += prompt or 0
    found.completion_tokens += completion or 0
    found.reasoning_tokens += reasoning or 0
    found.cached_tokens += cached or 0
    found.total_tokens += total if total is not None else (prompt or 0) + (completion or 0)
    if cost is not None:
        found.cost = (found.cost or 0.0) + cost
    if row[2] == "generation":
        if found.model is None:
            found.model, found.provider = model or None, provider or None
        if found.ttft_ms is None:
            found.ttft_ms = ttft_ms
