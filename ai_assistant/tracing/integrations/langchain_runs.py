"""The runs of LangChain that are under way, and their observations."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any, Final
from uuid import UUID

from ai_assistant.tracing.integrations.options import Options
from ai_assistant.tracing.integrations.payload import Message
from ai_assistant.tracing.integrations.recording import Recording, begin
from ai_assistant.tracing.span import Span
from ai_assistant.tracing.tracer import current

MAX_RUNS: Final = 10_000
"""Runs that may be open at once; an older one that never ended gives way, and its observation ends as cancelled."""


class Run:
    """One run. `recording` is `None` for a run that is not shown; what is below it goes below the one above it."""

    __slots__ = ("message", "parent", "recording", "source")

    def __init__(self, recording: Recording | None, parent: Span | None):
        self.recording = recording
        self.parent = parent
        self.message = Message()
        self.source: str | None = None
        """How the pieces of the answer come: LangChain may tell of each in two ways."""

    def takes(self, source: str) -> bool:
        """Whether pieces that come this way are read: those of the first way are."""
        self.source = self.source or source
        return self.source == source

    @property
    def span(self) -> Span | None:
        """What observations below this run go below; `None`: the current one."""
        return self.recording.span if self.recording is not None else self.parent


class Runs:
    """Runs by their ids. Thread-safe."""

    def __init__(self, options: Options, metadata: dict[str, Any] | None):
        self.options = options
        self._metadata = metadata
        self._runs: OrderedDict[UUID, Run] = OrderedDict()
        self._lock = threading.Lock()

    def begin(self, run_id: UUID, parent_run_id: UUID | None, name: str, type_: str, **values: Any) -> Run:
        """Begins a run with an observation."""
        above = self._runs.get(parent_run_id) if parent_run_id else None
        parent = above.span if above is not None else None
        if parent is None and self._metadata:
            values["metadata"] = {**self._metadata, **(values.get("metadata") or {})}
        if not self.options.capture_input:
            values.pop("input", None)
        span = begin(name, type_, parent=parent, **{key: value for key, value in values.items() if value is not None})
        return self._add(run_id, Run(Recording(span, self.options), parent))

    def begin_hidden(self, run_id: UUID, parent_run_id: UUID | None) -> None:
        """Begins a run that is not shown."""
        above = self._runs.get(parent_run_id) if parent_run_id else None
        self._add(run_id, Run(None, above.span if above is not None else None))

    def begin_current(self, run_id: UUID) -> None:
        """Begins a run that is observed elsewhere, as the current observation."""
        self._add(run_id, Run(None, current()))

    def get(self, run_id: UUID) -> Run | None:
        """A run that is under way."""
        return self._runs.get(run_id)

    def end(self, run_id: UUID) -> Run | None:
        """A run that ends now."""
        with self._lock:
            return self._runs.pop(run_id, None)

    def __len__(self) -> int:
        return len(self._runs)

    def _add(self, run_id: UUID, run: Run) -> Run:
        with self._lock:
            self._runs[run_id] = run
            oldest = self._runs.popitem(last=False)[1] if len(self._runs) > MAX_RUNS else None
        if oldest is not None and oldest.recording is not None:
            oldest.recording.end(status="cancelled")
        return run
