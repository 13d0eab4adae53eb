"""SQL tables of the embedded host's accounts: users, sessions, API keys. A Frappe site has its own for these.

Import this before `Database.open`, which makes every table declared by then.
"""

from __future__ import annotations

import sqlalchemy as sa

from ai_assistant.host.schema import METADATA

USERS = sa.Table(
    "host_user",
    METADATA,
    sa.Column("name", sa.String(140), primary_key=True),
    sa.Column("full_name", sa.String(140), nullable=False, default=""),
    sa.Column("roles", sa.Text, nullable=False, default="[]"),
    sa.Column("enabled", sa.Boolean, nullable=False, default=True),
    sa.Column("password", sa.String(255), nullable=True),
    sa.Column("created", sa.Double, nullable=False),
    sa.Column("from_config", sa.Boolean, nullable=False, default=False, server_default=sa.false()),
)
"""`password` is a hash of `passwords.py`, or null: then the user cannot log in by password. `from_config`: whether the
configuration had the user at the last start."""

SESSIONS = sa.Table(
    "host_session",
    METADATA,
    sa.Column("sid_hash", sa.String(64), primary_key=True),
    sa.Column("user", sa.String(140), sa.ForeignKey("host_user.name", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("csrf_given", sa.Boolean, nullable=False, default=False),
    sa.Column("created", sa.Double, nullable=False),
    sa.Column("seen", sa.Double, nullable=False),
    sa.Column("expires", sa.Double, nullable=False, index=True),
)
"""Times are epoch seconds. The sid itself is stored nowhere."""

API_KEYS = sa.Table(
    "host_api_key",
    METADATA,
    sa.Column("key", sa.String(40), primary_key=True),
    sa.Column("secret_hash", sa.String(64), nullable=False),
    sa.Column("user", sa.String(140), sa.ForeignKey("host_user.name", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("label", sa.String(140), nullable=False, default=""),
    sa.Column("created", sa.Double, nullable=False),
)
