"""The embedded host's `ConversationStore`: AI Conversation and AI Message in SQL."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from ai_assistant.core.conversation import ConversationSummary, FinalMessage, StoredMessage, Turn, Unfinished
from ai_assistant.core.conversation_rules import MAX_LIST, MAX_TITLE, MICROSECOND, checked_title, moment_of, unknown
from ai_assistant.core.errors import ValidationError
from ai_assistant.core.message_rows import final_row, iso, new_row, placeholder_row, storable, stored_message
from ai_assistant.core.session import User
from ai_assistant.host.database import UnitOfWork
from ai_assistant.host.schema import CONVERSATION, MESSAGE


def utc_now() -> datetime:
    """The time as the tables hold it: UTC without a zone."""
    return datetime.now(timezone.utc).replace(tzinfo=None)


class SqlConversations:
    """Conversations in one unit of work. See `core.ports.ConversationStore` for what each method promises."""

    def __init__(self, work: UnitOfWork, *, now: Callable[[], datetime] = utc_now):
        self._work = work
        self._now = now

    def exists(self, user: User, name: str) -> bool:
        """Whether `user` may continue it: only an owner may, a manager only reads."""
        query = sa.select(CONVERSATION.c.name).where(CONVERSATION.c.name == name, CONVERSATION.c.user == user.name)
        return self._work.reading().scalar(query) is not None

    def list(self, user: User, *, limit: int, before: str | None, search: str | None) -> list[ConversationSummary]:
        """The user's own, newest first. No two of a user's conversations have the same `modified`."""
        query = sa.select(CONVERSATION).where(CONVERSATION.c.user == user.name)
        if before:
            query = query.where(CONVERSATION.c.last_message_at < moment_of("before", before))
        if search and search.strip():
            query = query.where(self._matches(search.strip()))
        order = (CONVERSATION.c.last_message_at.desc(), CONVERSATION.c.name.desc())
        rows = self._work.reading().execute(query.order_by(*order).limit(max(0, min(limit, MAX_LIST))))
        return [_summary(row) for row in rows.mappings()]

    def get(self, user: User, name: str) -> tuple[ConversationSummary, builtins.list[StoredMessage]]:
        """A conversation of the user's, or any for a manager."""
        row = self._visible(self._work.reading(), user, name)
        query = sa.select(MESSAGE).where(MESSAGE.c.conversation == row["name"]).order_by(MESSAGE.c.sequence)
        messages = self._work.reading().execute(query).mappings()
        return _summary(row), [stored_message(message) for message in messages]

    def rename(self, user: User, name: str, title: str) -> None:
        """Sets the title; the conversation keeps its place in the list."""
        title = checked_title(title)
        connection = self._work.writing()
        row = self._visible(connection, user, name, lock=True)
        values = {"title": title, "modified": self._now(), "modified_by": user.name}
        connection.execute(CONVERSATION.update().where(CONVERSATION.c.name == row["name"]).values(values))

    def delete(self, user: User, name: str) -> None:
        """Removes it; its messages go with it by the foreign key too, were one written at this moment."""
        connection = self._work.writing()
        row = self._visible(connection, user, name, lock=True)
        connection.execute(MESSAGE.delete().where(MESSAGE.c.conversation == row["name"]))
        connection.execute(CONVERSATION.delete().where(CONVERSATION.c.name == row["name"]))

    def begin(self, turn: Turn) -> builtins.list[StoredMessage]:
        """Writes a turn once. Raises DoesNotExistError when the conversation is gone or is another user's."""
        connection = self._work.writing()
        conversation = self._conversation(connection, turn)
        first = self._restarted(connection, turn)
        if first is None:
            first = self._append(connection, turn, conversation)
        query = sa.select(MESSAGE).where(MESSAGE.c.conversation == turn.conversation, MESSAGE.c.sequence < first)
        messages = connection.execute(query.order_by(MESSAGE.c.sequence)).mappings()
        return [stored_message(message) for message in messages]

    def finish(self, final: FinalMessage) -> None:
        """Writes the outcome, unless the message is `completed` already or is gone."""
        connection = self._work.writing()
        now = self._stamp(connection, final.user)
        # the conversation's row first, as everywhere: two transactions that lock in the same order cannot deadlock
        touch = CONVERSATION.update().where(
            CONVERSATION.c.name == final.conversation,
            CONVERSATION.c.user == final.user,
            sa.exists().where(*_open_message(final)),
        )
        if connection.execute(touch.values(last_message_at=now, modified=now, modified_by=final.user)).rowcount:
            connection.execute(MESSAGE.update().where(*_open_message(final)).values(final_row(final, now)))

    def unfinished(self, limit: int = 1000) -> builtins.list[Unfinished]:
        """Placeholders that still say `streaming`, oldest first."""
        query = (
            sa.select(MESSAGE.c.name, MESSAGE.c.conversation, MESSAGE.c.task_id, CONVERSATION.c.user)
            .join(CONVERSATION, CONVERSATION.c.name == MESSAGE.c.conversation)
            .where(MESSAGE.c.status == "streaming")
            .order_by(MESSAGE.c.creation, MESSAGE.c.name)
            .limit(limit)
        )
        return [
            Unfinished(user=row.user, conversation=row.conversation, message_id=row.name, task_id=row.task_id)
            for row in self._work.reading().execute(query)
        ]

    def _matches(self, search: str) -> sa.ColumnElement[bool]:
        """Whether the title or the text of a message contains `search`, whatever the case of its letters."""
        in_message = sa.exists().where(
            MESSAGE.c.conversation == CONVERSATION.c.name, self._contains(MESSAGE.c.content, search)
        )
        return sa.or_(self._contains(CONVERSATION.c.title, search), in_message)

    def _contains(self, column: sa.Column[Any], search: str) -> sa.ColumnElement[bool]:
        """`instr` rather than LIKE: no wildcards to escape, and a NUL does not end the text.

        SQLite's `lower` knows ASCII only, so that words beyond it are looked for in their usual spellings.
        """
        find = sa.func.strpos if self._work.reading().dialect.name == "postgresql" else sa.func.instr
        spellings = {ascii_lower(each) for each in (search, search.lower(), search.upper(), search.capitalize())}
        return sa.or_(*(find(sa.func.lower(column), spelling) > 0 for spelling in sorted(spellings)))

    def _visible(self, connection: sa.Connection, user: User, name: str, *, lock: bool = False) -> sa.RowMapping:
        """The conversation's row, if `user` may see it."""
        query = sa.select(CONVERSATION).where(CONVERSATION.c.name == name)
        if not user.is_manager:
            query = query.where(CONVERSATION.c.user == user.name)
        row = connection.execute(query.with_for_update() if lock else query).mappings().first()
        if row is None:
            raise unknown(name)
        return row

    def _conversation(self, connection: sa.Connection, turn: Turn) -> sa.RowMapping:
        """The turn's conversation, locked; made when it is new."""
        query = sa.select(CONVERSATION).where(CONVERSATION.c.name == turn.conversation).with_for_update()
        row = connection.execute(query).mappings().first()
        if row is None and turn.is_new:
            self._create(connection, turn)
            row = connection.execute(query).mappings().first()
        if row is None or row["user"] != turn.user:
            raise unknown(turn.conversation)
        return row

    def _create(self, connection: sa.Connection, turn: Turn) -> None:
        now = self._stamp(connection, turn.user)
        values = {
            "name": turn.conversation,
            "title": storable(turn.title)[:MAX_TITLE],
            "user": turn.user,
            "message_count": 0,
            "last_message_at": now,
            **_standard(turn.user, now),
        }
        try:
            with connection.begin_nested():
                connection.execute(CONVERSATION.insert().values(values))
        except IntegrityError:
            return  # another worker was first with the same turn: its row is read next

    def _restarted(self, connection: sa.Connection, turn: Turn) -> int | None:
        """For a turn that is written already: its first sequence, with the placeholder made to stream again."""
        query = sa.select(MESSAGE.c.sequence, MESSAGE.c.conversation).where(MESSAGE.c.name == turn.message_id)
        row = connection.execute(query).mappings().first()
        if row is None:
            return None
        if row["conversation"] != turn.conversation:
            raise ValidationError("message_id: belongs to another conversation")
        again = MESSAGE.update().where(MESSAGE.c.name == turn.message_id, MESSAGE.c.status != "completed")
        connection.execute(again.values(status="streaming"))
        return row["sequence"] - len(turn.messages)

    def _append(self, connection: sa.Connection, turn: Turn, conversation: sa.RowMapping) -> int:
        """Adds the new messages and the placeholder, and gives the sequence of the first."""
        highest = sa.select(sa.func.max(MESSAGE.c.sequence)).where(MESSAGE.c.conversation == turn.conversation)
        first = (connection.scalar(highest) or 0) + 1
        now = self._stamp(connection, turn.user)
        rows = [new_row(turn, i) for i in range(len(turn.messages))] + [placeholder_row(turn)]
        rows = [
            {**row, **_standard(turn.user, now), "sequence": first + i, "conversation": turn.conversation}
            for i, row in enumerate(rows)
        ]
        connection.execute(MESSAGE.insert(), rows)
        count = conversation["message_count"] + len(rows)
        touch = CONVERSATION.update().where(CONVERSATION.c.name == turn.conversation)
        connection.execute(touch.values(message_count=count, last_message_at=now, modified=now, modified_by=turn.user))
        return first

    def _stamp(self, connection: sa.Connection, user: str) -> datetime:
        """A time later than any of the user's conversations has, were the clock to stand still or to step back.

        So the last one written is the first in the list, and `before` neither repeats nor leaves out any.
        """
        latest = sa.select(sa.func.max(CONVERSATION.c.last_message_at)).where(CONVERSATION.c.user == user)
        found = connection.scalar(latest)
        now = self._now()
        return now if found is None or now > found else found + MICROSECOND


def ascii_lower(text: str) -> str:
    """What SQLite's `lower` makes of a text."""
    return "".join(chr(ord(c) + 32) if "A" <= c <= "Z" else c for c in text)


def _open_message(final: FinalMessage) -> tuple[sa.ColumnElement[bool], ...]:
    """The placeholder of an outcome, as long as it may be written."""
    return (
        MESSAGE.c.name == final.message_id,
        MESSAGE.c.conversation == final.conversation,
        MESSAGE.c.status != "completed",
    )


def _summary(row: sa.RowMapping) -> ConversationSummary:
    return ConversationSummary(
        name=row["name"],
        title=row["title"] or "",
        modified=iso(row["last_message_at"]),
        message_count=row["message_count"] or 0,
    )


def _standard(user: str, now: datetime) -> dict[str, Any]:
    """Frappe's columns of a row that `user` makes."""
    return {"owner": user, "creation": now, "modified": now, "modified_by": user, "idx": 0, "docstatus": 0}
