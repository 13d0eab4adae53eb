"""What the parent tells the clients' process, and what it hears of it."""

from __future__ import annotations

import msgspec

from .stats import Latency
from .task_watch import Tally


class Credential(msgspec.Struct, kw_only=True):
    """A user who logs in."""

    user: str
    password: str


class Job(msgspec.Struct, kw_only=True):
    """One load."""

    kind: str
    """`chats` over the wire of the host, or `sse` straight from an OpenAI-compatible endpoint."""
    url: str
    model: str
    tokens: int
    """Tokens that each answer has."""
    streams: int = 1
    """Chats at a time."""
    rounds: int = 1
    """Chats that each stream asks, one after the other."""
    spread_s: float = 1.0
    """The streams start at random moments within this time, so that their clocks do not tick together."""
    timeout_s: float = 60.0
    """For one chat."""
    site: str = ""
    socket_url: str = ""
    users: list[Credential] = []
    idle_users: list[Credential] = []
    idle_sockets: int = 0
    conversation: bool = False
    """Whether each chat is stored as a conversation."""
    marks: list[int] = []
    """Numbers of finished chats at which a line is printed, so that the parent can measure."""
    api_key: str = ""


class Result(msgspec.Struct, kw_only=True):
    """What the clients saw."""

    tally: Tally
    latency: Latency | None
    first_event: Latency | None
    """From the upstream's first byte to the receipt of the first delta."""
    ask_to_first: Latency | None
    """From the sending of the request to the receipt of the first delta."""
    cpu_s: float
    wall_s: float


class Line(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One line of the clients' standard output: `ready`, `mark`, or at last the result."""

    ready: bool = False
    mark: int = 0
    result: Result | None = None
