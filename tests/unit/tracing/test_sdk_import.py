"""What the SDK loads: it must be light in any program."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("redis", "httpx", "litellm", "frappe", "sqlalchemy", "starlette", "openai", "asyncio", "socketio", "pydantic")
CODE = f"""
import sys
import ai_assistant.tracing as tracing
print([name for name in {HEAVY!r} if name in sys.modules])
missing = [name for name in tracing.__all__ if not hasattr(tracing, name)]
print(missing)
"""


def test_the_import_loads_no_server_no_client_and_no_provider():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    heavy, missing = done.stdout.splitlines()
    assert heavy == "[]"
    assert missing == "[]"


def test_the_names_are_those_that_the_documentation_has():
    import ai_assistant.tracing as tracing

    assert sorted(tracing.__all__) == tracing.__all__
