"""Traces through the endpoints of a site: who sees them, permission level 1, the record of looks, uploads, removal."""

from __future__ import annotations

import json
import secrets
import time
import unittest
from contextlib import contextmanager
from unittest.mock import patch

import frappe
import frappe.permissions
import msgspec
from frappe.utils import now_datetime, set_request
from werkzeug.wrappers import Response

from ai_assistant import api
from ai_assistant.core.trace_event import TraceEvent, encode_event, pack
from ai_assistant.core.trace_keys import SITES, ObservabilityKeys
from ai_assistant.site.access import SETTINGS, SiteStores
from ai_assistant.site.trace_retention import limit_ai_traces
from ai_assistant.site.tracing import trace_client
from ai_assistant.tests.people import make_user, remove_traces, remove_user
from ai_assistant.traces.ingest import RedisTracePipe
from ai_assistant.traces.writer import Batch, apply

try:
    from frappe.tests import IntegrationTestCase as SiteTestCase  # v16
except ImportError:
    from frappe.tests.utils import FrappeTestCase as SiteTestCase

TRACE, OBSERVATION, VIEW = "AI Trace", "AI Observation", "AI Trace View"
ANN, BOB, BOSS, RAE, SYS, VISITOR = (
    f"{name}@endpoints.example" for name in ("ann", "bob", "boss", "rae", "sys", "visitor")
)
PEOPLE = {
    ANN: ("AI User",),
    BOB: ("AI User",),
    BOSS: ("AI Manager",),
    RAE: ("AI Trace Reviewer",),
    SYS: ("System Manager",),
    VISITOR: (),
}
SECRET = "endpointZEBRAsecret"


def setUpModule():
    start = now_datetime()
    unittest.addModuleCleanup(remove_people, start)
    for name, roles in PEOPLE.items():
        make_user(name, *roles)
    frappe.db.commit()


def remove_people(start: object) -> None:
    frappe.set_user("Administrator")
    for name in PEOPLE:
        remove_user(name)
    remove_traces(start)
    frappe.db.commit()


@contextmanager
def acting_as(user: str, method: str = "GET", data: bytes | None = None, media: str = ""):
    """A request of this user's."""
    before = frappe.session.user
    frappe.set_user(user)
    set_request(method=method, path="/api/method/x", data=data, content_type=media)
    frappe.local.flags.commit = False
    try:
        yield
    finally:
        frappe.local.request = None
        frappe.local.flags.commit = False
        frappe.set_user(before)
        frappe.clear_messages()


def write(user: str, days: float = 0) -> tuple[str, str]:
    """A trace of this user's that began so many days ago, and its one observation."""
    trace, span = secrets.token_hex(16), secrets.token_hex(8)
    at = time.time_ns() // 1000 - int(days * 86_400_000_000)
    said = {"parent": "", "title": "work", "started_at": at, "ended_at": at + 5, "input": SECRET, "output": SECRET}
    events = [
        TraceEvent(0, "trace", at, trace, 0, 0, "", {"user": user, "title": "endpoints"}),
        TraceEvent(0, "whole", at, trace, 0, 0, span, said),
    ]
    apply(SiteStores(with_keys=False).traces, [Batch("endpoint-tests", None, events)])
    return trace, span


class EndpointTestCase(SiteTestCase):
    def setUp(self):
        self.trace, self.span = write(ANN)

    def tearDown(self):
        frappe.set_user("Administrator")
        frappe.db.rollback()
        for doctype in (TRACE, OBSERVATION):
            frappe.clear_cache(doctype=doctype)
        for name in PEOPLE:
            frappe.clear_cache(user=name)

    def refused(self, kind: type[Exception], function: object, **arguments: object) -> None:
        with self.assertRaises(kind):
            function(**arguments)
        frappe.clear_messages()


class TestWhoSeesTraces(EndpointTestCase):
    def test_the_owner(self):
        with acting_as(ANN):
            found = api.get_trace(trace=self.trace)
            self.assertEqual(found["observations"][0]["span"], self.span)
            self.assertEqual(found["observations"][0]["input_chars"], len(SECRET))
            self.assertTrue(found["payloads"])
            self.assertNotIn(SECRET, json.dumps(found))
            listed = api.get_traces(limit=200)["traces"]
            self.assertIn(self.trace, [row["trace"] for row in listed])
            self.assertNotIn(SECRET, json.dumps(listed))
            payload = api.get_trace_payload(trace=self.trace, span=self.span, field="input")
            self.assertEqual(payload["text"], SECRET)

    def test_nobody_else(self):
        for user in (BOB, BOSS, SYS):
            with self.subTest(user), acting_as(user):
                self.refused(frappe.DoesNotExistError, api.get_trace, trace=self.trace)
                self.refused(frappe.DoesNotExistError, api.get_trace_payload, trace=self.trace, field="input")
                self.refused(frappe.DoesNotExistError, api.export_trace, trace=self.trace)
                self.assertNotIn(self.trace, [row["trace"] for row in api.get_traces(limit=200)["traces"]])
                self.refused(frappe.PermissionError, api.get_traces, user=ANN)
        for user in (VISITOR, "Guest"):
            with self.subTest(user), acting_as(user):
                self.refused((frappe.PermissionError, frappe.AuthenticationError), api.get_traces)

    def test_a_reviewer_sees_all_and_uses_no_chat(self):
        with acting_as(RAE):
            self.assertEqual(api.get_trace(trace=self.trace)["trace"]["user"], ANN)
            self.assertIn(self.trace, [row["trace"] for row in api.get_traces(user=ANN)["traces"]])
            self.refused(frappe.PermissionError, api.get_models)
            self.refused(frappe.PermissionError, api.chat_completion, messages=[{"role": "user", "content": "x"}])

    def test_a_look_is_recorded_once_and_committed_though_it_be_a_get(self):
        for user, looks in ((ANN, 0), (RAE, 1)):
            with acting_as(user):
                api.get_trace(trace=self.trace)
                self.assertEqual(bool(frappe.local.flags.commit), bool(looks))
                api.get_trace_payload(trace=self.trace, field="input")
                api.export_trace(trace=self.trace)
            self.assertEqual(frappe.db.count(VIEW, {"trace": self.trace, "viewer": user}), looks)


class TestLevelOne(EndpointTestCase):
    def close(self, doctype: str, role: str) -> None:
        """An admin takes level 1 away from a role."""
        frappe.permissions.update_permission_property(doctype, role, 1, "read", 0)
        frappe.clear_cache(doctype=doctype)

    def test_closed_to_users(self):
        for doctype in (TRACE, OBSERVATION):
            with self.subTest(doctype):
                self.close(doctype, "AI User")
                with acting_as(ANN):
                    found = api.get_trace(trace=self.trace)
                    self.assertFalse(found["payloads"])
                    self.assertNotIn("input_chars", found["observations"][0])
                    self.refused(
                        frappe.PermissionError, api.get_trace_payload, trace=self.trace, span=self.span, field="input"
                    )
                    self.refused(frappe.PermissionError, api.get_trace_payload, trace=self.trace, field="input")
                    self.refused(frappe.PermissionError, api.export_trace, trace=self.trace)
                with acting_as(BOB):  # what is not theirs is not there, whatever the level
                    self.refused(frappe.DoesNotExistError, api.get_trace_payload, trace=self.trace, field="input")
                with acting_as(RAE):
                    self.assertTrue(api.get_trace(trace=self.trace)["payloads"])
                frappe.db.rollback()
                frappe.clear_cache(doctype=doctype)
                self.setUp()

    def test_closed_to_reviewers(self):
        self.close(TRACE, "AI Trace Reviewer")
        with acting_as(RAE):
            self.assertFalse(api.get_trace(trace=self.trace)["payloads"])
            self.refused(frappe.PermissionError, api.export_trace, trace=self.trace)
        with acting_as(ANN):
            self.assertTrue(api.get_trace(trace=self.trace)["payloads"])


class TestExportAndRemoval(EndpointTestCase):
    def test_export(self):
        with acting_as(ANN):
            for kind in ("json", "otlp"):
                response = api.export_trace(trace=self.trace, format=kind)
                self.assertIsInstance(response, Response)
                self.assertIn("attachment", response.headers["Content-Disposition"])
                body = response.get_data()
                self.assertEqual(int(response.headers["Content-Length"]), len(body))
                self.assertIn(SECRET, body.decode())
                json.loads(body)

    def test_delete(self):
        for user, kind in ((BOB, frappe.DoesNotExistError), (RAE, frappe.PermissionError)):
            with acting_as(user, "POST"):
                self.refused(kind, api.delete_trace, trace=self.trace)
        with acting_as(RAE):
            api.get_trace(trace=self.trace)
        with acting_as(ANN, "POST"):
            self.assertEqual(api.delete_trace(trace=self.trace), {"trace": self.trace})
        self.assertFalse(frappe.db.exists(TRACE, self.trace))
        for doctype in (OBSERVATION, VIEW):
            self.assertEqual(frappe.db.count(doctype, {"trace": self.trace}), 0)

    def test_whoever_runs_the_site_deletes(self):
        with acting_as(SYS, "POST"):
            self.assertEqual(api.delete_trace(trace=self.trace), {"trace": self.trace})


class TestUploads(EndpointTestCase):
    """Into a stream that no consumer reads: that of a site that is none."""

    def setUp(self):
        super().setUp()
        site = f"test-{secrets.token_hex(6)}"
        self.client, self.keys = trace_client(), ObservabilityKeys(site)
        pipe = RedisTracePipe(self.client, site)
        names = (self.keys.events, self.keys.producers, self.keys.dead, self.keys.counts)
        self.addCleanup(self.client.delete, *names)
        self.addCleanup(self.client.srem, SITES, site)
        patched = patch("ai_assistant.site.request.trace_pipe", lambda: pipe)
        patched.start()
        self.addCleanup(patched.stop)

    def upload(self) -> bytes:
        event = TraceEvent(1, "start", 5, secrets.token_hex(16), 1, 1, secrets.token_hex(8), {"title": "t"})
        entries = [{"b": pack([encode_event(event)]), "n": 1}]
        return msgspec.msgpack.encode({"producer": "p", "entries": entries, "beat": {"made": 1}})

    def sent(self) -> list[dict[bytes, bytes]]:
        return [fields for _, fields in self.client.xrange(self.keys.events)]

    def test_messagepack_of_a_user(self):
        with acting_as(ANN, "POST", self.upload(), "application/x-msgpack"):
            self.assertEqual(api.ingest_traces()["accepted"], 1)
        [fields] = self.sent()
        self.assertEqual(fields[b"u"].decode(), ANN)
        self.assertTrue(fields[b"p"].endswith(b":p"))
        self.assertEqual(self.client.hkeys(self.keys.producers), [fields[b"p"]])

    def test_who_is_trusted(self):
        for user, is_trusted in ((RAE, True), (SYS, True), ("Administrator", True), (BOSS, False), (BOB, False)):
            with self.subTest(user), acting_as(user, "POST", self.upload(), "application/x-msgpack"):
                api.ingest_traces()
                self.assertEqual(b"u" not in self.sent()[-1], is_trusted)
        self.assertEqual(len({fields[b"p"] for fields in self.sent()}), 5)

    def test_bad_ones(self):
        for body in (b"", b"\xc1", b"\x80", msgspec.msgpack.encode({"producer": "p", "entries": [{"b": b"x"}]})):
            with acting_as(ANN, "POST", body, "application/x-msgpack"):
                self.refused(frappe.ValidationError, api.ingest_traces)
        self.assertEqual(self.sent(), [])

    def test_dead_letters_are_for_few(self):
        for user in (ANN, BOSS):
            with acting_as(user, "POST"):
                self.refused(frappe.PermissionError, api.get_dead_letters)
                self.refused(frappe.PermissionError, api.retry_dead_letters)
        self.client.xadd(self.keys.dead, {"p": "p", "b": b"x", "error": "why", "tries": 1})
        for user in (RAE, SYS):
            with acting_as(user, "POST"):
                self.assertEqual(api.get_dead_letters()["dead_letters"][0]["error"], "why")
        with acting_as(SYS, "POST"):
            self.assertEqual(api.retry_dead_letters(), {"retried": 1})


class TestRetention(SiteTestCase):
    """Commits, and so uses traces that are older than any others."""

    def tearDown(self):
        frappe.set_user("Administrator")
        frappe.db.rollback()

    def test_by_size(self):
        names = [write(ANN, 9000 + i)[0] for i in range(3)]
        frappe.db.commit()
        self.addCleanup(lambda: SiteStores(with_keys=False).traces.delete(names))
        before = frappe.db.get_single_value(SETTINGS, "trace_max_mb")
        self.addCleanup(self.bound, before)
        self.bound(0)
        self.assertEqual(limit_ai_traces(), 0)
        self.bound(1_000_000)
        self.assertEqual(limit_ai_traces(), 0)
        self.assertEqual(frappe.db.count(TRACE, {"name": ("in", names)}), 3)

    def bound(self, megabytes: int) -> None:
        frappe.db.set_single_value(SETTINGS, "trace_max_mb", megabytes)
        frappe.clear_document_cache(SETTINGS, SETTINGS)
        frappe.db.commit()

    def test_by_age(self):
        old, _ = write(ANN, 9000)
        young, _ = write(ANN, 8000)
        frappe.db.commit()
        self.addCleanup(frappe.db.commit)
        self.addCleanup(lambda: SiteStores(with_keys=False).traces.delete([old, young]))
        frappe.get_doc({"doctype": TRACE}).clear_old_logs(days=8500)
        self.assertFalse(frappe.db.exists(TRACE, old))
        self.assertEqual(frappe.db.count(OBSERVATION, {"trace": old}), 0)
        self.assertTrue(frappe.db.exists(TRACE, young))

    def test_log_settings_know_it(self):
        self.assertIn(TRACE, frappe.get_hooks("default_log_clearing_doctypes"))
