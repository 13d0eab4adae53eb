"""What every ConversationStore promises, whatever it stands on."""

from __future__ import annotations

import re
import threading
from typing import Any

import pytest
from store_samples import ANN, BOB, MANAGER, final, turn

from ai_assistant.core.errors import DoesNotExistError, ValidationError
from ai_assistant.core.task import Timings
from ai_assistant.core.usage import Usage


def begin(stores, *turns):
    for each in turns:
        with stores() as store:
            store.begin(each)
    return turns


def names(rows):
    return [row.name for row in rows]


def messages_of(stores, conversation="c1", user=ANN):
    with stores() as store:
        return store.get(user, conversation)[1]


def listed(stores, user=ANN, *, limit=50, before=None, search=None):
    with stores() as store:
        return store.list(user, limit=limit, before=before, search=search)


# --- begin


def test_begin_writes_the_new_messages_and_a_placeholder(stores):
    begin(
        stores,
        turn(
            message_id="m", messages=[{"role": "system", "content": "Be short."}, {"role": "user", "content": "Hello"}]
        ),
    )
    system, user, answer = messages_of(stores)
    assert (system.role, system.content, system.status) == ("system", "Be short.", "completed")
    assert (user.role, user.content, user.status) == ("user", "Hello", "completed")
    assert (answer.name, answer.role, answer.content, answer.status) == ("m", "assistant", "", "streaming")
    assert answer.model == "fast"
    assert answer.task_id == "6f9619ff-8b86-4d11-b42d-00cf4fc964ff"


def test_names_of_new_messages_come_from_the_message_id(stores):
    begin(stores, turn(message_id="m", messages=[{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]))
    assert names(messages_of(stores)) == ["m-1", "m-2", "m"]


def test_begin_gives_the_messages_before_in_order(stores):
    (first,) = begin(stores, turn())
    with stores() as store:
        store.finish(final(first, "Hi"))
        history = store.begin(turn(new=False, messages=[{"role": "user", "content": "And now?"}]))
    assert [(m.role, m.content) for m in history] == [("user", "Hello"), ("assistant", "Hi")]


def test_begin_of_a_new_conversation_gives_no_history(stores):
    with stores() as store:
        assert store.begin(turn()) == []


def test_begin_again_changes_nothing_but_the_placeholders_status(stores):
    _, second = begin(stores, turn(), turn(new=False))
    with stores() as store:
        store.finish(final(second, "half", "failed"))
    before = messages_of(stores)
    with stores() as store:
        history = store.begin(second)
    assert names(history) == names(before)[:2]
    after = messages_of(stores)
    assert after[-1].status == "streaming"
    after[-1].status = before[-1].status
    assert after == before
    assert listed(stores)[0].message_count == 4


def test_begin_again_leaves_a_completed_message_completed(stores):
    (only,) = begin(stores, turn())
    with stores() as store:
        store.finish(final(only))
        store.begin(only)
    assert messages_of(stores)[-1].status == "completed"


def test_begin_again_of_an_earlier_turn_gives_what_was_before_it(stores):
    first, _ = begin(stores, turn(), turn(new=False))
    with stores() as store:
        assert store.begin(first) == []


def test_begin_in_a_conversation_that_is_gone_is_refused(stores):
    begin(stores, turn())
    with stores() as store:
        store.delete(ANN, "c1")
    with stores() as store, pytest.raises(DoesNotExistError, match="there is no conversation 'c1'"):
        store.begin(turn(new=False))


@pytest.mark.parametrize("new", [True, False])
def test_begin_in_another_users_conversation_is_refused(stores, new):
    begin(stores, turn())
    with stores() as store, pytest.raises(DoesNotExistError):
        store.begin(turn(new=new, user=BOB.name))
    assert len(messages_of(stores)) == 2


def test_what_raises_is_rolled_back(stores):
    def work():
        with stores() as store:
            store.begin(turn())
            raise RuntimeError("the worker was stopped")

    with pytest.raises(RuntimeError):
        work()
    assert listed(stores) == []


def test_developer_is_stored_as_system(stores):
    begin(stores, turn(messages=[{"role": "developer", "content": "Be short."}]))
    assert messages_of(stores)[0].role == "system"


# --- finish


def test_finish_writes_the_whole_outcome(stores):
    (only,) = begin(stores, turn())
    calls = [{"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"at": "Ü"}'}}]
    blocks = [{"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}]
    usage = Usage(
        prompt_tokens=10, completion_tokens=20, reasoning_tokens=5, cached_tokens=4, total_tokens=30, cost=0.000012
    )
    timings = Timings(queue_ms=3, ttft_ms=250, reasoning_ms=1200, total_ms=4000)
    outcome: dict[str, Any] = {"finish_reason": "tool_calls", "model": "deepseek-v4", "provider": "deepseek"}
    with stores() as store:
        store.finish(
            final(
                only,
                "Hi",
                reasoning="Hm.",
                tool_calls=calls,
                thinking_blocks=blocks,
                usage=usage,
                timings=timings,
                **outcome,
            )
        )
    answer = messages_of(stores)[-1]
    assert (answer.status, answer.content, answer.reasoning) == ("completed", "Hi", "Hm.")
    assert (answer.tool_calls, answer.thinking_blocks) == (calls, blocks)
    assert answer.usage == usage
    assert answer.timings == {"queue_ms": 3, "ttft_ms": 250, "reasoning_ms": 1200, "total_ms": 4000}
    assert {key: getattr(answer, key) for key in outcome} == outcome
    assert answer.error is None


def test_usage_without_a_price_has_no_cost_and_an_estimate_says_so(stores):
    (only,) = begin(stores, turn())
    with stores() as store:
        store.finish(final(only, usage=Usage(prompt_tokens=1, completion_tokens=1, total_tokens=2, estimated=True)))
    usage = messages_of(stores)[-1].usage
    assert (usage.cost, usage.estimated, usage.total_tokens) == (None, True, 2)


def test_a_model_that_costs_nothing_has_a_cost_of_zero(stores):
    (only,) = begin(stores, turn())
    with stores() as store:
        store.finish(final(only, usage=Usage(total_tokens=2, cost=0.0)))
    assert messages_of(stores)[-1].usage.cost == 0.0


def test_zero_is_not_unknown(stores):
    (only,) = begin(stores, turn())
    with stores() as store:
        store.finish(final(only, usage=Usage(), timings=Timings(queue_ms=0, total_ms=5)))
    answer = messages_of(stores)[-1]
    assert answer.usage == Usage()
    assert answer.timings == {"queue_ms": 0, "ttft_ms": None, "reasoning_ms": None, "total_ms": 5}


def test_a_message_without_usage_has_none(stores):
    (only,) = begin(stores, turn())
    with stores() as store:
        store.finish(final(only, status="cancelled"))
    assert messages_of(stores)[-1].usage is None


@pytest.mark.parametrize(
    ("status", "content", "reasoning", "stored"),
    [
        ("failed", "", "", "failed"),
        ("failed", "some", "", "interrupted"),
        ("failed", "", "some", "interrupted"),
        ("cancelled", "some", "", "cancelled"),
    ],
)
def test_the_status_of_an_unfinished_answer_is_honest(stores, status, content, reasoning, stored):
    (only,) = begin(stores, turn())
    error = {"code": "stream_interrupted", "message": "The connection broke.", "retryable": True}
    with stores() as store:
        store.finish(final(only, content, status, reasoning=reasoning, error=error))
    answer = messages_of(stores)[-1]
    assert (answer.status, answer.content, answer.error) == (stored, content, error)


def test_finish_never_overwrites_a_completed_message(stores):
    (only,) = begin(stores, turn())
    with stores() as store:
        store.finish(final(only, "the answer"))
    modified = listed(stores)[0].modified
    with stores() as store:
        store.finish(final(only, "", "failed", error={"code": "worker_lost", "message": "", "retryable": True}))
    answer = messages_of(stores)[-1]
    assert (answer.status, answer.content, answer.error) == ("completed", "the answer", None)
    assert listed(stores)[0].modified == modified


def test_a_completed_outcome_replaces_an_interrupted_one(stores):
    (only,) = begin(stores, turn())
    with stores() as store:
        store.finish(final(only, "hal", "failed", error={"code": "internal", "message": "x", "retryable": False}))
        store.finish(final(only, "half and half"))
    answer = messages_of(stores)[-1]
    assert (answer.status, answer.content, answer.error) == ("completed", "half and half", None)


def test_finish_after_deletion_leaves_no_row(stores):
    (only,) = begin(stores, turn())
    with stores() as store:
        store.delete(ANN, "c1")
    with stores() as store:
        store.finish(final(only))
        assert store.unfinished() == []
    begin(stores, turn())  # a conversation of the same name starts empty
    assert len(messages_of(stores)) == 2


def test_finish_of_a_message_in_another_conversation_changes_nothing(stores):
    first, second = begin(stores, turn("c1"), turn("c2"))
    wrong = final(first)
    wrong.conversation = "c2"
    with stores() as store:
        store.finish(wrong)
    assert messages_of(stores, "c1")[-1].status == "streaming"
    assert messages_of(stores, "c2")[-1].status == "streaming"
    assert second.message_id == messages_of(stores, "c2")[-1].name


def test_unfinished_gives_the_placeholders_that_nobody_has_finished(stores):
    first, second, third = begin(stores, turn("c1"), turn("c2", user=BOB.name), turn("c1", new=False))
    with stores() as store:
        store.finish(final(first))
        left = store.unfinished()
    assert [(each.user, each.conversation, each.message_id) for each in left] == [
        (BOB.name, "c2", second.message_id),
        (ANN.name, "c1", third.message_id),
    ]
    assert left[0].task_id == second.task_id
    with stores() as store:
        assert len(store.unfinished(limit=1)) == 1


# --- texts

TEXTS = {
    "empty": "",
    "newlines": "a\r\nb\n\n\tc ",
    "nul": "before\x00after",
    "emoji": "🧠👩‍👩‍👧‍👦 ﷽",
    "controls": "\x01\x1b[31m\u2028\ufeff",
    "quotes": "'; DROP TABLE ai_message; -- \" \\ % _ `",
    "4 MiB": "Ω🧠ab" * (4 * 1024 * 1024 // 8),
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_texts_come_back_as_they_were(stores, text):
    (only,) = begin(stores, turn(messages=[{"role": "user", "content": text}]))
    with stores() as store:
        store.finish(final(only, text, reasoning=text))
    question, answer = messages_of(stores)
    assert question.content == text
    assert answer.content == text
    assert answer.reasoning == text


def test_half_a_surrogate_pair_from_a_provider_is_replaced(stores):
    (only,) = begin(stores, turn())
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "\ude00!"}}
    with stores() as store:
        store.finish(final(only, "a\ud83db", tool_calls=[call]))
    answer = messages_of(stores)[-1]
    assert answer.content == "a\ufffdb"
    assert answer.tool_calls[0]["function"]["arguments"] == "\ufffd!"


def test_parts_come_back_as_they_were(stores):
    parts = [
        {"type": "text", "text": "What is this?\x00🧠"},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}},
    ]
    begin(stores, turn(messages=[{"role": "user", "content": parts}]))
    assert messages_of(stores)[0].content == parts


def test_what_is_nested_deeply_comes_back_as_it_was(stores):
    deep: Any = "x"
    for _ in range(60):
        deep = [deep]
    begin(stores, turn(messages=[{"role": "user", "content": [{"type": "text", "text": "a", "more": deep}]}]))
    assert messages_of(stores)[0].content == [{"type": "text", "text": "a", "more": deep}]


@pytest.mark.parametrize("title", ["<b>bold</b>", "a < b & c > d", "vector<int>", "Q&A", '"', "\\n", "'"])
def test_titles_come_back_as_they_were(stores, title):
    begin(stores, turn(title=title))
    assert listed(stores)[0].title == title
    with stores() as store:
        store.rename(ANN, "c1", f"{title} again")
    assert listed(stores)[0].title == f"{title} again"
    assert names(listed(stores, search=f"{title} AGAIN")) == ["c1"]


def test_tool_calls_and_their_results_come_back_as_they_were(stores):
    calls = [{"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}]
    blocks = [{"type": "thinking", "thinking": "…", "signature": "c2ln"}]
    assistant = {
        "role": "assistant",
        "content": None,
        "tool_calls": calls,
        "thinking_blocks": blocks,
        "reasoning": "Hm.",
    }
    result = {"role": "tool", "content": "42", "tool_call_id": "call_1"}
    begin(stores, turn(messages=[assistant, result]))
    asked, answered, _ = messages_of(stores)
    assert (asked.content, asked.tool_calls, asked.thinking_blocks, asked.reasoning) == (None, calls, blocks, "Hm.")
    assert (answered.role, answered.content, answered.tool_call_id) == ("tool", "42", "call_1")


def test_what_a_provider_says_of_itself_may_be_long(stores):
    (only,) = begin(stores, turn())
    with stores() as store:
        store.finish(final(only, model="m" * 500, provider="p" * 500, finish_reason="r" * 500))
    assert messages_of(stores)[-1].status == "completed"


# --- list


def test_a_conversation_is_listed_with_its_title_and_count(stores):
    begin(stores, turn(title="Microservices"))
    (row,) = listed(stores)
    assert (row.name, row.title, row.message_count) == ("c1", "Microservices", 2)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", row.modified)


def test_the_one_written_last_is_first(stores):
    (first, *_) = begin(stores, turn("c1"), turn("c2"), turn("c3"))
    assert names(listed(stores)) == ["c3", "c2", "c1"]
    with stores() as store:
        store.finish(final(first))
    assert names(listed(stores)) == ["c1", "c3", "c2"]
    begin(stores, turn("c2", new=False))
    assert names(listed(stores)) == ["c2", "c1", "c3"]


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 20])
def test_paging_by_modified_gives_each_once(stores, limit):
    begin(stores, *(turn(f"c{i}") for i in range(7)))
    found, before = [], None
    while page := listed(stores, limit=limit, before=before):
        assert len(page) <= limit
        found += names(page)
        before = page[-1].modified
    assert found == [f"c{i}" for i in reversed(range(7))]


def test_before_takes_any_form_of_iso_8601(stores):
    begin(stores, turn("c1"), turn("c2"))
    modified = listed(stores)[0].modified
    for form in (modified, modified.replace("Z", "+00:00"), modified.removesuffix("Z").replace("T", " ")):
        assert names(listed(stores, before=form)) == ["c1"]
    assert listed(stores, before="2001-01-01T00:00:00+02:00") == []


@pytest.mark.parametrize("before", ["yesterday", "2026-13-01", "0", "0001-01-01T00:00:00+14:00", "'; --"])
def test_a_before_that_is_no_time_is_refused(stores, before):
    with stores() as store, pytest.raises(ValidationError, match="before: must be a time in ISO 8601"):
        store.list(ANN, limit=5, before=before, search=None)


def test_a_limit_of_nothing_gives_nothing(stores):
    begin(stores, turn())
    assert listed(stores, limit=0) == []
    assert listed(stores, limit=-5) == []


def test_only_the_users_own_are_listed_for_a_manager_too(stores):
    begin(stores, turn("c1"), turn("c2", user=BOB.name))
    assert names(listed(stores, BOB)) == ["c2"]
    assert listed(stores, MANAGER) == []


# --- search


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("title one", ["c1"]),
        ("TITLE", ["c2", "c1"]),
        ("kafka", ["c2"]),
        ("the ANSWER", ["c1"]),
        ("100%", ["c2"]),
        ("1%0", []),
        ("_", ["c1"]),
        ("'", ["c1"]),
        ("\\", ["c1"]),
        ("übersicht", ["c2"]),
        ("ÜBERSICHT", ["c2"]),
        ("🧠", ["c2"]),
        ("after the nul", ["c1"]),
        ("image_url", []),
        ("in a part", ["c1"]),
        ("nothing like it", []),
        ("  ", ["c2", "c1"]),
        ("x" * 200, []),
    ],
)
def test_search_looks_in_titles_and_texts(stores, search, found):
    parts = [
        {"type": "text", "text": "In a part"},
        {"type": "image_url", "image_url": {"url": "https://example.com/a"}},
    ]
    first, _ = begin(
        stores,
        turn(
            "c1",
            title="Title one",
            messages=[{"role": "user", "content": r"snake_case isn't C:\dir" + "\x00 after the NUL"}],
        ),
        turn("c2", title="Title two: Übersicht", messages=[{"role": "user", "content": "Kafka 🧠 is 100% slow"}]),
    )
    with stores() as store:
        store.finish(final(first, "the Answer"))
        store.begin(turn("c1", new=False, messages=[{"role": "user", "content": parts}]))
        store.begin(turn("c2", new=False, messages=[{"role": "user", "content": "on"}]))
        store.begin(turn("c9", user=BOB.name, title="Title of Bob: kafka 100% _ ' the answer"))
    assert names(listed(stores, search=search)) == found


def test_search_and_before_go_together(stores):
    begin(stores, *(turn(f"c{i}", title="even" if i % 2 == 0 else "odd") for i in range(6)))
    page = listed(stores, search="even", limit=2)
    assert names(page) == ["c4", "c2"]
    assert names(listed(stores, search="even", limit=2, before=page[-1].modified)) == ["c0"]


# --- who may do what


def test_another_users_conversation_does_not_exist(stores):
    begin(stores, turn())
    with stores() as store:
        assert store.exists(ANN, "c1")
        assert not store.exists(BOB, "c1")
        assert not store.exists(ANN, "c2")
    for name in ("c1", "c2"):
        for call in (
            lambda store, name=name: store.get(BOB, name),
            lambda store, name=name: store.rename(BOB, name, "Mine"),
            lambda store, name=name: store.delete(BOB, name),
        ):
            with stores() as store, pytest.raises(DoesNotExistError, match=f"there is no conversation '{name}'"):
                call(store)
    assert listed(stores)[0].title == "Hello"


def test_a_manager_sees_every_conversation_and_continues_none(stores):
    begin(stores, turn())
    with stores() as store:
        assert store.get(MANAGER, "c1")[0].title == "Hello"
        assert not store.exists(MANAGER, "c1")


def test_rename_keeps_the_place_in_the_list(stores):
    begin(stores, turn("c1"), turn("c2"))
    before = listed(stores)
    with stores() as store:
        store.rename(ANN, "c1", "  Another title 🧠 ")
    after = listed(stores)
    assert [row.title for row in after] == ["Hello", "Another title 🧠"]
    assert [row.modified for row in after] == [row.modified for row in before]


@pytest.mark.parametrize("title", ["", "   ", "x" * 141])
def test_a_title_must_say_something_and_be_short(stores, title):
    begin(stores, turn())
    with stores() as store, pytest.raises(ValidationError, match="title: must have 1 to 140 characters"):
        store.rename(ANN, "c1", title)


def test_delete_removes_the_messages_too(stores):
    begin(stores, turn("c1"), turn("c2"))
    with stores() as store:
        store.delete(ANN, "c1")
    assert names(listed(stores)) == ["c2"]
    with stores() as store:
        assert [left.conversation for left in store.unfinished()] == ["c2"]


# --- several at once


def run_together(work, count):
    """Runs `work(i)` in threads that start together; raises what the first of them raised."""
    errors, barrier = [], threading.Barrier(count)

    def one(i):
        try:
            barrier.wait(timeout=30)
            work(i)
        except BaseException as error:
            errors.append(error)
            raise

    threads = [threading.Thread(target=one, args=(i,), daemon=True) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not any(thread.is_alive() for thread in threads)
    if errors:
        raise errors[0]


def test_turns_of_one_conversation_from_many_threads_do_not_mix(stores):
    begin(stores, turn(message_id="first"))

    def work(i):
        for j in range(5):
            mine = turn(new=False, message_id=f"t{i}-{j}-", messages=[{"role": "user", "content": f"{i}-{j}"}] * 2)
            with stores() as store:
                store.begin(mine)
            with stores() as store:
                store.finish(final(mine, f"answer {i}-{j}"))

    run_together(work, 6)
    messages = messages_of(stores)[2:]
    assert len(messages) == 6 * 5 * 3
    assert listed(stores)[0].message_count == 2 + 6 * 5 * 3
    for one, two, answer in zip(messages[::3], messages[1::3], messages[2::3], strict=True):
        assert one.content == two.content
        assert (answer.content, answer.status) == (f"answer {one.content}", "completed")


def test_the_same_turn_from_many_threads_is_written_once(stores):
    same = turn(message_id="same")

    def work(_):
        with stores() as store:
            assert store.begin(same) == []

    run_together(work, 6)
    assert names(messages_of(stores)) == ["same-1", "same"]
    assert listed(stores)[0].message_count == 2


def test_a_turn_sees_what_was_committed_after_its_unit_of_work_began(stores):
    (first,) = begin(stores, turn())
    with stores() as store:
        store.list(ANN, limit=5, before=None, search=None)

        def finish(_):
            with stores() as other:
                other.finish(final(first, "the answer"))

        run_together(finish, 1)
        history = store.begin(turn(new=False))
    assert [(m.content, m.status) for m in history] == [("Hello", "completed"), ("the answer", "completed")]


def test_many_users_do_not_stand_in_each_others_way(stores):
    """Turns, titles and deletions at once, in conversations of their own and shared ones: none of them fails."""

    def work(i):
        user = (ANN, BOB)[i % 2]
        for j in range(12):
            mine = turn(f"{user.name[0]}{j % 4}", user=user.name, message_id=f"w{i}-{j}-")
            try:
                with stores() as store:
                    store.begin(mine)
                with stores() as store:
                    store.finish(final(mine, "x" * 500))
                with stores() as store:
                    if j % 3 == i % 3:
                        store.delete(user, mine.conversation)
                    elif j % 3 == (i + 1) % 3:
                        store.rename(user, mine.conversation, f"Title {i}")
            except DoesNotExistError:
                continue

    run_together(work, 6)
    for user in (ANN, BOB):
        for row in listed(stores, user):
            messages = messages_of(stores, row.name, user)
            assert row.message_count == len(messages)
            assert len({message.name for message in messages}) == len(messages)


def test_deletion_during_streams_leaves_nothing(stores):
    for round_ in range(5):
        begin(stores, turn(f"c{round_}"))

    def work(i):
        for round_ in range(5):
            mine = turn(f"c{round_}", new=False, message_id=f"d{i}-{round_}")
            try:
                with stores() as store:
                    store.delete(ANN, mine.conversation) if i == 0 else store.begin(mine)
                with stores() as store:
                    store.finish(final(mine))
            except DoesNotExistError:
                continue

    run_together(work, 4)
    assert listed(stores) == []
    with stores() as store:
        assert store.unfinished() == []


def test_conversations_written_at_once_page_without_loss(stores):
    def work(i):
        for j in range(8):
            with stores() as store:
                store.begin(turn(f"c{i}-{j}"))

    run_together(work, 4)
    found, before = [], None
    while page := listed(stores, limit=3, before=before):
        found += names(page)
        before = page[-1].modified
    assert len(found) == 32
    assert set(found) == {f"c{i}-{j}" for i in range(4) for j in range(8)}
