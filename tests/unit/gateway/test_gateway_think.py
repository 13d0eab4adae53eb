"""Reasoning in `<think>` tags, and characters cut in halves."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_assistant.gateway.surrogates import SurrogateJoiner
from ai_assistant.gateway.think import ThinkSplitter

CASES = [
    ("plain text", "", "plain text"),
    ("  indented <b>text</b>", "", "  indented <b>text</b>"),
    ("<think>why</think>because", "why", "because"),
    ("\n<think>\nwhy\n</think>\n\nbecause", "why\n", "because"),
    ("<thinking>why</think> not</thinking>x", "why</think> not", "x"),
    ("<think></think>\n\nanswer", "", "answer"),
    ("<think>\n\n</think>\n\nanswer", "", "answer"),
    ("<think>a</think> <think>b</think>c", "ab", "c"),
    ("<think>never closed", "never closed", ""),
    ("<think>never closed </thi", "never closed </thi", ""),
    ("use `<think>` here", "", "use `<think>` here"),
    ("```xml\n<think>no</think>\n```", "", "```xml\n<think>no</think>\n```"),
    ("<think>a</think>text with <think>more</think>", "a", "text with <think>more</think>"),
    ("<thin", "", "<thin"),
    ("<thinkable>", "", "<thinkable>"),
    ("< think>x", "", "< think>x"),
    ("", "", ""),
    ("   ", "", "   "),
    (" " * 400 + "<think>x</think>", "", " " * 400 + "<think>x</think>"),
    ("<think>a < b </ c</think>d", "a < b </ c", "d"),
]


def split(pieces: list[str]) -> tuple[str, str]:
    """All reasoning and all text of the pieces."""
    splitter = ThinkSplitter()
    pairs = [splitter.feed(piece) for piece in pieces] + [splitter.close()]
    return "".join(reasoning for reasoning, _ in pairs), "".join(text for _, text in pairs)


@pytest.mark.parametrize(("content", "reasoning", "text"), CASES)
def test_whole_and_letter_by_letter(content: str, reasoning: str, text: str):
    assert split([content]) == (reasoning, text) or len(content) > 400
    assert split(list(content)) == (reasoning, text)


@given(st.sampled_from(CASES[:-2]), st.lists(st.integers(0, 60), max_size=8))
def test_cutting_changes_nothing(case: tuple[str, str, str], places: list[int]):
    content, reasoning, text = case
    marks = sorted({0, len(content), *(min(place, len(content)) for place in places)})
    pieces = [content[a:b] for a, b in itertools.pairwise(marks)]
    assert split(pieces) == (reasoning, text)


@given(st.text(), st.lists(st.integers(0, 200), max_size=10))
def test_halves_are_joined(text: str, places: list[int]):
    units = text.encode("utf-16-le", "surrogatepass")
    marks = sorted({0, len(units), *(min(place * 2, len(units)) for place in places)})
    joiner = SurrogateJoiner()
    pieces = [units[a:b].decode("utf-16-le", "surrogatepass") for a, b in itertools.pairwise(marks)]
    assert "".join(joiner.feed(piece) for piece in pieces) + joiner.close() == text


def test_a_half_without_its_other_half():
    joiner = SurrogateJoiner()
    pieces = [joiner.feed("a\ud83c"), joiner.feed("b\udf89c"), joiner.feed("\ud83c"), joiner.close()]
    assert "".join(pieces) == "a\ufffdb\ufffdc\ufffd"
