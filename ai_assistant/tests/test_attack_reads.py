"""Frappe's generic methods, called as over HTTP by those who must not see a chat: none gives it away."""

from __future__ import annotations

import json
import unittest

import frappe
import frappe.handler
from frappe.desk.search import search_link, search_widget
from frappe.utils import now_datetime, set_request

from ai_assistant.core.conversation import FinalMessage, Turn
from ai_assistant.core.task import Message, Outcome
from ai_assistant.site.conversations import SiteConversations
from ai_assistant.tests.people import make_user, remove_traces, remove_user

try:
    from frappe.tests import IntegrationTestCase as SiteTestCase  # v16
except ImportError:
    from frappe.tests.utils import FrappeTestCase as SiteTestCase

CONVERSATION, MESSAGE, MODEL = "AI Conversation", "AI Message", "AI Model"
SECRET = "attackZEBRAsecret"
VICTIM, USER, BOSS, ADMIN, VISITOR = (
    f"attack-{name}@example.com" for name in ("victim", "other", "boss", "admin", "visitor")
)
PEOPLE = {VICTIM: ("AI User",), USER: ("AI User",), BOSS: ("AI Manager",), ADMIN: ("System Manager",), VISITOR: ()}
OTHERS = (USER, ADMIN, VISITOR)


def setUpModule():
    start = now_datetime()
    unittest.addModuleCleanup(remove_people, start)
    for name, roles in PEOPLE.items():
        make_user(name, *roles)
    write(VICTIM)
    frappe.db.commit()


def remove_people(start: object) -> None:
    frappe.set_user("Administrator")
    for name in PEOPLE:
        remove_user(name)
    remove_traces(start)
    frappe.db.commit()


def write(user: str) -> None:
    """A conversation with a question and an answer."""
    name, store = frappe.generate_hash(length=20), SiteConversations()
    task, asked = "6f9619ff-8b86-4d11-b42d-00cf4fc964ff", [{"role": "user", "content": SECRET}]
    ids = {"user": user, "conversation": name, "message_id": f"{name}m", "task_id": task}
    store.begin(Turn(**ids, is_new=True, model="fast", messages=asked, title=SECRET))
    store.finish(FinalMessage(**ids, outcome=Outcome(status="completed", message=Message(content=SECRET))))


def call(method: str, **arguments: object) -> str:
    """The answer of a whitelisted method, as text; that of a refusal is its class."""
    set_request(method="POST", path=f"/api/method/{method}")
    frappe.local.form_dict = frappe._dict(arguments)
    try:
        return frappe.as_json(frappe.handler.execute_cmd(method))
    except frappe.PermissionError as error:
        return type(error).__name__
    finally:
        frappe.local.form_dict = frappe._dict()
        frappe.local.request = None
        frappe.clear_messages()


class ReadsTest(SiteTestCase):
    def tearDown(self):
        frappe.set_user("Administrator")
        frappe.db.rollback()

    def assert_hidden(self, method: str, users: tuple[str, ...] = OTHERS, **arguments: object) -> None:
        for user in users:
            with self.subTest(method, user=user):
                frappe.set_user(user)
                answer = call(method, **arguments)
                self.assertNotIn(SECRET, answer)
                self.assertIn(answer, ("0", "[]", "PermissionError"))

    def test_search_that_ignores_user_permissions(self):
        for doctype in (CONVERSATION, MESSAGE):
            for method in ("search_widget", "search_link"):
                self.assert_hidden(
                    f"frappe.desk.search.{method}",
                    doctype=doctype,
                    txt="",
                    ignore_user_permissions=1,
                    page_length=1000,
                    filters=json.dumps({"owner": VICTIM}),
                    filter_fields=json.dumps(["content"]),
                )

    def test_search_finds_ones_own(self):
        frappe.set_user(VICTIM)
        ((name, title, user),) = search_widget(CONVERSATION, SECRET[:9])
        self.assertEqual((title, user), (SECRET, VICTIM))
        self.assertEqual([row["value"] for row in search_link(CONVERSATION, name)], [name])
        self.assertEqual(search_link(CONVERSATION, "%' or '1'='1"), [])
        self.assertEqual(len(search_widget(MESSAGE, "", filters={"conversation": name}, as_dict=True)), 2)

    def test_search_serves_these_doctypes_only(self):
        frappe.set_user(USER)
        self.assertEqual(call("ai_assistant.site.guards.search_links", doctype="User", txt=""), "PermissionError")

    def test_count(self):
        filters = {"content": ["like", f"%{SECRET}%"]}
        self.assert_hidden("frappe.client.get_count", doctype=MESSAGE, filters=filters)
        self.assert_hidden("frappe.client.get_count", doctype=MESSAGE, filters=json.dumps(filters))
        for user in (VICTIM, BOSS):
            frappe.set_user(user)
            self.assertEqual(call("frappe.client.get_count", doctype=MESSAGE, filters=filters), "2")

    def test_count_of_models_by_their_address(self):
        filters = {"api_base": ["like", "http%"]}
        self.assert_hidden("frappe.client.get_count", (USER, VISITOR), doctype=MODEL, filters=filters)

    def test_count_of_other_doctypes_is_frappes(self):
        frappe.set_user(USER)
        self.assertEqual(call("frappe.client.get_count", doctype="DocType", filters={"name": "User"}), "1")

    def test_states_of_a_workflow(self):
        method = "frappe.workflow.doctype.workflow.workflow.get_workflow_state_count"
        arguments = {"doctype": MESSAGE, "workflow_state_field": "content", "states": "[]"}
        self.assert_hidden(method, **arguments)
        frappe.set_user(BOSS)
        self.assertIn(SECRET, call(method, **arguments))

    def test_monthly_goals(self):
        note = frappe.get_doc({"doctype": "Note", "title": "completed"}).insert(ignore_permissions=True)
        goal = {"goal_doctype": MESSAGE, "goal_doctype_link": "status", "goal_field": "content", "aggregation": "max"}
        fields = {"goal_value_field": "x", "goal_total_field": "title", "goal_history_field": "y"}
        arguments = {"title": "x", "doctype": "Note", "docname": note.name, "date_field": "creation", **goal, **fields}
        self.assert_hidden("frappe.utils.goal.get_monthly_goal_graph_data", **arguments)

    def test_heat_maps(self):
        filters = json.dumps([[MESSAGE, "content", "like", f"%{SECRET}%"]])
        chart = {"name": "x", "document_type": MESSAGE, "type": "Heatmap", "chart_type": "Count"}
        chart |= {"based_on": "creation", "filters_json": filters}
        method = "frappe.desk.doctype.dashboard_chart.dashboard_chart.get"
        self.assert_hidden(method, chart=json.dumps(chart), no_cache=1)
        frappe.set_user(BOSS)
        self.assertIn("dataPoints", call(method, chart=json.dumps(chart), no_cache=1))

    def test_heat_maps_that_are_stored(self):
        chart = frappe.get_doc(
            {"doctype": "Dashboard Chart", "chart_name": "attack", "document_type": MESSAGE, "type": "Heatmap"}
            | {"chart_type": "Count", "based_on": "creation", "filters_json": "[]"}
        ).insert()
        method = "frappe.desk.doctype.dashboard_chart.dashboard_chart.get"
        self.assert_hidden(method, chart_name=chart.name, refresh=1)

    def test_models_are_not_for_users(self):
        """Addresses, parameters (which may hold headers) and models that are kept to others."""
        for user in (USER, VISITOR):
            frappe.set_user(user)
            for right in ("read", "select"):
                self.assertFalse(frappe.has_permission(MODEL, right), (user, right))

    def test_status_tells_outsiders_what_it_tells_guests(self):
        told = {}
        for user in ("Guest", VISITOR, USER):
            frappe.set_user(user)
            told[user] = set(json.loads(call("ai_assistant.api.status")))
        self.assertEqual(told[VISITOR], told["Guest"])
        self.assertLess(told["Guest"], told[USER])
