"""The commands about traces that both hosts have, `status` and `dead-letters`: each host says how it finds Redis."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import NamedTuple

import click
import redis
from redis.exceptions import RedisError


class Target(NamedTuple):
    """Where a site's traces are."""

    client: redis.Redis
    site: str


Open = Callable[[click.Context], AbstractContextManager[Target]]


def status_command(open_: Open) -> click.Command:
    """`status`."""

    @click.command()
    @click.option("--json", "as_json", is_flag=True, help="For programs.")
    @click.pass_context
    def status(ctx: click.Context, as_json: bool) -> None:
        """Show consumers, producers, what waits, dead letters and losses."""
        from ai_assistant.traces import consumer_report

        with reached(open_, ctx) as target:
            found = consumer_report.status_of(target.client, target.site)
        if as_json:
            click.echo(consumer_report.as_json(found))
        else:
            consumer_report.show_status(found)

    return status


def dead_letters_command(open_: Open) -> click.Command:
    """`dead-letters`."""

    @click.command(name="dead-letters")
    @click.argument("ids", nargs=-1)
    @click.option("--retry", is_flag=True, help="Put them back on the stream: those named, else all.")
    @click.option("--delete", is_flag=True, help="Remove them for good: those named, else all.")
    @click.option("--limit", type=click.IntRange(1), help="At most so many.  [default: 100 shown; no limit else]")
    @click.option("--json", "as_json", is_flag=True, help="For programs.")
    @click.pass_context
    def dead_letters(
        ctx: click.Context, ids: tuple[str, ...], retry: bool, delete: bool, limit: int | None, as_json: bool
    ) -> None:
        """Show the events that could not be stored, and why; try them again, or delete them. IDS: as it lists them."""
        if retry and delete:
            raise click.UsageError("--retry and --delete: choose one of them.")
        from ai_assistant.traces import consumer_report
        from ai_assistant.traces.deadletters import DeadLetters

        with reached(open_, ctx) as target:
            letters = DeadLetters(target.client, target.site)
            if retry or delete:
                change = letters.retry if retry else letters.delete
                count, word = change(list(ids) or None, limit=limit), "retried" if retry else "deleted"
                click.echo(consumer_report.as_json({word: count}) if as_json else f"{count} dead letters {word}.")
                return
            found, total = letters.list(limit or 100, ids=list(ids) or None), letters.count()
        if as_json:
            click.echo(consumer_report.as_json({"total": total, "dead_letters": found}))
        else:
            consumer_report.show_letters(found, total)

    return dead_letters


@contextmanager
def reached(open_: Open, ctx: click.Context) -> Iterator[Target]:
    """The host's target; an error of Redis inside becomes a line and exit code 1."""
    try:
        with open_(ctx) as target:
            yield target
    except (RedisError, OSError) as error:
        raise click.ClickException(f"the Redis of the traces: {error}") from error
