"""Turns and outcomes for the store's tests."""

from __future__ import annotations

import itertools
from typing import Any

from ai_assistant.core.conversation import FinalMessage, Turn
from ai_assistant.core.session import User
from ai_assistant.core.task import Message, Outcome

# names that no site has: on a site these become users, and what they own is cleared away
ANN = User(name="ann@stores.example", roles=frozenset({"AI User"}))
BOB = User(name="bob@stores.example", roles=frozenset({"AI User"}))
MANAGER = User(name="boss@stores.example", roles=frozenset({"AI Manager"}))
_ids = itertools.count(1)


def turn(conversation: str = "c1", *, new: bool = True, **changes: Any) -> Turn:
    values: dict[str, Any] = {
        "user": ANN.name,
        "conversation": conversation,
        "is_new": new,
        "message_id": f"message{next(_ids)}",
        "task_id": "6f9619ff-8b86-4d11-b42d-00cf4fc964ff",
        "model": "fast",
        "messages": [{"role": "user", "content": "Hello"}],
        "title": "Hello",
    }
    return Turn(**(values | changes))


def final(of: Turn, content: str = "Hi", status: Any = "completed", **changes: Any) -> FinalMessage:
    message = Message(content=content, reasoning=changes.pop("reasoning", ""))
    message.tool_calls = changes.pop("tool_calls", [])
    message.thinking_blocks = changes.pop("thinking_blocks", [])
    return FinalMessage(
        user=of.user,
        conversation=of.conversation,
        message_id=of.message_id,
        task_id=of.task_id,
        outcome=Outcome(status=status, message=message, **changes),
    )
