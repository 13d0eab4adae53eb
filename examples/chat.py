"""Asks a question and prints the thinking and the answer as they come.

pip install httpx "python-socketio[asyncio_client]"
AI_ASSISTANT_URL=http://127.0.0.1:8000 AI_ASSISTANT_PASSWORD=secret python examples/chat.py "Explain microservices"
"""

import asyncio
import os
import sys

import httpx
import socketio

URL = os.environ.get("AI_ASSISTANT_URL", "http://127.0.0.1:8000")
SITE = os.environ.get("AI_ASSISTANT_SITE", "assistant.localhost")
USER = os.environ.get("AI_ASSISTANT_USER", "Administrator")
PASSWORD = os.environ["AI_ASSISTANT_PASSWORD"]


async def main(question: str) -> None:
    async with httpx.AsyncClient(base_url=URL) as http:
        answer = await http.post("/api/method/login", json={"usr": USER, "pwd": PASSWORD})
        answer.raise_for_status()
        cookie = "; ".join(f"{name}={value}" for name, value in http.cookies.items())

        socket = socketio.AsyncClient()
        done = asyncio.Event()

        @socket.on("ai_progress", namespace=f"/{SITE}")
        async def progress(event: dict) -> None:
            print(event["text"] if event["partial"] else "", end="", flush=True)
            if event["type"] == "reasoning" and not event["partial"]:
                print(f"\n--- thought for {event['reasoning_ms'] / 1000:.1f} s ---")
            if event["type"] in ("completion", "error", "cancelled"):
                print(f"\n--- {event['type']}: {event.get('usage') or event.get('message') or ''} ---")
                done.set()

        await socket.connect(URL, headers={"Cookie": cookie, "Origin": URL}, namespaces=[f"/{SITE}"])
        started = await http.post(
            "/api/method/ai_assistant.api.chat_completion",
            json={"messages": [{"role": "user", "content": question}], "wait": False},
        )
        started.raise_for_status()
        await done.wait()
        await socket.disconnect()


asyncio.run(main(" ".join(sys.argv[1:]) or "Explain microservices"))
