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
"""DocTypes that the embedded host keeps; a Link to one of them becomes a foreign key."""

COMPOSITE_INDEXES: dict[str, tuple[tuple[str, ...], ...]] = {
    "AI Conversation": (("user", "last_message_at"),),
    "AI Message": (("conversation", "sequence"),),
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
    fields = [field for field in read_doctype(doctype)["fields"] if field["fieldtype"] not in WITHOUT_COLUMN]
    table = sa.Table(
        table_name(doctype),
        metadata,
        *_standard_columns(),
        *(_column(field) for field in fields),
        mysql_charset="utf8mb4",
        mysql_engine="InnoDB",
    )
    for names in (*_single_indexes(fields), *COMPOSITE_INDEXES.get(doctype, ())):
        sa.Index(None, *(table.c[name] for name in names))
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
    """The column of a field; a Link to a stored DocType goes with the row that it points to."""
    column_type = _word(field["length"]) if field.get("length") else COLUMN_TYPES[field["fieldtype"]]
    if field["fieldtype"] == "Check":
        default = str(field.get("default") or 0)
        return sa.Column(field["fieldname"], column_type, nullable=False, server_default=default)
    if field["fieldtype"] == "Link" and field["options"] in STORED:
        target = sa.ForeignKey(f"{table_name(field['options'])}.name", ondelete="CASCADE")
        return sa.Column(field["fieldname"], column_type, target)
    return sa.Column(field["fieldname"], column_type)


def _single_indexes(fields: list[dict[str, Any]]) -> list[tuple[str]]:
    """One index for each field with `search_index`."""
    return [(field["fieldname"],) for field in fields if field.get("search_index")]


CONVERSATION = doctype_table("AI Conversation")
MESSAGE = doctype_table("AI Message")
