"""What the stores of traces of both hosts ask of a database: plain SQL, said in its own words.

Thousands of rows a second go through here, each with some forty columns: statements go to the driver as they are, since
a layer's processing of each value would cost more than the database does.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any, Final

TIMES: Final = frozenset({"started_at", "ended_at", "creation", "modified", "last_at", "heard_at", "viewed_at"})
STORED_NAMES: Final = {"observation": {"parent": "parent_span"}}
"""Columns that the DocType has to name otherwise: `parent` is Frappe's own."""
KINDS: Final = ("trace", "observation", "tag", "producer", "view")
CHUNK: Final = 500
"""Values in one list of SQL."""


class TraceSql(ABC):
    """The database of one unit of work."""

    quote: str
    """The sign around names."""
    mark: str
    """The place of a value."""
    tables: Mapping[str, str]
    """KINDS and the tables that hold them, quoted."""
    to_moment: Callable[[int], Any]
    """A time as the columns hold it, from epoch microseconds."""
    from_moment: Callable[[Any], int | None]
    """Epoch microseconds of a column."""
    lock = " FOR UPDATE"
    """What makes a query lock its rows."""
    extra: Mapping[str, tuple[str, ...]] = {}
    """Columns that `row_of` needs besides, by kind."""

    @abstractmethod
    def read(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        """Rows of a query. Raises ServiceUnavailableError, as all of these do."""

    @abstractmethod
    def read_current(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        """Rows of a query inside the write transaction: what it finds is still true at its end."""

    @abstractmethod
    def write(self, statement: str, values: Sequence[Any] = ()) -> int:
        """Runs a statement; gives how many rows it changed."""

    @abstractmethod
    def write_rows(self, head: str, rows: Sequence[tuple[Any, ...]], tail: str = "") -> None:
        """Inserts rows: `head`, then `VALUES` with them, then `tail`, in as few statements as the driver can."""

    @abstractmethod
    def ignore(self) -> str:
        """The tail of an insert that leaves a row which is there as it is, and locks it."""

    @abstractmethod
    def replace(self, columns: Sequence[str]) -> str:
        """The tail of an insert that sets these columns where a row of the name is there."""

    @abstractmethod
    def search(self, terms: Sequence[str]) -> tuple[str, str, str, list[tuple[str, Any]]]:
        """How traces are searched whose names or errors have a word that begins with each of the terms: what is read,
        in which the traces are `t`; the columns of time and name to sort by; conditions, each with its value."""

    def begin(self) -> None:  # noqa: B027  # most databases need nothing
        """Before the locks of a piece of work: what is read after them is current."""

    def delete_from(self, kind: str) -> str:
        """The beginning of a deletion of parts of traces."""
        return f"DELETE FROM {self.tables[kind]}"

    def listed(self, narrow: bool) -> str:
        """What a list without a search is read from; `narrow`: whether a filter has an index of its own."""
        return f"{self.tables['trace']} t"

    def standard(self, owner: str | None) -> dict[str, Any]:
        """Columns that a new row has besides its own."""
        return {}

    def stored(self, kind: str, row: dict[str, Any]) -> dict[str, Any]:
        """A row as the columns hold it, but for its times."""
        return row

    def row_of(self, kind: str, row: dict[str, Any]) -> dict[str, Any]:
        """The row that was stored; it has the columns of `extra` too."""
        return row

    def column(self, name: str) -> str:
        """A column of the traces, which stand as `t`."""
        return f"t.{self.quote}{name}{self.quote}"

    def marks(self, count: int) -> str:
        """Places for a list of values."""
        return ",".join([self.mark] * count)

    def names(self, kind: str, columns: Sequence[str]) -> str:
        """Columns, quoted, by the names that they are stored under."""
        stored = STORED_NAMES.get(kind, {})
        return ", ".join(f"{self.quote}{stored.get(name, name)}{self.quote}" for name in columns)

    def values(self, row: Mapping[str, Any]) -> tuple[Any, ...]:
        """A row's values as the database wants them."""
        to_moment = self.to_moment
        return tuple(to_moment(value) if name in TIMES and value is not None else value for name, value in row.items())

    def with_moments(
        self, columns: Sequence[str], rows: Sequence[tuple[Any, ...]], rest: tuple[Any, ...] = ()
    ) -> list[tuple[Any, ...]]:
        """Rows of these columns as the database wants them, each with `rest` at its end."""
        to_moment = self.to_moment
        at = [index for index, name in enumerate(columns) if name in TIMES]
        found = []
        for row in rows:
            values = list(row)
            for index in at:
                if values[index] is not None:
                    values[index] = to_moment(values[index])
            found.append((*values, *rest))
        return found

    def select(self, kind: str, columns: Sequence[str], where: str, values: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """Rows of one table."""
        return self.dicts(kind, columns, self.read(self.query(kind, columns, where), values))

    def select_current(
        self, kind: str, columns: Sequence[str], where: str, values: Sequence[Any] = ()
    ) -> list[dict[str, Any]]:
        """Rows of one table, inside the write transaction."""
        return self.dicts(kind, columns, self.read_current(self.query(kind, columns, where), values))

    def query(self, kind: str, columns: Sequence[str], where: str) -> str:
        """The query behind `select`."""
        names = self.names(kind, (*columns, *self.besides(kind, columns)))
        return f"SELECT {names} FROM {self.tables[kind]} WHERE {where}"

    def dicts(self, kind: str, columns: Sequence[str], found: Sequence[Any]) -> list[dict[str, Any]]:
        """What a query for these columns, and those of `extra`, has found."""
        besides = self.besides(kind, columns)
        columns = (*columns, *besides)
        at = [index for index, name in enumerate(columns) if name in TIMES]
        from_moment, rows = self.from_moment, []
        for each in found:
            row = dict(zip(columns, each))  # noqa: B905  # as long as the query says
            for index in at:
                row[columns[index]] = from_moment(each[index])
            row = self.row_of(kind, row)
            for name in besides:
                del row[name]
            rows.append(row)
        return rows

    def known(self, kind: str, columns: Sequence[str], found: Sequence[Any]) -> list[dict[str, Any]]:
        """The same without what is `None`. There may be many thousands of rows: one pass over each, where the database
        holds them as they are."""
        if self.besides(kind, columns):
            rows = self.dicts(kind, columns, found)
            return [{name: value for name, value in row.items() if value is not None} for row in rows]
        from_moment, moments, rows = self.from_moment, [name for name in columns if name in TIMES], []
        for each in found:
            row = {name: value for name, value in zip(columns, each) if value is not None}  # noqa: B905  # as above
            for name in moments:
                if name in row:
                    row[name] = from_moment(row[name])
            rows.append(row)
        return rows

    def besides(self, kind: str, columns: Sequence[str]) -> tuple[str, ...]:
        """What has to be read besides these columns."""
        return tuple(name for name in self.extra.get(kind, ()) if name not in columns)

    def insert(self, kind: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]], tail: str = "") -> None:
        """Inserts rows of one table."""
        if rows:
            self.write_rows(insert_head(self.tables[kind], self.names(kind, columns)), rows, tail)


@lru_cache(512)
def insert_head(table: str, names: str) -> str:
    """The beginning of an insert."""
    return f"INSERT INTO {table} ({names})"


def chunks(names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """The names in pieces of CHUNK, each once and in order."""
    rest = iter(sorted(set(names)))
    while piece := tuple(islice(rest, CHUNK)):
        yield piece
