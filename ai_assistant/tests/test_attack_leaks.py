"""Where chats and keys must not be found: error logs, answers, deleted documents; and where a key must not go."""

from __future__ import annotations

import json
import unittest
import uuid
from contextlib import contextmanager
from unittest.mock import patch

import frappe
import frappe.handler
from frappe.utils import now_datetime, set_request
from frappe.utils.error import log_error_snapshot

from ai_assistant.core import service
from ai_assistant.core.conversation import Turn
from ai_assistant.site import bench, errors
from ai_assistant.site.conversations import SiteConversations
from ai_assistant.tests.people import make_user, remove_traces, remove_user

try:
    from frappe.tests import IntegrationTestCase as SiteTestCase  # v16
except ImportError:
    from frappe.tests.utils import FrappeTestCase as SiteTestCase

CONVERSATION, MODEL = "AI Conversation", "AI Model"
SECRET, KEY = f"attack-{uuid.uuid4().hex}", "sk-attack-key-0123456789"
USER, BOSS = "attack-leaks@example.com", "attack-leaks-boss@example.com"
HERE = "http://127.0.0.1:9/v1"
LOGS = "insert_queue_for_Error Log"


def setUpModule():
    start = now_datetime()
    unittest.addModuleCleanup(remove_people, start)
    make_user(USER, "AI User")
    make_user(BOSS, "AI Manager")
    frappe.db.commit()


def remove_people(start: object) -> None:
    frappe.set_user("Administrator")
    for name in (USER, BOSS):
        remove_user(name)
    remove_traces(start)
    frappe.db.commit()


class LeaksTestCase(SiteTestCase):
    def tearDown(self):
        frappe.set_user("Administrator")
        frappe.db.rollback()
        frappe.clear_messages()


class ErrorLogTest(LeaksTestCase):
    """A question that is refused or fails is not written down."""

    def ask(self) -> Exception:
        """The exception that Frappe would answer, after what Frappe does with it (v15 `app.py` handle_exception)."""
        frappe.set_user(USER)
        set_request(method="POST", path="/api/method/ai_assistant.api.chat_completion")
        messages = [{"role": "user", "content": SECRET}]
        frappe.local.form_dict = frappe._dict(messages=messages, wait=False)
        try:
            frappe.handler.execute_cmd("ai_assistant.api.chat_completion")
        except Exception as error:  # noqa: BLE001  # which it is, is what the tests are about
            log_error_snapshot(error)
            return error
        finally:
            frappe.local.form_dict = frappe._dict()
            frappe.local.request = None
        raise AssertionError("it was accepted")

    def logged(self) -> str:
        """What was logged and waits to be inserted."""
        return "\n".join(entry.decode() for entry in frappe.cache.lrange(LOGS, 0, -1))

    def test_without_redis(self):
        make_model()
        with patch.dict(frappe.local.conf, {bench.REDIS_KEY: "redis://127.0.0.1:1"}):
            error = self.ask()
        self.assertIsInstance(error, errors.ServiceUnavailable)
        self.assertEqual(error.http_status_code, 503)
        self.assertFalse(SECRET in self.logged(), "the question was logged")

    def test_an_error_of_ours(self):
        # what no input brings about: that is the point
        with patch.object(service, "checked_request", side_effect=ZeroDivisionError("by attack")):
            error = self.ask()
        self.assertEqual((type(error).__name__, error.http_status_code), ("InternalServerError", 500))
        logged = self.logged()
        self.assertTrue("ZeroDivisionError: by attack" in logged, "nothing was logged")
        self.assertFalse(SECRET in logged, "the question was logged")
        self.drop_logs()

    def drop_logs(self) -> None:
        for entry in frappe.cache.lrange(LOGS, 0, -1):
            if b"by attack" in entry:
                frappe.cache.lrem(frappe.cache.make_key(LOGS), 0, entry)


class ConversationTest(LeaksTestCase):
    def make(self) -> str:
        """A conversation of USER's."""
        name = frappe.generate_hash(length=20)
        asked = [{"role": "user", "content": SECRET}]
        ids = {"message_id": f"{name}m", "task_id": "6f9619ff-8b86-4d11-b42d-00cf4fc964ff"}
        turn = Turn(user=USER, conversation=name, is_new=True, model="fast", messages=asked, title=SECRET, **ids)
        SiteConversations().begin(turn)
        return name

    def test_the_copy_of_a_deleted_chat_does_not_tell_its_title(self):
        name = self.make()
        frappe.set_user(USER)
        frappe.delete_doc(CONVERSATION, name)
        (copy,) = frappe.get_all("Deleted Document", {"deleted_name": name}, pluck="data")
        self.assertNotIn(SECRET, copy)
        self.assertFalse(frappe.db.exists("AI Message", {"conversation": name}))

    def test_events_of_a_conversation_go_to_its_open_forms_only(self):
        name = self.make()
        rooms = set()
        with patch.object(frappe.realtime, "emit_via_redis", side_effect=lambda event, message, room: rooms.add(room)):
            document = frappe.get_doc(CONVERSATION, name)
            document.title = "Other"
            document.save()
            frappe.delete_doc(CONVERSATION, name)
            frappe.db.commit()
        self.assertEqual({room for room in rooms if CONVERSATION in room}, {f"doc:{CONVERSATION}/{name}"})

    def test_a_title_holds_no_html(self):
        document = frappe.get_doc(CONVERSATION, self.make())
        document.title = '<img src="https://attacker.example/x.png"> a < b'
        document.save()
        self.assertNotIn("<", frappe.db.get_value(CONVERSATION, document.name, "title"))
        with self.assertRaises(frappe.ValidationError):
            document.title = ["x"]
            document.save()


class KeyTest(LeaksTestCase):
    """Who may edit a model, but not read its key, cannot have it sent elsewhere."""

    def setUp(self):
        self.model = make_model()
        frappe.set_user(BOSS)

    @contextmanager
    def refused(self, words: str):
        with self.assertRaisesRegex(frappe.ValidationError, words):
            yield
        self.assertEqual(frappe.get_doc(MODEL, self.model).get_password("api_key"), KEY)

    def change(self, **values: object) -> None:
        document = frappe.get_doc(MODEL, self.model)
        document.update(values)
        document.save()

    def test_documents_have_stars(self):
        self.assertNotIn(KEY, json.dumps(frappe.get_doc(MODEL, self.model).as_dict(), default=str))

    def test_another_server_needs_the_key_again(self):
        for elsewhere in (
            {"api_base": "https://attacker.example/v1"},
            {"api_base": "http://127.0.0.1:10/v1"},
            {"api_base": "https://127.0.0.1:9/v1"},
            {"api_base": ""},
            {"model": "anthropic/x"},
            {"api_base": "https://attacker.example/v1", "api_key": "*" * len(KEY)},
        ):
            with self.subTest(elsewhere), self.refused("enter it again"):
                self.change(**elsewhere)

    def test_the_address_cannot_be_given_as_a_parameter(self):
        with self.refused("base_url"):
            self.change(parameters='{"base_url": "https://attacker.example"}')

    def test_another_path_or_model_there_does_not(self):
        self.change(api_base="http://127.0.0.1:9/v2/", model="openai/other", title="Other")
        self.assertEqual(frappe.get_doc(MODEL, self.model).get_password("api_key"), KEY)

    def test_a_new_key_or_none_goes_anywhere(self):
        self.change(api_base="https://new.example/v1", api_key="new")
        self.assertEqual(frappe.get_doc(MODEL, self.model).get_password("api_key"), "new")
        self.change(api_base="https://other.example/v1", api_key="")
        self.change(api_base="https://third.example/v1")

    def test_wrong_types_are_refused_in_words(self):
        """An error that is none of Frappe's is logged with the values of all variables, a new key among them."""
        for wrong in ({"model": ["x"]}, {"parameters": {"a": 1}}, {"api_base": {"a": 1}}):
            with self.subTest(wrong), self.assertRaises(frappe.ValidationError):
                self.change(**wrong)

    def test_versions_and_deleted_documents_have_stars(self):
        self.change(api_key=KEY + "2", title="Other")
        frappe.delete_doc(MODEL, self.model)
        kept = frappe.get_all("Version", {"docname": self.model}, pluck="data")
        kept += frappe.get_all("Deleted Document", {"deleted_name": self.model}, pluck="data")
        self.assertGreaterEqual(len(kept), 1)
        self.assertNotIn(KEY, "".join(kept))


def make_model() -> str:
    """A model with a key."""
    values = {"model_name": f"attack-{frappe.generate_hash(length=8)}", "model": "openai/x", "api_base": HERE}
    return frappe.get_doc({"doctype": MODEL, **values, "api_key": KEY}).insert().name
