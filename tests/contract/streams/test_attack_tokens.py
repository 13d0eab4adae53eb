"""Figures that Redis cannot count must not keep a task from its end."""

from __future__ import annotations

import pytest
import redis

from ai_assistant.core.task import Message, Outcome
from ai_assistant.streams import keys as names
from ai_assistant.streams import scripts
from ai_assistant.streams.settle import MAX_TOKENS, end_arguments
from ai_assistant.streams.tasks import Tasks
from tests.kit import SCOPE, Hands, check_promises, events_of, start


@pytest.mark.parametrize("tokens", [2**63, 10**40])
async def test_a_task_ends_whatever_was_counted(tasks: Tasks, redis_url: str, client: redis.Redis, tokens: int) -> None:
    ref = start(tasks)
    async with Hands(redis_url) as hands:
        task = await hands.claim()
        emitter = hands.emitter(task)
        emitter.text("done")
        emitter.close()
        outcome = Outcome(status="completed", message=Message(content="done"), finish_reason="stop")
        event = emitter.writer.write("completion", "done", tool_calls=[])
        seq = emitter.writer.seq
        keys, args = end_arguments(names.ScopeKeys(SCOPE), task, seq, "own", outcome, event, tokens=tokens)
        assert await hands.publisher.command(scripts.END, keys, args) == 1
    assert tasks.get(ref).status == "completed"
    assert check_promises(events_of(tasks, ref)).end["text"] == "done"
    assert int(client.get(names.TaskKeys(ref).tokens) or 0) == MAX_TOKENS
