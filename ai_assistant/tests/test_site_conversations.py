"""What the site's conversations do beyond the contract of all stores: times, sizes, the Desk's HTML, log clearing."""

from __future__ import annotations

import unittest
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from unittest.mock import patch

import frappe
from frappe.utils import add_days, now_datetime

from ai_assistant.ai_assistant.doctype.ai_conversation.ai_conversation import AIConversation
from ai_assistant.core.conversation import FinalMessage, Turn
from ai_assistant.core.session import User
from ai_assistant.core.task import Message, Outcome
from ai_assistant.core.usage import Usage
from ai_assistant.site.clock import existing, from_utc, to_utc
from ai_assistant.site.conversations import SiteConversations

try:
    from frappe.tests import IntegrationTestCase as SiteTestCase  # v16
except ImportError:
    from frappe.tests.utils import FrappeTestCase as SiteTestCase

ANN = User(name="ann@conversations.example")
ZONES = (
    "Etc/UTC",
    "Asia/Kolkata",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "Pacific/Kiritimati",
    "No/Such_Zone",
)
CHANGING = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca")
DAY = timedelta(days=1)
CENTURY = 36525
"""Days: older than anything that the site holds, so that a clearance by these tests reaches their own rows only."""


@contextmanager
def in_zone(zone: str):
    """The process takes this for the time zone of System Settings."""
    with ExitStack() as stack:
        for module in ("frappe.utils.data", "ai_assistant.site.clock"):
            stack.enter_context(patch(f"{module}.get_system_timezone", return_value=zone))
        yield


def turn(conversation: str, **changes) -> Turn:
    values = {
        "user": ANN.name,
        "conversation": conversation,
        "is_new": True,
        "message_id": f"{conversation}m",
        "task_id": "6f9619ff-8b86-4d11-b42d-00cf4fc964ff",
        "model": "fast",
        "messages": [{"role": "user", "content": "Hello"}],
        "title": "Hello",
    }
    return Turn(**(values | changes))


def final(of: Turn, content: str = "Hi", **changes) -> FinalMessage:
    outcome = Outcome(status="completed", message=Message(content=content), **changes)
    return FinalMessage(
        user=of.user, conversation=of.conversation, message_id=of.message_id, task_id=of.task_id, outcome=outcome
    )


class TestClock(unittest.TestCase):
    def test_stored_times_and_the_apis_are_one_to_one_in_the_same_order(self):
        for zone in ZONES:
            with self.subTest(zone=zone), in_zone(zone):
                days = [datetime(2026, 1, 1) + timedelta(days=i) for i in range(366)]
                changes = [day for day in days if from_utc(day + DAY) - from_utc(day) != DAY]
                assert bool(changes) == (zone in CHANGING)
                moments = {day + timedelta(minutes=10 * i) for day in changes for i in range(144)}
                stored = sorted({from_utc(moment) for moment in moments.union(days)})
                utc = [to_utc(each) for each in stored]
                assert utc == sorted(set(utc))
                assert [from_utc(each) for each in utc] == stored

    def test_a_time_that_clocks_leave_out_is_moved_behind_the_gap(self):
        with in_zone("Europe/Berlin"):
            assert existing(datetime(2026, 3, 29, 2, 0, 0)) == datetime(2026, 3, 29, 3, 0, 0)
            assert existing(datetime(2026, 3, 29, 1, 59, 59)) == datetime(2026, 3, 29, 1, 59, 59)
            assert to_utc(datetime(2026, 10, 25, 2, 30)) == datetime(2026, 10, 25, 0, 30)

    def test_the_time_now_is_stored_as_frappe_stores_it(self):
        for zone in ZONES:
            with in_zone(zone):
                assert abs(to_utc(now_datetime()) - datetime.utcnow()) < timedelta(hours=1, minutes=1)


class TestOrder(SiteTestCase):
    def test_the_last_written_is_first_when_clocks_go_back(self):
        start = datetime(2026, 10, 24, 23, 50)
        names = [f"berlin{i}" for i in range(20)]
        with in_zone("Europe/Berlin"):
            for i, name in enumerate(names):
                moment = from_utc(start + timedelta(minutes=10 * i))
                SiteConversations(now=lambda moment=moment: moment).begin(turn(name))
            found, before, store = [], None, SiteConversations()
            while page := store.list(ANN, limit=3, before=before, search=None):
                found += page
                before = page[-1].modified
        assert [row.name for row in found] == names[::-1]
        times = [row.modified for row in found]
        assert times == sorted(set(times), reverse=True)
        # an hour after the repeated one the times are right again
        assert times[0] == (start + timedelta(minutes=190)).isoformat(timespec="microseconds") + "Z"

    def test_two_conversations_of_one_user_never_have_the_same_time(self):
        noon = datetime(2026, 11, 20, 12)
        for name in ("noon1", "noon2"):
            SiteConversations().begin(turn(name))
        SiteConversations(now=lambda: noon).begin(turn("noon3"))
        frappe.db.set_value("AI Conversation", "noon1", "last_message_at", noon, update_modified=False)
        store = SiteConversations(now=lambda: noon)
        # as another worker, that has not seen the first one yet, would choose
        with patch.object(SiteConversations, "_stamp", return_value=noon):
            store.finish(final(turn("noon2")))
        assert frappe.db.get_value("AI Conversation", "noon2", "last_message_at") == noon + timedelta(microseconds=1)


class TestSizes(SiteTestCase):
    def test_an_answer_that_no_packet_takes_is_cut_and_says_so(self):
        limit = frappe.db.sql("select @@max_allowed_packet")[0][0]
        store, first = SiteConversations(), turn("large")
        store.begin(first)
        with self.assertLogs("ai_assistant.site", "WARNING"):
            store.finish(final(first, "é" * limit))
        answer = store.get(ANN, "large")[1][-1]
        assert answer.status == "completed"
        assert answer.content.endswith("max_allowed_packet]")
        assert len(answer.content) > limit // 5

    def test_an_image_that_no_packet_takes_is_cut_and_the_text_is_kept(self):
        limit = frappe.db.sql("select @@max_allowed_packet")[0][0]
        image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * limit}}
        parts = [{"type": "text", "text": "What is this?"}, image]
        store = SiteConversations()
        with self.assertLogs("ai_assistant.site", "WARNING"):
            store.begin(turn("image", messages=[{"role": "user", "content": parts}]))
        text, shortened = store.get(ANN, "image")[1][0].content
        assert text == parts[0]
        assert shortened["image_url"]["url"].startswith("data:image/png;base64,AAA")
        assert len(shortened["image_url"]["url"]) < 2000

    def test_several_texts_that_fit_one_by_one_are_kept_whole(self):
        limit = frappe.db.sql("select @@max_allowed_packet")[0][0]
        store, first = SiteConversations(), turn("wide")
        store.begin(first)
        outcome = final(first, "x" * int(limit * 0.8))
        outcome.outcome.message.reasoning = "'" * int(limit * 0.4)
        store.finish(outcome)
        answer = store.get(ANN, "wide")[1][-1]
        assert (len(answer.content), len(answer.reasoning)) == (int(limit * 0.8), int(limit * 0.4))

    def test_absurd_numbers_are_bounded(self):
        store, first = SiteConversations(), turn("absurd")
        store.begin(first)
        store.finish(final(first, usage=Usage(prompt_tokens=10**15, total_tokens=10**15, cost=1e30)))
        assert store.get(ANN, "absurd")[1][-1].usage.total_tokens == 2**31 - 1


class TestDesk(SiteTestCase):
    def test_no_html_starts_in_what_the_desk_shows_as_html(self):
        attack = "<img src=x onerror=alert(1)>"
        store, first = SiteConversations(), turn("attack", title=attack)
        store.begin(first)
        error = {"code": "internal", "message": attack, "retryable": False}
        store.finish(final(first, attack, provider=attack, model=attack, finish_reason=attack, error=error))
        store.rename(ANN_WITH_RIGHTS, "attack", attack)
        conversation = frappe.get_doc("AI Conversation", "attack")
        message = frappe.get_doc("AI Message", first.message_id)
        for document in (conversation, message):
            for field in document.meta.fields:
                if field.fieldtype != "Code":
                    assert "<" not in str(document.get(field.fieldname)), field.fieldname
        summary, (_, answer) = store.get(ANN, "attack")
        assert (summary.title, answer.content, answer.error) == (attack, attack, error)

    def test_a_title_that_is_typed_in_the_desk_reads_the_same(self):
        SiteConversations().begin(turn("typed"))
        document = frappe.get_doc("AI Conversation", "typed")
        document.flags.ignore_links = True
        document.title = " a < b "
        document.save()
        assert SiteConversations().get(ANN, "typed")[0].title == "a < b"
        for title in ("", "x" * 141):
            document.title = title
            with self.assertRaises(frappe.ValidationError):
                document.save()

    def test_a_conversation_without_a_message_does_no_harm(self):
        SiteConversations().begin(turn("whole"))
        frappe.db.set_value("AI Conversation", "whole", "last_message_at", None)
        assert SiteConversations().list(ANN, limit=9, before=None, search=None) == []
        assert SiteConversations().get(ANN, "whole")[0].modified.endswith("Z")


ANN_WITH_RIGHTS = User(name="Administrator")


class TestLogClearing(SiteTestCase):
    """With rows of a century ago, so that nobody's conversations are cleared by it."""

    def setUp(self):
        self.addCleanup(self.remove)

    @staticmethod
    def remove():
        frappe.db.rollback()
        names = frappe.get_all("AI Conversation", {"user": ANN.name}, pluck="name")
        for name in names:
            for doctype, field in (
                ("AI Message", "conversation"),
                ("DocShare", "share_name"),
                ("AI Conversation", "name"),
            ):
                frappe.db.delete(doctype, {field: name})
        frappe.db.commit()

    def test_days_are_counted_in_the_sites_time_zone(self):
        for zone in ("Pacific/Kiritimati", "Etc/UTC", "Pacific/Niue"):
            with self.subTest(zone=zone), in_zone(zone):
                limit = add_days(now_datetime(), -CENTURY)
                written = {"old": -timedelta(minutes=10), "young": timedelta(minutes=10)}
                for name, distance in written.items():
                    SiteConversations(now=lambda moment=limit + distance: moment).begin(turn(name))
                frappe.share.add_docshare(
                    "AI Conversation", "old", "Administrator", flags={"ignore_share_permission": True}
                )
                AIConversation.clear_old_logs(days=CENTURY)
                assert frappe.get_all("AI Conversation", {"user": ANN.name}, pluck="name") == ["young"]
                messages = {"conversation": ("in", ("old", "young"))}
                assert set(frappe.get_all("AI Message", messages, pluck="conversation")) == {"young"}
                assert not frappe.db.exists("DocShare", {"share_name": "old"})
                self.remove()

    def test_log_settings_take_the_doctype(self):
        settings = frappe.get_doc("Log Settings")
        settings.register_doctype("AI Conversation", CENTURY)
        settings.remove_unsupported_doctypes()
        assert "AI Conversation" in [row.ref_doctype for row in settings.logs_to_clear]
