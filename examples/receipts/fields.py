"""What stands on a receipt, found by rules: each with how sure it is and why."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

AMOUNT = re.compile(r"(?<![\d/.*])[£$€]?\s?(\d{1,4}[.,]\d{2})(?!\d|\.\d)")
TOTAL = re.compile(r"\b(?:total|summe|gesamt)\b", re.IGNORECASE)
SUBTOTAL = re.compile(r"\bsub-?total\b", re.IGNORECASE)
TAX = re.compile(r"\b(?:vat|mwst|sales tax)\b", re.IGNORECASE)
PAID = re.compile(r"\b(?:card|girocard|visa|cash|paid)\b", re.IGNORECASE)
CURRENCIES = {"€": "EUR", "£": "GBP", "$": "USD", "EUR": "EUR", "GBP": "GBP", "USD": "USD"}
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
WORDY = re.compile(r"\b(\d{1,2}) ([A-Z][a-z]{2})[a-z]* (\d{4})\b")
CATEGORIES = {
    "food": ("bakery", "brot", "cafe", "coffee", "breakfast", "bread", "greengrocer"),
    "travel": ("taxi", "fahrt", "train", "flight"),
    "tools": ("hardware", "drill", "screws"),
}


@dataclass(frozen=True)
class Found:
    """A value that was read."""

    name: str
    value: str
    confidence: float
    """From 0, a guess, to 1."""
    reasoning: str


@dataclass
class Receipt:
    """A receipt as far as it is understood."""

    name: str
    lines: list[str]
    fields: dict[str, Found] = field(default_factory=dict)

    def amount(self, name: str) -> Decimal | None:
        """A field as an amount of money."""
        return Decimal(self.fields[name].value) if name in self.fields else None


def amount_in(line: str) -> Decimal | None:
    """The last amount of a line."""
    found = AMOUNT.findall(line)
    return Decimal(found[-1].replace(",", ".")) if found else None


def find_merchant(lines: list[str]) -> Found | None:
    """The first line, which is the shop's in nine receipts of ten."""
    first = next((line.strip() for line in lines if line.strip()), "")
    if not first:
        return None
    is_clean = re.fullmatch(r"[\w&.' -]+", first) is not None and "  " not in first
    return Found("merchant", first, 0.9 if is_clean else 0.4, "It is the first line that is not empty.")


def find_date(lines: list[str]) -> Found | None:
    """The first date, in any of four ways to write one."""
    for line in lines:
        if found := re.search(r"\b(\d{4})-(\d\d)-(\d\d)\b", line):
            return dated(*map(int, found.groups()), 0.99, "It is written as ISO 8601 has it.")
        if found := re.search(r"\b(\d\d)\.(\d\d)\.(\d{4})\b", line):
            day, month, year = map(int, found.groups())
            return dated(year, month, day, 0.97, "Points between the numbers: the day comes first.")
        if (found := WORDY.search(line)) and found[2].lower() in MONTHS:
            month = MONTHS.index(found[2].lower()) + 1
            return dated(int(found[3]), month, int(found[1]), 0.98, "The month is a word.")
        if found := re.search(r"\b(\d\d)/(\d\d)/(\d{4})\b", line):
            return date_with_slashes(*map(int, found.groups()))
    return None


def date_with_slashes(first: int, second: int, year: int) -> Found | None:
    """A date whose order depends on the country."""
    if second > 12:
        return dated(year, first, second, 0.95, f"{second} cannot be a month, so the month comes first.")
    if first > 12:
        return dated(year, second, first, 0.95, f"{first} cannot be a month, so the day comes first.")
    return dated(year, second, first, 0.55, "Either number may be the month; most countries write the day first.")


def dated(year: int, month: int, day: int, confidence: float, reasoning: str) -> Found | None:
    """A date, if the calendar has it."""
    try:
        return Found("date", date(year, month, day).isoformat(), confidence, reasoning)
    except ValueError:
        return None


def find_total(lines: list[str]) -> Found | None:
    """The amount of the last line that says total, but not subtotal."""
    for line in reversed(lines):
        if TOTAL.search(line) and not SUBTOTAL.search(line) and (amount := amount_in(line)) is not None:
            return Found("total", str(amount), 0.95, f"The line says so: {' '.join(line.split())}")
    return None


def find_currency(lines: list[str]) -> Found | None:
    """A sign or a code."""
    for mark, code in CURRENCIES.items():
        if any(mark in line for line in lines):
            return Found("currency", code, 0.97 if len(mark) == 3 else 0.9, f"{mark} stands on it.")
    return None


def find_tax(lines: list[str]) -> Found | None:
    """The tax that is part of the total."""
    for line in lines:
        if TAX.search(line) and (amount := amount_in(line)) is not None:
            return Found("tax", str(amount), 0.9, f"The line says so: {' '.join(line.split())}")
    return None


FINDERS = (find_merchant, find_date, find_total, find_currency, find_tax)


def items_of(lines: list[str]) -> list[Decimal]:
    """The amounts above the first line that sums up."""
    amounts = []
    for line in lines:
        if TOTAL.search(line) or SUBTOTAL.search(line):
            break
        if not TAX.search(line) and not PAID.search(line) and (amount := amount_in(line)) is not None:
            amounts.append(amount)
    return amounts


def category_of(receipt: Receipt) -> Found:
    """What it was spent on: the category most of whose words stand on it."""
    text = " ".join(receipt.lines).lower()
    hits = {name: [word for word in words if word in text] for name, words in CATEGORIES.items()}
    best = max(hits, key=lambda name: len(hits[name]))
    if not hits[best]:
        return Found("category", "other", 0.3, "None of the known words stands on it.")
    return Found(
        "category", best, round(min(0.95, 0.6 + 0.15 * len(hits[best])), 2), f"It says {', '.join(hits[best])}."
    )
