"""Captured values: bounded, valid, and never a reason for the program to fail."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import json
import uuid

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_assistant.tracing.capture import CUT, as_text

LIMIT = 10_000


def text_of(value, limit=LIMIT):
    return as_text(value, limit)[0]


def value_of(value, limit=LIMIT):
    return json.loads(text_of(value, limit))


@dataclasses.dataclass
class Point:
    x: int
    y: object


class Color(enum.Enum):
    RED = "red"


class Struct(msgspec.Struct):
    a: int


class Slotted:
    __slots__ = ("a",)


class Raising:
    def __repr__(self):
        raise RuntimeError("no repr")


class RaisingMapping(dict):
    def items(self):
        raise OSError("gone")


def test_a_string_stays_as_it_is_and_all_else_becomes_json():
    assert as_text("plain", LIMIT) == ("plain", False)
    assert as_text({"a": [1, 2.5, None, True, "é"]}, LIMIT) == ('{"a":[1,2.5,null,true,"é"]}', False)
    assert as_text(7, LIMIT) == ("7", False)
    assert as_text((), LIMIT) == ("[]", False)


def test_a_long_string_is_cut_and_says_so():
    text, cut = as_text("x" * 50, 10)
    assert cut
    assert text == "x" * 10 + CUT


def test_a_cycle_is_named():
    value = {"name": "a"}
    value["self"] = value
    assert value_of(value) == {"name": "a", "self": "<dict: contains itself>"}
    items = [1]
    items.append(items)
    assert value_of(items) == [1, "<list: contains itself>"]


def test_a_value_that_stands_in_two_places_is_no_cycle():
    shared = Point(1, 2)
    assert value_of([shared, shared]) == [{"x": 1, "y": 2}] * 2


def test_what_is_huge_is_cut_short():
    text, cut = as_text(list(range(1_000_000)), LIMIT)
    assert cut
    assert len(text) < 3 * LIMIT
    assert json.loads(text)[:3] == [0, 1, 2]
    text, cut = as_text({"rows": [{"cell": "x" * 1000} for _ in range(10_000)]}, LIMIT)
    assert cut
    assert len(text) < 3 * LIMIT
    assert json.loads(text)["rows"][0] == {"cell": "x" * 1000}


def test_what_is_deep_is_cut_short():
    value = leaf = {}
    for _ in range(5000):
        leaf["next"] = {}
        leaf = leaf["next"]
    text, cut = as_text(value, LIMIT)
    assert cut
    assert "nested too deeply" in text


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Point(1, Color.RED), {"x": 1, "y": "red"}),
        (Struct(3), {"a": 3}),
        ({1: "int key", (1, 2): "tuple key"}, {"1": "int key", "(1, 2)": "tuple key"}),
        ({"when": datetime.datetime(2026, 1, 2, 3, 4)}, {"when": "2026-01-02T03:04:00"}),
        ([uuid.UUID(int=1)], ["00000000-0000-0000-0000-000000000001"]),
        ([decimal.Decimal("1.10")], ["1.10"]),
        ([b"\x00\x01"], ["<2 bytes>"]),
        ([{3}], [[3]]),
        ([2**70], [2**70]),
        ([ValueError("bad")], ["ValueError: bad"]),
    ],
)
def test_known_classes(value, expected):
    assert value_of(value) == expected


def test_pydantic_models_numpy_and_pandas_like_things():
    pydantic = pytest.importorskip("pydantic")

    class Model(pydantic.BaseModel):
        a: int
        inner: object = None

    assert value_of(Model(a=1, inner=Model(a=2))) == {"a": 1, "inner": {"a": 2, "inner": None}}
    numpy = pytest.importorskip("numpy")
    found = value_of({"array": numpy.zeros((1000, 1000)), "number": numpy.float32(0.5)})
    assert found["array"]["shape"] == [1000, 1000]
    assert len(found["array"]["first"]) == 8
    assert found["number"] == 0.5


def test_unknown_classes_are_named_and_never_raise():
    assert "Slotted object at" in text_of(Slotted())
    assert text_of(Raising()) == "<Raising: repr raised RuntimeError>"
    assert text_of([Raising()]) == '["<Raising: repr raised RuntimeError>"]'
    assert text_of(RaisingMapping(a=1)) == "<RaisingMapping: OSError while it was read>"
    assert text_of(x for x in ()).startswith("<generator object")


def test_half_a_surrogate_pair_becomes_a_character_that_can_be_stored():
    for value in ("a\ud83d", ["a\ud83d"], {"k\ud83d": 1}):
        text_of(value).encode()


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary(max_size=20),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner, inner),
    max_leaves=40,
)


@given(values, st.integers(1, 400))
def test_any_value_gives_bounded_text_that_utf8_can_carry(value, limit):
    text, cut = as_text(value, limit)
    text.encode()
    assert cut or len(text) <= 8 * limit + 200
    if isinstance(value, list | dict | tuple) and text[:1] in "[{":
        json.loads(text)
