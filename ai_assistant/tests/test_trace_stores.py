"""The contract suite of the stores of traces (`tests/contract/trace_stores`), on this site's database.

As in `test_stores.py`: the very same test functions as for the embedded host, by pytest in a thread of its own.
"""

from __future__ import annotations

import os
import threading
import unittest
from pathlib import Path
from unittest.mock import patch

import frappe

from ai_assistant.tests.site_trace_stores import MARK, SITE, made
from ai_assistant.tests.test_stores import missing

SUITE = Path(__file__).parents[2] / "tests" / "contract" / "trace_stores"
TIME_LIMIT_S = 900
EXAMPLES = "15"


class TestTraceStores(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        reason = missing() if SUITE.is_dir() else f"the app was installed without its folder {SUITE}"
        if reason:
            raise unittest.SkipTest(reason)

    def test_contract(self):
        assert run_pytest() == 0, "see pytest's report above"
        frappe.db.rollback()
        assert made() == []
        assert not frappe.db.exists("AI Trace Producer", {"name": ("like", f"{MARK}%")})


def run_pytest() -> int:
    """pytest's exit code. Raises TimeoutError."""
    import pytest

    codes = []
    # nothing of the repository's pytest configuration, which wants plugins that a bench has not
    plain = ["-c", os.devnull, "--rootdir", str(SUITE), "-p", "no:cacheprovider", "-p", "no:faulthandler"]
    arguments = [*plain, "-q", "-ra", "-W", "ignore", *os.environ.get("AI_ASSISTANT_PYTEST", "").split(), str(SUITE)]
    environment = {
        SITE: frappe.local.site,
        "AI_ASSISTANT_TEST_TRACE_STORES": "ai_assistant.tests.site_trace_stores",
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
