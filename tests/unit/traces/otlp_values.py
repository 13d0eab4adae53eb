"""What Hypothesis makes OTLP messages of, and the official parser's view of them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from ai_assistant.traces.otlp_schema import Field, Message

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
SCALARS = st.one_of(
    TEXT, st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.binary(max_size=20), st.none()
)
VALUES = st.recursive(
    SCALARS, lambda each: st.lists(each, max_size=3) | st.dictionaries(TEXT, each, max_size=3), max_leaves=8
)
NUMBERS: dict[str, Any] = {
    "string": TEXT,
    "hex": st.binary(max_size=16).map(bytes.hex),
    "int64": st.integers(-(2**63), 2**63 - 1),
    "int32": st.integers(-(2**31), 2**31 - 1),
    "uint32": st.integers(0, 2**32 - 1),
    "fixed32": st.integers(0, 2**32 - 1),
    "fixed64": st.integers(0, 2**64 - 1),
    "double": st.floats(allow_nan=False),
    "attributes": st.dictionaries(TEXT, VALUES, max_size=4),
}


def value_of(field: Field) -> Any:
    """A strategy for one value of a field."""
    if field.kind == "enum":
        return st.integers(0, len(field.choices) - 1)
    return messages(field.message) if field.message else NUMBERS[field.kind]


def messages(message: Message) -> Any:
    """A strategy for whole messages: any of the members, none of them empty."""
    fields = {
        name: st.lists(value_of(field), min_size=1, max_size=2) if field.many else value_of(field)
        for name, field in message.by_name.items()
    }
    return st.fixed_dictionaries({}, optional=fields)


def plain(value: AnyValue) -> Any:
    """An AnyValue of the official library as plain Python."""
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [plain(each) for each in value.array_value.values]
    if kind == "kvlist_value":
        return {pair.key: plain(pair.value) for pair in value.kvlist_value.values}
    return getattr(value, kind) if kind else None


def seen(parsed: Any, message: Message) -> dict[str, Any]:
    """A message of the official library by the tables here; members that have their default are left out, as
    protobuf does."""
    found: dict[str, Any] = {}
    for name, field in message.by_name.items():
        theirs = parsed.DESCRIPTOR.fields_by_camelcase_name[name]
        value = getattr(parsed, theirs.name)
        if field.kind == "attributes":
            item: Any = {pair.key: plain(pair.value) for pair in value}
        elif field.message and field.many:
            item = [seen(each, field.message) for each in value]
        elif field.message:
            item = seen(value, field.message) if parsed.HasField(theirs.name) else None
        else:
            item = list(value) if field.many else value.hex() if field.kind == "hex" else value
        if item or (field.message and not field.many and item is not None):
            found[name] = item
    return found


def without_defaults(value: dict[str, Any], message: Message) -> dict[str, Any]:
    """A message of ours likewise."""
    found: dict[str, Any] = {}
    for name, item in value.items():
        field = message.by_name[name]
        if field.message and field.many:
            found[name] = [without_defaults(each, field.message) for each in item]
        elif field.message:
            found[name] = without_defaults(item, field.message)
        elif item:
            found[name] = item
    return found
