"""An observation while it happens: what a program holds in its hand.

The caller's thread does no more than to note things here and to put the observation into a queue. The publisher's
thread takes from here what is to be sent. Between the two there is no lock; what makes this safe is said where it is
needed, and rests on Python's own: a dict's `update` and an attribute's assignment are single steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from ai_assistant.core.trace import STATUSES
from ai_assistant.tracing.capture import as_text, storable
from ai_assistant.tracing.columns import COLUMNS, MAX_METADATA_CHARS, NAMES, plain, usage_columns
from ai_assistant.tracing.context import CURRENT
from ai_assistant.tracing.failure import is_cancellation, words_of
from ai_assistant.tracing.queue import MAX_WEIGHT
from ai_assistant.tracing.reasoning import Reasoning

if TYPE_CHECKING:
    from ai_assistant.tracing.trace_state import TraceState
    from ai_assistant.tracing.tracer import Tracer

STACK_CHARS: Final = 20_000


class Span:
    """One observation. End it with `end`, or use it in a `with`; what comes after its end changes nothing."""

    __slots__ = (
        "_flushed", "_metadata", "_model", "_queued", "_reasoning", "_scores", "_sent", "_status", "_token",
        "ended", "fields", "id", "parent_id", "state", "tracer",
    )  # fmt: skip

    def __init__(self, tracer: Tracer, state: TraceState, parent_id: str, name: str, type_: str, at: int):
        """Made by `Tracer.start`."""
        self.tracer = tracer
        self.state = state
        self.id: str = tracer.ids.span()
        self.parent_id = parent_id
        title = name if type(name) is str else str(name)
        title = title if title.isascii() else storable(title)
        self.fields: dict[str, Any] = {"type": type_, "title": title, "parent": parent_id, "started_at": at}
        """Columns that the publisher has not taken yet, or all that were set since it took the first ones."""
        self.ended = False
        self._flushed = False
        self._queued = False
        self._model: dict[str, Any] | None = None
        """Model and provider, once they are known: said again with the tokens, which have a price only together."""
        self._status: str | None = None
        """What was said of its outcome so far."""
        self._token: Any = None
        self._reasoning: Reasoning | None = None
        self._metadata: dict[str, Any] | None = None
        self._scores: list[dict[str, Any]] | None = None
        self._sent: dict[str, Any] | None = None

    @property
    def trace_id(self) -> str:
        """32 hexadecimal digits."""
        return self.state.id

    @property
    def is_recording(self) -> bool:
        """Whether what is noted here is kept."""
        return not self.ended

    def update(self, **values: Any) -> Span:
        """Notes columns (`model`, `cost`, `level`, …), `name`, `input`, `output`, `reasoning`, `usage` (a mapping of
        token counts) and `metadata` (a mapping, added to what is there). Other names become metadata. What cannot be
        used is left out; nothing is raised."""
        if not self.ended:
            try:
                self._note(self._columns(values))
            except Exception as error:  # noqa: BLE001  # counted and logged; tracing must not break its program
                self.tracer.failed("update", error)
        return self

    def event(self, name: str, data: Any = None, **values: Any) -> None:
        """Something that happened now: an observation of type `event`. `value` is its outcome, `confidence` from 0 to
        1, `reasoning` why; further names as in `update`."""
        if self.ended:
            return
        try:
            child = self.tracer.start(name, "event", parent=self)
        except Exception as error:  # noqa: BLE001  # counted and logged; tracing must not break its program
            self.tracer.failed("event", error)
            return
        if data is not None:
            values.setdefault("input", data)
        if "value" in values:
            values["output"] = values.pop("value")
        child.end(**values)

    def progress(self, done: float, total: float = 100.0, message: str | None = None) -> None:
        """How far it is; shown while it runs."""
        if self.ended:
            return
        try:
            share = 100.0 * done / total if total else 0.0
        except Exception as error:  # noqa: BLE001  # counted and logged; tracing must not break its program
            self.tracer.failed("progress", error)
            return
        values: dict[str, Any] = {"progress": max(0.0, min(100.0, share))}
        if message is not None:
            values["progress_message"] = message
        self.update(**values)

    def score(self, name: str, value: float | str | bool, comment: str | None = None) -> None:
        """A judgement of its result."""
        if self.ended:
            return
        try:
            given = {"name": str(name)[:140], "value": value, **({"comment": str(comment)} if comment else {})}
        except Exception as error:  # noqa: BLE001  # counted and logged; tracing must not break its program
            self.tracer.failed("score", error)
            return
        self._scores = [*(self._scores or ()), {**given, "at": self.tracer.clock()}]
        self.update(scores=self._scores)

    def append_reasoning(self, text: str) -> None:
        """The next piece of a model's reasoning. Kept up to the observation's limit, counted beyond it."""
        if self.ended or not isinstance(text, str) or not text or not self.tracer.settings.capture_reasoning:
            return
        if self._reasoning is None:
            self._reasoning = Reasoning(self.tracer.settings.reasoning_max_length)
        self._reasoning.add(text)

    def limit_reasoning(self, chars: int) -> None:
        """Sets how many characters of reasoning are kept; before the first piece."""
        if isinstance(chars, int):
            self._reasoning = Reasoning(chars)

    def fail(self, error: BaseException) -> None:
        """Notes an exception and marks it as failed; the observation goes on until its end."""
        name = type(error).__qualname__
        message, stack = words_of(error)
        self.update(
            status="failed",
            level="error",
            error_type=name,
            error_message=message[:4000] or name,
            error_stack=stack[-STACK_CHARS:],
        )

    def end(self, *, at: int | None = None, status: str | None = None, **values: Any) -> None:
        """Ends it, at `at` (epoch microseconds) or now, with what is given as in `update`. A second call does
        nothing."""
        if self.ended:
            return
        if values:
            self.update(**values)
        last: dict[str, Any] = {"ended_at": at if isinstance(at, int) else self.tracer.clock()}
        if status is not None:
            self._status = status if isinstance(status, str) and status in STATUSES else None
        last["status"] = self._status or "completed"
        self._close(last)

    def traceparent(self) -> str:
        """The header that makes another program's observations this one's children (W3C Trace Context)."""
        return f"00-{self.state.id}-{self.id}-01"

    def in_child(self) -> Span:
        """Stands for this observation in a process that was forked below it: children hang below it, in a segment of
        the child's own; its end is the parent's to tell."""
        state = type(self.state)(self.state.id, self.tracer.pipeline.lane(self.state.lane.site), 0)
        state.segment = state.lane.next_segment()
        stand_in = Span(self.tracer, state, self.parent_id, "", "span", 0)
        stand_in.id = state.root = self.id
        stand_in._flushed = stand_in.ended = True
        return stand_in

    def take(self) -> dict[str, Any]:
        """The columns known so far, for the publisher's thread: what is noted later comes into a new dict."""
        self._flushed = True
        taken, self.fields = self.fields, {}
        return taken

    def pending(self) -> dict[str, Any]:
        """All that was noted since `take`, for the publisher's thread; a payload only once."""
        self._queued = False
        noted = dict(self.fields)
        sent = self._sent = self._sent or {}
        for name in ("input", "output", "metadata"):
            value = noted.get(name)
            if value is None:
                continue
            if sent.get(name) is value:
                del noted[name]
            sent[name] = value
        return noted

    def finish(self, result: Any) -> None:
        """Ends it as completed, with the result of a call: `end`, without what a call does not need."""
        if self.ended:
            return
        last: dict[str, Any] = {"ended_at": self.tracer.clock()}
        fields = self.fields
        if result is not None and "output" not in fields:
            self.payload(last, "output", result)
        last["status"] = self._status or "completed"
        self._close(last)

    def _close(self, last: dict[str, Any]) -> None:
        if self._model is not None:
            last |= {name: value for name, value in self._model.items() if name not in self.fields}
        if self._reasoning is not None:
            last |= self._reasoning.columns()
        fields = self.fields
        fields.update(last)
        self.ended = True
        if self._flushed:
            if fields is not self.fields:  # as in `_note`
                self.fields.update(last)
            self.tracer.queue.end(self)
        self._reasoning = self._metadata = self._scores = None
        if self.tracer.pipeline.may_vanish and self.id == self.state.root:
            self.tracer.pipeline.root_ended()

    def _note(self, columns: dict[str, Any]) -> None:
        fields = self.fields
        fields.update(columns)
        if self._flushed:
            if fields is not self.fields:  # the publisher has taken them meanwhile, perhaps without these
                self.fields.update(columns)
            if not self._queued:
                self._queued = True
                self.tracer.queue.update(self)

    def _columns(self, values: dict[str, Any]) -> dict[str, Any]:
        columns: dict[str, Any] = {}
        for name, value in values.items():
            if value is None:
                continue
            if name in ("input", "output"):
                self.payload(columns, name, value)
            elif name == "usage":
                columns |= usage_columns(value)
            elif name == "metadata":
                self._merge_metadata(columns, value if isinstance(value, Mapping) else {"value": value})
            elif name == "reasoning":
                self._whole_reasoning(value)
            elif (column := NAMES.get(name, name)) in COLUMNS:
                columns[column] = plain(column, value)
            else:
                self._merge_metadata(columns, {name: value})
        if "model" in columns:
            self._model = {name: columns[name] for name in ("model", "provider") if name in columns}
        if "status" in columns:
            self._status = columns["status"] if columns["status"] in STATUSES else None
        return columns

    def payload(self, columns: dict[str, Any], name: str, value: Any) -> None:
        """Adds `input` or `output` to columns, where it is wanted."""
        settings = self.tracer.settings
        if settings.capture_input if name == "input" else settings.capture_output:
            columns[name], cut = as_text(value, settings.max_payload_chars)
            queue = self.tracer.queue
            queue.weight += len(columns[name])
            if queue.weight > MAX_WEIGHT:
                queue.on_full()
            if cut:
                columns[f"{name}_truncated"] = 1

    def _merge_metadata(self, columns: dict[str, Any], values: Mapping[Any, Any]) -> None:
        self._metadata = {**(self._metadata or {}), **{str(key): value for key, value in values.items()}}
        columns["metadata"] = as_text(self._metadata, MAX_METADATA_CHARS)[0]

    def _whole_reasoning(self, value: Any) -> None:
        if self.tracer.settings.capture_reasoning:
            limit = self._reasoning.limit if self._reasoning else self.tracer.settings.reasoning_max_length
            self._reasoning = Reasoning(limit)
            self._reasoning.add(value if isinstance(value, str) else as_text(value, limit)[0])

    def __enter__(self) -> Span:
        self._token = CURRENT.set(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        leave(self)
        if error is not None:
            self.end_with(error)
        else:
            self.end()

    async def __aenter__(self) -> Span:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, tb)

    def end_with(self, error: BaseException) -> None:
        """Ends it as what the exception means: cancelled, or failed."""
        if is_cancellation(error):
            self.end(status="cancelled")
            return
        if isinstance(error, SystemExit) and error.code in (None, 0):
            self.end()
            return
        self.fail(error)
        self.end(status="failed")


def leave(span: Span) -> None:
    """Makes the observation before `span` the current one again."""
    token, span._token = span._token, None
    if token is None:
        return
    try:
        CURRENT.reset(token)
    except ValueError:  # entered in another context: a task that was made for the rest of a block
        CURRENT.set(None)
