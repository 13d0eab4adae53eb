"""Requests that wait: in a slot until the task's end, without one not at all, never longer than the server allows."""

import uuid
from unittest.mock import patch

import frappe
from frappe.tests.utils import FrappeTestCase
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request

from ai_assistant.core.events import now_ms
from ai_assistant.core.settings import Settings
from ai_assistant.core.task import Task, TaskRef
from ai_assistant.site import bench, web_server
from ai_assistant.site.slots import slot, slots_key
from ai_assistant.site.waiting import HTTP_TIMEOUT_S, MARGIN_S, longest_wait, max_waiting, wait_for_end
from ai_assistant.streams.tasks import Tasks

SETTINGS = Settings(no_worker_after_s=1, task_ttl_s=60)
"""Whoever waits for a task that no worker takes hears of it after a second."""
LONG_S = 30.0


class TestWaiting(FrappeTestCase):
    def setUp(self):
        self.tasks = Tasks(bench.tasks().client, f"test-{uuid.uuid4().hex}")
        self.addCleanup(self.tasks.client.delete, slots_key(self.tasks), self.tasks.keys.queue, self.tasks.keys.open)
        self.ref = TaskRef(site=frappe.local.site, user="waiting@example.com", id=str(uuid.uuid4()))
        task = Task(
            ref=self.ref,
            status="queued",
            gen=1,
            seq=0,
            mode="ask",
            model="any",
            accepted_ms=now_ms(),
            trace_id="0" * 32,
        )
        self.tasks.start(task, "fingerprint", SETTINGS)
        before = getattr(frappe.local, "request", None)
        frappe.local.request = Request(EnvironBuilder(method="POST").get_environ())
        self.addCleanup(setattr, frappe.local, "request", before)

    def wait(self) -> Task:
        with patch.object(bench, "tasks", return_value=self.tasks):
            return wait_for_end(self.ref, LONG_S, SETTINGS)

    def test_a_request_waits_for_the_end(self):
        task = self.wait()
        self.assertEqual((task.status, task.outcome.error["code"]), ("failed", "no_worker"))

    def test_a_request_without_a_slot_gets_the_task_as_it_stands(self):
        with slot(self.tasks, 1, LONG_S):
            self.assertEqual(self.wait().status, "queued")
        self.assertEqual(self.wait().status, "failed")

    def test_a_slot_is_given_back(self):
        self.wait()
        self.assertEqual(self.tasks.client.zcard(slots_key(self.tasks)), 0)

    def test_without_a_request_no_slot_is_needed(self):
        frappe.local.request = None
        with slot(self.tasks, 1, LONG_S):
            self.assertEqual(self.wait().status, "failed")

    def test_at_most_a_quarter(self):
        self.assertEqual([max_waiting(slots) for slots in (1, 3, 7, 8, 9, 40)], [1, 1, 1, 2, 2, 10])

    def test_the_servers_limit(self):
        for configured, own, longest in ((None, None, HTTP_TIMEOUT_S), (40, None, 40), (40, 30, 30), (20, 300, 20)):
            with (
                patch.dict(frappe.local.conf, {"http_timeout": configured}),
                patch.object(web_server, "timeout_s", return_value=own),
            ):
                self.assertEqual(longest_wait(), longest - MARGIN_S, (configured, own))
