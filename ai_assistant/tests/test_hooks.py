"""What hooks.py promises, on a site: targets, whitelisted methods, the scheduler's job, retention."""

import inspect
import time
import uuid
from unittest.mock import patch

import frappe
import redis
from frappe.core.doctype.log_settings.log_settings import get_log_doctypes
from frappe.tests.utils import FrappeTestCase
from frappe.utils import add_days, now_datetime

from ai_assistant import hooks
from ai_assistant.core.settings import Settings
from ai_assistant.core.task import Task, TaskRef
from ai_assistant.site import bench, scheduled
from ai_assistant.site.tracing import trace_client
from ai_assistant.streams.tasks import Tasks

JOB = "ai_assistant.site.scheduled.tend_ai_tasks"


def strings(value):
    """Every text in a hook's value."""
    if isinstance(value, dict):
        return [text for item in value.values() for text in strings(item)]
    if isinstance(value, list):
        return [text for item in value for text in strings(item)]
    return [value] if isinstance(value, str) else []


class HooksTest(FrappeTestCase):
    def test_targets_can_be_imported(self):
        found = 0
        for name, value in vars(hooks).items():
            if name.startswith("_") or name.endswith(("_js", "_css")):
                continue
            for dotted in strings(value):
                if dotted.startswith("ai_assistant."):
                    self.assertTrue(callable(frappe.get_attr(dotted)), dotted)
                    found += 1
        self.assertGreaterEqual(found, 8)

    def own_methods(self):
        import ai_assistant.api  # noqa: F401  # whitelists its functions

        return [method for method in frappe.whitelisted if method.__module__.startswith("ai_assistant.")]

    def test_arguments_of_whitelisted_methods_are_annotated(self):
        """Develop refuses a call of a method with an argument that has no annotation."""
        self.assertGreaterEqual(len(self.own_methods()), 10)
        for method in self.own_methods():
            names = set(inspect.signature(method).parameters) - {"self"}
            self.assertLessEqual(names, set(method.__annotations__), method.__name__)

    def test_guests_may_ask_for_the_status_only(self):
        guests = {method.__name__ for method in self.own_methods() if method in frappe.guest_methods}
        self.assertEqual(guests, {"status"})

    def test_what_writes_takes_post_only(self):
        for method in self.own_methods():
            if not method.__name__.startswith(("get_", "export_", "status", "search_", "metrics")):
                self.assertEqual(
                    list(frappe.allowed_http_methods_for_whitelisted_func[method]), ["POST"], method.__name__
                )


class SchedulerTest(FrappeTestCase):
    """In a scope of the test's own, so that no worker takes the tasks, but for the job itself."""

    def setUp(self):
        self.tasks = Tasks(bench.tasks().client, f"test-{uuid.uuid4()}")
        self.site = frappe.local.site
        self.refs = []

    def tearDown(self):
        frappe.db.rollback()
        frappe.db.delete("Error Log", {"method": ("like", "AI Assistant: % wait for a worker")})  # no rollback there
        keys = [f"ai_assistant:{self.tasks.keys.scope}:*", f"ai_assistant:{self.site}:backlog_alert"]
        keys += [
            f"ai_assistant:*:{kind}:{ref.user}*"
            for ref in self.refs
            for kind in ("task", "log", "done", "active", "rate")
        ]
        for pattern in keys:
            for key in self.tasks.client.scan_iter(pattern, count=1000):
                self.tasks.client.delete(key)

    def start(self, site=None) -> TaskRef:
        ref = TaskRef(site=site or self.site, user=f"{uuid.uuid4().hex}@example.com", id=str(uuid.uuid4()))
        task = Task(
            ref=ref,
            status="queued",
            gen=1,
            seq=0,
            mode="ask",
            model="m",
            accepted_ms=int(time.time() * 1000),
            trace_id="t",
        )
        self.refs.append(ref)
        self.tasks.start(task, "fingerprint", Settings())
        return ref

    def test_the_job_is_registered_and_runs(self):
        job = frappe.get_doc("Scheduled Job Type", {"method": JOB})
        self.assertEqual((job.name, job.frequency, job.create_log), ("scheduled.tend_ai_tasks", "All", 0))
        frappe.get_attr(JOB)()

    def test_an_idle_bench_costs_two_round_trips_and_no_query(self):
        sent = []
        real = redis.connection.Connection.send_packed_command
        frappe.local.site = f"idle-{uuid.uuid4()}"  # traces of the tests before may wait for a consumer
        self.addCleanup(setattr, frappe.local, "site", self.site)
        for client in (self.tasks.client, trace_client()):
            client.ping()  # connected

        def send(connection, command, check_health=True):
            sent.append(command)
            return real(connection, command, check_health)

        with patch.object(redis.connection.Connection, "send_packed_command", send), self.assertQueryCount(0):
            scheduled.tend(self.tasks)
        self.assertEqual(len(sent), 2, "tasks, and traces")

    def test_an_overdue_task_is_ended_by_its_own_site(self):
        own, other = self.start(), self.start("other.localhost")
        at_once = Settings(no_worker_after_s=0.001)
        time.sleep(0.01)
        self.assertEqual(scheduled.settle(self.tasks, self.site, at_once), 1)
        self.assertEqual(self.tasks.get(own).outcome.error["code"], "no_worker")
        self.assertEqual(self.tasks.read(other, Settings())[0].status, "queued")

    def test_a_task_that_redis_forgot_is_taken_off_the_list(self):
        ref = self.start()
        self.tasks.client.delete(f"ai_assistant:{ref.site}:task:{ref.user}:{ref.id}")
        scheduled.settle(self.tasks, self.site, Settings())
        self.assertEqual(self.tasks.client.zcard(self.tasks.keys.open), 0)

    def test_a_backlog_is_reported_once(self):
        before = frappe.db.count("Error Log")
        self.start()
        self.start("other.localhost")
        found = scheduled.waiting(self.tasks, self.site)
        self.assertEqual(found.count, 1)
        self.assertFalse(scheduled.alert(self.tasks, found, Settings()))
        at_once = Settings(no_worker_after_s=0.0)
        self.assertTrue(scheduled.alert(self.tasks, found, at_once))
        self.assertFalse(scheduled.alert(self.tasks, found, at_once))
        self.assertEqual(frappe.db.count("Error Log"), before + 1)
        self.assertIn("ai-assistant doctor", frappe.get_last_doc("Error Log").error)

    def test_half_of_the_backlog_is_reported(self):
        self.assertTrue(scheduled.alert(self.tasks, scheduled.Waiting(5, 0.0), Settings(max_backlog=10)))

    def test_a_redis_that_is_away_is_no_error(self):
        away = Tasks(redis.Redis(port=1, socket_connect_timeout=0.2), "test")
        scheduled.tend(away)


class RetentionTest(FrappeTestCase):
    def setUp(self):
        self.made = []

    def tearDown(self):
        frappe.db.rollback()
        for name in self.made:  # the clearance commits
            frappe.delete_doc("AI Conversation", name, force=True, ignore_missing=True, delete_permanently=True)
        frappe.db.commit()  # nosemgrep: what the clearance committed, nobody else takes away

    def make(self, age_days) -> str:
        user = frappe.session.user
        conversation = frappe.get_doc({"doctype": "AI Conversation", "title": "a chat", "user": user})
        conversation.insert(ignore_permissions=True)
        self.made.append(conversation.name)
        conversation.db_set("last_message_at", add_days(now_datetime(), -age_days))
        message = {"doctype": "AI Message", "conversation": conversation.name, "sequence": 1, "role": "user"}
        frappe.get_doc(message | {"content": "hello"}).insert(ignore_permissions=True)
        return conversation.name

    def test_conversations_are_kept_unless_an_admin_says_otherwise(self):
        self.assertNotIn("AI Conversation", frappe.get_hooks("default_log_clearing_doctypes"))

    def test_log_settings_accept_conversations(self):
        self.assertIn(("AI Conversation",), get_log_doctypes("DocType", "AI Conv", "name", 0, 20, [["custom", "=", 0]]))
        settings = frappe.get_doc("Log Settings")
        settings.append("logs_to_clear", {"ref_doctype": "AI Conversation", "days": 30})
        settings.save()
        settings.remove_unsupported_doctypes()
        self.assertIn("AI Conversation", [row.ref_doctype for row in settings.logs_to_clear])

    def test_old_conversations_go_with_their_messages(self):
        old, young = self.make(20_001), self.make(19_999)  # of a site that is in use, nothing is so old
        controller = frappe.get_doc("AI Conversation", old)
        arguments = frappe.get_newargs(controller.clear_old_logs, {"days": 20_000})  # as Log Settings calls it
        controller.clear_old_logs(**arguments)
        self.assertFalse(frappe.db.exists("AI Conversation", old))
        self.assertFalse(frappe.db.count("AI Message", {"conversation": old}))
        self.assertTrue(frappe.db.exists("AI Conversation", young))
        self.assertEqual(frappe.db.count("AI Message", {"conversation": young}), 1)


class PrivacyTest(FrappeTestCase):
    def tearDown(self):
        frappe.db.rollback()

    def test_conversations_go_when_the_deletion_of_a_person_ends(self):
        user = frappe.get_all("User", filters={"name": ("not in", ["Guest", "Administrator"])}, pluck="name", limit=1)[
            0
        ]
        conversation = frappe.get_doc({"doctype": "AI Conversation", "title": "private", "user": user}).insert()
        request = frappe.get_doc({"doctype": "Personal Data Deletion Request", "email": user, "name": "gone@x.example"})
        request.status = "Pending Approval"
        request.run_method("on_change")
        self.assertTrue(frappe.db.exists("AI Conversation", conversation.name))
        request.status = "Deleted"
        request.run_method("on_change")
        self.assertFalse(frappe.db.count("AI Conversation", {"user": user}))
        deleted = {"deleted_doctype": "AI Conversation", "deleted_name": conversation.name}
        self.assertFalse(frappe.db.count("Deleted Document", deleted))
