"""What a user's tokens of the day leave for one answer."""

from __future__ import annotations

from typing import Any

import redis.asyncio

from ai_assistant.core.errors import ChatError
from ai_assistant.core.task import TaskRef
from ai_assistant.core.usage import Usage
from ai_assistant.gateway.tokens import estimate_tokens
from ai_assistant.streams.connection import patiently
from ai_assistant.streams.keys import TaskKeys
from ai_assistant.worker.transcript import Transcript

CHARS_PER_TOKEN = 4


class Budget:
    """Counts an answer against what is left, by an estimate: the provider tells its count at the end only."""

    def __init__(self, per_day: int, left: int):
        """`per_day` 0: no limit."""
        self._per_day = per_day
        self._left = left

    @classmethod
    async def load(
        cls, client: redis.asyncio.Redis, ref: TaskRef, per_day: int, messages: list[dict[str, Any]]
    ) -> Budget:
        """What is left after a prompt of these messages."""
        if not per_day:
            return cls(0, 0)
        used = int(await patiently(lambda: client.get(TaskKeys(ref).tokens)) or 0)
        return cls(per_day, per_day - used - estimate_tokens(messages))

    def check(self, transcript: Transcript) -> None:
        """Raises ChatError `budget_exceeded` when the answer has used it up."""
        if self._per_day and tokens_of(transcript) > self._left:
            raise ChatError(
                "budget_exceeded",
                f"Your {self._per_day} tokens per day are used up; the limit ends at 00:00 UTC.",
            )


def tokens_of(transcript: Transcript) -> int:
    """The tokens of an answer, by the rule of four characters to one."""
    return -(-(transcript.text_chars + transcript.reasoning_chars) // CHARS_PER_TOKEN)


def usage_of_broken(transcript: Transcript) -> Usage | None:
    """Of an answer that broke off: what it brought was paid for, and counts against the user's budget."""
    tokens = tokens_of(transcript)
    return Usage(completion_tokens=tokens, total_tokens=tokens, estimated=True) if tokens else None
