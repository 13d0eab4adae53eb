"""What this app publishes beside what `frappe.publish_realtime` does: the same channel, envelope and room."""

import json
import uuid
from contextlib import contextmanager

import frappe
import redis
from frappe.realtime import get_user_room
from frappe.tests.utils import FrappeTestCase

from ai_assistant.core.events import EVENT_NAME, now_ms
from ai_assistant.core.settings import Settings
from ai_assistant.core.task import Task, TaskRef
from ai_assistant.site import bench
from ai_assistant.streams.tasks import Tasks

CHANNEL = "events"
OPEN_ROOM = "task_progress:known-to-everybody"
ODD_USER = "ünï\"cödé\\o'brien@example.com"


@contextmanager
def heard():
    """What is published on the realtime server's channel, as a function that gives the next `ai_progress` of a user."""
    client = redis.Redis.from_url(frappe.conf.redis_queue)
    pubsub = client.pubsub()
    pubsub.subscribe(CHANNEL)
    assert pubsub.get_message(timeout=5)["type"] == "subscribe"

    def next_of(room: str) -> dict:
        for _ in range(1000):  # other tests and sites publish too
            message = pubsub.get_message(timeout=5)
            assert message is not None, "nothing was published"
            envelope = json.loads(message["data"])
            if envelope["event"] == EVENT_NAME and envelope["room"] == room:
                return envelope
        raise AssertionError(f"nothing came for {room}")

    try:
        yield next_of
    finally:
        pubsub.close()
        client.close()


def start_task(user: str) -> TaskRef:
    """Accepts a task as the endpoint does, in a queue that no worker reads; its first event is published with it."""
    ref = TaskRef(site=frappe.local.site, user=user, id=str(uuid.uuid4()))
    task = Task(
        ref=ref, status="queued", gen=1, seq=0, mode="ask", model="any", accepted_ms=now_ms(), trace_id="0" * 32
    )
    Tasks(bench.tasks().client, f"test-{uuid.uuid4().hex}").start(task, "fingerprint", Settings(task_ttl_s=5))
    return ref


class TestPublisher(FrappeTestCase):
    """The envelope, field by field."""

    def test_the_envelope_is_frappes(self):
        """Keys, event, room and namespace, also for a user whose name has to be escaped."""
        for user in (frappe.session.user, "alice@example.com", ODD_USER):
            with self.subTest(user=user), heard() as next_of:
                start_task(user)
                ours = next_of(get_user_room(user))
                frappe.publish_realtime(EVENT_NAME, ours["message"], user=user)
                theirs = next_of(get_user_room(user))
                self.assertEqual(ours, theirs)
                self.assertEqual(set(ours), {"event", "message", "room", "namespace"})
                self.assertEqual(ours["namespace"], frappe.local.site)

    def test_a_job_with_a_task_id_publishes_to_the_user(self):
        """`frappe.local.task_id` makes publish_realtime choose a room that any socket may join; not ours."""
        user = frappe.session.user
        frappe.local.task_id = "known-to-everybody"
        try:
            with heard() as next_of:
                ref = start_task(user)
                self.assertEqual(next_of(get_user_room(user))["message"]["task_id"], ref.id)
                frappe.publish_realtime(EVENT_NAME, {"task_id": ref.id}, user=user)
                self.assertEqual(
                    next_of("task_progress:known-to-everybody")["room"], "task_progress:known-to-everybody"
                )
        finally:
            frappe.local.task_id = None
