"""What a request's process finds out about the web server around it: from processes that really run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ai_assistant.site import web_server

SERVER = """
import json, os, sys
readable, writable = os.pipe()
for _ in range(int(sys.argv[1])):
    if not os.fork():
        os.close(writable)
        os.read(readable, 1)  # until the server ends
        os._exit(0)
last = os.fork()
if not last:
    os.close(writable)
    from ai_assistant.site import web_server
    environ = {"wsgi.multiprocess": sys.argv[2] == "processes", "wsgi.multithread": sys.argv[3] == "threads"}
    print(json.dumps([web_server.slots(environ), web_server.timeout_s()]), flush=True)
    os._exit(0)
os.close(readable)
os.waitpid(last, 0)
"""


def answer_of(*arguments: str, **environment: str) -> list[Any]:
    """Slots and timeout, as the last process of a server with these arguments sees them."""
    command = [sys.executable, "-c", SERVER, *arguments]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3]), **environment}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=env, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("arguments", "slots", "timeout"),
    [
        (("7", "processes", "one", "-w", "8", "-t", "120"), 8, 120),
        (("2", "processes", "one", "-b", "127.0.0.1:8000", "--timeout=15"), 3, 15),
        (("1", "processes", "threads", "--threads", "4", "--timeout", "30"), 8, 30),
        (("0", "alone", "threads", "--threads=4", "-t9"), 4, 9),
        (("0", "alone", "one", "-t", "0"), 1, None),
        (("0", "alone", "threads", "serve"), web_server.DEV_SLOTS, None),
    ],
)
def test_processes_and_threads_are_counted(arguments: tuple[str, ...], slots: int, timeout: int | None):
    assert answer_of(*arguments) == [slots, timeout]


def test_options_in_the_environment_count_too():
    given = {"GUNICORN_CMD_ARGS": "--threads=2 -t 40"}
    assert answer_of("1", "processes", "threads", **given) == [4, 40]
    assert answer_of("1", "processes", "threads", "-t", "50", **given) == [4, 50], "the command line goes first"


@pytest.mark.parametrize("words", [("-t",), ("--timeout", "soon"), ("-tail", "5"), ("--timeouts=5",), ()])
def test_other_words_are_no_option(words: tuple[str, ...]):
    assert web_server.option(words, web_server.TIMEOUT) is None
