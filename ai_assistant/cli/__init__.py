"""The command `ai-assistant`. Subcommands are imported when they are called: `--help` must be quick."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

import ai_assistant

Result = TypeVar("Result")

#: Name of each subcommand, the module that has it under this name, and what it does.
SUBCOMMANDS = {
    "serve": ("ai_assistant.cli.serve", "Start the embedded host: page, API, sockets, worker."),
    "worker": ("ai_assistant.cli.worker", "Start one more worker beside a running host."),
    "chat": ("ai_assistant.cli.chat", "Ask a model in the terminal."),
    "traces": ("ai_assistant.cli.traces", "Traces: their state, dead letters, a consumer of their own."),
    "user": ("ai_assistant.cli.user", "Users of the embedded host: add, list, passwords, API keys."),
}


class LazyGroup(click.Group):
    """A group that imports a subcommand only to run it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names in the order above."""
        return list(SUBCOMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The subcommand, or None for a name that is none."""
        if cmd_name not in SUBCOMMANDS:
            return None
        return getattr(importlib.import_module(SUBCOMMANDS[cmd_name][0]), cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of subcommands, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in SUBCOMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(ai_assistant.__version__, prog_name="ai-assistant")
def main() -> None:
    """Streams language models to editors and browsers, with their reasoning as it happens."""


def run_or_complain(function: Callable[..., Result], *arguments: Any) -> Result:
    """`function(*arguments)`; an error that was raised on purpose becomes one line and exit code 2."""
    from ai_assistant.core.errors import AssistantError

    try:
        return function(*arguments)
    except AssistantError as error:
        click.echo(f"ai-assistant: {error}", err=True)
        sys.exit(2)
