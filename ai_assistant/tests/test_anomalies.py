"""Anomalies on a site: who is told, and that the check reads the site's own traces."""

import time
from unittest.mock import patch

import frappe

from ai_assistant.core.trace_keys import SITES, ObservabilityKeys
from ai_assistant.site import anomalies
from ai_assistant.site.access import SiteStores
from ai_assistant.site.tracing import trace_client
from ai_assistant.tests.people import make_user, remove_user
from ai_assistant.traces.anomalies import Anomaly, Change
from ai_assistant.traces.metrics import look
from ai_assistant.traces.rows import OBSERVATION_LETTERS, write_stamps

try:
    from frappe.tests import IntegrationTestCase as SiteTestCase  # v16
except ImportError:
    from frappe.tests.utils import FrappeTestCase as SiteTestCase

MANAGER, USER = "manager@anomalies.example", "user@anomalies.example"
TRACE = "a" * 32
MODEL = "anomalies-test"
MICRO = 1_000_000
NOW = int(time.time()) * MICRO


def change(ended=False):
    """An anomaly of a model with a name that must not become HTML."""
    found = Anomaly(model="<b>gpt</b>", kind="errors", since=1.0, value=0.5, usual=0.01, calls=40)
    return Change(found, ended=ended)


def entries():
    """The notifications about it."""
    filters = {"subject": ("like", "AI Assistant: &lt;b&gt;gpt%")}
    return frappe.get_all("Notification Log", filters, ["for_user", "type", "email_content", "link"])


class TestWhoIsTold(SiteTestCase):
    def setUp(self):
        make_user(MANAGER, "AI Manager")
        make_user(USER, "AI User")

    def tearDown(self):
        frappe.db.delete("Notification Log", {"subject": ("like", "AI Assistant: &lt;b&gt;gpt%")})
        remove_user(MANAGER)
        remove_user(USER)

    def test_managers_and_administrators(self):
        anomalies.tell([change()])
        found = {entry.for_user: entry for entry in entries()}
        self.assertIn(MANAGER, found)
        self.assertIn("Administrator", found)
        self.assertNotIn(USER, found)
        self.assertEqual(found[MANAGER].type, "Alert")
        self.assertIn("share of calls that fail 50%, usually 1% (40 calls", found[MANAGER].email_content)
        self.assertEqual(found[MANAGER].link, "/app/ai-trace")

    def test_a_disabled_manager_is_not(self):
        frappe.db.set_value("User", MANAGER, "enabled", 0)
        anomalies.tell([change()])
        self.assertNotIn(MANAGER, {entry.for_user for entry in entries()})

    def test_nobody_of_nothing(self):
        anomalies.tell([])
        self.assertEqual(entries(), [])


class TestTheCheck(SiteTestCase):
    def setUp(self):
        self.client = trace_client()
        self.keys = ObservabilityKeys(frappe.local.site)
        self.client.delete(self.keys.checking, self.keys.checked)

    def tearDown(self):
        frappe.db.rollback()
        self.client.delete(self.keys.checking, self.keys.checked, self.keys.hours, self.keys.anomalies)

    def checked(self):
        """What the last check was."""
        return look(self.client, [frappe.local.site])[0].checked

    def test_it_looks_where_there_are_traces(self):
        self.client.srem(SITES, frappe.local.site)
        anomalies.look_for_anomalies()
        self.assertIsNone(self.checked(), "a site that nobody has traced for costs one look at Redis")
        self.client.sadd(SITES, frappe.local.site)
        anomalies.look_for_anomalies()
        self.assertIsNotNone(self.checked())
        self.client.delete(self.keys.checked)
        anomalies.look_for_anomalies()
        self.assertIsNone(self.checked(), "not twice within minutes")

    def test_a_redis_that_is_away_is_no_failure_of_the_scheduler(self):
        with patch("ai_assistant.site.tracing.traces_redis_url", return_value="redis://127.0.0.1:1"):
            anomalies.look_for_anomalies()

    def test_what_the_store_tells(self):
        store = SiteStores(with_keys=False).traces
        store.lock([TRACE], [])
        known = write_stamps({"ttft_ms": 1, "cost": 1}, OBSERVATION_LETTERS)
        shared = {"trace": TRACE, "type": "generation", "version": 1, "versions": known, "model": MODEL}
        rows = [
            {"status": "completed", "started_at": NOW, "ttft_ms": 120, "cost": 0.5, "cost_known": 1},
            {"status": "failed", "started_at": NOW + MICRO},
            {"status": "running", "started_at": NOW + MICRO},
            {"status": "completed", "started_at": NOW + 5 * MICRO},
        ]
        for number, row in enumerate(rows):
            span = f"{number:016x}"
            store.put_observations([{"name": TRACE + span, "span": span, **shared, **row}])
        calls = [call for call in store.model_calls(NOW, NOW + 5 * MICRO, 100) if call.model == MODEL]
        self.assertEqual([tuple(call) for call in calls], [(MODEL, True, None, None), (MODEL, False, 120, 0.5)])
