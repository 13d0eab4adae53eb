"""How checks are run and shown: none stops the others, none hangs, no secret gets out."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator

import click
import pytest
from examined import by_id

from ai_assistant.site.doctor import report, run
from ai_assistant.site.doctor.finding import Check, Finding, Subject, failure, ok, shown_url, warning

WELL = Check("well", "Well", lambda subject: [ok("well.being", "Fine", figure=3)])


def crashing(subject: Subject) -> Iterator[Finding]:
    yield ok("crashing.first", "The first thing is well")
    raise LookupError(f"cannot find {subject.conf['db_password']}")


def hanging(subject: Subject) -> Iterator[Finding]:
    yield warning("hanging.first", "Slow")
    time.sleep(30)


def test_a_crash_is_a_failure_and_stops_nobody(subject: Subject, caplog: pytest.LogCaptureFixture) -> None:
    subject.conf["db_password"] = "s3cret-of-the-db"
    crashed, well = run.results([Check("crashing", "Crashing", crashing), WELL], subject)
    assert [finding.id for finding in crashed.findings] == ["crashing.first", "crashing.crash"]
    assert crashed.state == "failure"
    assert "LookupError" in crashed.findings[1].text
    assert "s3cret-of-the-db" not in str(crashed)
    assert "crashing failed" in caplog.text
    assert well.state == "ok"


def test_a_check_that_hangs_ends_in_time_with_what_it_had(subject: Subject) -> None:
    started = time.monotonic()
    hung, well = run.results([Check("hanging", "Hanging", hanging, 0.3), WELL], subject)
    assert time.monotonic() - started < 10
    assert [finding.id for finding in hung.findings] == ["hanging.first", "hanging.timeout"]
    assert "0.3 s" in hung.findings[1].text
    assert well.state == "ok"


def test_no_secret_is_shown_wherever_it_turns_up(subject: Subject) -> None:
    subject.redis_url = "redis://u:redis-pass@h:1"
    subject.api_key = "keykey:secret-half"
    subject.conf |= {"encryption_key": "fernet-key", "mail_password": "mail-pass", "db_name": "shown"}
    words = "redis-pass secret-half fernet-key mail-pass shown"

    def telling(_: Subject) -> list[Finding]:
        return [failure("t.t", words, words, data={"deep": [{"x": words}]})]

    (told,) = run.results([Check("t", "T", telling)], subject)
    text = json.dumps(report.document("s", [told]))
    assert "shown" in text
    for secret in words.split()[:-1]:
        assert secret not in text


def test_the_document_for_monitoring(subject: Subject) -> None:
    found = list(run.results([Check("crashing", "C", crashing), WELL], subject_with_password(subject)))
    document = json.loads(json.dumps(report.document("s.localhost", found)))
    assert document.keys() == {"v", "site", "version", "at", "ok", "counts", "checks"}
    assert (document["v"], document["site"], document["ok"]) == (1, "s.localhost", False)
    assert document["counts"] == {"ok": 2, "note": 0, "warning": 0, "failure": 1}
    assert document["checks"][1].keys() == {"check", "title", "state", "took_ms", "findings"}
    assert document["checks"][1]["findings"] == [
        {"id": "well.being", "state": "ok", "text": "Fine", "fix": [], "data": {"figure": 3}}
    ]


def subject_with_password(subject: Subject) -> Subject:
    subject.conf["db_password"] = "password"
    return subject


def test_for_people_each_fix_has_its_line() -> None:
    finding = failure("a.b", "It is broken", "type this", "or this")
    result = run.Result(check="a", title="A", state="failure", took_ms=1, findings=[finding])
    text = click.unstyle("\n".join([*report.lines(result), report.closing([result])]))
    assert "FAILURE It is broken\n          → type this\n          → or this\n" in text
    assert text.endswith("1 failure(s).")


def test_a_pipe_gets_no_colours() -> None:
    program = (
        "import click\nfrom ai_assistant.site.doctor import report\n"
        "from ai_assistant.site.doctor.finding import failure\n"
        "click.echo(report.heading('s'))\n"
        "click.echo('\\n'.join(report.finding_lines(failure('a.b', 'broken', 'do'))))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert "FAILURE broken" in done.stdout
    assert "\x1b" not in done.stdout


def test_worst_state() -> None:
    assert run.worst([]) == "ok"
    assert run.worst([ok("a.a", ""), warning("a.b", ""), ok("a.c", "")]) == "warning"
    assert by_id([ok("a.a", "")])["a.a"].state == "ok"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:pw@h:1/2", "redis://:***@h:1/2"),
        ("redis://u:p@h", "redis://u:***@h"),
        ("redis://h:1", "redis://h:1"),
        ("unix:///run/r.sock", "unix:///run/r.sock"),
    ],
)
def test_urls_are_shown_without_passwords(url: str, shown: str) -> None:
    assert shown_url(url) == shown
