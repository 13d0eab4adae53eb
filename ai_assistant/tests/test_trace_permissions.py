"""Who sees which trace in the Desk: lists, documents, reports, levels, methods of Frappe's; and what can be deleted."""

from __future__ import annotations

import json
import unittest

import frappe
import frappe.client
import frappe.desk.form.load
import frappe.permissions
from frappe.desk import reportview
from frappe.utils import add_days, now_datetime

from ai_assistant.core.session import User
from ai_assistant.core.trace_event import TraceEvent
from ai_assistant.site import guards
from ai_assistant.site.traces import SiteTraces
from ai_assistant.tests.people import make_user, remove_traces, remove_user
from ai_assistant.tests.test_permissions import acting_as, export, may
from ai_assistant.traces.writer import Batch, apply, now_us

try:
    from frappe.tests import IntegrationTestCase as SiteTestCase  # v16
except ImportError:
    from frappe.tests.utils import FrappeTestCase as SiteTestCase

TRACE, OBSERVATION, TAG = "AI Trace", "AI Observation", "AI Trace Tag"
ALICE, BOB, EVE, BOSS, ADMIN, OUTSIDER, VISITOR = (
    f"{name}@trace-permissions.example" for name in ("alice", "bob", "eve", "boss", "admin", "outsider", "visitor")
)
ODD = "o'neill%s`x@trace-permissions.example"
PEOPLE = {
    ALICE: ("AI User",),
    BOB: ("AI User",),
    EVE: ("AI Trace Reviewer",),
    BOSS: ("AI Manager",),
    ADMIN: ("System Manager",),
    OUTSIDER: ("Dashboard Manager",),
    VISITOR: (),
    ODD: ("AI User",),
}
SECRET = "the secret prompt"


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
    frappe.db.delete("Deleted Document", {"deleted_doctype": TRACE, "creation": (">=", start)})
    frappe.db.commit()


def write(user: str | None, **fields: object) -> str:
    """A trace of one generation, as the consumer writes it; gives its id."""
    trace, span, at = frappe.generate_hash(length=32), frappe.generate_hash(length=16), now_us()
    events = [
        TraceEvent(0, "trace", at, trace, 0, 0, "", {"user": user, "tags": [f"tag of {user}"], **fields}),
        TraceEvent(
            0, "whole", at, trace, 0, 0, span,
            {"title": f"step of {user}", "type": "generation", "input": SECRET, "output": "answer", "cost": 0.5},
        ),
    ]  # fmt: skip
    result = apply(SiteTraces(), [Batch("tests of permissions", None, events)])
    assert result.rejected == []
    return trace


def observation_of(trace: str) -> str:
    return frappe.get_all(OBSERVATION, {"trace": trace}, pluck="name")[0]


class TracePermissionCase(SiteTestCase):
    """`alices` and `bobs` are traces; so is `nobodys`, of a program."""

    def setUp(self):
        self.alices, self.bobs, self.nobodys = write(ALICE), write(BOB), write(None)
        self.all = {self.alices, self.bobs, self.nobodys}

    def tearDown(self):
        frappe.set_user("Administrator")
        frappe.db.rollback()
        for name in PEOPLE:
            frappe.clear_cache(user=name)

    def visible(self, user: str) -> set[str]:
        """Which of these the user's list shows, having seen that all other ways agree with it."""
        with acting_as(user):
            listed = self.all & set(frappe.get_list(TRACE, pluck="name", limit=0))
            report = reportview.execute(TRACE, fields=["name"], as_list=True, limit=0)
            assert self.all & {row[0] for row in report} == listed
            assert guards.get_count(TRACE, filters={"name": ("in", list(self.all))}) == len(listed)
            steps = frappe.get_list(OBSERVATION, fields=["name", "trace"], limit=0)
            assert self.all & {row.trace for row in steps} == listed
            tags = frappe.get_list(TAG, fields=["parent"], parent_doctype=TRACE, limit=0)
            assert self.all & {row.parent for row in tags} == listed
            for name in self.all:
                assert may("read", TRACE, name) == (name in listed), name
                assert may("read", OBSERVATION, observation_of(name)) == (name in listed), name
        return listed


class TestWhoSees(TracePermissionCase):
    def test_users_see_theirs(self):
        assert self.visible(ALICE) == {self.alices}
        assert self.visible(BOB) == {self.bobs}

    def test_a_reviewer_sees_all(self):
        assert self.visible(EVE) == self.all
        assert self.visible("Administrator") == self.all

    def test_managers_are_no_reviewers(self):
        for user in (BOSS, ADMIN):
            assert self.visible(user) == set()
            own = write(user)
            with acting_as(user):
                assert own in frappe.get_list(TRACE, pluck="name")

    def test_without_a_role_nothing_is_seen(self):
        for user in (OUTSIDER, VISITOR, "Guest"):
            own = write(user) if user != "Guest" else self.alices
            with acting_as(user):
                for doctype in (TRACE, OBSERVATION):
                    with self.assertRaises(frappe.PermissionError):
                        frappe.get_list(doctype)
                    with self.assertRaises(frappe.PermissionError):
                        guards.get_count(doctype)
                assert not may("read", TRACE, own)
                assert not may("read", OBSERVATION, observation_of(own))

    def test_a_role_of_ones_own_opens_nobodys(self):
        for doctype in (TRACE, OBSERVATION):
            frappe.permissions.add_permission(doctype, "Dashboard Manager", 0)
        try:
            assert self.visible(OUTSIDER) == set()
        finally:
            frappe.db.rollback()
            for doctype in (TRACE, OBSERVATION):
                frappe.clear_cache(doctype=doctype)

    def test_a_reviewer_can_be_kept_to_some_users(self):
        frappe.permissions.add_user_permission("User", ALICE, EVE)
        with acting_as(EVE):
            assert self.all & set(frappe.get_list(TRACE, pluck="name", limit=0)) <= {self.alices, self.nobodys}
            steps = frappe.get_list(OBSERVATION, pluck="trace", limit=0)
            assert self.bobs not in steps
            assert not may("read", TRACE, self.bobs)

    def test_a_user_with_an_odd_name_sees_their_own(self):
        own = write(ODD)
        assert self.visible(ODD) == set()
        with acting_as(ODD):
            assert frappe.get_list(TRACE, pluck="name") == [own]
            assert frappe.get_list(OBSERVATION, pluck="trace") == [own]


class TestRights(TracePermissionCase):
    def test_nobody_writes(self):
        for user in (ALICE, EVE, BOSS, ADMIN):
            with acting_as(user):
                own = write(user)
                for name in (own, self.alices):
                    for right in ("write", "create", "share", "submit", "import"):
                        assert not may(right, TRACE, name)
                        assert not may(right, OBSERVATION, observation_of(name))
                for values in ({"doctype": TRACE, "title": "x"}, {"doctype": OBSERVATION, "trace": own}):
                    with self.assertRaises(frappe.PermissionError):
                        frappe.get_doc(values).insert()
                for document in (frappe.get_doc(TRACE, own), frappe.get_doc(OBSERVATION, observation_of(own))):
                    document.title = "changed"
                    with self.assertRaises(frappe.PermissionError):
                        document.save()

    def test_a_document_from_the_browser_cannot_claim_to_be_ones_own(self):
        step = frappe.get_doc(OBSERVATION, observation_of(self.bobs)).as_dict(convert_dates_to_str=True)
        trace = frappe.get_doc(TRACE, self.bobs).as_dict(convert_dates_to_str=True)
        with acting_as(ALICE):
            for values in ({**trace, "user": ALICE, "owner": ALICE}, {**step, "trace": self.alices, "user": ALICE}):
                document = frappe.get_doc(json.loads(json.dumps(values, default=str)))
                assert not document.has_permission("read")

    def test_who_deletes(self):
        """Owners theirs, and those who run the site; a reviewer reads only."""
        for user in (BOB, EVE, BOSS, OUTSIDER):
            with acting_as(user), self.assertRaises(frappe.PermissionError):
                frappe.delete_doc(TRACE, self.alices)
        for user in (ALICE, EVE, ADMIN):
            with acting_as(user), self.assertRaises(frappe.PermissionError):
                frappe.delete_doc(OBSERVATION, observation_of(self.alices))
        for user, trace in ((ALICE, self.alices), (ADMIN, self.nobodys)):
            SiteTraces().note_view(trace, ALICE, User(name=EVE))
            with acting_as(user):
                frappe.delete_doc(TRACE, trace)
            for doctype, field in (
                (TRACE, "name"),
                (OBSERVATION, "trace"),
                (TAG, "parent"),
                ("AI Trace View", "trace"),
            ):
                assert not frappe.db.exists(doctype, {field: trace}), doctype
            (copy,) = frappe.get_all("Deleted Document", {"deleted_name": trace}, pluck="data")
            assert not any(text in copy for text in (SECRET, "answer", "step of", "tag of"))
        assert len(SiteTraces().observations(self.bobs)) == 1


class TestPayloads(TracePermissionCase):
    def test_those_who_see_a_trace_see_its_payloads(self):
        for user, trace in ((ALICE, self.alices), (EVE, self.bobs)):
            with acting_as(user):
                frappe.response.docs = []
                frappe.desk.form.load.getdoc(OBSERVATION, observation_of(trace))
                assert frappe.response.docs[0].get("input") == SECRET

    def test_level_1_can_be_taken_away(self):
        frappe.permissions.update_permission_property(OBSERVATION, "AI User", 1, "read", 0)
        frappe.clear_cache(doctype=OBSERVATION)
        try:
            with acting_as(ALICE):
                frappe.response.docs = []
                frappe.desk.form.load.getdoc(OBSERVATION, observation_of(self.alices))
                assert frappe.response.docs[0].get("title") == f"step of {ALICE}"
                assert not frappe.response.docs[0].get("input")
        finally:
            frappe.db.rollback()
            frappe.clear_cache(doctype=OBSERVATION)

    def test_names_are_shown_as_text(self):
        trace = write(ALICE, title="<img src=x onerror=alert(1)>", session="<b>")
        stored = frappe.db.get_value(TRACE, trace, ["title", "session"])
        assert stored == ("&lt;img src=x onerror=alert(1)&gt;", "&lt;b&gt;")
        row = SiteTraces().get(trace, owner=None)
        assert (row["title"], row["session"]) == ("<img src=x onerror=alert(1)>", "<b>")

    def test_exports(self):
        for user in (ALICE, BOSS):
            with acting_as(user), self.assertRaises(frappe.PermissionError):
                export(TRACE, ["name"])
        with acting_as(EVE):
            assert self.alices in export(TRACE, ["name", "title"])
        with acting_as(ADMIN):  # whom v15 lets export, but only what they see
            assert self.alices not in export(TRACE, ["name", "title"])


class TestMethodsOfFrappe(TracePermissionCase):
    def test_counts_groups_and_maxima(self):
        for doctype in (TRACE, OBSERVATION, TAG, "AI Trace Producer", "AI Trace View"):
            with acting_as(ALICE):
                for call in (
                    lambda doctype=doctype: guards.get_workflow_state_count(doctype),
                    lambda doctype=doctype: guards.get_monthly_goal_graph_data(doctype),
                    lambda doctype=doctype: guards.get_chart(chart={"type": "Heatmap", "document_type": doctype}),
                ):
                    with self.assertRaises(frappe.PermissionError):
                        call()

    def test_link_fields_offer_what_may_be_read(self):
        with acting_as(ALICE):
            found = {row[0] for row in guards.search_links(TRACE, "step of", page_len=500)}
            assert self.all & found == {self.alices}
            found = {row[0] for row in guards.search_links(OBSERVATION, "step of", page_len=500)}
            assert observation_of(self.bobs) not in found

    def test_values_of_others_are_not_given_away(self):
        for doctype, name in ((TRACE, self.bobs), (OBSERVATION, observation_of(self.bobs))):
            with acting_as(ALICE):
                assert not frappe.client.get_value(doctype, "title", {"name": name})
                with self.assertRaises(frappe.PermissionError):
                    frappe.client.get(doctype, name)
                assert frappe.client.get_list(doctype, filters={"name": name}) == []

    def test_producers_and_views_are_for_those_who_run_the_site(self):
        for doctype in ("AI Trace Producer", "AI Trace View"):
            with acting_as(ALICE), self.assertRaises(frappe.PermissionError):
                frappe.get_list(doctype)
            with acting_as(ADMIN):
                frappe.get_list(doctype)


class TestLinks(TracePermissionCase):
    def test_users_and_documents_that_traces_mention_can_be_deleted(self):
        user = make_user("gone@trace-permissions.example", "AI User")
        todo = frappe.get_doc({"doctype": "ToDo", "description": "x"}).insert()
        trace = write(user, reference_doctype="ToDo", reference_name=todo.name)
        SiteTraces().note_view(trace, user, User(name=user))
        frappe.delete_doc("ToDo", todo.name)
        frappe.delete_doc("User", user)
        assert frappe.db.get_value(TRACE, trace, "reference_name") == todo.name

    def test_old_traces_go_through_log_settings(self):
        from frappe.core.doctype.log_settings.log_settings import _supports_log_clearing

        assert _supports_log_clearing(TRACE)
        old = write(ALICE)
        frappe.db.set_value(TRACE, old, "started_at", add_days(now_datetime(), -400), update_modified=False)
        frappe.db.commit()
        frappe.get_meta(TRACE)
        from frappe.model.base_document import get_controller

        get_controller(TRACE).clear_old_logs(days=399)
        assert not frappe.db.exists(TRACE, old)
        assert not frappe.db.exists(OBSERVATION, {"trace": old})
        # what was committed for the test goes, too
        SiteTraces().delete([self.alices, self.bobs, self.nobodys])
        frappe.db.delete("AI Trace Producer", {"name": "tests of permissions"})
        frappe.db.commit()
