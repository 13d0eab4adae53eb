"""Any sequence of calls, by three users, leaves a ConversationStore in the state that a plain dict would be in."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from store_factories import examples, factories
from store_samples import ANN, BOB, MANAGER, final, turn

from ai_assistant.core.errors import DoesNotExistError

USERS = st.sampled_from([ANN, BOB])
CONVERSATIONS = st.sampled_from(["c1", "c2", "c3"])
TEXTS = st.text(st.characters(blacklist_categories=["Cs"]), max_size=20)
STATUSES = st.sampled_from(["completed", "failed", "cancelled"])


class ConversationMachine(RuleBasedStateMachine):
    """`model`: name → (owner, title, [[message name, content, status], …]); `order`: names, the last written last."""

    stores = None

    def __init__(self):
        super().__init__()
        self.model = {}
        self.order = []
        self.turns = []
        for name in ("c1", "c2", "c3"):
            for user in (ANN, BOB):
                self.try_delete(user, name)

    def try_delete(self, user, name):
        try:
            with self.stores() as store:
                store.delete(user, name)
        except DoesNotExistError:
            return False
        return True

    def touch(self, name):
        self.order = [*(other for other in self.order if other != name), name]

    def may_begin(self, each):
        if each.conversation not in self.model:
            return each.is_new
        return self.model[each.conversation][0] == each.user

    @rule(user=USERS, name=CONVERSATIONS, new=st.booleans(), texts=st.lists(TEXTS, min_size=1, max_size=3))
    def begin(self, user, name, new, texts):
        messages = [{"role": "user", "content": text} for text in texts]
        self.begin_turn(turn(name, new=new, user=user.name, messages=messages))

    @precondition(lambda self: self.turns)
    @rule(data=st.data())
    def begin_again(self, data):
        self.begin_turn(data.draw(st.sampled_from(self.turns)))

    def begin_turn(self, each):
        if not self.may_begin(each):
            with pytest.raises(DoesNotExistError), self.stores() as store:
                store.begin(each)
            return
        with self.stores() as store:
            history = store.begin(each)
        _, _, messages = self.model.setdefault(each.conversation, (each.user, each.title, []))
        written = [name for name, _, _ in messages]
        if each.message_id in written:
            at = written.index(each.message_id)
            messages[at][2] = "completed" if messages[at][2] == "completed" else "streaming"
            start = at - len(each.messages)
        else:
            start = len(messages)
            for i, message in enumerate(each.messages):
                messages.append([f"{each.message_id}-{i + 1}", message["content"], "completed"])
            messages.append([each.message_id, "", "streaming"])
            self.turns.append(each)
            self.touch(each.conversation)
        assert [[m.name, m.content, m.status] for m in history] == messages[:start]

    @precondition(lambda self: self.turns)
    @rule(data=st.data(), content=TEXTS, status=STATUSES)
    def finish(self, data, content, status):
        outcome = final(data.draw(st.sampled_from(self.turns)), content, status)
        with self.stores() as store:
            store.finish(outcome)
        for row in self.model.get(outcome.conversation, (None, None, []))[2]:
            if row[0] == outcome.message_id and row[2] != "completed":
                row[1:] = [content, outcome.status]
                self.touch(outcome.conversation)

    @rule(user=USERS, name=CONVERSATIONS, title=st.text("ab 🧠%_", min_size=1, max_size=10).filter(str.strip))
    def rename(self, user, name, title):
        if self.model.get(name, (None,))[0] != user.name:
            with pytest.raises(DoesNotExistError), self.stores() as store:
                store.rename(user, name, title)
            return
        with self.stores() as store:
            store.rename(user, name, title)
        owner, _, messages = self.model[name]
        self.model[name] = (owner, title.strip(), messages)

    @rule(user=USERS, name=CONVERSATIONS)
    def delete(self, user, name):
        assert self.try_delete(user, name) == (self.model.get(name, (None,))[0] == user.name)
        if self.model.get(name, (None,))[0] == user.name:
            del self.model[name]
            self.order.remove(name)

    @rule(user=USERS, search=st.text("ab 🧠%_", min_size=1, max_size=3).filter(str.strip))
    def search(self, user, search):
        with self.stores() as store:
            found = [row.name for row in store.list(user, limit=10, before=None, search=search)]
        words = search.strip().lower()
        assert found == [name for name in self.owned(user) if words in self.texts(name).lower()]

    def texts(self, name):
        _, title, messages = self.model[name]
        return "\x01".join([title, *(content for _, content, _ in messages)])

    def owned(self, user):
        return [name for name in reversed(self.order) if self.model[name][0] == user.name]

    @invariant()
    def lists_are_as_the_model_says(self):
        with self.stores() as store:
            found = {user: store.list(user, limit=10, before=None, search=None) for user in (ANN, BOB)}
        for user, rows in found.items():
            assert [row.name for row in rows] == self.owned(user)
            assert [row.message_count for row in rows] == [len(self.model[row.name][2]) for row in rows]
            assert [row.title for row in rows] == [self.model[row.name][1] for row in rows]

    @invariant()
    def conversations_are_as_the_model_says(self):
        with self.stores() as store:
            stored = {name: store.get(MANAGER, name)[1] for name in self.model}
            left = {each.message_id for each in store.unfinished()}
        for name, (_, _, messages) in self.model.items():
            assert [[m.name, m.content, m.status] for m in stored[name]] == messages
        assert left == {m[0] for _, _, rows in self.model.values() for m in rows if m[2] == "streaming"}


@pytest.mark.parametrize("kind", factories())
def test_any_sequence_of_calls(kind):
    folder = Path(tempfile.mkdtemp())
    try:
        with factories()[kind](folder) as stores:
            machine = type("Machine", (ConversationMachine,), {"stores": staticmethod(stores)})
            run_state_machine_as_test(
                machine,
                settings=settings(
                    max_examples=examples(),
                    stateful_step_count=25,
                    deadline=None,
                    suppress_health_check=list(HealthCheck),
                ),
            )
    finally:
        shutil.rmtree(folder)
