"""A model provider for the page's tests: OpenAI's chat completions over real HTTP, at a pace that a person can follow.

The last message of the request says what is streamed; `Upstream` remembers what was asked. An answer that is asked
for as "held" waits before its end (or, where it thinks long, before its text) until the test says `upstream.go.set()`:
such a test needs no slow stream to find one that still runs.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

REASONING = "First I look at **the question**. Then I choose an order. Then I write it down, and check it once more."
ANSWER = (
    "# An answer\n\nSome *text* with `code` and [a link](https://example.org/page).\n\n"
    "```python\ndef add(a: int, b: int) -> int:\n    return a + b  # <b>not markup</b>\n```\n\n"
    "| one | two |\n|---|---|\n| 1 | 2 |\n\nThe end of it, word for word."
)
CODE = "def add(a: int, b: int) -> int:\n    return a + b  # <b>not markup</b>"
HOSTILE = """<script>window.pwned = "script"</script>

<img src=x onerror="window.pwned = 'onerror'"> <svg onload="window.pwned = 'svg'"></svg>

<iframe src="javascript:parent.pwned = 'iframe'"></iframe><style>body { display: none }</style>

[js](javascript:window.pwned='link') [JS](JaVaScRiPt:window.pwned='link') [tab](java&#9;script:pwned=1)
[data](data:text/html,<script>window.opener.pwned=1</script>) [relative](/api/method/logout) <javascript:alert(1)>

![remote](http://127.0.0.1:9/leak.png?secret=1) ![data](data:image/svg+xml,<svg onload=pwned=1>)

[quote](https://example.org/"onmouseover="window.pwned=1") [ok](https://example.org/ok)

```html
<script>window.pwned = "code"</script>
```

```"><img src=x onerror=window.pwned=1>
x
```

| <img src=x onerror=window.pwned=1> | b |
|---|---|
| <script>window.pwned=1</script> | ${window.pwned=1} {{constructor.constructor('pwned=1')()}} |

That was all."""
LONG = "\n\n".join(f"## Part {number}\n\n" + "Some more words of it. " * 20 for number in range(200))
SLOW = "".join(f"word{number} " for number in range(260)).strip()


THOUGHT_PAUSE_S = 0.02
LONG_THOUGHT_PAUSE_S = 0.05
TEXT_PAUSE_S = 0.008
SLOW_PAUSE_S = 0.012
HELD_S = 30.0
"""After so long a held answer goes on by itself."""


class Upstream:
    """The provider. `base_url` is what a model's `api_base` takes."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.closed_early = threading.Event()
        self.go = threading.Event()
        upstream = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                upstream.answer(self, body)

            def log_message(self, format: str, *args: Any) -> None:
                """Keeps the test's output clean."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        """Streams what the last message asks for."""
        question = str(body["messages"][-1]["content"])
        self.asked.append(question)
        if "refuse" in question:
            return send_refusal(handler)
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.close_connection = True
        breaks = "break once" in question and self.asked.count(question) == 1
        try:
            for line in lines(question, breaks):
                if not line:
                    self.go.wait(HELD_S)
                handler.wfile.write(line.encode())
                handler.wfile.flush()
        except OSError:
            self.closed_early.set()
        return None


def send_refusal(handler: BaseHTTPRequestHandler) -> None:
    """What a provider says to a wrong key."""
    error = {"error": {"message": "Incorrect API key provided", "type": "invalid_request_error"}}
    body = json.dumps(error).encode()
    handler.send_response(401)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def lines(question: str, breaks: bool) -> Iterator[str]:
    """The server-sent events of one answer, "" where a held one waits; one that breaks is cut off in its middle."""
    held = "held" in question
    yield from thoughts(question)
    if held and "think long" in question:
        yield ""
    text = text_for(question)
    slow = text == SLOW
    parts = cut(text, 260 if slow else 40)
    for number, piece in enumerate(parts):
        if breaks and number > len(parts) // 2:
            return
        if held and number == len(parts) - 3:
            yield ""
        yield event({"content": piece})
        time.sleep(SLOW_PAUSE_S if slow else TEXT_PAUSE_S)
    yield from ending()


def thoughts(question: str) -> Iterator[str]:
    """The reasoning."""
    long = "think long" in question
    for piece in cut(REASONING * (8 if long else 1), 80 if long else 12):
        yield event({"reasoning_content": piece})
        time.sleep(LONG_THOUGHT_PAUSE_S if long else THOUGHT_PAUSE_S)


def text_for(question: str) -> str:
    """What is answered."""
    for word, text in (("hostile", HOSTILE), ("slow", SLOW), ("very long", LONG)):
        if word in question:
            return text
    return ANSWER


def ending() -> Iterator[str]:
    """What follows the last word."""
    yield event({}, finish="stop")
    usage = {"prompt_tokens": 12, "completion_tokens": 34, "total_tokens": 46}
    yield "data: " + json.dumps({"id": "c", "choices": [], "usage": usage}) + "\n\n"
    yield "data: [DONE]\n\n"


def event(delta: dict[str, Any], finish: str | None = None) -> str:
    """One chunk of a chat completion."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return "data: " + json.dumps({"id": "c", "object": "chat.completion.chunk", "choices": [choice]}) + "\n\n"


def cut(text: str, count: int) -> list[str]:
    """`text` in about `count` pieces."""
    size = max(1, len(text) // count)
    return [text[at : at + size] for at in range(0, len(text), size)]
