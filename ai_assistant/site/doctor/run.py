"""Runs the checks: one after the other, each in a thread of its own with a time limit. None stops the others."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from ai_assistant.site.doctor.finding import ORDER, Check, Finding, State, Subject, failure

log = logging.getLogger("ai_assistant.doctor")


class Result(msgspec.Struct, kw_only=True):
    """What one check found."""

    check: str
    title: str
    state: State
    """The worst state of its findings."""
    took_ms: int
    findings: list[Finding]


def results(checks: Iterable[Check], subject: Subject) -> Iterator[Result]:
    """The result of each check as soon as it is there, with every known secret blanked."""
    secrets = subject.secrets()
    for check in checks:
        started = time.monotonic()
        findings = [scrubbed(finding, secrets) for finding in found_by(check, subject)]
        yield Result(
            check=check.name,
            title=check.title,
            state=worst(findings),
            took_ms=int((time.monotonic() - started) * 1000),
            findings=findings,
        )


def found_by(check: Check, subject: Subject) -> list[Finding]:
    """The findings of a check. A crash, or the end of its time, is one more of them."""
    findings: list[Finding] = []

    def examine() -> None:
        try:
            for finding in check.run(subject):
                findings.append(finding)
        except Exception as error:  # whatever one check stumbles over, the others must run
            log.exception("the check %s failed", check.name)
            findings.append(crashed(check, error))

    thread = threading.Thread(target=examine, name=f"doctor-{check.name}", daemon=True)
    thread.start()
    thread.join(check.limit_s)
    found = list(findings)
    if thread.is_alive():
        log.error("the check %s took longer than %g s", check.name, check.limit_s)
        found.append(failure(f"{check.name}.timeout", f"This check did not end within {check.limit_s:g} s."))
    return found


def crashed(check: Check, error: Exception) -> Finding:
    """The finding for a check that raised."""
    text = " ".join(str(error).split())[:300]
    return failure(
        f"{check.name}.crash",
        f"This check could not be carried out: {type(error).__name__}{': ' + text if text else ''}",
        "The traceback is in logs/ai_assistant.log of the site.",
    )


def worst(findings: list[Finding]) -> State:
    """The worst state among findings."""
    rank = max((ORDER.index(finding.state) for finding in findings), default=0)
    return ORDER[rank]


def scrubbed(finding: Finding, secrets: list[str]) -> Finding:
    """The finding without any secret, in whatever text it turned up."""

    def clean(value: Any) -> Any:
        if isinstance(value, str):
            for secret in secrets:
                value = value.replace(secret, "***")
        elif isinstance(value, list):
            value = [clean(item) for item in value]
        elif isinstance(value, dict):
            value = {key: clean(item) for key, item in value.items()}
        return value

    return msgspec.structs.replace(finding, text=clean(finding.text), fix=clean(finding.fix), data=clean(finding.data))
