"""What an admin may set: the AI Assistant Settings document, or the TOML file of the embedded host."""

from __future__ import annotations

from typing import Any

import msgspec

DEFAULT_ASK_PROMPT = (
    "You are a helpful assistant for programmers. Answer precisely, with Markdown and runnable code where it helps."
)
DEFAULT_AGENT_PROMPT = (
    "You are a coding agent. Work step by step, use the tools you are given when they help, "
    "and say what you did and what is left."
)


class Mode(msgspec.Struct, frozen=True, kw_only=True):
    """Defaults of one `mode` of a request."""

    system_prompt: str = ""
    """Put before the messages unless these bring a system message of their own."""
    model: str | None = None
    """The model of this mode where the request names none; `None` means the default model."""
    parameters: dict[str, Any] = msgspec.field(default_factory=dict)


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Per user; 0 means: no limit."""

    requests_per_minute: int = 60
    concurrent_tasks: int = 10
    tokens_per_day: int = 0


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of one site."""

    default_model: str | None = None
    modes: dict[str, Mode] = msgspec.field(
        default_factory=lambda: {
            "ask": Mode(system_prompt=DEFAULT_ASK_PROMPT),
            "agent": Mode(system_prompt=DEFAULT_AGENT_PROMPT),
        }
    )
    limits: Limits = Limits()
    max_backlog: int = 500
    """Queued tasks beyond which a new chat is answered with 503."""
    max_messages: int = 2000
    """Messages in one request."""
    max_request_bytes: int = 8 * 1024 * 1024
    """UTF-8 bytes of all messages of one request."""
    task_ttl_s: int = 3600
    """How long a task and its events can be read after its last change."""
    max_log_bytes: int = 4 * 1024 * 1024
    """Bytes of one task's event log, beyond which its older half is folded into a snapshot."""
    no_worker_after_s: float = 30.0
    """A task that no worker takes for so long ends with `no_worker`."""
    wait_timeout_s: float = 300.0
    """The longest that a call with `wait` is held."""
    trace_chats: bool = True
    """Whether chats are traced."""
    trace_content: bool = True
    """Whether their traces hold what was written: prompts, reasoning and answers. Without it they hold figures."""
