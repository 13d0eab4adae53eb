"""Reads the text format of Prometheus, strictly: what a test finds here, Prometheus finds too."""

from __future__ import annotations

import re
import shutil

Labels = frozenset[tuple[str, str]]

_SAMPLE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"(?:,|$)')
_ESCAPES = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}
PROMTOOL = shutil.which("promtool")
"""Prometheus' own checker, where the machine has it."""


class Page:
    """One page of figures."""

    def __init__(self, text: str):
        self.kinds: dict[str, str] = {}
        self.samples: dict[tuple[str, Labels], float] = {}
        assert text.endswith("\n")
        for line in text.split("\n")[:-1]:
            self._read(line)

    def _read(self, line: str) -> None:
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in self.kinds, f"{name} comes twice"
            self.kinds[name] = kind
        elif not line.startswith("# HELP "):
            found = _SAMPLE.fullmatch(line)
            assert found, line
            key = found[1], frozenset(labels(found[2] or ""))
            assert key not in self.samples, line
            self.samples[key] = float(found[3])

    def get(self, name: str, **labels: str) -> float | None:
        """A figure of the app; None where there is none."""
        return self.samples.get((f"ai_assistant_{name}", frozenset(labels.items())))

    def __getitem__(self, name: str) -> float:
        found = self.get(name)
        assert found is not None, f"{name} is not on the page"
        return found

    @property
    def names(self) -> set[str]:
        """Of all samples."""
        return {name for name, _ in self.samples}


def labels(text: str) -> list[tuple[str, str]]:
    """The labels between the braces."""
    found, at = [], 0
    while at < len(text):
        match = _LABEL.match(text, at)
        assert match, text
        value = re.sub(r"\\.", lambda escape: _ESCAPES[escape[0]], match[2])
        found.append((match[1], value))
        at = match.end()
    return found
