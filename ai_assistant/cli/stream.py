"""Asks one question and shows its stream: what `ai-assistant chat` and `bench ai-assistant chat` have in common."""

from __future__ import annotations

import asyncio
import json
import signal
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar

import click
import msgspec

CANCELLED_EXIT = 130
CANCEL_S = 5.0

Function = TypeVar("Function", bound=Callable[..., Any])


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked, and how the answer is shown."""

    text: str
    model: str | None
    mode: str
    effort: str | None
    conversation: str | None
    events: bool
    reasoning: bool


class Caller(Protocol):
    """Calls the endpoints of a host as one user."""

    async def call(self, method: str, **arguments: Any) -> Any:
        """The result of `ai_assistant.api.<method>`. Raises RemoteError."""
        ...


class Events(Protocol):
    """Follows tasks."""

    def events(self, task_id: str) -> AsyncIterator[dict[str, Any]]:
        """The events of a task in order, each once, up to the one that ends it. Raises RemoteError."""
        ...


def question_options(command: Function) -> Function:
    """Adds the arguments that make a Question to a click command."""
    options = [
        click.argument("prompt", default=""),
        click.option(
            "-f", "--file", "files", multiple=True, type=click.Path(path_type=Path), help="A file as context."
        ),
        click.option("-m", "--model", help="Which model answers; default: the host's."),
        click.option("--mode", type=click.Choice(["ask", "agent"]), default="ask", show_default=True),
        click.option("--effort", type=click.Choice(["none", "minimal", "low", "medium", "high", "xhigh"])),
        click.option("-c", "--conversation", help="'new', or the name of one to go on with."),
        click.option("--events", is_flag=True, help="Print the raw events as JSON lines."),
        click.option("--reasoning/--no-reasoning", default=True, help="Show the model's thinking."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


async def stream(question: Question, caller: Caller, follower: Events) -> int:
    """Starts the task and shows its events; Ctrl-C cancels it upstream too. Gives the exit code."""
    task_id = str(uuid.uuid4())
    interrupted = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupted.set)
    work = asyncio.ensure_future(show(question, caller, follower, task_id))
    stop = asyncio.ensure_future(interrupted.wait())
    try:
        await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)  # a second Ctrl-C ends at once
            await caller.call("cancel", task_id=task_id)
            await asyncio.wait({work}, timeout=CANCEL_S)
        if not work.done():
            return CANCELLED_EXIT
        return work.result()
    finally:
        stop.cancel()
        work.cancel()


async def show(question: Question, caller: Caller, follower: Events, task_id: str) -> int:
    """Shows the events of the task; the exit code tells how it ended."""
    from ai_assistant.cli.screen import Screen

    started = await caller.call(
        "chat_completion",
        messages=[{"role": "user", "content": question.text}],
        model=question.model,
        mode=question.mode,
        reasoning_effort=question.effort,
        conversation=question.conversation,
        task_id=task_id,
        wait=False,
    )
    last: dict[str, Any] = {}
    if question.events:
        async for last in follower.events(task_id):
            print(json.dumps(last, ensure_ascii=False), flush=True)
        return exit_code(last)
    screen = Screen(show_reasoning=question.reasoning)
    with screen:
        async for last in follower.events(task_id):
            screen.show(last)
    screen.finish(last)
    if question.conversation == "new" and started.get("conversation"):
        click.secho(f"Go on with: --conversation {started['conversation']}", dim=True, err=True)
    return exit_code(last)


def exit_code(last: dict[str, Any]) -> int:
    """0 for a completion, 130 for a cancellation, 1 for an error."""
    return {"completion": 0, "cancelled": CANCELLED_EXIT}.get(last.get("type", ""), 1)
