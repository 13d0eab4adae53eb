"""Installing and uninstalling, as far as it goes inside a test: everything is rolled back."""

import time
import uuid

import frappe
from frappe.tests.utils import FrappeTestCase

from ai_assistant import install, uninstall
from ai_assistant.core.settings import Settings
from ai_assistant.core.task import Task, TaskRef
from ai_assistant.core.trace_keys import SITES, ObservabilityKeys
from ai_assistant.site import bench
from ai_assistant.streams.tasks import Tasks

# Frappe's own records that name a DocType and outlive it: what was sent, received or went wrong, and settings that
# fit documents of other apps or none of ours.
KEPT = {
    "Activity Log",
    "Amended Document Naming Settings",
    "Communication",
    "Communication Link",
    "Desktop Icon",
    "Dynamic Link",
    "Email Account",
    "Email Queue",
    "Error Log",
    "Event Participants",
    "IMAP Folder",
    "Integration Request",
    "Scheduler Event",
    "User Type",
}

KEYS = 5 + len(ObservabilityKeys.__slots__)
"""Of a site with a task and traces."""


def any_user() -> str:
    """A user who may hold things."""
    return frappe.get_all("User", filters={"name": ("!=", "Guest")}, pluck="name", limit=1)[0]


class InstallTest(FrappeTestCase):
    def tearDown(self):
        frappe.db.rollback()

    def test_a_second_installation_changes_nothing(self):
        before = frappe.get_single("AI Assistant Settings").as_json()
        roles = frappe.get_all("Role", pluck="name", order_by="name")
        made = install.made_roles()
        install.before_install()
        install.after_install()
        self.assertEqual(frappe.get_single("AI Assistant Settings").as_json(), before)
        self.assertEqual(frappe.get_all("Role", pluck="name", order_by="name"), roles)
        self.assertEqual(install.made_roles(), made)

    def test_roles_are_there_and_only_those_that_were_missing_are_noted(self):
        for role in install.ROLES:
            self.assertTrue(frappe.db.get_value("Role", role, "desk_access"), role)
        frappe.db.set_global(install.MADE_ROLES, None)
        frappe.delete_doc("Role", "AI User", force=True)
        install.make_roles()
        self.assertEqual(install.made_roles(), ["AI User"])

    def test_settings_come_with_the_built_in_prompts(self):
        settings = frappe.get_single("AI Assistant Settings")
        settings.set("modes", [])
        settings.flags.ignore_validate = True
        settings.save()
        install.after_install()
        modes = {row.mode: row.system_prompt for row in frappe.get_single("AI Assistant Settings").modes}
        self.assertEqual(modes, {name: mode.system_prompt for name, mode in Settings().modes.items()})


class UninstallTest(FrappeTestCase):
    def tearDown(self):
        frappe.db.rollback()

    def make_conversation(self) -> str:
        values = {"doctype": "AI Conversation", "title": "to be forgotten", "user": any_user()}
        return frappe.get_doc(values).insert(ignore_permissions=True).name

    def test_a_dry_run_changes_nothing(self):
        name = self.make_conversation()
        frappe.get_doc("AI Conversation", name).add_comment("Comment", "a private remark")
        uninstall.after_uninstall()  # Frappe calls it in a dry run, too: the DocTypes are there
        self.assertEqual(frappe.db.count("Comment", {"reference_name": name}), 1)
        self.assertTrue(frappe.db.exists("Role", "AI User"))

    def test_names_of_doctypes_are_read_from_the_files(self):
        wanted = frappe.get_all("DocType", filters={"module": uninstall.MODULE}, pluck="name", order_by="name")
        self.assertEqual(uninstall.names("doctype"), wanted)
        for kind, doctype in (("page", "Page"), ("workspace", "Workspace")):
            wanted = frappe.get_all(doctype, filters={"module": uninstall.MODULE}, pluck="name", order_by="name")
            self.assertEqual(uninstall.names(kind), wanted)

    def test_keys_comments_shares_and_log_settings_go(self):
        name = self.make_conversation()
        document = frappe.get_doc("AI Conversation", name)
        document.add_comment("Comment", "a private remark")
        frappe.share.add("AI Conversation", name, user=any_user())
        frappe.utils.password.set_encrypted_password("AI Model", "no-such", "sk-secret", "api_key")
        logs = frappe.get_doc("Log Settings")
        logs.append("logs_to_clear", {"ref_doctype": "AI Conversation", "days": 30})
        logs.save()
        frappe.get_doc({"doctype": "Client Script", "name": "ai", "dt": "AI Model", "script": "1"}).insert()

        uninstall.remove_documents(uninstall.names("doctype"))
        uninstall.remove_rows(uninstall.names("doctype"))

        self.assertFalse(frappe.db.count("Comment", {"reference_doctype": "AI Conversation"}))
        self.assertFalse(frappe.db.count("DocShare", {"share_doctype": "AI Conversation"}))
        self.assertFalse(frappe.db.count("Logs To Clear", {"ref_doctype": "AI Conversation"}))
        self.assertFalse(frappe.db.count("Client Script", {"dt": "AI Model"}))
        auth = frappe.qb.Table("__Auth")
        self.assertFalse(frappe.qb.from_(auth).select(auth.name).where(auth.doctype == "AI Model").run())

    def test_nothing_is_left_of_the_doctypes_of_traces(self):
        doctypes = [name for name in uninstall.names("doctype") if name.startswith(("AI Trace", "AI Observation"))]
        self.assertEqual(len(doctypes), 5)
        trace = frappe.get_doc({"doctype": "AI Trace", "name": "a" * 32, "title": "t", "user": any_user()})
        trace.db_insert()
        trace.add_comment("Comment", "a private remark")
        frappe.get_doc("Log Settings").save()  # takes what hooks.py says, as the daily clearing does
        self.assertTrue(frappe.db.count("Logs To Clear", {"ref_doctype": ("in", doctypes)}))
        frappe.delete_doc("AI Trace", trace.name, force=True)
        self.assertTrue(frappe.db.count("Deleted Document", {"deleted_doctype": "AI Trace"}))
        uninstall.remove_documents(doctypes)
        uninstall.remove_rows(doctypes)
        for doctype, fields in uninstall.ROWS.items():
            for field in fields:
                self.assertFalse(frappe.db.count(doctype, {field: ("in", doctypes)}), f"{doctype}.{field}")

    def test_other_rows_stay(self):
        todo = frappe.get_doc({"doctype": "ToDo", "description": "of somebody"}).insert()
        todo.add_comment("Comment", "stays")
        before = frappe.db.count("Has Role")
        uninstall.remove_rows(uninstall.names("doctype"))
        uninstall.remove_documents(uninstall.names("doctype"))
        self.assertTrue(frappe.db.exists("ToDo", todo.name))
        self.assertTrue(frappe.db.count("Comment", {"reference_name": todo.name}))
        self.assertEqual(frappe.db.count("Has Role"), before)

    def test_roles_go_from_their_users_too(self):
        role = frappe.get_doc({"doctype": "Role", "role_name": "AI Test Role"}).insert().name
        frappe.get_doc(
            {"doctype": "Has Role", "parent": any_user(), "parenttype": "User", "parentfield": "roles", "role": role}
        ).db_insert()
        uninstall.remove_roles([role])
        self.assertFalse(frappe.db.exists("Role", role))
        self.assertFalse(frappe.db.count("Has Role", {"role": role}))
        self.assertTrue(frappe.db.exists("Role", "AI User"))

    def test_scheduled_jobs_and_defaults_go(self):
        self.assertTrue(frappe.db.count("Scheduled Job Type", {"method": ("like", "ai_assistant.%")}))
        self.assertTrue(frappe.db.count("Patch Log", {"patch": ("like", "%ai_assistant.%")}))
        frappe.db.set_default("AI Model", "some-model")
        uninstall.remove_jobs()
        self.assertFalse(frappe.db.count("Patch Log", {"patch": ("like", "%ai_assistant.%")}))
        uninstall.remove_defaults(uninstall.names("doctype"))
        self.assertFalse(frappe.db.count("Scheduled Job Type", {"method": ("like", "ai_assistant.%")}))
        self.assertFalse(frappe.db.count("DefaultValue", {"defkey": ("in", ["AI Model", install.MADE_ROLES])}))

    def test_every_link_to_a_doctype_is_decided_upon(self):
        links = frappe.get_all(
            "DocField", filters={"fieldtype": "Link", "options": "DocType"}, fields=["parent", "fieldname"]
        )
        frappes = set(frappe.get_all("Module Def", filters={"app_name": "frappe"}, pluck="name"))
        for link in links:
            meta = frappe.get_meta(link.parent)
            if meta.module not in frappes or meta.issingle or meta.is_virtual:
                continue
            removed = link.parent in uninstall.ROWS or link.parent in uninstall.DOCUMENTS
            self.assertTrue(removed or link.parent in KEPT, f"{link.parent}.{link.fieldname}: remove it, or keep it?")

    def test_what_is_to_be_removed_is_there(self):
        """v15 only: a later version has other tables, which `after_uninstall` leaves out."""
        if not frappe.__version__.startswith("15."):
            self.skipTest("the lists were made for v15")
        for doctype, fields in uninstall.ROWS.items():
            for field in fields:
                self.assertTrue(frappe.db.has_column(doctype, field), f"{doctype}.{field}")
        for doctype, field in uninstall.DOCUMENTS.items():
            self.assertTrue(frappe.db.has_column(doctype, field), f"{doctype}.{field}")


class ForgetTest(FrappeTestCase):
    """The site's keys in Redis, in a scope of the test's own: no worker takes its tasks."""

    def setUp(self):
        self.tasks = Tasks(bench.tasks().client, f"test-{uuid.uuid4()}")
        self.sites = [f"x{uuid.uuid4().hex[:8]}.localhost"]
        self.sites += [self.sites[0] + "2", self.sites[0].replace(".", "?")]
        for site in self.sites:
            self.start(site)

    def tearDown(self):
        self.tasks.client.srem(SITES, *self.sites)
        for pattern in [f"ai_assistant:{self.tasks.keys.scope}:*", f"ai_assistant:{self.sites[0][:9]}*"]:
            for key in self.tasks.client.scan_iter(pattern, count=1000):
                self.tasks.client.delete(key)

    def start(self, site):
        task = Task(
            ref=TaskRef(site=site, user="a@example.com", id=str(uuid.uuid4())),
            status="queued",
            gen=1,
            seq=0,
            mode="ask",
            model="m",
            accepted_ms=int(time.time() * 1000),
            trace_id="t",
        )
        self.tasks.start(task, "fingerprint", Settings())
        self.tasks.announce_conversation(site, "a@example.com", "c")
        keys = ObservabilityKeys(site)
        self.tasks.client.sadd(SITES, site)
        for stream in (keys.events, keys.dead):
            self.tasks.client.xadd(stream, {"b": b"x"})
        for name in (keys.consumers, keys.producers, keys.counts, keys.anomalies, keys.hours):
            self.tasks.client.hset(name, "x", "{}")
        for name in (keys.checked, keys.checking):
            self.tasks.client.set(name, "{}")

    def keys_of(self, site):
        return [
            key for key in self.tasks.client.scan_iter(count=1000) if key.startswith(f"ai_assistant:{site}:".encode())
        ]

    def test_the_keys_of_one_site_go_and_no_others(self):
        gone, *others = self.sites
        uninstall.forget_tasks(self.tasks, gone)
        self.assertEqual(self.keys_of(gone), [])
        for site in others:
            self.assertEqual(len(self.keys_of(site)), KEYS, self.keys_of(site))
            self.assertTrue(self.tasks.client.sismember(SITES, site))
        self.assertFalse(self.tasks.client.sismember(SITES, gone))
        self.assertEqual(self.tasks.backlog(), 2)
        self.assertEqual(self.tasks.client.zcard(self.tasks.keys.open), 2)

    def test_a_name_is_no_pattern(self):
        uninstall.forget_tasks(self.tasks, self.sites[2])
        self.assertEqual(self.keys_of(self.sites[2]), [])
        self.assertEqual(len(self.keys_of(self.sites[0])), KEYS)

    def test_traces_that_have_a_redis_of_their_own_go_there(self):
        """Here it is the same one, without what belongs to tasks."""
        uninstall.forget_keys(self.tasks.client, self.sites[0])
        self.assertEqual(self.keys_of(self.sites[0]), [])
        self.assertFalse(self.tasks.client.sismember(SITES, self.sites[0]))
