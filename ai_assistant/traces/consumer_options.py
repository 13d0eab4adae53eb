"""How a consumer of traces behaves."""

from __future__ import annotations

import msgspec


class ConsumerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Times in seconds unless the name says otherwise."""

    batch_events: int = 1000
    """Events of one transaction, about: entries are not cut, except where one of their events cannot be stored."""
    batch_bytes: int = 4 * 1024 * 1024
    """Bytes of one transaction as they lie in Redis, about."""
    block_ms: int = 1000
    """How long one read of a stream waits; also how long a stop takes at least."""
    claim_idle_ms: int = 30_000
    """Entries that a consumer read and did not acknowledge for so long are taken by another one."""
    claim_s: float = 5.0
    """How often such entries are looked for."""
    beat_s: float = 5.0
    sites_s: float = 2.0
    """How often new sites are looked for."""
    refused_s: float = 10.0
    """A site that could not be opened is tried again after this."""
    producers_s: float = 15.0
    """How often producers are looked after; by one consumer of a site at a time."""
    silent_s: float = 60.0
    """A producer whose last heartbeat is older is taken for dead."""
    silent_http_s: float = 150.0
    """The same for one that sends over HTTP."""
    pause_s: float = 0.5
    """After the first failure of the database; it doubles with each further one."""
    longest_pause_s: float = 5.0
    busy_pause_s: float = 0.25
    """The longest rest after a batch while the process has more urgent things to do."""
    dead_letters: int = 10_000
    """Dead letters that a site keeps, about; beyond them the oldest go."""
    dead_letter_bytes: int = 64 * 1024 * 1024
    """What they may take of Redis, about; beyond it the oldest go."""
