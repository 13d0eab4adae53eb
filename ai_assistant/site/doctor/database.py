"""The site itself: it opens, and its tables are the app's."""

from __future__ import annotations

from collections.abc import Iterator

from ai_assistant.core.errors import AssistantError
from ai_assistant.site.doctor.finding import Finding, Subject, failure, ok

DOCTYPES = ("AI Model", "AI Assistant Settings", "AI Conversation", "AI Message")


def check(subject: Subject) -> Iterator[Finding]:
    """Opens the site as a worker does."""
    import frappe

    try:
        with subject.open():
            missing = [name for name in DOCTYPES if not frappe.db.exists("DocType", name)]
            if missing:
                text = f"{', '.join(missing)} is missing in the database."
                yield failure("site.tables", text, f"{subject.bench_site} migrate", missing=missing)
            else:
                yield ok("site.open", f"{subject.site} opens; the app's tables are there")
    except AssistantError as error:
        yield failure("site.open", str(error), f"{subject.bench_site} set-maintenance-mode off")
    except Exception as error:  # noqa: BLE001  # each database has errors of its own
        yield failure(
            "site.open",
            f"{subject.site} cannot be opened: {type(error).__name__}: {' '.join(str(error).split())[:200]}",
            f"{subject.bench_site} mariadb   (does the database answer?)",
        )
