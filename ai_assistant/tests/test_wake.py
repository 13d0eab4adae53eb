"""How a chat wakes the bench's worker: the job in RQ, its one holder, the room it makes, its end.

The tests call their bench by another name, so that RQ's queues and the tasks are theirs alone, whatever runs here.
"""

import os
import subprocess
import sys
import uuid
from types import SimpleNamespace
from unittest.mock import patch

import frappe
import msgspec
from frappe.installer import update_site_config
from frappe.tests.utils import FrappeTestCase
from frappe.utils.background_jobs import get_queue, get_redis_conn
from rq import Queue, Worker

from ai_assistant.core.chat import ChatRequest
from ai_assistant.core.events import now_ms
from ai_assistant.core.settings import Settings
from ai_assistant.core.task import Task, TaskRef
from ai_assistant.site import bench, wake
from ai_assistant.site.job_runner import IDLE_TAKES_S, RqRunner
from ai_assistant.streams.lease import Lease

QUEUES = ("short", "default", "long")


def make_task(user, site=None):
    """A task, of this site, for a model that is not there: the worker ends it with `invalid_request`."""
    request = ChatRequest(messages=[{"role": "user", "content": "hi"}])
    task = Task(
        ref=TaskRef(site=site or frappe.local.site, user=user, id=str(uuid.uuid4())),
        status="queued",
        gen=1,
        seq=0,
        mode="ask",
        model="no such model",
        candidates=["no such model"],
        accepted_ms=now_ms(),
        conversation=None,
        message_id=None,
        trace_id=uuid.uuid4().hex,
        request=msgspec.json.encode(request),
    )
    return task, request.fingerprint()


class WakeCase(FrappeTestCase):
    def setUp(self):
        if frappe.conf.get("bench_id"):
            self.skipTest("the bench has a fixed bench_id, so that the tests cannot have one of their own")
        mark = uuid.uuid4().hex[:8]
        self.user = f"wake-{mark}@example.com"
        environment = patch.dict(os.environ, FRAPPE_BENCH_ROOT=f"/ai-assistant-test-{mark}")
        environment.start()
        self.addCleanup(environment.stop)
        self.connection = get_redis_conn()
        self.addCleanup(self.clean)
        self.tasks = bench.tasks()
        self.assertIn("ai-assistant-test", bench.scope())

    def clean(self):
        """Removes every key of this bench of ours."""
        for name in QUEUES:
            get_queue(name).delete(delete_jobs=True)
        scope = bench.scope()
        for pattern in (f"ai_assistant:{scope}:*", f"rq:*:{scope}:*", f"ai_assistant:*:{self.user}*"):
            for key in self.connection.scan_iter(pattern, count=1000):
                self.connection.delete(key)

    def start(self, site=None):
        """A task as a web request starts it."""
        task, fingerprint = make_task(self.user, site)
        self.tasks.start(task, fingerprint, Settings())
        return task.ref

    def jobs(self):
        """The jobs of ours that wait."""
        return [job for name in QUEUES for job in get_queue(name).jobs if wake.JOB_ID in job.id]


class WakeTest(WakeCase):
    def test_the_first_task_asks_for_one_job_and_the_others_for_none(self):
        refs = [self.start() for _ in range(5)]
        self.assertTrue(all(self.tasks.get(ref).status == "queued" for ref in refs))
        (job,) = self.jobs()
        self.assertTrue(job.origin.endswith(":long"))
        self.assertEqual(job.kwargs["method"], wake.METHOD)
        self.assertEqual(set(job.kwargs["kwargs"]), {"token", "is_brief"})
        self.assertEqual(job.timeout, wake.limits().longest_s)
        self.assertTrue(wake.is_queued(job.kwargs["kwargs"]["token"]))
        self.assertFalse(wake.is_queued("another"))

    def test_traces_of_other_programs_ask_for_one_too(self):
        from ai_assistant.core.trace_event import TraceEvent, encode_event, pack
        from ai_assistant.core.trace_pipe import TraceEntry
        from ai_assistant.site.tracing import SiteTracePipe

        site = f"wake-{uuid.uuid4().hex[:8]}.test"  # nobody's: no consumer takes it
        pipe = SiteTracePipe(self.connection, site)
        body = pack([encode_event(TraceEvent(1, "hello", now_ms() * 1000))])
        try:
            pipe.send("p", [], user=None, beat=None)
            self.assertEqual(self.jobs(), [])
            pipe.send("p", [TraceEntry(body=body, compressed=False, count=1)], user=None, beat=None)
            self.assertEqual(len(self.jobs()), 1)
        finally:
            for key in self.connection.scan_iter(f"ai_assistant:{site}:*"):
                self.connection.delete(key)
            self.connection.srem("ai_assistant:observability:sites", site)

    def test_a_daemon_makes_a_job_needless(self):
        self.connection.zadd(self.tasks.keys.workers, {"w": now_ms()})
        self.connection.hset(self.tasks.keys.worker_info, "w", '{"kind": "daemon", "stopping": false}')
        self.start()
        self.assertEqual(self.jobs(), [])

    def test_a_job_queue_that_fails_leaves_the_chat_accepted_and_the_next_reader_tries_again(self):
        away = patch("frappe.enqueue", side_effect=ConnectionError("RQ is away"))
        with away, self.assertLogs("ai_assistant.site", "ERROR"):
            ref = self.start()
        self.assertEqual(self.jobs(), [])
        self.assertEqual(self.tasks.get(ref).status, "queued")
        self.assertEqual(len(self.jobs()), 1)

    def test_a_process_without_a_site_wakes_for_the_site_of_the_task(self):
        with patch("ai_assistant.site.bench.wake_if_needed"):
            self.start()
        self.assertEqual(wake.first_waiting(self.tasks).site, frappe.local.site)
        with patch("frappe.init") as init, patch("frappe.destroy"):  # they would take this test's site away
            self.assertTrue(wake.wake_from_outside(self.tasks))
        self.assertEqual(init.call_args.kwargs, {"site": frappe.local.site})
        self.assertEqual(len(self.jobs()), 1)

    def test_a_task_of_a_dropped_site_does_not_keep_the_others_from_their_worker(self):
        with patch("ai_assistant.site.bench.wake_if_needed"):
            self.start(site="dropped.invalid")
            self.start()
        self.assertEqual(wake.first_waiting(self.tasks).site, frappe.local.site)

    def test_limits_come_from_the_configuration(self):
        self.assertEqual(wake.limits().idle_s, 30)
        with patch.dict(frappe.local.conf, {"ai_assistant_job_idle_s": 3}):
            self.assertEqual(wake.limits().idle_s, 3)


class JobTest(WakeCase):
    """The job as RQ runs it, by `bench worker --burst`."""

    def test_the_job_serves_what_waits_and_ends(self):
        update_site_config("ai_assistant_job_idle_s", 1)
        self.addCleanup(update_site_config, "ai_assistant_job_idle_s", "None")
        first, second = self.start(), self.start()
        (job,) = self.jobs()
        output = self.work()
        for ref in (first, second):
            outcome = self.tasks.get(ref).outcome
            self.assertEqual(outcome.error["code"], "invalid_request", output)
        self.assertEqual((job.get_status(), job.return_value()), ("finished", "idle"), output)
        self.assertEqual(Lease(self.tasks).read(), {})
        self.assertIn("ai_progress", output)
        self.assertNotIn("hi", output.split())

    def work(self):
        """What a worker of RQ writes until its queues are empty."""
        command = [sys.executable, "-m", "frappe.utils.bench_helper", "frappe", "worker", "--burst"]
        update_site_config("ai_assistant_log_level", "debug")
        self.addCleanup(update_site_config, "ai_assistant_log_level", "None")
        done = subprocess.run(
            command, cwd=frappe.local.sites_path, capture_output=True, text=True, timeout=120, check=False
        )
        return done.stdout + done.stderr


class RoomTest(WakeCase):
    """Whether the job sees that others wait, in the queues that its own RQ worker serves."""

    def setUp(self):
        super().setUp()
        self.mine = self.worker("long", "default", "short")
        self.mine.set_state("busy")
        job = SimpleNamespace(connection=self.connection, worker_name=self.mine.name)
        with patch("ai_assistant.site.job_runner.get_current_job", return_value=job):
            self.runner = RqRunner()

    def worker(self, *queues):
        """A worker of RQ that is listed and does nothing."""
        worker = Worker([get_queue(name) for name in queues], connection=self.connection, name=uuid.uuid4().hex)
        worker.register_birth()
        self.addCleanup(worker.register_death)
        worker.set_state("idle")
        return worker

    def wait(self, queue):
        """Another app's job."""
        return get_queue(queue).enqueue_call("frappe.ping", job_id=f"other-{uuid.uuid4().hex}")

    def is_wanted_after(self, seconds):
        """What is said when those who wait now have done so for `seconds`."""
        self.runner.is_wanted(3.0)
        self.runner._since = {job: since - seconds for job, since in self.runner._since.items()}
        return self.runner.is_wanted(3.0)

    def test_nobody_waits(self):
        self.start()  # our own next job is no reason
        self.assertFalse(self.is_wanted_after(100))

    def test_another_job_waits_for_longer_than_a_moment(self):
        self.wait("short")
        self.assertFalse(self.is_wanted_after(1))
        self.assertTrue(self.is_wanted_after(4))

    def test_an_idle_worker_of_that_queue_is_given_time_to_take_it(self):
        self.worker("short")
        self.wait("short")
        self.assertFalse(self.is_wanted_after(4))
        self.assertTrue(self.is_wanted_after(4 + IDLE_TAKES_S), "the idle one was killed, maybe")

    def test_an_idle_worker_of_another_queue_does_not_help(self):
        self.worker("default")
        self.wait("short")
        self.assertTrue(self.is_wanted_after(4))

    def test_the_next_job_stands_behind_those_that_wait(self):
        self.wait("short")
        self.runner.enqueue_behind("token")
        (job,) = self.jobs()
        self.assertTrue(job.origin.endswith(":short"), "RQ would take one of the long queue first")
        self.assertTrue(job.kwargs["kwargs"]["is_brief"])

    def test_where_the_long_queue_is_the_last_the_next_job_stands_there(self):
        self.mine.queues = [Queue(get_queue(name).name, connection=self.connection) for name in QUEUES]
        self.mine.register_death()
        self.mine.register_birth()
        self.wait("short")
        self.runner.enqueue_behind("token")
        self.assertTrue(self.jobs()[0].origin.endswith(":long"))

    def test_a_warm_shutdown_of_the_rq_worker_is_seen(self):
        self.assertFalse(self.runner.shuts_down())
        self.mine._shutdown_requested_date = frappe.utils.now_datetime()
        self.mine.set_shutdown_requested_date()
        self.assertTrue(self.runner.shuts_down())

    def test_the_death_of_the_rq_worker_is_seen(self):
        with patch("os.getppid", return_value=1 if os.getppid() != 1 else 2):
            self.assertTrue(self.runner.shuts_down())

    def test_signal(self):
        self.runner.end()
        self.assertTrue(self.runner.shuts_down())
