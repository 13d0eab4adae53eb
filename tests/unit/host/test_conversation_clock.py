"""The order of conversations does not depend on the clock's good behaviour."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from ai_assistant.core.conversation import Turn
from ai_assistant.core.session import User
from ai_assistant.host.conversations import SqlConversations
from ai_assistant.host.database import Database

ANN = User(name="ann@example.com")
NOON = datetime(2026, 11, 20, 12)
CLOCKS = {
    "stands still": [NOON] * 7,
    "steps back": [NOON - timedelta(hours=i) for i in range(7)],
    "goes on": [NOON + timedelta(hours=i) for i in range(7)],
}


@pytest.mark.parametrize("clock", CLOCKS.values(), ids=CLOCKS)
def test_the_last_written_is_first_and_pages_are_whole(tmp_path, clock):
    database = Database.open(tmp_path / "assistant.db")
    for i, now in enumerate(clock):
        with database.unit() as work:
            turn = Turn(
                user=ANN.name,
                conversation=f"c{i}",
                is_new=True,
                message_id=f"m{i}",
                task_id="t",
                model="demo",
                messages=[{"role": "user", "content": "Hello"}],
                title="Hello",
            )
            SqlConversations(work, now=lambda now=now: now).begin(turn)
    found, before = [], None
    with database.unit() as work:
        store = SqlConversations(work)
        while page := store.list(ANN, limit=2, before=before, search=None):
            found += [row.name for row in page]
            before = page[-1].modified
    assert found == [f"c{i}" for i in reversed(range(7))]
    database.close()
