"""`bench --site SITE ai-assistant chat` as a person and a script use it: a process, with a worker and a provider."""

import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import time

import frappe
from frappe.tests.utils import FrappeTestCase

from ai_assistant.site import bench
from ai_assistant.tests.people import make_user, remove_user

USER = "chatter@chat.example"
CUSTOMER = "customer@chat.example"
MODEL = "chat-command-test"
WAIT_S = 60


class Provider(http.server.BaseHTTPRequestHandler):
    """Thinks, answers with the question, and goes on for ever when it is told `endless`."""

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        question = body["messages"][-1]["content"]
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.delta(reasoning_content="Let me think.")
        self.delta(content=f"You said: {question}")
        while question.startswith("endless"):
            self.delta(content=" more")
            time.sleep(0.05)
        self.wfile.write(b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\n')
        self.wfile.write(b"data: [DONE]\n\n")

    def delta(self, **delta):
        """One chunk."""
        self.wfile.write(f"data: {json.dumps({'choices': [{'index': 0, 'delta': delta}]})}\n\n".encode())
        self.wfile.flush()

    def log_message(self, *args):
        """Nothing."""


class Quiet(http.server.ThreadingHTTPServer):
    """A client that breaks off is no news."""

    daemon_threads = True

    def handle_error(self, *args):
        """Nothing."""


def command(*words):
    """A bench command as bench starts it."""
    return [sys.executable, "-m", "frappe.utils.bench_helper", "frappe", *words]


class ChatCommandTest(FrappeTestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = Quiet(("127.0.0.1", 0), Provider)
        threading.Thread(target=cls.server.serve_forever, daemon=True).start()
        make_user(USER, "AI User")
        make_user(CUSTOMER)
        cls.remove_model()
        model = {"doctype": "AI Model", "model_name": MODEL, "model": "openai/test", "api_key": "sk-test"}
        model["api_base"] = f"http://127.0.0.1:{cls.server.server_address[1]}/v1"
        frappe.get_doc(model).insert()
        frappe.db.commit()  # the commands are processes of their own
        cls.worker = subprocess.Popen(
            command("ai-worker", "--grace", "1"), cwd=frappe.local.sites_path, stderr=subprocess.DEVNULL
        )
        cls.wait_for_worker()

    @classmethod
    def wait_for_worker(cls):
        """Until the daemon of this test takes tasks."""
        deadline = time.monotonic() + WAIT_S
        while cls.worker.pid not in [each.get("pid") for each in bench.tasks().workers()]:
            assert cls.worker.poll() is None, "the worker has ended"
            assert time.monotonic() < deadline, "the worker did not begin in time"
            time.sleep(0.1)

    @classmethod
    def tearDownClass(cls):
        cls.worker.terminate()
        cls.worker.wait(WAIT_S)
        cls.server.shutdown()
        cls.server.server_close()
        frappe.db.rollback()
        remove_user(USER)
        remove_user(CUSTOMER)
        cls.remove_model()
        frappe.db.commit()  # as above
        super().tearDownClass()

    @classmethod
    def remove_model(cls):
        """Away with what an earlier run may have left."""
        frappe.delete_doc("AI Model", MODEL, force=True, ignore_missing=True, delete_permanently=True)

    def start(self, *words, user=USER, **options):
        """The command, started."""
        line = command("--site", frappe.local.site, "ai-assistant", "chat", "--user", user, "-m", MODEL, *words)
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(line, cwd=frappe.local.sites_path, text=True, **pipes, **options)

    def chat(self, *words, stdin="", **options):
        """The command to its end: exit code, output, errors."""
        process = self.start(*words, **options)
        out, err = process.communicate(stdin, timeout=WAIT_S)
        return process.returncode, out, err

    def test_a_pipe_gets_the_answer_and_the_figures_go_to_stderr(self):
        code, out, err = self.chat("hello")
        self.assertEqual(code, 0, err)
        self.assertEqual(out, "You said: hello\n")
        self.assertIn("first token", err)
        self.assertNotIn("\x1b", out + err)

    def test_events_are_numbered_and_whole(self):
        code, out, err = self.chat("--events", "hello")
        self.assertEqual(code, 0, err)
        events = [json.loads(line) for line in out.splitlines()]
        self.assertEqual([event["seq"] for event in events], list(range(1, len(events) + 1)))
        self.assertEqual((events[0]["type"], events[-1]["type"]), ("start", "completion"))
        self.assertEqual("".join(e["text"] for e in events if e["type"] == "text"), events[-1]["text"])
        self.assertIn("reasoning", {event["type"] for event in events})

    def test_a_conversation_goes_on_with_files_and_standard_input(self):
        code, _, err = self.chat("-c", "new", "-f", __file__, "What is this?", stdin="a log line\n")
        self.assertEqual(code, 0, err)
        name = err.rsplit("--conversation ", 1)[1].strip()
        self.assertEqual(self.chat("-c", name, "And that?")[0], 0)
        frappe.db.rollback()
        self.assertEqual(frappe.db.get_value("AI Conversation", name, "user"), USER)
        asked = frappe.get_all(
            "AI Message", {"conversation": name, "role": "user"}, ["content"], order_by="sequence", pluck="content"
        )
        self.assertEqual(len(asked), 2)
        self.assertIn("class ChatCommandTest", asked[0])
        self.assertIn("standard input:\n```\na log line\n```", asked[0])

    def test_ctrl_c_cancels_upstream(self):
        process = self.start("--events", "endless")
        process.stdin.close()
        lines = [json.loads(process.stdout.readline())]
        while lines[-1]["type"] != "text":
            lines.append(json.loads(process.stdout.readline()))
        process.send_signal(signal.SIGINT)
        lines += [json.loads(line) for line in process.stdout]
        self.assertEqual(process.wait(WAIT_S), 130)
        process.stdout.close()
        process.stderr.close()
        self.assertEqual((lines[-1]["type"], lines[-1]["by"]), ("cancelled", USER))
        ref = bench.tasks().get(self.ref(lines[-1]["task_id"]))
        self.assertEqual(ref.status, "cancelled")

    def ref(self, task_id):
        """The task of our user."""
        from ai_assistant.core.task import TaskRef

        return TaskRef(site=frappe.local.site, user=USER, id=task_id)

    def test_what_is_wrong_is_said_in_words(self):
        cases = (
            ({"user": "nobody@chat.example"}, ("hello",), 1, "there is no user"),
            ({"user": "Guest"}, ("hello",), 1, "there is no user"),
            ({"user": CUSTOMER}, ("hello",), 1, "none of the roles"),
            ({}, (), 2, "Nothing to ask"),
            ({}, ("-m", "no-such", "hello"), 1, "there is no model 'no-such'"),
            ({}, ("-c", "unknown", "hello"), 1, "there is no conversation 'unknown'"),
            ({"env": os.environ | {"FRAPPE_REDIS_QUEUE": "redis://127.0.0.1:9"}}, ("hello",), 1, "cannot be reached"),
        )
        for options, words, expected, text in cases:
            with self.subTest(text):
                code, _, err = self.chat(*words, **options)
                self.assertEqual(code, expected, err)
                self.assertIn(text, err)
                self.assertNotIn("Traceback", err)

    def test_a_disabled_user(self):
        self.enable(CUSTOMER, 0)
        self.addCleanup(self.enable, CUSTOMER, 1)
        self.assertIn("is disabled", self.chat("hello", user=CUSTOMER)[2])

    def enable(self, user, value):
        """Seen by the command, which is a process of its own."""
        frappe.db.set_value("User", user, "enabled", value)
        frappe.db.commit()

    def test_the_users_name_in_other_letters_is_the_same_user(self):
        code, out, err = self.chat("--events", "hello", user=USER.upper())
        self.assertEqual(code, 0, err)
        task = json.loads(out.splitlines()[-1])["task_id"]
        self.assertEqual(bench.tasks().get(self.ref(task)).status, "completed")
