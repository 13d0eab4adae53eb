"""The figures of a site: who sees them, what the realtime port tells, and the command that measures delivery."""

import socket
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import frappe
from werkzeug.wrappers import Response

from ai_assistant import api
from ai_assistant.core.metrics import render
from ai_assistant.site import metrics, metrics_command
from ai_assistant.tests.people import make_user, remove_user
from ai_assistant.tests.test_doctor import is_open, subject

try:
    from frappe.tests import IntegrationTestCase as SiteTestCase  # v16
except ImportError:
    from frappe.tests.utils import FrappeTestCase as SiteTestCase

WATCHER = "watcher@metrics.example"
COMMAND_S = 90
"""How long bench's command may take, on a busy machine."""


@contextmanager
def configured(**values):
    """The site's configuration with other values."""
    with patch.dict(frappe.local.conf, values):
        yield


def families():
    """What the realtime server's port tells, by name."""
    return {family.name: family.samples[0].value for family in metrics.realtime()}


def names_in(text):
    """The figures of a page, but those that are there while a worker is."""
    names = {line.split(" ")[2] for line in text.splitlines() if line.startswith("# TYPE")}
    return names - {
        "ai_assistant_heartbeat_age_seconds",
        "ai_assistant_window_seconds",
        "ai_assistant_trace_consumer_heartbeat_age_seconds",
        "ai_assistant_trace_batch_seconds",
    }


class TestWhoSeesThem(SiteTestCase):
    def tearDown(self):
        frappe.set_user("Administrator")
        remove_user(WATCHER)

    def as_user(self, *roles):
        """The answer to a user with these roles."""
        make_user(WATCHER, *roles)
        frappe.set_user(WATCHER)
        return api.metrics()

    def test_managers_and_administrators(self):
        for roles in (("AI Manager",), ("System Manager",)):
            answer = self.as_user(*roles)
            self.assertIsInstance(answer, Response, roles)
            self.assertEqual(answer.content_type, "text/plain; version=0.0.4; charset=utf-8")
            self.assertIn("\nai_assistant_redis_up 1\n", answer.get_data(as_text=True))
            self.assertIn("\nai_assistant_trace_redis_up 1\n", answer.get_data(as_text=True))
            self.assertIn(f'site="{frappe.local.site}"', answer.get_data(as_text=True))
            frappe.set_user("Administrator")
        self.assertIsInstance(api.metrics(), Response)

    def test_nobody_else(self):
        for roles in (("AI User",), ("Website Manager",), ()):
            with self.assertRaises(frappe.PermissionError, msg=roles):
                self.as_user(*roles)
            frappe.set_user("Administrator")


class TestTheRealtimePort(SiteTestCase):
    def test_sockets_are_counted(self):
        server = socket.create_server(("127.0.0.1", 0))
        with server, configured(socketio_port=server.getsockname()[1]):
            self.assertEqual(families(), {"realtime_listening": 1, "socket_connections": 0})
            with socket.create_connection(server.getsockname()):
                self.assertEqual(families(), {"realtime_listening": 1, "socket_connections": 1})

    def test_a_server_on_another_machine(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        with configured(socketio_port=port):
            self.assertEqual(families(), {"realtime_listening": 0})

    def test_a_socket_file(self):
        with configured(socketio_uds="/tmp/realtime.sock"):
            self.assertEqual(families(), {})


class TestTheCommand(SiteTestCase):
    def run_command(self, *options):
        """What `bench ai-assistant metrics` prints."""
        command = [sys.executable, "-W", "ignore", "-m", "frappe.utils.bench_helper", "frappe"]
        command += ["--site", frappe.local.site, "ai-assistant", "metrics", *options]
        return subprocess.run(
            command, capture_output=True, text=True, cwd=frappe.local.sites_path, timeout=COMMAND_S, check=False
        )

    def test_it_prints_what_the_endpoint_gives(self):
        ran = self.run_command()
        self.assertEqual(ran.returncode, 0, ran.stderr)
        self.assertEqual(names_in(ran.stdout), names_in(render(metrics.families())))

    def test_delivery_is_measured(self):
        if not (is_open(frappe.conf.webserver_port) and is_open(frappe.conf.socketio_port or 9000)):
            self.skipTest("the web or the realtime server of this bench does not run; start it (bench start)")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "ai_assistant.prom")
            path.write_text("old")
            ran = self.run_command("--only-probe", "--output", str(path))
            self.assertEqual(ran.returncode, 0, ran.stderr)
            self.assertEqual(ran.stdout, "")
            text = path.read_text()
            self.assertIn('ai_assistant_probe_success{path="direct"} 1\n', text)
            self.assertIn('ai_assistant_probe_delivery_seconds{path="direct"} ', text)
            self.assertNotIn("redis_up", text)
            self.assertEqual([found.name for found in Path(folder).iterdir()], [path.name])

    def test_a_file_that_cannot_be_written(self):
        ran = self.run_command("--output", "/nowhere/ai_assistant.prom")
        self.assertNotEqual(ran.returncode, 0)
        self.assertIn("/nowhere/ai_assistant.prom cannot be written", ran.stderr)

    def test_a_failed_probe_is_a_figure(self):
        """A user who may not log in, and a site that nobody serves."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        for more in ({"user": "nobody@metrics.example"}, {"url": f"http://{frappe.local.site}:{port}"}):
            with patch.object(metrics_command, "tell") as told, ThreadPoolExecutor(1) as thread:
                # a thread of its own: the probe's unit of work on the site would be the end of the test's
                text = render(thread.submit(metrics_command.probed, subject(**more)).result(COMMAND_S))
            self.assertIn('ai_assistant_probe_success{path="direct"} 0\n', text)
            self.assertIn("ai_assistant_probe_timestamp_seconds ", text)
            self.assertNotIn("probe_delivery_seconds{", text)
            told.assert_called_once()
