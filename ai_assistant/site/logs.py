"""The worker's log on a site: stderr, which bench and supervisor write to `logs/worker.error.log`."""

from __future__ import annotations

import logging
import sys

import frappe

from ai_assistant.core.logs import QUIET, TextFormatter

CONF = "ai_assistant_log_level"
LEVELS = ("debug", "info", "warning", "error")


def configure_logs(level: str | None = None) -> None:
    """Sends our loggers to stderr, from `level` on, which else is the configuration's.

    Only ours: the process is RQ's or bench's, whose logs are their own. A level that is none is said and taken for
    `info`: for such a mistake no chat must be without its worker.
    """
    name = str(level or frappe.conf.get(CONF) or "info").lower()
    own = logging.getLogger("ai_assistant")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(TextFormatter())
    own.handlers[:] = [handler]
    own.propagate = False
    own.setLevel(name.upper() if name in LEVELS else "INFO")
    if name not in LEVELS:
        own.error("%s: %r is no level; use one of %s", CONF, name, ", ".join(LEVELS))
    for library in QUIET:  # at DEBUG and INFO they log addresses, packets or whole requests
        logging.getLogger(library).setLevel(logging.WARNING)
