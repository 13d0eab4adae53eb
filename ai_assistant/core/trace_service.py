"""What people ask of traces: the list, the tree, payloads, exports, removal. Over the ports of a host."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from typing import Any, Final

from ai_assistant.core import check
from ai_assistant.core.endpoint import FileAnswer
from ai_assistant.core.errors import PermissionError_, ValidationError
from ai_assistant.core.ports import RequestHost
from ai_assistant.core.session import OPERATOR_ROLE, REVIEWER_ROLE, User
from ai_assistant.core.trace import PRIVATE, TRACE_TEXTS
from ai_assistant.core.trace_access import known_user, note_look, owner_of, require_payloads, unknown, visible_trace
from ai_assistant.core.trace_filters import span_id, trace_filter, trace_id
from ai_assistant.core.trace_tree import in_tree_order
from ai_assistant.core.trace_views import LENGTHS, shown_observation, shown_trace

TRACE_PRIVATE: Final = tuple(name for name in PRIVATE if name in TRACE_TEXTS)
"""Payloads that a trace has itself; the others are its observations'."""
FORMATS: Final = ("json", "otlp")
MEMORY_BYTES: Final = 4 * 1024 * 1024
"""What an export may take of memory; a longer one goes through a file."""


def get_traces(host: RequestHost, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """A page of traces, newest first. Raises PermissionError_ for another user's without the role."""
    user = known_user(host)
    wanted = trace_filter(arguments)
    if wanted.user is not None and wanted.user != user.name and not user.is_reviewer:
        raise PermissionError_(f"user: only those with the role {REVIEWER_ROLE} see the traces of others")
    page = host.access().traces.list(
        wanted,
        owner=owner_of(user),
        limit=check.integer("limit", arguments.get("limit"), low=1, high=200, default=50),
        cursor=check.text("cursor", arguments.get("cursor"), max_length=200),
    )
    return {"traces": [shown_trace(row) for row in page.rows], "cursor": page.cursor}


def get_trace(host: RequestHost, trace: Any) -> dict[str, Any]:
    """A trace and its observations in the order of the tree. `payloads` says whether their payloads can be had."""
    user = known_user(host)
    name = trace_id(trace)
    row = visible_trace(host, user, name)
    payloads = host.sees_trace_payloads()
    observations = [
        shown_observation(each, depth) for each, depth in in_tree_order(host.access().traces.observations(name))
    ]
    if not payloads:
        for each in observations:  # a length tells of a payload, too
            for length in LENGTHS:
                each.pop(length, None)
    note_look(host, user, row)
    return {"trace": shown_trace(row), "observations": observations, "payloads": payloads}


def get_trace_payload(host: RequestHost, trace: Any, span: Any, field: Any) -> dict[str, Any]:
    """One payload of a trace, or, with `span`, of one of its observations; `text` is null where it has none."""
    user = known_user(host)
    name, observation = trace_id(trace), span_id(span)
    column = check.choice("field", field, PRIVATE)
    if column is None:
        raise ValidationError(f"field: is missing; it is one of {', '.join(PRIVATE)}")
    if not observation and column not in TRACE_PRIVATE:
        raise ValidationError(f"field: a trace has no {column} of its own; name the span of an observation")
    row = visible_trace(host, user, name)
    require_payloads(host, "field")
    text = host.access().traces.payload(name, observation, column)
    note_look(host, user, row)
    return {"trace": name, "span": observation or None, "field": column, "text": text}


def export_trace(host: RequestHost, trace: Any, format: Any) -> FileAnswer:
    """The whole trace as a document: this app's own JSON, or OTLP/JSON."""
    user = known_user(host)
    name = trace_id(trace)
    kind = check.choice("format", format, FORMATS) or "json"
    row = visible_trace(host, user, name)
    require_payloads(host, "trace")
    store = host.access().traces
    private = {column: store.payload(name, "", column) for column in TRACE_PRIVATE}
    out = tempfile.SpooledTemporaryFile(MEMORY_BYTES)  # noqa: SIM115 - the answer closes it
    try:
        host.trace_pipe().export(kind, {**row, **private}, store.payloads(name), out)  # type: ignore[arg-type]
        size = out.tell()
        out.seek(0)
        note_look(host, user, row)
    except BaseException:
        out.close()
        raise
    return FileAnswer(out, size, "application/json", f"trace-{name}.{'json' if kind == 'json' else 'otlp.json'}")


def delete_trace(host: RequestHost, trace: Any) -> dict[str, Any]:
    """Removes a trace with everything of it: its owner may, and those who run the site."""
    user = known_user(host)
    name = trace_id(trace)
    store = host.access().traces
    row = store.get(name, owner=None if user.is_operator else owner_of(user))
    if row is None:
        raise unknown(name)
    if not may_delete(user, row):
        raise PermissionError_(f"trace: only its user and those with the role {OPERATOR_ROLE} may delete it")
    store.delete([name])
    return {"trace": name}


def may_delete(user: User, row: Mapping[str, Any]) -> bool:
    """Reviewing is reading: a reviewer removes no evidence of others."""
    return user.is_operator or row.get("user") == user.name
