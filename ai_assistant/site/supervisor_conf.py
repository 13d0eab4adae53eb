"""The worker's program in a bench's `config/supervisor.conf`, as `bench setup supervisor` writes that (frappe-bench 5).

The program belongs to the group of the bench's workers, since that is what `bench restart` restarts. A file of its own
beside the bench's would survive `bench setup supervisor`, but could not join that group, and would go on with old code
after each update. So it stands in the bench's file and has to be added again when bench writes that anew; until then
the background job does its work.
"""

from __future__ import annotations

import re

from ai_assistant.core.errors import ConfigError

STOP_WAIT_S = 30
"""Above the worker's own grace (10 s) and the few seconds in which it ends and hands over."""
HEADER = re.compile(r"^\[(?P<name>[^\]]+)\]\s*$")
GROUPS = re.compile(r"^group:(?P<bench>.+)-(?:workers|processes)$")
WORKER_COMMAND = re.compile(r"^(?P<bench>.*\bbench) worker\b")
COPIED = (
    "autostart",
    "autorestart",
    "priority",
    "stdout_logfile",
    "stderr_logfile",
    "user",
    "directory",
    "startretries",
)
"""What the worker has in common with the bench's other workers."""


def with_workers(text: str, count: int | None) -> str:
    """The configuration with `count` workers; `None`: as many as it has, and at least one. A program that is there
    keeps what an admin has changed. Raises ConfigError when the file is not as bench writes it."""
    lines = text.splitlines()
    group = group_of(lines)
    program = f"{group_bench(group)}-ai-worker"
    section = f"program:{program}"
    if section in sections(lines):
        if count:
            set_value(lines, section, "numprocs", str(count))
    else:
        at = next(iter(sorted(start for name, (start, _) in sections(lines).items() if name.startswith("group:"))))
        lines[at:at] = [*program_lines(lines, program, count or 1), ""]
    programs = members(lines, group)
    if program not in programs:
        set_value(lines, group, "programs", ",".join([*programs, program]))
    return "\n".join(lines) + "\n"


def without_workers(text: str) -> str:
    """The configuration without the worker. Raises ConfigError as `with_workers` does."""
    lines = text.splitlines()
    group = group_of(lines)
    program = f"{group_bench(group)}-ai-worker"
    programs = members(lines, group)
    if program in programs:
        set_value(lines, group, "programs", ",".join(name for name in programs if name != program))
    found = sections(lines).get(f"program:{program}")
    if found:
        del lines[found[0] : found[1]]
    return "\n".join(lines) + "\n"


def program_lines(lines: list[str], program: str, count: int) -> list[str]:
    """The section of the worker's program, after the example of another worker of the bench."""
    example = example_of(lines)
    command = WORKER_COMMAND.match(example["command"])
    assert command
    return [
        f"[program:{program}]",
        f"command={command['bench']} ai-worker",
        *(f"{key}={example[key]}" for key in COPIED if key in example),
        "stopsignal=TERM",
        f"stopwaitsecs={STOP_WAIT_S}",
        "killasgroup=true",
        f"numprocs={count}",
        "process_name=%(program_name)s-%(process_num)d",
    ]


def example_of(lines: list[str]) -> dict[str, str]:
    """The options of the first program that is an RQ worker."""
    for name, (start, end) in sections(lines).items():
        options = dict(option for line in lines[start + 1 : end] if (option := option_of(line)))
        if name.startswith("program:") and WORKER_COMMAND.match(options.get("command", "")):
            return options
    raise ConfigError("supervisor.conf", "has no program `bench worker`; write it anew with: bench setup supervisor")


def sections(lines: list[str]) -> dict[str, tuple[int, int]]:
    """Name of each section, the number of its header line, and that of the line after its last option."""
    starts = [(match["name"], number) for number, line in enumerate(lines) if (match := HEADER.match(line))]
    ends = [number for _, number in starts[1:]] + [len(lines)]
    return {name: (start, end) for (name, start), end in zip(starts, ends, strict=True)}


def group_of(lines: list[str]) -> str:
    """The section of the group that `bench restart` restarts for the workers."""
    found = [name for name in sections(lines) if GROUPS.match(name)]
    if not found:
        raise ConfigError("supervisor.conf", "has no group of workers; write it anew with: bench setup supervisor")
    return sorted(found, key=lambda name: name.endswith("-processes"))[0]


def group_bench(group: str) -> str:
    """The bench's name, with which its groups and programs begin."""
    match = GROUPS.match(group)
    assert match
    return match["bench"]


def members(lines: list[str], group: str) -> list[str]:
    """The programs of a group."""
    start, end = sections(lines)[group]
    options = dict(option for line in lines[start + 1 : end] if (option := option_of(line)))
    return [name.strip() for name in options.get("programs", "").split(",") if name.strip()]


def option_of(line: str) -> tuple[str, str] | None:
    """Key and value of a line that has them."""
    key, is_option, value = line.partition("=")
    return (key.strip(), value.strip()) if is_option and not line.startswith((";", "#")) else None


def set_value(lines: list[str], section: str, key: str, value: str) -> None:
    """Changes an option in place, or adds it behind the section's header."""
    start, end = sections(lines)[section]
    for number in range(start + 1, end):
        option = option_of(lines[number])
        if option and option[0] == key:
            if option[1] != value:
                lines[number] = f"{key}={value}"
            return
    lines.insert(start + 1, f"{key}={value}")
