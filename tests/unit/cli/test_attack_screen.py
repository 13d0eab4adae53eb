"""What a model writes must not drive the terminal."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from ai_assistant.cli.screen import Screen

EVIL = "a\x1b]52;c;ZXZpbA==\x07b\x1b[2Jc\x9b2Jd\x00\x7f\te\nf"


def event(type_: str, text: str = "", **fields: Any) -> dict[str, Any]:
    """One event."""
    return {"type": type_, "text": text, "partial": False, **fields}


def test_no_control_character_reaches_the_terminal() -> None:
    screen = Screen()
    shown = io.StringIO()
    screen.out = screen.err = Console(file=shown, highlight=False, width=200)
    screen.interactive = True
    screen.show(event("reasoning", EVIL) | {"partial": True})
    screen.show(event("text", EVIL))
    screen.show(event("status", state="retrying", detail=EVIL))
    screen.show(event("tool_call", tool_call_id="1", name=EVIL, arguments=EVIL))
    screen.out.print(screen._render())
    screen.finish(event("completion", EVIL, model=EVIL, usage={}, timings={}))
    screen.finish(event("error", message=EVIL, code="internal"))
    assert not set(shown.getvalue()) & {"\x1b", "\x9b", "\x07", "\x00", "\x7f"}
    assert "ZXZpbA==" in shown.getvalue()


def test_a_pipe_gets_what_the_model_wrote(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen()
    screen.interactive = False
    screen.show(event("text", EVIL))
    assert capsys.readouterr().out == EVIL
