"""Reads the receipts of this folder as a task of its own, and prints the trace at the end. See README.md."""

from __future__ import annotations

import argparse
from pathlib import Path

from place import Place, find_place, line_of
from steps import read_receipts
from tree import stored_tree, tree_of

from ai_assistant import tracing

HERE = Path(__file__).parent / "receipts"
NAME, SUBJECT = "read-receipts", "Receipts/example"


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=HERE, help="text receipts (*.txt)")
    parser.add_argument("--data-dir", type=Path, help="the running host's data folder, if not the default")
    parser.add_argument("--user", default="Administrator", help="who sees the events")
    parser.add_argument("--no-server", action="store_true", help="print the events, and send nothing anywhere")
    options = parser.parse_args()
    paths = sorted(options.folder.glob("*.txt"))
    place = None if options.no_server else find_place(options.data_dir)
    if place is None:
        print("No host runs: the events stay here. (bin/serve starts one.)\n")
        run_here(paths)
    else:
        run_at(place, paths, options.user)


def run_here(paths: list[Path]) -> None:
    """Everything stays in memory."""
    with tracing.testing.recorded(fixed=False) as traces, tracing.recorded_tasks(lambda e: print(line_of(e))):
        with tracing.task(NAME, subject=SUBJECT) as task:
            task.result = read_receipts(task, paths)
        print(f"\nThe trace {task.trace_id}:\n")
        print("\n".join(tree_of(traces.observations())))


def run_at(place: Place, paths: list[Path], user: str) -> None:
    """The host's Redis takes events and observations."""
    tracing.init(redis_url=place.redis_url, site=place.site, service="receipts-example", verify=False)
    with tracing.task(NAME, user=user, subject=SUBJECT) as task:
        print(f"Task {task.task_id} of {user}: its events arrive at the user's sockets as they happen.")
        task.result = read_receipts(task, paths)
    task.flush()
    tracing.flush()
    print(f"{task.result}\n\nThe trace {task.trace_id}:\n")
    if place.url:
        print("\n".join(stored_tree(place, task.trace_id)))
        print(f"\nAs JSON: {place.url}/api/method/ai_assistant.api.get_trace?trace={task.trace_id}")
    else:
        print("See it in the Desk: AI Trace, by this id.")


if __name__ == "__main__":
    main()
