"""Who sees which conversation in the Desk: lists, documents, reports, deletion, shares, User Permissions, roles."""

from __future__ import annotations

import json
import unittest
from contextlib import contextmanager

import frappe
import frappe.client
import frappe.permissions
import frappe.share
from frappe.desk import reportview
from frappe.desk.search import get_link_title
from frappe.utils import now_datetime

from ai_assistant.core.conversation import FinalMessage, Turn
from ai_assistant.core.errors import DoesNotExistError, PermissionError_
from ai_assistant.core.session import User
from ai_assistant.core.task import Message, Outcome
from ai_assistant.site.conversations import SiteConversations
from ai_assistant.tests.people import make_user, remove_traces, remove_user

try:
    from frappe.tests import IntegrationTestCase as SiteTestCase  # v16
except ImportError:
    from frappe.tests.utils import FrappeTestCase as SiteTestCase

CONVERSATION, MESSAGE = "AI Conversation", "AI Message"
ALICE, BOB, BOSS, ADMIN, OUTSIDER, VISITOR = (
    f"{name}@permissions.example" for name in ("alice", "bob", "boss", "admin", "outsider", "visitor")
)
ODD = "o'neill%s`x@permissions.example"
PEOPLE = {
    ALICE: ("AI User",),
    BOB: ("AI User",),
    BOSS: ("AI Manager",),
    ADMIN: ("System Manager",),
    OUTSIDER: ("Dashboard Manager",),
    VISITOR: (),
    ODD: ("AI User",),
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


class PermissionTestCase(SiteTestCase):
    """`alices` and `bobs` are conversations with a question and an answer each."""

    def setUp(self):
        self.alices, self.bobs = write(ALICE), write(BOB)

    def tearDown(self):
        frappe.set_user("Administrator")
        frappe.db.rollback()
        # roles and permissions are cached beside the database
        for name in PEOPLE:
            frappe.clear_cache(user=name)

    def visible(self, user: str) -> set[str]:
        """Which of both the user's list shows, having seen that all other ways agree with it: messages' list, reports,
        counts, and each document with its messages."""
        with acting_as(user):
            listed = ours(frappe.get_list(CONVERSATION, pluck="name", limit=0), self)
            report = reportview.execute(CONVERSATION, fields=["name"], as_list=True, limit=0)
            assert ours([row[0] for row in report], self) == listed
            counted = frappe.get_list(CONVERSATION, {"name": ("in", (self.alices, self.bobs))}, ["count(name) as n"])
            assert counted[0].n == len(listed)
            of_messages = frappe.get_list(MESSAGE, fields=["name", "conversation"], limit=0)
            assert ours([row.conversation for row in of_messages], self) == listed
            for name in (self.alices, self.bobs):
                assert may("read", CONVERSATION, name) == (name in listed), name
                for message in messages_of(name):
                    assert may("read", MESSAGE, message) == (name in listed), message
        return listed


class TestRoles(PermissionTestCase):
    def test_owners_see_theirs(self):
        assert self.visible(ALICE) == {self.alices}
        assert self.visible(BOB) == {self.bobs}

    def test_a_manager_sees_all(self):
        assert self.visible(BOSS) == {self.alices, self.bobs}
        assert self.visible("Administrator") == {self.alices, self.bobs}

    def test_a_system_manager_is_no_manager(self):
        assert self.visible(ADMIN) == set()
        own = write(ADMIN)
        with acting_as(ADMIN):
            assert frappe.get_list(CONVERSATION, pluck="name") == [own]
            assert may("delete", CONVERSATION, own)

    def test_without_a_role_nothing_is_seen(self):
        for user in (OUTSIDER, VISITOR, "Guest"):
            # what the user wrote before the role was taken away
            own = write(user) if user != "Guest" else self.alices
            with acting_as(user):
                for doctype in (CONVERSATION, MESSAGE):
                    with self.assertRaises(frappe.PermissionError):
                        frappe.get_list(doctype)
                for right in ("read", "write", "delete", "create"):
                    assert not may(right, CONVERSATION, own)
                    assert not may(right, MESSAGE, messages_of(own)[0])

    def test_rights_of_an_owner(self):
        with acting_as(ALICE):
            rights = {right for right in frappe.permissions.rights if may(right, CONVERSATION, self.alices)}
            assert rights == {"read", "write", "delete", "print", "report", "share"}
            message = messages_of(self.alices)[0]
            assert {r for r in frappe.permissions.rights if may(r, MESSAGE, message)} == {"read", "print", "report"}

    def test_a_manager_changes_titles_and_no_messages(self):
        with acting_as(BOSS):
            rights = {right for right in frappe.permissions.rights if may(right, CONVERSATION, self.alices)}
            assert rights == {"read", "write", "delete", "print", "report", "share", "email", "export"}
            message = messages_of(self.alices)[0]
            assert not any(may(right, MESSAGE, message) for right in ("write", "delete", "create", "share"))


class TestForgery(PermissionTestCase):
    def test_nobody_makes_conversations_or_messages(self):
        for user in (ALICE, BOSS, ADMIN):
            with acting_as(user):
                for values in ({"doctype": CONVERSATION, "title": "x", "user": BOB}, message_values(self.alices)):
                    with self.assertRaises(frappe.PermissionError):
                        frappe.get_doc(values).insert()

    def test_what_administrator_makes_belongs_to_its_user(self):
        made = frappe.get_doc({"doctype": CONVERSATION, "title": "x", "user": BOB, "message_count": 9}).insert()
        assert (made.owner, made.message_count, made.last_message_at is not None) == (BOB, 0, True)
        with acting_as(BOB):
            assert made.name in frappe.get_list(CONVERSATION, pluck="name")

    def test_an_owner_that_is_not_the_user_sees_nothing(self):
        frappe.db.set_value(CONVERSATION, self.bobs, "owner", ALICE, update_modified=False)
        frappe.db.set_value(MESSAGE, {"conversation": self.bobs}, "owner", ALICE, update_modified=False)
        assert self.visible(ALICE) == {self.alices}

    def test_a_conversation_cannot_be_given_away(self):
        with acting_as(ALICE):
            document = frappe.get_doc(CONVERSATION, self.alices)
            document.user = BOB
            with self.assertRaises((frappe.PermissionError, frappe.ValidationError)):
                document.save()

    def test_a_document_from_the_browser_cannot_claim_to_be_ones_own(self):
        values = frappe.get_doc(CONVERSATION, self.bobs).as_dict(convert_dates_to_str=True)
        with acting_as(ALICE):
            for forged in ({"owner": ALICE}, {"user": ALICE}, {"owner": ALICE, "user": ALICE}):
                document = json.dumps({**values, **forged, "title": "Stolen"})
                for right in ("read", "write", "delete"):
                    assert not frappe.get_doc(json.loads(document)).has_permission(right)
                with self.assertRaises(frappe.PermissionError):
                    frappe.client.save(document)
        assert frappe.db.get_value(CONVERSATION, self.bobs, "title") == "Hello"

    def test_what_the_worker_counts_cannot_be_set(self):
        before = frappe.get_doc(CONVERSATION, self.alices)
        with acting_as(ALICE):
            document = frappe.get_doc(CONVERSATION, self.alices)
            document.update({"title": "Mine", "message_count": 999, "last_message_at": "2001-01-01"})
            document.save()
        after = frappe.get_doc(CONVERSATION, self.alices)
        assert (after.title, after.message_count) == ("Mine", before.message_count)
        assert after.last_message_at == before.last_message_at

    def test_a_user_with_an_odd_name_sees_their_own(self):
        own = write(ODD)
        assert self.visible(ODD) == set()
        with acting_as(ODD):
            assert frappe.get_list(CONVERSATION, pluck="name") == [own]
            assert len(frappe.get_list(MESSAGE, pluck="name")) == 2
            assert may("read", MESSAGE, messages_of(own)[0])
        frappe.share.add(CONVERSATION, self.bobs, ODD)
        assert self.visible(ODD) == {self.bobs}

    def test_a_condition_holds_whatever_the_name_is(self):
        from ai_assistant.permissions import conversation_query

        for name in ("x' or '1'='1", "\\", "\\' or 1=1 -- ", "100%s%%", "a`b", "ñ🧠", "' ' %' '"):
            condition = conversation_query(name)
            assert "%" not in condition
            found = frappe.db.sql(f"select `user` from `tabAI Conversation` where {condition}")
            assert found == ()
            (text,) = frappe.db.sql("select " + condition.partition(" = ")[2])[0]
            assert text == name


class TestShares(PermissionTestCase):
    def test_what_is_shared_is_read_with_its_messages(self):
        frappe.share.add(CONVERSATION, self.alices, BOB)
        assert self.visible(BOB) == {self.alices, self.bobs}
        with acting_as(BOB):
            rights = {right for right in ("read", "write", "delete", "share") if may(right, CONVERSATION, self.alices)}
            assert rights == {"read"}
            with self.assertRaises(frappe.PermissionError):
                rename(self.alices, "Stolen")
            with self.assertRaises(frappe.PermissionError):
                frappe.delete_doc(CONVERSATION, self.alices)
        frappe.share.remove(CONVERSATION, self.alices, BOB)
        assert self.visible(BOB) == {self.bobs}

    def test_with_a_system_manager(self):
        frappe.share.add(CONVERSATION, self.alices, ADMIN)
        assert self.visible(ADMIN) == {self.alices}
        with acting_as(ADMIN):
            assert not any(may(right, CONVERSATION, self.alices) for right in ("write", "delete", "share"))

    def test_to_write(self):
        frappe.share.add(CONVERSATION, self.alices, BOB, write=1)
        with acting_as(BOB):
            rename(self.alices, "Ours")
            assert not may("delete", CONVERSATION, self.alices)
        assert frappe.db.get_value(CONVERSATION, self.alices, "title") == "Ours"

    def test_with_everyone(self):
        frappe.share.add(CONVERSATION, self.alices, everyone=1)
        assert self.visible(BOB) == {self.alices, self.bobs}
        with acting_as("Guest"), self.assertRaises(frappe.PermissionError):
            frappe.get_list(CONVERSATION)

    def test_owners_share_theirs_and_no_others(self):
        with acting_as(ALICE):
            frappe.share.add(CONVERSATION, self.alices, BOB)
            with self.assertRaises(frappe.PermissionError):
                frappe.share.add(CONVERSATION, self.bobs, ALICE)

    def test_without_a_role_the_conversation_is_seen_and_no_message(self):
        frappe.share.add(CONVERSATION, self.alices, OUTSIDER)
        with acting_as(OUTSIDER):
            assert frappe.get_list(CONVERSATION, pluck="name") == [self.alices]
            assert may("read", CONVERSATION, self.alices)
            with self.assertRaises(frappe.PermissionError):
                frappe.get_list(MESSAGE)

    def test_the_api_stays_its_owners(self):
        frappe.share.add(CONVERSATION, self.alices, BOB, write=1)
        store = SiteConversations()
        for call in (store.get, store.delete, lambda user, name: store.rename(user, name, "Mine")):
            with self.assertRaises(DoesNotExistError):
                call(api_user(BOB), self.alices)


class TestUserPermissions(PermissionTestCase):
    def test_a_manager_can_be_kept_to_some_users(self):
        frappe.permissions.add_user_permission("User", ALICE, BOSS)
        assert self.visible(BOSS) == {self.alices}
        store = SiteConversations()
        assert store.get(api_user(BOSS), self.alices)[0].name == self.alices
        with self.assertRaises(DoesNotExistError):
            store.get(api_user(BOSS), self.bobs)
        with self.assertRaises(DoesNotExistError):
            store.delete(api_user(BOSS), self.bobs)

    def test_a_manager_can_be_kept_to_one_conversation(self):
        frappe.permissions.add_user_permission(CONVERSATION, self.bobs, BOSS)
        assert self.visible(BOSS) == {self.bobs}

    def test_a_share_widens_them(self):
        frappe.permissions.add_user_permission("User", ALICE, BOSS)
        frappe.share.add(CONVERSATION, self.bobs, BOSS)
        assert self.visible(BOSS) == {self.alices, self.bobs}

    def test_owners_keep_what_is_theirs(self):
        frappe.permissions.add_user_permission("User", BOB, ALICE)
        assert self.visible(ALICE) == {self.alices}


class TestRolePermissionManager(PermissionTestCase):
    def tearDown(self):
        super().tearDown()
        for doctype in (CONVERSATION, MESSAGE):
            frappe.clear_cache(doctype=doctype)

    def test_taking_rights_from_users(self):
        for right in ("delete", "write"):
            take(CONVERSATION, "AI User", right, if_owner=1)
        store = SiteConversations()
        with acting_as(ALICE):
            assert not may("delete", CONVERSATION, self.alices)
            with self.assertRaises(frappe.PermissionError):
                frappe.delete_doc(CONVERSATION, self.alices)
            with self.assertRaisesRegex(PermissionError_, "right to delete"):
                store.delete(api_user(ALICE), self.alices)
            with self.assertRaisesRegex(PermissionError_, "right to write"):
                store.rename(api_user(ALICE), self.alices, "Mine")
        assert self.visible(ALICE) == {self.alices}
        assert store.get(api_user(ALICE), self.alices)[0].title == "Hello"

    def test_taking_reading_from_managers(self):
        take(CONVERSATION, "AI Manager", "read")
        with acting_as(BOSS):
            assert not may("read", CONVERSATION, self.alices)
            with self.assertRaises(frappe.PermissionError):
                frappe.get_list(CONVERSATION)
            assert ours(frappe.get_list(MESSAGE, pluck="conversation", limit=0), self) == set()
        with self.assertRaises(DoesNotExistError):
            SiteConversations().get(api_user(BOSS), self.alices)

    def test_a_role_of_ones_own_opens_nobodys(self):
        frappe.permissions.add_permission(CONVERSATION, "Dashboard Manager", 0)
        frappe.permissions.add_permission(MESSAGE, "Dashboard Manager", 0)
        assert self.visible(OUTSIDER) == set()
        frappe.share.add(CONVERSATION, self.bobs, OUTSIDER)
        assert self.visible(OUTSIDER) == {self.bobs}


class TestReports(PermissionTestCase):
    def test_export(self):
        for user, seen in ((BOSS, {self.alices, self.bobs}), (ADMIN, set())):
            with acting_as(user):
                text = export(CONVERSATION, ["name", "title"])
                assert {name for name in (self.alices, self.bobs) if name in text} == seen
                text = export(MESSAGE, ["conversation", "content"])
                assert {name for name in (self.alices, self.bobs) if name in text} == seen

    def test_users_export_nothing(self):
        with acting_as(ALICE), self.assertRaises(frappe.PermissionError):
            export(CONVERSATION, ["name"])

    def test_titles_are_not_given_away_by_the_link_field(self):
        """v15's `get_link_title` asks for no permission."""
        with acting_as(OUTSIDER):
            assert get_link_title(CONVERSATION, self.alices) == self.alices

    def test_titles_are_not_in_the_global_search(self):
        """v15's global search asks for permission on the DocType only."""
        assert not frappe.get_meta(CONVERSATION).get_global_search_fields()
        assert not frappe.get_meta(MESSAGE).get_global_search_fields()


class TestDeletion(PermissionTestCase):
    def test_messages_go_with_their_conversation(self):
        with acting_as(ALICE):
            frappe.delete_doc(CONVERSATION, self.alices)
        assert messages_of(self.alices) == []
        assert len(messages_of(self.bobs)) == 2

    def test_nobody_deletes_another_users(self):
        for user in (ALICE, ADMIN, OUTSIDER, "Guest"):
            with acting_as(user), self.assertRaises(frappe.PermissionError):
                frappe.delete_doc(CONVERSATION, self.bobs)

    def test_nobody_deletes_a_message(self):
        message = messages_of(self.alices)[0]
        for user in (ALICE, BOSS, ADMIN):
            with acting_as(user), self.assertRaises(frappe.PermissionError):
                frappe.delete_doc(MESSAGE, message)

    def test_the_api_leaves_no_copy_and_no_share(self):
        frappe.share.add(CONVERSATION, self.alices, BOB)
        with acting_as(ALICE):
            SiteConversations().delete(api_user(ALICE), self.alices)
        assert not frappe.db.exists("Deleted Document", {"deleted_name": self.alices})
        assert not frappe.db.exists("DocShare", {"share_name": self.alices})


@contextmanager
def acting_as(user: str):
    before = frappe.session.user
    frappe.set_user(user)
    try:
        yield
    finally:
        frappe.set_user(before)


def write(user: str) -> str:
    """A conversation as the worker writes it; gives its name."""
    name = frappe.generate_hash(length=20)
    turn = Turn(
        user=user,
        conversation=name,
        is_new=True,
        message_id=f"{name}m",
        task_id="6f9619ff-8b86-4d11-b42d-00cf4fc964ff",
        model="fast",
        messages=[{"role": "user", "content": "Hello"}],
        title="Hello",
    )
    outcome = Outcome(status="completed", message=Message(content="Hi"))
    store = SiteConversations()
    store.begin(turn)
    store.finish(
        FinalMessage(user=user, conversation=name, message_id=turn.message_id, task_id=turn.task_id, outcome=outcome)
    )
    return name


def api_user(name: str) -> User:
    return User(name=name, roles=frozenset(frappe.get_roles(name)))


def may(right: str, doctype: str, name: str) -> bool:
    """Whether the session's user has the right, by both ways that Frappe asks."""
    document = frappe.get_doc(doctype, name)
    allowed = bool(frappe.has_permission(doctype, right, doc=document))
    assert bool(document.has_permission(right)) == allowed
    return allowed


def rename(name: str, title: str) -> None:
    document = frappe.get_doc(CONVERSATION, name)
    document.title = title
    document.save()


def messages_of(conversation: str) -> list[str]:
    return frappe.get_all(MESSAGE, {"conversation": conversation}, pluck="name", order_by="sequence")


def message_values(conversation: str) -> dict[str, object]:
    return {"doctype": MESSAGE, "conversation": conversation, "role": "user", "sequence": 9, "status": "completed"}


def ours(names: list[str], case: PermissionTestCase) -> set[str]:
    return {case.alices, case.bobs} & set(names)


def take(doctype: str, role: str, right: str, *, if_owner: int = 0) -> None:
    """Unticks a right in the role permission manager."""
    frappe.permissions.update_permission_property(doctype, role, 0, right, 0, if_owner=if_owner)
    frappe.clear_cache(doctype=doctype)


def export(doctype: str, fields: list[str]) -> str:
    """The CSV that the report view's export gives the session's user."""
    frappe.local.form_dict = frappe._dict(
        doctype=doctype,
        title=doctype,
        file_format_type="CSV",
        fields=json.dumps([f"`tab{doctype}`.`{field}`" for field in fields]),
        filters="[]",
        start=0,
    )
    reportview.export_query()
    content = frappe.response["filecontent"] if "filecontent" in frappe.response else frappe.response["result"]
    return content.decode() if isinstance(content, bytes) else str(content)
