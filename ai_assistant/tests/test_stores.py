"""The contract suite of the conversation stores (`tests/contract/stores`), on this site's database.

The very same test functions as for the embedded host, by pytest in a thread of its own: Frappe's context belongs to a
thread, and each unit of work opens and closes one, while the test runner's stays as it is.
"""

from __future__ import annotations

import os
import threading
import unittest
from pathlib import Path
from unittest.mock import patch

import frappe
from frappe.utils import now_datetime

from ai_assistant.tests.people import make_user, remove_traces, remove_user
from ai_assistant.tests.site_stores import PEOPLE, SITE

SUITE = Path(__file__).parents[2] / "tests" / "contract" / "stores"
COUNTED = ("AI Conversation", "AI Message", "User", "Contact", "Comment", "Deleted Document", "DocShare", "Has Role")
TIME_LIMIT_S = 900
EXAMPLES = "25"


def missing() -> str | None:
    """Why the suite cannot run here."""
    if not SUITE.is_dir():
        return f"the app was installed without its folder {SUITE}"
    try:
        import hypothesis  # noqa: F401
        import pytest  # noqa: F401
    except ImportError as error:
        return f"{error.name} is not installed: bench setup requirements --dev, or env/bin/pip install {error.name}"
    return None


class TestStores(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if reason := missing():
            raise unittest.SkipTest(reason)
        for name in PEOPLE:
            remove_user(name)
        cls.start, cls.before = now_datetime(), counts()
        ann, bob, boss = PEOPLE
        make_user(ann, "AI User")
        make_user(bob, "AI User")
        make_user(boss, "AI Manager")
        frappe.db.commit()

    @classmethod
    def tearDownClass(cls):
        for name in PEOPLE:
            remove_user(name)
        remove_traces(cls.start)
        frappe.db.commit()
        if (after := counts()) != cls.before:
            raise AssertionError(f"rows are left behind: {cls.before} before, {after} after")

    def test_contract(self):
        assert run_pytest() == 0, "see pytest's report above"


def counts() -> dict[str, int]:
    return {doctype: frappe.db.count(doctype) for doctype in COUNTED}


def run_pytest() -> int:
    """pytest's exit code. Raises TimeoutError."""
    import pytest

    codes = []
    # nothing of the repository's pytest configuration, which wants plugins that a bench has not
    plain = ["-c", os.devnull, "--rootdir", str(SUITE), "-p", "no:cacheprovider", "-p", "no:faulthandler"]
    arguments = [*plain, "-q", "-ra", "-W", "ignore", *os.environ.get("AI_ASSISTANT_PYTEST", "").split(), str(SUITE)]
    environment = {
        SITE: frappe.local.site,
        "AI_ASSISTANT_TEST_STORES": "ai_assistant.tests.site_stores",
        "AI_ASSISTANT_TEST_EXAMPLES": os.environ.get("AI_ASSISTANT_TEST_EXAMPLES", EXAMPLES),
        # hypothesis would write its examples into the folder of the bench
        "HYPOTHESIS_STORAGE_DIRECTORY": os.devnull,
    }
    with patch.dict(os.environ, environment):
        thread = threading.Thread(target=lambda: codes.append(pytest.main(arguments)), daemon=True)
        thread.start()
        thread.join(TIME_LIMIT_S)
    if not codes:
        raise TimeoutError(f"the contract suite has not ended after {TIME_LIMIT_S} s, or pytest broke off")
    return int(codes[0])
