"""Which observation is current: kept in a context variable, which asyncio's tasks inherit by themselves."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ai_assistant.tracing.span import Span

CURRENT: ContextVar[Span | None] = ContextVar("ai_assistant_span", default=None)
