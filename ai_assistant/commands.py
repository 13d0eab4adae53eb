"""What this app adds to `bench`. Every bench command loads this file: the work is imported when a command runs."""

import importlib

import click

#: Subcommands of `bench ai-assistant`: the module that has it as `command`, and what it does.
SUBCOMMANDS = {
    "chat": ("ai_assistant.site.chat", "Ask a model in the terminal, as a user of the site."),
    "doctor": ("ai_assistant.site.doctor.command", "Check all parts, and say what to type where one fails."),
    "metrics": ("ai_assistant.site.metrics_command", "Print figures for Prometheus; measure delivery with --probe."),
    "traces": ("ai_assistant.site.traces_command", "Traces: their state, dead letters, a consumer of their own."),
    "setup-worker": ("ai_assistant.site.setup_worker", "Make the worker a process of this bench, or undo that."),
}


class LazyGroup(click.Group):
    """A group that imports a subcommand only to run it."""

    def list_commands(self, ctx):
        """The names in the order above."""
        return list(SUBCOMMANDS)

    def get_command(self, ctx, cmd_name):
        """The subcommand, or None for a name that is none."""
        if cmd_name not in SUBCOMMANDS:
            return None
        return importlib.import_module(SUBCOMMANDS[cmd_name][0]).command

    def format_commands(self, ctx, formatter):
        """The list of subcommands, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in SUBCOMMANDS.items()])


@click.group("ai-assistant", cls=LazyGroup)
def ai_assistant():
    """AI Assistant: its worker, its models, its health."""


@click.command("ai-worker")
@click.option("--max-tasks", type=click.IntRange(1, 10_000), help="Tasks at the same time.  [default: 400]")
@click.option("--grace", type=click.FloatRange(0, 3600), default=10.0, show_default=True, help="Seconds at the end.")
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]))
@click.option("--metrics-port", type=click.IntRange(0, 65535), help="Serve this worker's figures at /metrics there.")
@click.option("--metrics-host", default="127.0.0.1", show_default=True, help="The address for that. It has no login.")
@click.option("--only-traces", is_flag=True, help="Store traces and take no tasks: a consumer beside the workers.")
def ai_worker(max_tasks, grace, log_level, metrics_port, metrics_host, only_traces):
    """Run the worker for all sites of this bench. Any number of them share the load.

    A worker stores traces, too.
    """
    from ai_assistant.site.daemon import start

    start(max_tasks, grace, log_level, metrics_port, metrics_host, only_traces)


commands = [ai_worker, ai_assistant]
