"""The SQL tables of the embedded host. Those of DocTypes are made from the DocType JSON files.

Other modules add tables of their own by declaring them on `METADATA` at import; `Database.open` creates and extends
whatever is declared by then:

    sessions = sa.Table("session", METADATA, sa.Column("sid", sa.String(64), primary_key=True), …)

A declared column that an existing database lacks is added as nullable, or with its `server_default`. Use `sa.Index`
(also for uniqueness) rather than constraints: an index is added to an existing table, a constraint is not.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeEngine

SCHEMA_VERSION = 1
"""Raised only by a change that older code cannot live with. New tables, columns and indexes do not raise it: older
code leaves them alone."""

DOCTYPES = Path(__file__).parents[1] / "ai_assistant" / "doctype"

METADATA = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

STORED = ("AI Conversation", "AI Message")
"""DocTypes that the embedded host keeps; a Link to one of them that must be filled becomes a foreign key."""

COMPOSITE_INDEXES: dict[str, tuple[tuple[str, ...], ...]] = {
    "AI Conversation": (("user", "last_message_at"),),
    "AI Message": (("conversation", "sequence"),),
    "AI Trace": (
        ("user", "started_at"),
        ("model", "started_at"),
        ("status", "started_at"),
        ("reference_doctype", "reference_name", "started_at"),
    ),
    "AI Trace Tag": (("tag", "parent"),),
    "AI Observation": (("trace", "started_at"), ("status", "started_at")),
}
"""Indexes over several columns: DocType JSON knows only single ones, so the controllers add the same by
`on_doctype_update` on a site."""


# Frappe's v15 column types (frappe/database/mariadb/database.py): 140 characters for Data and its relatives.
def _word(length: int = 140) -> TypeEngine[Any]:
    return sa.String(length).with_variant(mysql.VARCHAR(length, collation="utf8mb4_bin"), "mysql", "mariadb")


_WORD = _word()
_TEXT = sa.Text().with_variant(mysql.LONGTEXT(collation="utf8mb4_bin"), "mysql", "mariadb")
_MOMENT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")

COLUMN_TYPES: dict[str, TypeEngine[Any]] = {
    **dict.fromkeys(("Data", "Link", "Dynamic Link", "Select", "Read Only", "Color", "Icon"), _WORD),
    **dict.fromkeys(("Phone", "Autocomplete"), _WORD),
    **dict.fromkeys(("Small Text", "Text", "Long Text", "Code", "JSON", "Text Editor"), _TEXT),
    **dict.fromkeys(("Markdown Editor", "HTML Editor", "Password", "Attach", "Attach Image"), _TEXT),
    **dict.fromkeys(("Float", "Currency", "Percent", "Duration", "Rating"), sa.Double()),
    "Int": sa.Integer(),
    "Long Int": sa.BigInteger(),
    "Check": sa.SmallInteger(),
    "Datetime": _MOMENT,
    "Date": sa.Date(),
    "Time": sa.Time(),
}
"""Frappe's field types that have a column, and the SQL type of each."""

WITHOUT_COLUMN = frozenset(
    {"Section Break", "Column Break", "Tab Break", "HTML", "Table", "Table MultiSelect", "Button", "Image", "Heading"}
)


CHILD_COLUMNS = ("parent", "parentfield", "parenttype")
"""What every row of a child table has besides."""


def table_name(doctype: str) -> str:
    """`AI Message` is kept in `ai_message`: a plain name, so that no tool needs quotes."""
    return doctype.lower().replace(" ", "_")


@cache
def read_doctype(doctype: str) -> dict[str, Any]:
    """The DocType's JSON file."""
    name = table_name(doctype)
    return json.loads((DOCTYPES / name / f"{name}.json").read_text("utf-8"))


def doctype_table(doctype: str, metadata: sa.MetaData = METADATA) -> sa.Table:
    """Declares the table of a DocType on `metadata`: Frappe's standard columns, then its fields in their order."""
    described = read_doctype(doctype)
    fields = [field for field in described["fields"] if field["fieldtype"] not in WITHOUT_COLUMN]
    # SQLite has to walk through a large text to what lies behind it
    fields.sort(key=lambda field: field.get("permlevel", 0))
    table = sa.Table(
        table_name(doctype),
        metadata,
        *_standard_columns(),
        *(sa.Column(name, _WORD) for name in (CHILD_COLUMNS if described.get("istable") else ())),
        *(_column(field) for field in fields),
        mysql_charset="utf8mb4",
        mysql_engine="InnoDB",
    )
    for names in (*_single_indexes(fields), *COMPOSITE_INDEXES.get(doctype, ())):
        sa.Index(None, *(table.c[name] for name in names))
    if described.get("istable"):
        sa.Index(None, table.c.parent)
    return table


def _standard_columns() -> list[sa.Column[Any]]:
    """What every row in Frappe has."""
    return [
        sa.Column("name", _WORD, primary_key=True),
        sa.Column("owner", _WORD),
        sa.Column("creation", _MOMENT),
        sa.Column("modified", _MOMENT),
        sa.Column("modified_by", _WORD),
        sa.Column("idx", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("docstatus", sa.SmallInteger(), nullable=False, server_default="0"),
    ]


def _column(field: dict[str, Any]) -> sa.Column[Any]:
    """The column of a field. A Link to a stored DocType that a row cannot be without goes with what it points to."""
    column_type = _word(field["length"]) if field.get("length") else COLUMN_TYPES[field["fieldtype"]]
    if field["fieldtype"] == "Check":
        default = str(field.get("default") or 0)
        return sa.Column(field["fieldname"], column_type, nullable=False, server_default=default)
    if field["fieldtype"] == "Link" and field["options"] in STORED and field.get("reqd"):
        target = sa.ForeignKey(f"{table_name(field['options'])}.name", ondelete="CASCADE")
        return sa.Column(field["fieldname"], column_type, target)
    return sa.Column(field["fieldname"], column_type)


def _single_indexes(fields: list[dict[str, Any]]) -> list[tuple[str]]:
    """One index for each field with `search_index`."""
    return [(field["fieldname"],) for field in fields if field.get("search_index")]


CONVERSATION = doctype_table("AI Conversation")
MESSAGE = doctype_table("AI Message")

TRACE = doctype_table("AI Trace")
OBSERVATION = doctype_table("AI Observation")
TRACE_TAG = doctype_table("AI Trace Tag")
TRACE_PRODUCER = doctype_table("AI Trace Producer")
TRACE_VIEW = doctype_table("AI Trace View")

TRACE_SEARCH = sa.Table(
    "ai_trace_search",
    METADATA,
    sa.Column("started_at", _MOMENT, primary_key=True),
    sa.Column("trace", _word(32), primary_key=True),
    sa.Column("words", _TEXT, nullable=False),
    mysql_charset="utf8mb4",
    mysql_engine="InnoDB",
    sqlite_with_rowid=False,
)
"""`search_text` of the traces in the order of their time: a search reads it from its newest end until the page is full,
and needs no other part of the traces' rows."""

# for what is seldom true: a list goes through this index, and reads only the rows that it shows
_LISTED = (
    "status", "is_complete", "missing_events", "cost_known", "cost", "ended_at", "duration_ms", "stored_bytes",
    *("user", "model", "environment", "service", "source"),
)  # fmt: skip
# an index of InnoDB ends at 3072 bytes, and holds no more than the numbers of these
_length = {TRACE.c[name]: 40 for name in ("status", "user", "model", "environment", "service", "source")}
sa.Index(
    "ix_ai_trace_listed",
    TRACE.c.started_at,
    TRACE.c.name,
    *(TRACE.c[name] for name in _LISTED),
    mysql_length={column.name: length for column, length in _length.items()},
)
