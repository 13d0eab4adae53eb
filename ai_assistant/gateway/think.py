"""Tells reasoning from answer where a model writes its thinking into the content as `<think>…</think>`.

Decision: a `<think>` or `<thinking>` block is reasoning only where nothing but white space and other such blocks
stands before it. Models put it at the very start; a tag inside the answer (in a code block, or where the answer
speaks about such tags) is text. A block that is never closed is reasoning to its end, for the answer never began.
White space at the start of the block and between the block and the answer is layout and dropped; an answer without
a block passes unchanged.
"""

from __future__ import annotations

_TAGS = (("<think>", "</think>"), ("<thinking>", "</thinking>"))
#: White space held back while waiting for a tag; more of it is an answer that starts with white space.
_MAX_LEADING_SPACE = 256


class ThinkSplitter:
    """Incremental: `feed` returns (reasoning, text) that became certain, `close` what was held back."""

    def __init__(self) -> None:
        self._held = ""
        self._end: str | None = None
        self._thought = False
        self._started = False
        self.answering = False
        """True once the answer has begun: from then on content needs no `feed`."""

    def feed(self, content: str) -> tuple[str, str]:
        """Take the next piece of content; returns the reasoning in it and the text after that reasoning."""
        if self.answering:
            return "", content
        self._held += content
        reasoning = ""
        while True:
            if self._end is not None:
                reasoning += self._inside()
                if self._end is not None:
                    return reasoning, ""
            elif not self._open():
                return reasoning, self._outside()

    def close(self) -> tuple[str, str]:
        """The stream is over: what was held back is reasoning inside a block and text outside of one."""
        held, self._held = self._held, ""
        if self._end is not None:
            return (held if self._started else held.lstrip()), ""
        return "", held.lstrip() if self._thought else held

    def _open(self) -> bool:
        """Consume an opening tag at the start of what is held."""
        stripped = self._held.lstrip()
        for begin, end in _TAGS:
            if stripped.startswith(begin):
                self._held = stripped[len(begin) :]
                self._end = end
                self._started = False
                return True
        return False

    def _inside(self) -> str:
        """Reasoning up to the closing tag, or as much as cannot be the start of it."""
        assert self._end is not None
        if not self._started:
            self._held = self._held.lstrip()
        cut = self._held.find(self._end)
        if cut >= 0:
            rest = self._held[cut + len(self._end) :]
            self._end = None
            self._thought = True
        else:
            cut = len(self._held) - _tail_of_prefix(self._held, self._end)
            rest = self._held[cut:]
        reasoning, self._held = self._held[:cut], rest
        self._started = self._started or bool(reasoning)
        return reasoning

    def _outside(self) -> str:
        """Text, unless what is held may still become an opening tag."""
        stripped = self._held.lstrip()
        undecided = any(begin.startswith(stripped) for begin, _ in _TAGS)
        if undecided and len(self._held) - len(stripped) <= _MAX_LEADING_SPACE:
            return ""
        text = stripped if self._thought else self._held
        self._held = ""
        self.answering = bool(text)
        return text


def _tail_of_prefix(text: str, tag: str) -> int:
    """Length of the longest end of `text` that is a beginning of `tag`."""
    for size in range(min(len(tag) - 1, len(text)), 0, -1):
        if tag.startswith(text[-size:]):
            return size
    return 0
