"""Which fields of an event are looked through for secrets, and how."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from ai_assistant.core.trace import OBSERVATION_WORDS, TRACE_TAGS, TRACE_WORDS
from ai_assistant.tracing.redact import Redactor

MASKED: Final = frozenset((
    "input", "output", "reasoning", "metadata", "error_message", "error_stack", "progress_message", "scores", "title",
))  # fmt: skip
"""Fields that may hold what somebody wrote; all of them are texts."""
MASKED_WORDS: Final = frozenset((*OBSERVATION_WORDS, *TRACE_WORDS, "marks")) - MASKED - {
    "parent", "type", "status", "level", "conversation", "task_id", "message_id", "mode", "user", "cancelled_by",
    "reference_doctype", "reference_name",
}  # fmt: skip
"""Short ones that a secret may have found its way into. A mask of the program's own does not get them, for most are
names that reviews go by; what says whose a trace is, and what it is about, stays as it is."""


@lru_cache(1000)
def masked_names(fields: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Those of the fields that are MASKED, and those that are MASKED_WORDS. Most events say the same ones."""
    return tuple(name for name in fields if name in MASKED), tuple(name for name in fields if name in MASKED_WORDS)


def masked_fields(redactor: Redactor, fields: dict[str, Any]) -> dict[str, Any]:
    """The fields without secrets. They are looked through together first: most events have none."""
    names, words = masked_names(tuple(fields))
    for name in names + words:
        if type(fields[name]) is not str:
            fields[name] = str(fields[name])
    tags = fields.get(TRACE_TAGS) or ()
    if redactor.is_harmless("\n".join([*map(fields.__getitem__, names + words), *tags])):
        return fields
    for name in names:
        masked = redactor.text(fields[name])
        fields[name] = masked if name != "title" else masked[:140]
    for name in words:
        fields[name] = redactor.word(fields[name])
    if tags:
        fields[TRACE_TAGS] = [redactor.word(tag) for tag in tags]
    return fields
