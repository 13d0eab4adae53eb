"""Shows a stream in a terminal: a thinking timer, the reasoning dimmed, the answer rendered, a last line of figures."""

from __future__ import annotations

import re
import sys
import time
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markdown import Markdown
from rich.spinner import Spinner
from rich.text import Text

STATES = {
    "queued": "Waiting for a free worker",
    "connecting": "Connecting",
    "retrying": "Trying again",
    "fallback": "Another model takes over",
    "restarting": "Starting over",
    "waiting_tool": "Waiting for a tool",
}

#: C0 without tab and newline, DEL and C1: ECMA-48 gives them meaning.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Screen:
    """What is shown of one task. On a terminal it is redrawn in place; elsewhere the plain answer is written."""

    def __init__(self, *, show_reasoning: bool = True):
        self.out = Console(file=sys.stdout, highlight=False)
        self.err = Console(file=sys.stderr, highlight=False)
        self.interactive = self.out.is_terminal
        self._show_reasoning = show_reasoning
        self._reasoning = ""
        self._text = ""
        self._state = ""
        self._since = time.monotonic()
        self._thinking = True
        self._thought_ms: int | None = None
        self._tools: dict[str, str] = {}
        self._live: Live | None = None

    def __enter__(self) -> Screen:
        if self.interactive:
            self._live = Live(
                get_renderable=self._render,
                console=self.out,
                refresh_per_second=10,
                transient=True,
                vertical_overflow="crop",
            )
            self._live.__enter__()
        return self

    def __exit__(self, *exc: Any) -> None:
        if self._live:
            self._live.__exit__(*exc)
            self._live = None

    def show(self, event: dict[str, Any]) -> None:
        """Takes in one event."""
        event = without_controls(event) if self.interactive else event
        type_ = event["type"]
        if type_ == "start":
            self._since = time.monotonic() - event["elapsed_ms"] / 1000
        elif type_ == "status":
            self._state = event.get("detail") or STATES.get(event.get("state", ""), "")
        elif type_ == "reasoning":
            self._on_reasoning(event)
        elif type_ == "text":
            self._on_text(event["text"])
        elif type_ == "snapshot":
            self._text, self._reasoning = event["text"], event.get("reasoning", "")
        elif type_ == "tool_call":
            known = "" if not event["partial"] else self._tools.get(event["tool_call_id"], "")
            self._tools[event["tool_call_id"]] = (known or f"{event['name']} ") + event["arguments"]

    def _on_reasoning(self, event: dict[str, Any]) -> None:
        if event["partial"]:
            self._reasoning += event["text"]
        else:
            self._thought_ms = (self._thought_ms or 0) + event.get("reasoning_ms", 0)

    def _on_text(self, text: str) -> None:
        self._thinking = False
        self._text += text
        if not self.interactive:
            sys.stdout.write(text)
            sys.stdout.flush()

    def _render(self) -> RenderableType:
        """The screen while the stream runs: its newest lines, as many as there is room for."""
        rows: list[RenderableType] = []
        height = max(6, self.out.size.height - 3)
        if self._thinking:
            seconds = int(time.monotonic() - self._since)
            label = f" Thinking {seconds}s" + (f"  {self._state}" if self._state and not self._reasoning else "")
            rows.append(Spinner("dots", text=Text(label, style="cyan")))
        if self._reasoning and self._show_reasoning and not self._text:
            lines = Text(self._reasoning, style="dim italic").wrap(self.out, self.out.width)
            rows.append(Text("\n").join(lines[-(height - 2) :]))
        if self._text:
            lines = self.out.render_lines(Markdown(self._text), pad=False)
            rows.append(Tail(lines[-height:]))
        rows += [Text(f"→ {call}", style="magenta") for call in self._tools.values()]
        return Group(*rows)

    def finish(self, event: dict[str, Any]) -> None:
        """The last event: writes all of it for good, with the line of figures."""
        event = without_controls(event)
        if self.interactive:
            self._write_whole(event.get("text") or self._text)
        elif self._text and not self._text.endswith("\n"):
            sys.stdout.write("\n")
            sys.stdout.flush()
        type_ = event["type"]
        if type_ == "completion":
            self.err.print(Text(figures(event), style="dim"))
        elif type_ == "cancelled":
            self.err.print(Text("Cancelled.", style="yellow"))
        else:
            self.err.print(Text(f"{event.get('message')} ({event.get('code')})", style="red"))

    def _write_whole(self, text: str) -> None:
        if self._reasoning and self._show_reasoning:
            if self._thought_ms is not None:
                self.out.print(Text(f"Thought for {self._thought_ms / 1000:.1f}s", style="cyan"))
            self.out.print(Text(self._reasoning.strip(), style="dim italic"))
            self.out.print()
        if text:
            self.out.print(Markdown(text))
        for call in self._tools.values():
            self.out.print(Text(f"→ {call}", style="magenta"))


def without_controls(value: Any) -> Any:
    """A copy in which no text holds a control character but tab and newline: what a model writes must not drive the
    terminal (set its title, write its clipboard, hide lines)."""
    if isinstance(value, str):
        return _CONTROLS.sub("", value)
    if isinstance(value, dict):
        return {key: without_controls(item) for key, item in value.items()}
    return value


class Tail:
    """Lines that were rendered already."""

    def __init__(self, lines: list[Any]):
        self._lines = lines

    def __rich_console__(self, console: Any, options: Any) -> Any:
        from rich.segment import Segment

        for line in self._lines:
            yield from line
            yield Segment.line()


def figures(event: dict[str, Any]) -> str:
    """Model, tokens, cost and time to the first token of a completion."""
    usage, timings = event.get("usage") or {}, event.get("timings") or {}
    parts = [str(event.get("model"))]
    if usage:
        about = "about " if usage.get("estimated") else ""
        parts.append(f"{about}{usage.get('total_tokens', 0)} tokens")
        if usage.get("cost") is not None:
            parts.append(f"${usage['cost']:.4f}")
    if timings.get("ttft_ms") is not None:
        parts.append(f"first token {timings['ttft_ms'] / 1000:.2f} s")
    if event.get("trimmed_messages"):
        parts.append(f"{event['trimmed_messages']} oldest messages left out")
    if event.get("finish_reason") == "length":
        parts.append("cut at the length limit")
    return " · ".join(parts)
