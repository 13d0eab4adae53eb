"""A site's database in the words of `traces.sql`, by `frappe.db.sql`: MariaDB. (PostgreSQL's words are here too, and
nobody has tried them.)

Locks: what is locked is current, and what is read after it is, since `begin` has thrown the transaction's snapshot away
(REPEATABLE READ). One piece of work of the writer is meant for one transaction.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import frappe

from ai_assistant.core.errors import ServiceUnavailableError
from ai_assistant.core.session import ADMINISTRATOR
from ai_assistant.site import trace_columns
from ai_assistant.site.packet import fitting, max_packet
from ai_assistant.site.trace_times import SiteTimes
from ai_assistant.traces.sql import KINDS, TraceSql

log = logging.getLogger("ai_assistant.site")

AWAY = frozenset({1040, 1053, 1158, 1159, 1160, 1161, 1205, 1213, 1927, 2002, 2003, 2006, 2013, 2055})
"""MariaDB's codes for a server that is away, a lock that was waited for too long, and a deadlock."""
DOCTYPES = ("AI Trace", "AI Observation", "AI Trace Tag", "AI Trace Producer", "AI Trace View")
ROWS = 200
CHARS = 1_000_000
"""Rows, and characters of them, that go into one statement: well below any server's packet."""
INDEXES = {"observation": "trace_started_at_index", "tag": "parent"}
"""For deletions: a small table MariaDB would rather scan as a whole, with locks on everybody's rows."""
FEW = 1000
"""Traces that are sorted for a page of a search."""
MIN_TOKEN = 3
"""InnoDB's index has no shorter words (`innodb_ft_min_token_size`)."""
STOPWORDS = frozenset(
    ("about", "are", "com", "for", "from", "how", "that", "the", "this", "und", "was", "what", "when", "where", "who",
     "will", "with", "www")
)  # fmt: skip
"""Nor these (MariaDB's documentation, "Full-Text Index Stopwords")."""


@contextmanager
def telling() -> Iterator[None]:
    """Raises ServiceUnavailableError for errors of a database that is away or busy."""
    try:
        yield
    except Exception as error:
        busy = isinstance(error, (frappe.QueryDeadlockError, frappe.QueryTimeoutError))
        code = error.args[0] if error.args else None
        if busy or (type(error).__name__ in ("OperationalError", "InterfaceError") and code in AWAY | {0}):
            log.warning("the database cannot be used: %s", error)
            message = "The database cannot be used at the moment. Try again later."
            raise ServiceUnavailableError(message, retry_after=1) from error
        raise


class SiteSql(TraceSql):
    """The open transaction of `frappe.local.site`."""

    extra = trace_columns.EXTRA
    mark = "%s"
    quote = "`"

    def __init__(self) -> None:
        self._is_mariadb = frappe.db.db_type == "mariadb"
        self.tables = {kind: f"`tab{doctype}`" for kind, doctype in zip(KINDS, DOCTYPES, strict=True)}
        times = SiteTimes()
        self.to_moment, self.from_moment = times.to_moment, times.from_moment

    def read(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        """Rows of a query."""
        with telling():
            return list(frappe.db.sql(statement, tuple(values)))

    read_current = read

    def write(self, statement: str, values: Sequence[Any] = ()) -> int:
        """Runs a statement; gives how many rows it changed."""
        with telling():
            frappe.db.sql(statement, tuple(values))
            return frappe.db._cursor.rowcount

    def write_rows(self, head: str, rows: Sequence[tuple[Any, ...]], tail: str = "") -> None:
        """Statements of many rows, none of them too large for the server."""
        for piece in pieces(rows):
            places = f"({self.marks(len(piece[0]))})"
            statement = f"{head} VALUES {', '.join([places] * len(piece))}{tail}"
            values = tuple(value for row in piece for value in row)
            with telling():
                frappe.db.sql(statement, values)

    def begin(self) -> None:
        """A new snapshot, where nothing has been written yet."""
        if not frappe.db.transaction_writes:
            with telling():
                frappe.db.begin()

    def ignore(self) -> str:
        """An update that changes nothing: INSERT IGNORE would hide errors too."""
        return " ON DUPLICATE KEY UPDATE name = name" if self._is_mariadb else " ON CONFLICT (name) DO NOTHING"

    def replace(self, columns: Sequence[str]) -> str:
        """The new values are named differently."""
        names = [self.names("observation", [name]) for name in columns]
        if self._is_mariadb:
            return f" ON DUPLICATE KEY UPDATE {', '.join(f'{name} = VALUES({name})' for name in names)}"
        return f" ON CONFLICT (name) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in names)}"

    def delete_from(self, kind: str) -> str:
        """By an index."""
        if not self._is_mariadb or kind not in INDEXES:
            return super().delete_from(kind)
        return f"DELETE d FROM {self.tables[kind]} d FORCE INDEX (`{INDEXES[kind]}`)"

    def search(self, terms: Sequence[str]) -> tuple[str, str, str, list[tuple[str, Any]]]:
        """By the full-text index, as far as it has the words, and where they are in few traces. What is in many is
        found soon by going back in time, while the index would have all of them sorted first."""
        words, source = self.column("search_text"), f"{self.tables['trace']} t"
        indexed = [term for term in terms if self._is_mariadb and len(term) >= MIN_TOKEN and term not in STOPWORDS]
        wanted = " ".join(f"+{term}*" for term in indexed)
        match = f"MATCH ({words}) AGAINST (%s IN BOOLEAN MODE)"
        if indexed:
            some = f"SELECT 1 FROM {source} WHERE {match} LIMIT {FEW + 1}"
            if len(self.read(some, [wanted])) > FEW:
                indexed = []
        found: list[tuple[str, Any]] = [(f"{words} LIKE %s", f"% {term}%") for term in terms if term not in indexed]
        if indexed:
            found.append((match, wanted))
        return source, self.column("started_at"), self.column("name"), found

    def standard(self, owner: str | None) -> dict[str, Any]:
        """Frappe's columns."""
        return {"owner": owner or ADMINISTRATOR, "modified_by": owner or ADMINISTRATOR, "idx": 0, "docstatus": 0}

    def stored(self, kind: str, row: dict[str, Any]) -> dict[str, Any]:
        """No empty numbers, no HTML."""
        return trace_columns.stored(kind, row)

    def row_of(self, kind: str, row: dict[str, Any]) -> dict[str, Any]:
        """The other way round."""
        return trace_columns.row_of(kind, row)


def pieces(rows: Sequence[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    """The rows in pieces of at most ROWS and about CHARS; what is too much for the server is cut."""
    piece: list[tuple[Any, ...]] = []
    length = 0
    for row in rows:
        size = sum(len(value) for value in row if isinstance(value, str))
        if size > CHARS:
            row, size = fitted(row), CHARS
        if piece and (len(piece) >= ROWS or length + size > CHARS):
            yield piece
            piece, length = [], 0
        piece.append(row)
        length += size
    if piece:
        yield piece


def fitted(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """The row with its large texts cut to what one statement can hold together."""
    large = sum(1 for value in row if isinstance(value, str) and len(value) > CHARS // 50)
    limit = (max_packet() - CHARS) // max(large, 1)
    return tuple(fitting("payload", value, limit) if isinstance(value, str) else value for value in row)
