"""Tasks that a site's own code opens: in a web request, a background job, a console."""

import json
import threading
import uuid

import frappe
from frappe.realtime import get_user_room
from frappe.tests.utils import FrappeTestCase

from ai_assistant import tracing
from ai_assistant.core.trace_keys import ObservabilityKeys
from ai_assistant.site import bench
from ai_assistant.site.access import SETTINGS
from ai_assistant.site.tracing import trace_client
from ai_assistant.tests.people import make_user, remove_user
from ai_assistant.tests.test_publisher import heard
from ai_assistant.tracing import state

WAIT_S = 20


def events_of(task):
    """The events of a task that has said all."""
    assert task.flush(WAIT_S)
    page = bench.tasks().events(task.task.ref, 0, 1000)
    return [json.loads(bytes(event)) for event in page["events"]]


class TestServerTask(FrappeTestCase):
    """`tracing.task` where a site is open."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.user = make_user(f"task-{uuid.uuid4().hex[:8]}@example.com", "AI User")
        frappe.db.commit()  # work in the background has a connection of its own

    @classmethod
    def tearDownClass(cls):
        frappe.db.rollback()
        remove_user(cls.user)
        frappe.db.commit()
        super().tearDownClass()

    def tearDown(self):
        frappe.set_user("Administrator")

    def test_it_is_published_as_frappe_would_to_its_user_alone(self):
        frappe.set_user(self.user)
        with heard() as next_of:
            with tracing.task("label-receipt", subject="ToDo/T-1") as task:
                with task.tool("ocr") as tool:
                    tool.progress(1, 2)
                task.event("total", "41.20", confidence=0.93, reasoning="The last line says so.")
                task.result = {"total": "41.20"}
            room = get_user_room(self.user)
            published = [next_of(room) for _ in range(6)]
        self.assertEqual(task.user, self.user, "who is logged in")
        self.assertEqual({each["namespace"] for each in published}, {frappe.local.site})
        events = [each["message"] for each in published]
        self.assertEqual(
            [event["type"] for event in events],
            ["start", "tool_started", "tool_progress", "tool_completed", "data", "completion"],
        )
        self.assertEqual(events, events_of(task))
        view = bench.tasks().get(task.task.ref).view()
        self.assertEqual((view["status"], view["result"]), ("completed", {"total": "41.20"}))

    def test_the_endpoints_know_it(self):
        from ai_assistant.api import cancel, get_events, get_task

        frappe.set_user(self.user)
        ended = threading.Event()

        def work(task):
            while not ended.wait(0.01):
                task.check_cancelled()

        task = tracing.start_task("wait", target=work)
        try:
            self.assertEqual(get_task(task_id=task.task_id)["status"], "running")
            self.assertIn(cancel(task_id=task.task_id)["status"], ("running", "cancelled"))
            self.assertTrue(task.wait(WAIT_S))
        finally:
            ended.set()
        task.flush(WAIT_S)
        self.assertEqual(get_task(task_id=task.task_id)["status"], "cancelled")
        self.assertEqual(get_events(task_id=task.task_id)["events"][-1]["by"], self.user)
        frappe.set_user("Administrator")
        self.assertRaises(frappe.DoesNotExistError, get_task, task_id=task.task_id)

    def test_it_neither_needs_nor_wakes_a_worker(self):
        tasks = bench.tasks()
        before = {worker["worker"] for worker in tasks.workers()}
        lease = tasks.client.hgetall(f"ai_assistant:{bench.scope()}:lease")
        with tracing.task("label-receipt", user=self.user) as task:
            self.assertTrue(task.flush(WAIT_S))
            self.assertEqual(tasks.get(task.task.ref).status, "running")
            names = {worker["worker"] for worker in tasks.workers()}
            self.assertFalse([name for name in names - before if name.startswith("program:")])
        task.flush(WAIT_S)
        self.assertEqual(tasks.client.hgetall(f"ai_assistant:{bench.scope()}:lease").keys(), lease.keys())

    def test_work_in_the_background_has_the_site_and_commits(self):
        frappe.set_user(self.user)
        description = f"made by a task {uuid.uuid4().hex}"

        def work(task):
            self.assertEqual(frappe.session.user, self.user)
            todo = frappe.get_doc({"doctype": "ToDo", "description": description}).insert(ignore_permissions=True)
            return todo.name

        task = tracing.start_task("make-todo", target=work, subject="ToDo")
        self.assertTrue(task.wait(WAIT_S))
        self.assertEqual(events_of(task)[-1]["type"], "completion")
        frappe.db.rollback()  # a snapshot of now
        self.assertEqual(frappe.db.get_value("ToDo", task.result, "description"), description)
        frappe.set_user("Administrator")
        frappe.delete_doc("ToDo", task.result, force=True)
        frappe.db.commit()

    def test_what_fails_in_the_background_is_rolled_back(self):
        description = f"made by a task {uuid.uuid4().hex}"

        def work(task):
            frappe.get_doc({"doctype": "ToDo", "description": description}).insert()
            raise tracing.TaskFailed("The receipt has no total")

        task = tracing.start_task("make-todo", target=work)
        self.assertTrue(task.wait(WAIT_S))
        end = events_of(task)[-1]
        self.assertEqual((end["type"], end["message"]), ("error", "The receipt has no total"))
        frappe.db.rollback()
        self.assertFalse(frappe.db.exists("ToDo", {"description": description}))

    def test_a_guest_has_no_tasks(self):
        frappe.set_user("Guest")
        self.assertRaisesRegex(ValueError, "user", tracing.task, "label-receipt")

    def test_it_is_traced_to_the_site(self):
        client, keys = trace_client(), ObservabilityKeys(frappe.local.site)
        self._wants_traces(1)
        with tracing.task("label-receipt", user=self.user, subject="ToDo/T-1") as task, task.tool("ocr"):
            self.assertTrue(tracing.status()["enabled"])
        self.assertTrue(tracing.flush(WAIT_S))
        self.assertEqual(task.span.trace_id, task.trace_id)
        producers = [json.loads(beat) for beat in client.hvals(keys.producers)]
        self.assertIn("frappe", {producer["service"] for producer in producers})

    def test_a_site_that_wants_no_traces_has_tasks_all_the_same(self):
        self._wants_traces(0)
        with tracing.task("label-receipt", user=self.user) as task:
            self.assertFalse(tracing.status()["enabled"])
        self.assertEqual([event["type"] for event in events_of(task)], ["start", "completion"])

    def _wants_traces(self, wanted):
        """The setting, and a process that has not begun to trace."""
        before = state.client()
        state.swap(None)
        self.addCleanup(state.use, before)
        frappe.db.set_single_value(SETTINGS, "trace_chats", wanted)
        frappe.clear_document_cache(SETTINGS, SETTINGS)
        self.addCleanup(frappe.clear_document_cache, SETTINGS, SETTINGS)
        self.addCleanup(frappe.db.rollback)
