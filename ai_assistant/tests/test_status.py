"""What `status` says on a site of its workers."""

import uuid

from frappe.tests.utils import FrappeTestCase

from ai_assistant.site import bench


class TestStatus(FrappeTestCase):
    """In a queue of its own, which no worker reads."""

    def setUp(self):
        self.tasks = bench.SiteTasks(bench.tasks().client, f"test-{uuid.uuid4().hex}")
        self.addCleanup(self.tasks.client.delete, self.tasks.keys.workers, self.tasks.keys.worker_info)

    def beat(self, kind):
        """A worker's heartbeat."""
        client, keys = self.tasks.client, self.tasks.keys
        seconds, micros = client.time()
        client.zadd(keys.workers, {kind: seconds * 1000 + micros // 1000})
        client.hset(keys.worker_info, kind, f'{{"kind": "{kind}"}}')

    def test_without_a_worker_all_is_well_and_a_daemon_is_recommended(self):
        """The next chat wakes a job."""
        found = self.tasks.health()
        self.assertTrue(found["ok"])
        self.assertIn("setup-worker", found["advice"])

    def test_a_job_is_no_daemon(self):
        """A job ends when it is idle."""
        self.beat("job")
        self.assertIn("setup-worker", self.tasks.health()["advice"])

    def test_with_a_daemon_there_is_no_advice(self):
        """All is as it should be."""
        self.beat("daemon")
        found = self.tasks.health()
        self.assertTrue(found["ok"])
        self.assertNotIn("advice", found)
