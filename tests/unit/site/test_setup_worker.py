"""The worker's lines in Procfile and supervisor.conf: added once, kept as an admin changed them, taken out again."""

from __future__ import annotations

import configparser
import os
from pathlib import Path

import pytest

from ai_assistant.core.errors import ConfigError
from ai_assistant.site.setup_worker import PROCFILE, SUPERVISOR, plan, write

PROCFILE_TEXT = """\
web: bench serve --port 8000

worker: bench worker 1>> logs/worker.log 2>> logs/worker.error.log

"""
# of the form that frappe-bench 5 writes, with what matters here
SUPERVISOR_TEXT = """\
; a comment
[program:my-bench-frappe-web]
command=/b/env/bin/gunicorn frappe.app:application
user=frappe

[program:my-bench-frappe-long-worker]
command=/usr/local/bin/bench worker --queue long,default,short
priority=4
autostart=true
autorestart=true
stdout_logfile=/b/logs/worker.log
stderr_logfile=/b/logs/worker.error.log
user=frappe
stopwaitsecs=1560
directory=/b
killasgroup=true

[group:my-bench-web]
programs=my-bench-frappe-web

[group:my-bench-workers]
programs=my-bench-frappe-schedule,my-bench-frappe-long-worker
"""
PROGRAM = "program:my-bench-ai-worker"


@pytest.fixture
def bench(tmp_path: Path) -> Path:
    """A bench's folder with both files."""
    (tmp_path / "config").mkdir()
    (tmp_path / PROCFILE).write_text(PROCFILE_TEXT)
    (tmp_path / SUPERVISOR).write_text(SUPERVISOR_TEXT)
    return tmp_path


def supervisor(bench: Path) -> configparser.RawConfigParser:
    """The configuration as supervisor reads it."""
    parser = configparser.RawConfigParser(inline_comment_prefixes=(";",))
    parser.read(bench / SUPERVISOR)
    return parser


def worker_lines(bench: Path) -> list[str]:
    """The worker's lines in the Procfile."""
    return [line for line in (bench / PROCFILE).read_text().splitlines() if line.startswith("ai_worker")]


def test_the_worker_is_added_to_both_files_and_joins_the_group_that_restarts(bench: Path) -> None:
    changes = plan(bench)
    write(changes)
    assert len(worker_lines(bench)) == 1
    conf = supervisor(bench)
    assert conf[PROGRAM]["command"] == "/usr/local/bin/bench ai-worker"
    assert conf[PROGRAM]["user"] == "frappe"
    assert conf[PROGRAM]["directory"] == "/b"
    assert conf[PROGRAM]["stderr_logfile"] == "/b/logs/worker.error.log"
    assert 15 < int(conf[PROGRAM]["stopwaitsecs"]) < 120
    assert conf["group:my-bench-workers"]["programs"].split(",")[-1] == "my-bench-ai-worker"
    assert conf["group:my-bench-web"]["programs"] == "my-bench-frappe-web"
    assert "+ai_worker: bench ai-worker" in changes[0].diff()
    assert f"+[{PROGRAM}]" in changes[1].diff()
    assert "; a comment" in (bench / SUPERVISOR).read_text()


def test_a_second_time_changes_nothing(bench: Path) -> None:
    write(plan(bench))
    assert plan(bench) == []


def test_the_number_of_workers_grows_and_shrinks(bench: Path) -> None:
    write(plan(bench, count=3))
    assert [line.split(":")[0] for line in worker_lines(bench)] == ["ai_worker", "ai_worker_2", "ai_worker_3"]
    assert supervisor(bench)[PROGRAM]["numprocs"] == "3"
    assert "process_num" in supervisor(bench)[PROGRAM]["process_name"]
    assert plan(bench) == [], "without a number it stays as it is"
    write(plan(bench, count=2))
    assert len(worker_lines(bench)) == 2
    assert supervisor(bench)[PROGRAM]["numprocs"] == "2"


def test_what_an_admin_changed_is_kept(bench: Path) -> None:
    write(plan(bench))
    for name in (PROCFILE, SUPERVISOR):
        text = (bench / name).read_text()
        (bench / name).write_text(text.replace("bench ai-worker", "bench ai-worker --max-tasks 50"))
    write(plan(bench, count=2))
    assert "--max-tasks 50" in worker_lines(bench)[0]
    assert supervisor(bench)[PROGRAM]["command"].endswith("--max-tasks 50")


@pytest.mark.parametrize("count", [1, 3])
def test_it_is_taken_out_without_a_trace(bench: Path, count: int) -> None:
    write(plan(bench, count=count))
    write(plan(bench, remove=True))
    assert (bench / PROCFILE).read_text() == PROCFILE_TEXT
    assert (bench / SUPERVISOR).read_text() == SUPERVISOR_TEXT
    assert plan(bench, remove=True) == []


def test_after_bench_wrote_its_file_anew_the_worker_is_added_again(bench: Path) -> None:
    write(plan(bench))
    (bench / SUPERVISOR).write_text(SUPERVISOR_TEXT)
    (change,) = plan(bench)
    assert change.path.name == "supervisor.conf"


def test_a_bench_without_supervisor_gets_the_procfile_line_only(bench: Path) -> None:
    (bench / SUPERVISOR).unlink()
    (change,) = plan(bench)
    assert change.path.name == PROCFILE


def test_a_folder_with_neither_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="bench setup supervisor"):
        plan(tmp_path)


@pytest.mark.parametrize(("cut", "message"), [("[group:my-bench-workers]", "no group"), ("bench worker", "no program")])
def test_a_file_that_is_not_as_bench_writes_it_is_refused(bench: Path, cut: str, message: str) -> None:
    (bench / SUPERVISOR).write_text(SUPERVISOR_TEXT.replace(cut, "x"))
    with pytest.raises(ConfigError, match=message):
        plan(bench)


def test_nothing_is_written_when_one_file_may_not_be(bench: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.access  # root may write everything, so that a mode alone would show nothing here
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name == PROCFILE and real(path, mode))
    with pytest.raises(ConfigError, match="file's owner"):
        write(plan(bench))
    assert (bench / PROCFILE).read_text() == PROCFILE_TEXT
