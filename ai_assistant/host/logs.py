"""Logs of the embedded host: those of `core.logs`, for every logger of the process."""

from __future__ import annotations

import logging
import sys
from typing import Literal

from ai_assistant.core.logs import QUIET, JsonFormatter, TextFormatter, masked

__all__ = ["JsonFormatter", "TextFormatter", "configure_logs", "masked"]


def configure_logs(form: Literal["text", "json"], level: str) -> None:
    """Sends every logger of the process to stderr. `level`, a name such as `info`, is for our own lines; of libraries
    only warnings are shown: at DEBUG some log whole requests, with what users wrote."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    own = logging.getLogger("ai_assistant")
    own.setLevel(level.upper())
    root.setLevel(max(logging.WARNING, own.level))
    for name in QUIET:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(max(logging.WARNING, root.level))
