"""A site's `ConversationStore`: AI Conversation and AI Message in Frappe's database.

The worker's rows are written plainly, not as documents: a turn is on the way to a user's first token, a document costs
about a millisecond and the document events of every app, and one that raises would lose an answer that was paid for.
What a person does, renaming and deleting, goes through documents, so that permissions, other apps' events, shares,
comments and open forms follow as they do in the Desk.

Locks: the conversation's row first, everywhere. What is read after that is current, since `_fresh` has thrown the
transaction's snapshot away; so nothing but existing rows is locked, no gaps, and two workers cannot deadlock.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable
from datetime import datetime
from typing import Any

import frappe
from pypika import Order
from pypika.functions import Cast, Lower, Max
from pypika.terms import Criterion, CustomFunction, ExistsCriterion

from ai_assistant.core.conversation import ConversationSummary, FinalMessage, StoredMessage, Turn, Unfinished
from ai_assistant.core.conversation_rules import (
    MAX_LIST,
    MAX_TITLE,
    MICROSECOND,
    checked_title,
    moment_of,
    no_moment,
    unknown,
)
from ai_assistant.core.errors import PermissionError_, ValidationError
from ai_assistant.core.message_rows import final_row, iso, new_row, placeholder_row, storable, stored_message
from ai_assistant.core.session import User
from ai_assistant.site.clock import existing, from_utc, stored_now, to_utc
from ai_assistant.site.columns import from_columns, from_title, to_columns, to_title
from ai_assistant.site.packet import split

CONVERSATION = "AI Conversation"
MESSAGE = "AI Message"
SAME_STAMP_TRIES = 100

instr = CustomFunction("INSTR", ["text", "search"])


class SiteConversations:
    """Conversations in the open transaction of `frappe.local.site`. See `core.ports.ConversationStore` for what each
    method promises."""

    def __init__(self, *, now: Callable[[], datetime] = stored_now):
        """`now`: the time as Frappe stores it."""
        self._now = now
        self._conversation = frappe.qb.DocType(CONVERSATION)
        self._message = frappe.qb.DocType(MESSAGE)

    def exists(self, user: User, name: str) -> bool:
        """Whether `user` may continue it: only an owner may, a manager only reads."""
        row = self._row(name)
        return row is not None and row.user == user.name

    def list(self, user: User, *, limit: int, before: str | None, search: str | None) -> list[ConversationSummary]:
        """The user's own, newest first. No two of a user's conversations have the same `modified`."""
        table = self._conversation
        count = max(0, min(limit, MAX_LIST))
        query = frappe.qb.from_(table).select(table.star).where(table.user == user.name)
        query = query.where(table.last_message_at.isnotnull())
        if before:
            query = query.where(table.last_message_at < stored_moment("before", before))
        if search and search.strip():
            query = query.where(self._matches(search.strip()))
        query = query.orderby(table.last_message_at, order=Order.desc).limit(count)
        return [_summary(row) for row in query.run(as_dict=True)] if count else []

    def get(self, user: User, name: str) -> tuple[ConversationSummary, builtins.list[StoredMessage]]:
        """A conversation of the user's, or, for a manager, any that the Desk would show them."""
        row = _visible(self._row(name), user, name)
        return _summary(row), self._messages(self._message.conversation == name)

    def rename(self, user: User, name: str, title: str) -> None:
        """Sets the title; the conversation keeps its place in the list. Raises PermissionError_ where the role
        permission manager has taken that right away."""
        title = checked_title(title)
        document = self._document(user, name, "write")
        document.title = to_title(title)
        # not a link's business: the users of old conversations may be gone
        document.flags.update(ignore_permissions=True, ignore_links=True)
        document.save()

    def delete(self, user: User, name: str) -> None:
        """Removes it with its messages, shares and comments, and keeps no copy among the Deleted Documents. Raises
        PermissionError_ as `rename` does."""
        document = self._document(user, name, "delete")
        frappe.delete_doc(CONVERSATION, document.name, ignore_permissions=True, delete_permanently=True)

    def begin(self, turn: Turn) -> builtins.list[StoredMessage]:
        """Writes a turn once. Raises DoesNotExistError when the conversation is gone or is another user's."""
        _fresh()
        if turn.is_new:
            self._create(turn)
        conversation = self._row(turn.conversation, lock=True)
        if conversation is None or conversation.user != turn.user:
            raise unknown(turn.conversation)
        first = self._restarted(turn)
        if first is None:
            first = self._append(turn, conversation)
        message = self._message
        return self._messages((message.conversation == turn.conversation) & (message.sequence < first))

    def finish(self, final: FinalMessage) -> None:
        """Writes the outcome, unless the message is `completed` already or is gone."""
        _fresh()
        conversation = self._row(final.conversation, lock=True)
        if conversation is None or conversation.user != final.user or not self._is_open(final):
            return
        now = self._touch(final.conversation, final.user, {})
        row, more = split(to_columns(final_row(final, now)))
        for values in (row, *more):
            self._update(self._message, final.message_id, values)

    def unfinished(self, limit: int = 1000) -> builtins.list[Unfinished]:
        """Placeholders that still say `streaming`, oldest first."""
        message, conversation = self._message, self._conversation
        query = (
            frappe.qb.from_(message)
            .join(conversation)
            .on(conversation.name == message.conversation)
            .select(message.name, message.conversation, message.task_id, conversation.user)
            .where(message.status == "streaming")
            .orderby(message.creation, message.name)
            .limit(limit)
        )
        return [
            Unfinished(user=row.user, conversation=row.conversation, message_id=row.name, task_id=row.task_id)
            for row in query.run(as_dict=True)
        ]

    def _matches(self, search: str) -> Criterion:
        """Whether the title or the text of a message contains `search`, whatever the case of its letters."""
        message = self._message
        in_message = frappe.qb.from_(message).select(message.name)
        in_message = in_message.where(message.conversation == self._conversation.name)
        in_message = in_message.where(_contains(message.content, search))
        return _contains(self._conversation.title, to_title(search)) | ExistsCriterion(in_message)

    def _row(self, name: str, *, lock: bool = False) -> Any:
        """The conversation's row; none for a name that only the database's collation takes for the same."""
        table = self._conversation
        query = frappe.qb.from_(table).select(table.star).where(table.name == storable(name))
        rows = (query.for_update() if lock else query).run(as_dict=True)
        return rows[0] if rows and rows[0].name == name else None

    def _document(self, user: User, name: str, right: str) -> Any:
        """The document, locked, for one who may see it and has the right."""
        _fresh()
        # waits for a worker's short transaction, where delete_doc would give up
        _visible(self._row(name, lock=True), user, name)
        document = frappe.get_doc(CONVERSATION, name, for_update=True)
        if not frappe.has_permission(CONVERSATION, right, doc=document, user=user.name):
            raise PermissionError_(f"conversation: your roles do not include the right to {right} it; ask an admin")
        return document

    def _create(self, turn: Turn) -> None:
        """Makes the conversation, unless another worker was first with the same turn. An insert that finds the row
        locks it as an update would: a plain one would share the lock, and two of them would deadlock."""
        values = {
            "name": turn.conversation,
            "title": to_title(storable(turn.title)[:MAX_TITLE]),
            "user": turn.user,
            "message_count": 0,
            **_standard(turn.user, self._now()),
        }
        table = self._conversation
        query = frappe.qb.into(table).columns(*values).insert(*values.values())
        query.on_duplicate_key_update(table.name, table.name).run()

    def _restarted(self, turn: Turn) -> int | None:
        """For a turn that is written already: its first sequence, with the placeholder made to stream again."""
        table = self._message
        query = frappe.qb.from_(table).select(table.sequence, table.conversation, table.status)
        rows = query.where(table.name == turn.message_id).run(as_dict=True)
        if not rows:
            return None
        if rows[0].conversation != turn.conversation:
            raise ValidationError("message_id: belongs to another conversation")
        if rows[0].status != "completed":
            self._update(table, turn.message_id, {"status": "streaming"})
        return rows[0].sequence - len(turn.messages)

    def _append(self, turn: Turn, conversation: Any) -> int:
        """Adds the new messages and the placeholder, and gives the sequence of the first."""
        table = self._message
        query = frappe.qb.from_(table).select(Max(table.sequence)).where(table.conversation == turn.conversation)
        count = conversation.message_count or 0
        # the higher of both: single messages can be deleted, by Administrator
        first = max(query.run()[0][0] or 0, count) + 1
        rows = [new_row(turn, i) for i in range(len(turn.messages))] + [placeholder_row(turn)]
        now = self._touch(turn.conversation, turn.user, {"message_count": count + len(rows)})
        for i, row in enumerate(rows):
            place = {"sequence": first + i, "conversation": turn.conversation}
            self._insert({**row, **_standard(turn.user, now), **place})
        return first

    def _insert(self, row: dict[str, Any]) -> None:
        values, more = split(to_columns(row))
        frappe.qb.into(self._message).columns(*values).insert(*values.values()).run()
        for long_values in more:
            self._update(self._message, row["name"], long_values)

    def _update(self, table: Any, name: str, values: dict[str, Any]) -> None:
        query = frappe.qb.update(table).where(table.name == name)
        for column, value in values.items():
            query = query.set(table[column], value)
        query.run()

    def _is_open(self, final: FinalMessage) -> bool:
        """Whether the outcome may be written: the message is there, and not completed."""
        table = self._message
        query = frappe.qb.from_(table).select(table.status)
        query = query.where((table.name == final.message_id) & (table.conversation == final.conversation))
        rows = query.run()
        return bool(rows) and rows[0][0] != "completed"

    def _messages(self, which: Criterion) -> builtins.list[StoredMessage]:
        table = self._message
        rows = frappe.qb.from_(table).select(table.star).where(which).orderby(table.sequence).run(as_dict=True)
        return [stored_message(from_columns(row)) for row in rows]

    def _touch(self, conversation: str, user: str, values: dict[str, Any]) -> datetime:
        """Makes the conversation the user's latest, and gives the time that says so: later than any other of theirs,
        were the clock to stand still or to step back.

        So the last one written is the first in the list, and `before` neither repeats nor leaves out any. Of two
        workers that choose the same time, the unique index on user and time refuses the second, who takes the next.
        """
        stamp = self._stamp(user)
        for _ in range(SAME_STAMP_TRIES):
            changes = {**values, "last_message_at": stamp, "modified": stamp, "modified_by": user}
            try:
                self._update(self._conversation, conversation, changes)
                return stamp
            except Exception as error:
                if not frappe.db.is_duplicate_entry(error):
                    raise
            stamp = existing(stamp + MICROSECOND)
        raise RuntimeError(f"{SAME_STAMP_TRIES} conversations of one user have the same time")

    def _stamp(self, user: str) -> datetime:
        table = self._conversation
        found = frappe.qb.from_(table).select(Max(table.last_message_at)).where(table.user == user).run()[0][0]
        now = self._now()
        return now if found is None or now > found else existing(found + MICROSECOND)


def stored_moment(field: str, text: str) -> datetime:
    """The stored form of the time that an ISO 8601 text names. Raises ValidationError, naming `field`."""
    try:
        return from_utc(moment_of(field, text))
    except OverflowError:
        raise no_moment(field, text) from None


def _fresh() -> None:
    """Lets the next read see what others have committed: a transaction reads the state of its first read
    (REPEATABLE READ), and that may be older than the lock that is waited for next. Where something has been written
    already, the transaction goes on as it is."""
    if not frappe.db.transaction_writes:
        frappe.db.begin()


def _contains(column: Any, search: str) -> Criterion:
    """`instr` rather than LIKE: no wildcards to escape. Compared as bytes, since Frappe's collation takes all emoji
    for the same character, and é for e."""
    return instr(Cast(Lower(column), "binary"), Cast(Lower(storable(search)), "binary")) > 0


def _visible(row: Any, user: User, name: str) -> Any:
    """The row, for its owner, and for a manager whom the Desk would show it (User Permissions may narrow that)."""
    if row is not None:
        if row.user == user.name:
            return row
        if user.is_manager and frappe.has_permission(CONVERSATION, "read", doc=name, user=user.name):
            return row
    raise unknown(name)


def _summary(row: Any) -> ConversationSummary:
    return ConversationSummary(
        name=row.name,
        title=from_title(row.title),
        modified=iso(to_utc(row.last_message_at or row.creation)),
        message_count=row.message_count or 0,
    )


def _standard(user: str, now: datetime) -> dict[str, Any]:
    """Frappe's columns of a row that `user` makes."""
    return {"owner": user, "creation": now, "modified": now, "modified_by": user, "idx": 0, "docstatus": 0}
