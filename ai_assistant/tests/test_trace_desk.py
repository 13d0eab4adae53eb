"""Traces in the Desk and over Frappe's REST API: looks are recorded, and who may delete is as the endpoint has it."""

from __future__ import annotations

import unittest

import frappe
from frappe.desk.form.load import getdoc
from frappe.utils import now_datetime

from ai_assistant import install
from ai_assistant.tests.people import make_user, remove_traces, remove_user
from ai_assistant.tests.test_trace_endpoints import SECRET, SiteTestCase, acting_as, write

TRACE, OBSERVATION, VIEW = "AI Trace", "AI Observation", "AI Trace View"
ANN, BOB, RAE, ROY, SYS = (f"{name}@trace-desk.example" for name in ("ann", "bob", "rae", "roy", "sys"))
PEOPLE = {
    ANN: ("AI User",),
    BOB: ("AI User",),
    RAE: ("AI Trace Reviewer",),
    ROY: ("AI Trace Reviewer", "AI User"),
    SYS: ("System Manager",),
}


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


class TraceTestCase(SiteTestCase):
    def setUp(self):
        self.trace, self.span = write(ANN)

    def tearDown(self):
        frappe.set_user("Administrator")
        frappe.db.rollback()

    def looks(self, user: str) -> int:
        return frappe.db.count(VIEW, {"trace": self.trace, "viewer": user})


class TestLooks(TraceTestCase):
    def open_form(self, doctype: str, name: str) -> dict:
        """What the Desk's form gets."""
        frappe.local.response = frappe._dict(docs=[])
        getdoc(doctype, name)
        return frappe.local.response.docs[0].as_dict()

    def test_a_form_of_somebody_elses_is_a_look_that_a_get_commits(self):
        with acting_as(RAE):
            self.assertEqual(self.open_form(TRACE, self.trace)["input"], SECRET)
            self.assertTrue(frappe.local.flags.commit)
        self.assertEqual(self.looks(RAE), 1)

    def test_so_is_one_of_its_observations(self):
        with acting_as(RAE):
            self.assertEqual(self.open_form(OBSERVATION, self.trace + self.span)["output"], SECRET)
        self.assertEqual(self.looks(RAE), 1)

    def test_so_is_reading_it_over_rest(self):
        from frappe.api.v1 import read_doc
        from frappe.client import get

        for read in (read_doc, get):
            with self.subTest(read.__name__), acting_as(RAE):
                self.assertTrue(read(TRACE, self.trace))
            self.assertEqual(self.looks(RAE), 1)
            frappe.db.delete(VIEW, {"trace": self.trace})

    def test_ones_own_is_none_and_what_is_refused_is_none(self):
        with acting_as(ANN):
            self.open_form(TRACE, self.trace)
            self.assertFalse(frappe.local.flags.commit)
        with acting_as(BOB), self.assertRaises(frappe.PermissionError):
            self.open_form(TRACE, self.trace)
        self.assertEqual((self.looks(ANN), self.looks(BOB)), (0, 0))

    def test_nobodys_is_none(self):
        frappe.db.set_value(TRACE, self.trace, "user", None)
        with acting_as(RAE):
            self.open_form(TRACE, self.trace)
        self.assertEqual(self.looks(RAE), 0)


class TestDeletion(TraceTestCase):
    def delete(self, user: str) -> None:
        with acting_as(user, "POST"):
            frappe.delete_doc(TRACE, self.trace)

    def test_a_reviewer_deletes_none_of_others(self):
        for user in (RAE, ROY, BOB):
            with self.subTest(user), self.assertRaises(frappe.PermissionError):
                self.delete(user)
        self.assertTrue(frappe.db.exists(TRACE, self.trace))

    def test_no_role_of_reviewers_has_the_right(self):
        rows = frappe.get_all("DocPerm", {"parent": TRACE, "role": "AI Trace Reviewer"}, pluck="delete")
        self.assertEqual(set(rows), {0})
        for doctype in (OBSERVATION, VIEW):
            self.assertFalse(frappe.db.exists("DocPerm", {"parent": doctype, "delete": 1}), doctype)

    def test_its_user_deletes_it_with_everything_of_it(self):
        with acting_as(RAE):
            frappe.get_doc(TRACE, self.trace).apply_fieldlevel_read_permissions()
        self.assertEqual(self.looks(RAE), 1)
        self.delete(ANN)
        self.assertFalse(frappe.db.exists(TRACE, self.trace))
        self.assertFalse(frappe.db.count(OBSERVATION, {"trace": self.trace}))
        self.assertEqual(self.looks(RAE), 0)

    def test_whoever_runs_the_site_deletes_what_they_may_not_read(self):
        with acting_as(SYS), self.assertRaises(frappe.PermissionError):
            frappe.get_doc(TRACE, self.trace).check_permission("read")
        self.delete(SYS)
        self.assertFalse(frappe.db.exists(TRACE, self.trace))


class TestPatch(SiteTestCase):
    """On a site whose settings were stored before there were traces."""

    CHECKS = ("trace_chats", "trace_content")

    def tearDown(self):
        frappe.db.rollback()
        frappe.clear_document_cache(install.SETTINGS, install.SETTINGS)

    def stored(self) -> dict:
        found = frappe.db.get_singles_dict(install.SETTINGS)
        return {name: found[name] for name in self.CHECKS if name in found}

    def test_checks_that_were_never_stored_are_on(self):
        frappe.db.delete("Singles", {"doctype": install.SETTINGS, "field": ("in", self.CHECKS)})
        install.trace_by_default()
        self.assertEqual({int(value) for value in self.stored().values()}, {1})
        settings = frappe.get_doc(install.SETTINGS)
        settings.flags.ignore_validate = settings.flags.ignore_mandatory = True
        settings.save()
        self.assertEqual({int(value) for value in self.stored().values()}, {1})

    def test_one_that_an_admin_switched_off_stays_off(self):
        for name in self.CHECKS:
            frappe.db.set_single_value(install.SETTINGS, name, 0)
        install.trace_by_default()
        self.assertEqual({int(value) for value in self.stored().values()}, {0})

    def test_settings_that_were_never_stored_are_left_to_their_defaults(self):
        frappe.db.delete("Singles", {"doctype": install.SETTINGS})
        install.trace_by_default()
        self.assertEqual(self.stored(), {})
