"""Files and standard input as context of a question."""

from __future__ import annotations

import sys
from pathlib import Path

import click

MAX_BYTES = 2 * 1024 * 1024


def question(prompt: str, files: tuple[Path, ...]) -> str:
    """The message to send: what was asked, then each file and what came in by standard input, each in a fence."""
    parts = [prompt.strip()] if prompt.strip() else []
    piped = "" if sys.stdin is None or sys.stdin.isatty() else read_stdin()
    parts += [fenced(str(path), read_file(path)) for path in files]
    if piped.strip():
        parts.append(fenced("standard input", piped) if parts else piped.strip())
    if not parts:
        raise click.UsageError('Nothing to ask. Try: ai-assistant chat "Explain microservices"')
    return "\n\n".join(parts)


def read_stdin() -> str:
    """What was piped in; a pipe that stays open without a word is not waited for longer than its writer lives."""
    return decoded("standard input", sys.stdin.buffer.read(MAX_BYTES + 1))


def read_file(path: Path) -> str:
    """A file's text."""
    try:
        with path.open("rb") as file:
            return decoded(str(path), file.read(MAX_BYTES + 1))
    except OSError as error:
        raise click.BadParameter(f"{path} cannot be read: {error.strerror}", param_hint="--file") from error


def decoded(name: str, data: bytes) -> str:
    """UTF-8 text of at most 2 MiB."""
    if len(data) > MAX_BYTES:
        raise click.UsageError(f"{name} is larger than {MAX_BYTES // 2**20} MiB; send less of it")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise click.UsageError(f"{name} is not UTF-8 text") from None


def fenced(name: str, text: str) -> str:
    """A text in a Markdown fence that is longer than any in it."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{name}:\n{fence}\n{text.rstrip()}\n{fence}"
