"""A message as a row of AI Message, and back. Numbers that are not known are `None`, times are UTC without a zone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from ai_assistant.core.conversation import FinalMessage, StoredMessage, Turn, plain_text
from ai_assistant.core.task import Timings
from ai_assistant.core.text import storable
from ai_assistant.core.usage import Usage

TIMINGS = Timings.__struct_fields__
TOKENS = ("prompt_tokens", "completion_tokens", "reasoning_tokens", "cached_tokens", "total_tokens")
TEXTS = ("content", "reasoning", "content_parts", "thinking_blocks", "tool_calls", "error")
"""Columns without a limit of length."""
WORDS = ("model", "provider", "finish_reason", "error_code", "error_message", "tool_call_id", "task_id", "trace_id")
EMPTY: dict[str, Any] = {
    **dict.fromkeys((*TEXTS, *WORDS, *TOKENS, *TIMINGS, "cost")),
    **dict.fromkeys(("cost_known", "estimated"), 0),
}
"""Every column that a message need not fill, so that all rows have the same ones."""


def word(text: str | None) -> str | None:
    """What a provider says of itself, in the length of a Data field."""
    return storable(text)[:140] if text else None


def iso(moment: datetime) -> str:
    """ISO 8601 in UTC, with microseconds and a Z; tables hold UTC without a zone."""
    return moment.isoformat(timespec="microseconds") + "Z"


def new_row(turn: Turn, index: int) -> dict[str, Any]:
    """The `index`-th new message of a turn. Its name comes from the placeholder's, so that it is the same again."""
    message = turn.messages[index]
    role = message["role"]
    return {
        **EMPTY,
        "name": f"{turn.message_id}-{index + 1}",
        # OpenAI's newer name for the same role
        "role": "system" if role == "developer" else role,
        "status": "completed",
        **_content(message.get("content")),
        "reasoning": storable(message.get("reasoning") or message.get("reasoning_content") or ""),
        "tool_calls": _json(message.get("tool_calls")),
        "tool_call_id": message.get("tool_call_id"),
        "thinking_blocks": _json(message.get("thinking_blocks")),
        "task_id": turn.task_id,
    }


def placeholder_row(turn: Turn) -> dict[str, Any]:
    """The answer before its first word."""
    return {
        **EMPTY,
        "name": turn.message_id,
        "role": "assistant",
        "status": "streaming",
        **_content(""),
        "reasoning": "",
        "model": turn.model,
        "task_id": turn.task_id,
    }


def final_row(final: FinalMessage, now: datetime) -> dict[str, Any]:
    """What an outcome changes in the placeholder's row."""
    outcome, message = final.outcome, final.outcome.message
    row = {
        "status": final.status,
        **_content(message.content),
        "reasoning": storable(message.reasoning),
        "tool_calls": _json(message.tool_calls),
        "thinking_blocks": _json(message.thinking_blocks),
        "provider": word(outcome.provider),
        "finish_reason": word(outcome.finish_reason),
        **_usage_columns(outcome.usage),
        **_error_columns(outcome.error),
        **{name: getattr(outcome.timings, name) for name in TIMINGS},
        "task_id": final.task_id,
        "modified": now,
        "modified_by": final.user,
    }
    return row | ({"model": word(outcome.model)} if outcome.model else {})


def stored_message(row: Mapping[Any, Any]) -> StoredMessage:
    """The message of a row."""
    timings = {name: row[name] for name in TIMINGS}
    return StoredMessage(
        name=row["name"],
        role=row["role"],
        content=_read_content(row),
        status=row["status"],
        reasoning=row["reasoning"] or "",
        tool_calls=_parsed(row["tool_calls"]) or [],
        tool_call_id=row["tool_call_id"] or None,
        thinking_blocks=_parsed(row["thinking_blocks"]) or [],
        model=row["model"] or None,
        provider=row["provider"] or None,
        usage=_usage(row),
        finish_reason=row["finish_reason"] or None,
        error=_parsed(row["error"]),
        timings=timings if any(value is not None for value in timings.values()) else None,
        task_id=row["task_id"] or None,
        creation=iso(row["creation"]),
    )


def _content(content: str | list[dict[str, Any]] | None) -> dict[str, Any]:
    """`content` always holds the text, for people and for the search; the parts stand beside it."""
    text = storable(plain_text(content))
    if isinstance(content, list):
        return {"content": text, "content_format": "parts", "content_parts": _json(content)}
    return {"content": text, "content_format": "none" if content is None else "text", "content_parts": None}


def _read_content(row: Mapping[Any, Any]) -> str | list[dict[str, Any]] | None:
    if row["content_format"] == "parts":
        return _parsed(row["content_parts"])
    return None if row["content_format"] == "none" else row["content"] or ""


def _usage_columns(usage: Usage | None) -> dict[str, Any]:
    if usage is None:
        return {**dict.fromkeys(TOKENS), "cost": None, "cost_known": 0, "estimated": 0}
    return {
        **{name: getattr(usage, name) for name in TOKENS},
        "cost": usage.cost,
        "cost_known": int(usage.cost is not None),
        "estimated": int(usage.estimated),
    }


def _usage(row: Mapping[Any, Any]) -> Usage | None:
    if row["total_tokens"] is None:
        return None
    return Usage(
        **{name: row[name] or 0 for name in TOKENS},
        cost=row["cost"] if row["cost_known"] else None,
        estimated=bool(row["estimated"]),
    )


def _error_columns(error: dict[str, Any] | None) -> dict[str, Any]:
    if error is None:
        return {"error": None, "error_code": None, "error_message": None}
    return {
        "error": _json(error),
        "error_code": word(str(error.get("code") or "")),
        "error_message": storable(str(error.get("message") or "")),
    }


def _json(value: Any) -> str | None:
    """JSON as people can read it; nothing for what is empty."""
    return storable(json.dumps(value, ensure_ascii=False, separators=(",", ":"))) if value else None


def _parsed(text: str | None) -> Any:
    return msgspec.json.decode(text) if text else None
