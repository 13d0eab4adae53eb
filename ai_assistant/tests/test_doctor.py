"""The doctor on a site: its realtime server, its permissions, and that what it says to type exists."""

import re
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import frappe
from frappe.tests.utils import FrappeTestCase

from ai_assistant.site import bench, wake
from ai_assistant.site.doctor import command, permissions, port, probe_session, realtime, run, web, workers
from ai_assistant.site.doctor.finding import Check, Subject
from ai_assistant.tests.realtime_proxy import RealtimeProxy


def subject(**more):
    """The site of the test run."""
    given = {
        "site": frappe.local.site,
        "sites_path": Path(frappe.local.sites_path).resolve(),
        "conf": dict(frappe.conf),
        "redis_url": bench.redis_url(),
        "redis_key": "redis_queue",
        "scope": bench.scope(),
        "url": frappe.utils.get_url(),
    }
    return Subject(**{**given, **more})


def found(module, **more):
    """The findings of a check by their id. Checks run in threads of their own, as the command runs them."""
    check = Check("check", "Check", module.check, 60)
    return {finding.id: finding for finding in run.found_by(check, subject(**more))}


def is_open(number):
    """Whether something listens there."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", int(number or 0))) == 0


class TestRealtime(FrappeTestCase):
    """Against the bench's own web and realtime server, straight and through proxies that do things wrong."""

    def setUp(self):
        self.web, self.socket = frappe.conf.webserver_port, frappe.conf.socketio_port or 9000
        if not (is_open(self.web) and is_open(self.socket)):
            self.skipTest("the web or the realtime server of this bench does not run; start it (bench start)")

    @contextmanager
    def proxy(self, **options):
        """The address of a proxy before the bench, under the site's own host name."""
        with RealtimeProxy(self.web, self.socket, **options) as proxy:
            yield f"http://{frappe.local.site}:{proxy.port}"

    def as_nginx(self, **more):
        """The headers that bench's nginx sets."""
        origin = f"http://{frappe.local.site}:{self.web}"
        return {"X-Frappe-Site-Name": frappe.local.site, "Host": frappe.local.site, "Origin": origin, **more}

    def test_an_event_arrives_and_the_session_is_gone(self):
        before = frappe.db.count("Sessions")
        here = found(realtime)
        self.assertEqual(here["realtime.server"].state, "ok", here)
        self.assertGreater(here["realtime.server"].data["round_trip_ms"], 0)
        frappe.db.rollback()
        self.assertEqual(frappe.db.count("Sessions"), before)

    def test_through_a_proxy_as_it_should_be(self):
        with self.proxy(set_headers=self.as_nginx()) as url:
            self.assertEqual(found(realtime, url=url)["realtime.address"].state, "ok")
            self.assertEqual(found(port, url=url)["port.proxy"].state, "ok")

    def test_a_proxy_that_passes_forged_headers_on(self):
        with self.proxy() as url:
            bad = found(port, url=url)["port.proxy"]
        self.assertEqual(bad.state, "failure")
        self.assertTrue(bad.data["attack_worked"])

    def test_refusals_in_words(self):
        cases = (
            ({"set_headers": self.as_nginx(**{"X-Frappe-Site-Name": "other.example"})}, "derives another site"),
            ({"set_headers": self.as_nginx(Host="other.example")}, "Origin and in Host differ"),
            ({"drop": ["cookie"], "set_headers": {}}, "Cookie header is missing"),
            ({"set_headers": self.as_nginx(Origin=f"http://{frappe.local.site}:9")}, "it cannot reach"),
        )
        for options, words in cases:
            with self.subTest(words), self.proxy(**options) as url:
                bad = found(realtime, url=url)["realtime.address"]
                self.assertEqual(bad.state, "failure")
                self.assertIn(words, bad.text)
                self.assertTrue(bad.fix)

    def test_an_event_that_goes_to_another_redis(self):
        bad = found(realtime, redis_url=frappe.conf.redis_cache)["realtime.server"]
        self.assertEqual(bad.state, "failure")
        self.assertIn("did not arrive", bad.text)

    def test_credentials_that_the_site_does_not_know(self):
        self.assertEqual(found(realtime, api_key="no:such")["realtime.guest"].state, "failure")
        self.assertIn("does not exist", found(realtime, user="nobody@example.com")["realtime.user"].text)

    def test_nobody_there(self):
        nobody = {**frappe.conf, "socketio_port": 9}
        self.assertIn("No realtime server at 127.0.0.1:9", found(realtime, conf=nobody)["realtime.server"].text)
        self.assertEqual(found(realtime, url="http://127.0.0.1:9")["realtime.callback"].state, "failure")


class TestProbeSession(FrappeTestCase):
    """The session that tries the socket."""

    def test_it_counts_and_is_no_login(self):
        last_login = frappe.db.get_value("User", "Administrator", "last_login")
        sid = probe_session.begin("Administrator")
        self.assertEqual(frappe.db.count("Sessions", {"sid": sid}), 1)
        self.assertEqual(frappe.db.get_value("User", "Administrator", "last_login"), last_login)
        probe_session.end(sid)
        self.assertEqual(frappe.db.count("Sessions", {"sid": sid}), 0)
        self.assertIsNone(frappe.cache.hget("session", sid))


class TestPermissions(FrappeTestCase):
    """Changes that an admin may make, in a transaction that is rolled back."""

    def tearDown(self):
        frappe.db.rollback()
        frappe.clear_cache()

    def test_as_shipped(self):
        for doctype in permissions.PRIVATE:
            self.assertEqual([each.state for each in permissions.opened(doctype)], ["ok"])
        for doctype in permissions.CONFIGURATION:
            self.assertEqual([each.state for each in permissions.writable(doctype)], ["ok"])
        self.assertEqual(list(permissions.hooks()), [])
        self.assertEqual(list(permissions.guards()), [])

    def test_another_app_that_answers_in_our_place(self):
        count = "frappe.client.get_count"
        with patch.object(frappe, "get_hooks", return_value={count: ["ai_assistant.site.guards.get_count", "other.x"]}):
            (bad,) = permissions.guards()
        self.assertEqual(bad.state, "failure")
        self.assertIn(f"override_whitelisted_methods {count}", bad.data["lost"])

    def test_conversations_opened_to_a_role(self):
        self.grant("AI Conversation", "All", "read")
        (bad,) = permissions.opened("AI Conversation")
        self.assertEqual((bad.state, bad.data["roles"]), ("warning", ["All"]))

    def test_models_that_a_user_may_change(self):
        self.grant("AI Model", "AI User", "write")
        (bad,) = permissions.writable("AI Model")
        self.assertEqual((bad.state, bad.data["roles"]), ("failure", ["AI User"]))

    def test_a_role_that_is_gone_comes_back_by_what_is_said_to_type(self):
        frappe.db.delete("Role", {"name": "AI Manager"})
        (bad,) = permissions.roles(subject())
        self.assertEqual(bad.state, "failure")
        frappe.get_attr(bad.fix[0].split()[-1])()
        self.assertNotIn("failure", [each.state for each in permissions.roles(subject())])

    def grant(self, doctype, role, right):
        """As the role permission manager does."""
        from frappe.permissions import setup_custom_perms

        setup_custom_perms(doctype)
        row = {"doctype": "Custom DocPerm", "parent": doctype, "role": role, "permlevel": 0, right: 1}
        frappe.get_doc(row).insert(ignore_permissions=True)
        frappe.clear_cache(doctype=doctype)


class TestWeb(FrappeTestCase):
    """Time limits of the web server."""

    def test_limits(self):
        server = web.Gunicorn(pid=1, processes=9, timeout_s=60)
        self.assertEqual(web.request_limit(subject(conf={"http_timeout": 300}), [server]), 60)
        self.assertEqual(web.request_limit(subject(conf={}), []), 120)
        self.assertEqual(web.slots(subject(), [server]).data, {"processes": 9, "may_wait": 2})
        self.assertEqual(web.longest(300, 120).state, "note")
        self.assertEqual(web.longest(100, 120).state, "ok")
        self.assertEqual(web.option(["gunicorn", "-t", "45"], "-t", "--timeout"), 45)

    def test_nginx_that_is_less_patient(self):
        from tempfile import TemporaryDirectory

        with TemporaryDirectory() as folder:
            Path(folder, "config").mkdir()
            Path(folder, "config", "nginx.conf").write_text("proxy_read_timeout 60;\n proxy_read_timeout 120;\n")
            at = subject(sites_path=Path(folder, "sites"))
            self.assertEqual([each.state for each in web.proxy(at, 120)], ["failure"])
            self.assertEqual([each.state for each in web.proxy(at, 60)], ["ok"])


class TestCommand(FrappeTestCase):
    """The command as a process, and what its texts promise."""

    def test_json_and_exit_code(self):
        options = ["--json", "--check", "site", "--check", "versions", "--check", "redis"]
        done = self.doctor(*options)
        self.assertIn(done.returncode, (0, 1), done.stderr)
        document = frappe.parse_json(done.stdout)
        self.assertEqual(document["ok"], done.returncode == 0)
        self.assertEqual([each["check"] for each in document["checks"]], ["site", "versions", "redis"])
        self.assertNotIn(frappe.conf.db_password, done.stdout)

    def test_a_redis_that_is_away_fails_and_ends(self):
        done = self.doctor("--check", "redis", "--check", "workers", FRAPPE_REDIS_QUEUE="redis://:hidden@127.0.0.1:9")
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("cannot be reached", done.stdout)
        self.assertNotIn("hidden", done.stdout + done.stderr)
        self.assertNotIn("Traceback", done.stdout + done.stderr)

    def doctor(self, *options, **environment):
        """`bench --site SITE ai-assistant doctor …`, as bench starts it."""
        import os

        line = [sys.executable, "-m", "frappe.utils.bench_helper", "frappe", "--site", frappe.local.site]
        return subprocess.run(
            [*line, "ai-assistant", "doctor", *options],
            cwd=frappe.local.sites_path,
            env=os.environ | environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def test_the_queue_is_that_of_the_job(self):
        self.assertEqual(workers.QUEUE, wake.QUEUE)

    def test_bench_commands_that_are_said_to_type_exist(self):
        from frappe.commands import get_commands

        known = {each.name for each in get_commands()}
        by_bench = {"restart", "setup", "start", "build", "set-config", "migrate"}  # frappe-bench's own, or passed on
        folder = Path(command.__file__).parent
        text = "\n".join(path.read_text() for path in folder.glob("*.py"))
        said = set(re.findall(r"(?:bench_site\}|\bbench(?: --site all)?) ([a-z]+(?:-[a-z]+)*)", text))
        ours = {"ai-assistant", "ai-worker"}
        words_of_texts = said - known - by_bench - ours
        self.assertFalse({word for word in words_of_texts if "-" in word}, words_of_texts)
