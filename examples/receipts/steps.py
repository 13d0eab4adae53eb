"""The pipeline: reads receipts, one after the other, and tells the task's user of everything it finds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fields import FINDERS, Found, Receipt, category_of, items_of

from ai_assistant import tracing

NEEDED = ("total", "date")
"""Without these a receipt is of no use."""


def read_receipts(task: Any, paths: list[Path]) -> dict[str, Any]:
    """All receipts. One that cannot be read is reported, and the others go on."""
    done: dict[str, Any] = {}
    problems: dict[str, str] = {}
    for at, path in enumerate(paths, 1):
        task.check_cancelled()
        try:
            done[path.stem] = read_receipt(task, path)
        except tracing.TaskFailed as error:
            problems[path.stem] = error.message
            task.event("problem", error.message, receipt=path.stem)
        task.progress(at, len(paths), f"{at} of {len(paths)} receipts")
    task.text(f"{len(done)} receipts read, {len(problems)} to look at by hand.")
    return {"receipts": done, "problems": problems}


def read_receipt(task: Any, path: Path) -> dict[str, str]:
    """One receipt: an observation, with a tool for each step below it."""
    with tracing.span(path.stem, input={"file": path.name}) as span:
        receipt = read_text(task, path)
        find_fields(task, receipt)
        check_sum(task, receipt)
        categorise(task, receipt)
        values = {name: found.value for name, found in receipt.fields.items()}
        span.update(output=values)
    return values


def read_text(task: Any, path: Path) -> Receipt:
    """The text. A real pipeline would ask an OCR here."""
    with task.tool("read", arguments={"file": path.name}) as tool:
        lines = path.read_text().splitlines()
        tool.result = f"{len(lines)} lines"
        return Receipt(path.stem, lines)


def find_fields(task: Any, receipt: Receipt) -> None:
    """Merchant, date, total, currency and tax."""
    with task.tool("find-fields") as tool:
        for at, find in enumerate(FINDERS, 1):
            if found := find(receipt.lines):
                note(task, receipt, found)
            tool.progress(at, len(FINDERS), find.__name__.removeprefix("find_"))
        missing = [name for name in NEEDED if name not in receipt.fields]
        if missing:
            raise tracing.TaskFailed(f"{receipt.name}: no {' and no '.join(missing)} can be read; scan it again")
        tool.result = sorted(receipt.fields)


def check_sum(task: Any, receipt: Receipt) -> None:
    """Whether the items add up to the total. A difference is a finding, not a failure."""
    with task.tool("check-sum") as tool:
        items, total = items_of(receipt.lines), receipt.amount("total")
        summed = sum(items)
        if summed == total:
            found = Found("sum", "right", 0.99, f"{len(items)} items add up to {total}.")
        else:
            found = Found("sum", "wrong", 0.8, f"{len(items)} items add up to {summed}, and the total is {total}.")
        note(task, receipt, found)
        tool.result = found.value


def categorise(task: Any, receipt: Receipt) -> None:
    """What the money was spent on."""
    with task.tool("categorise") as tool:
        found = category_of(receipt)
        note(task, receipt, found)
        tool.result = found.value


def note(task: Any, receipt: Receipt, found: Found) -> None:
    """Keeps what was found, and tells of it."""
    receipt.fields[found.name] = found
    task.event(found.name, found.value, confidence=found.confidence, reasoning=found.reasoning, receipt=receipt.name)
