"""A site's stream of trace entries, as one consumer sees it: what it reads, and how it settles what it has stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import redis.asyncio
from redis.exceptions import ResponseError

from ai_assistant.core.trace_keys import GROUP, ObservabilityKeys
from ai_assistant.traces.consumer_options import ConsumerOptions

FIRST_COUNT: Final = 20
"""Entries of the first read, before it is known how large they are."""
MAX_COUNT: Final = 1000
FORGOTTEN_MS: Final = 3_600_000
"""The group forgets a consumer that left nothing behind after this."""

PEEK: Final = """
local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
local t = redis.call('TIME')
return {redis.call('XLEN', KEYS[1]), first and first[1] or '', redis.call('MEMORY', 'USAGE', KEYS[1]) or 0,
        redis.call('XLEN', KEYS[2]), t[1] * 1000 + math.floor(t[2] / 1000)}
"""
"""KEYS events dead. Gives the length, the id of the oldest entry, the bytes, the number of dead letters, and the time
of Redis in epoch milliseconds; not the entry's body, which may be large."""

BURY: Final = """
if redis.call('XACK', KEYS[1], ARGV[1], ARGV[2]) == 0 then return 0 end
redis.call('XDEL', KEYS[1], ARGV[2])
local at, letters = 5, 0
while ARGV[at] do
  local last = at + tonumber(ARGV[at])
  redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[3], '*', unpack(ARGV, at + 1, last))
  at, letters = last + 1, letters + 1
end
redis.call('HINCRBY', KEYS[3], 'dead', letters)
local kept = redis.call('XLEN', KEYS[2])
while kept > 1 and (redis.call('MEMORY', 'USAGE', KEYS[2], 'SAMPLES', 20) or 0) > tonumber(ARGV[4]) do
  kept = math.floor(kept * 0.9)
  redis.call('XTRIM', KEYS[2], 'MAXLEN', kept)
end
return letters
"""
"""KEYS events dead counts, ARGV group, entry, dead letters that are kept and their bytes, and for each letter how many
words it has and these. Settles an entry that has dead letters; gives 0 where another consumer has taken it over and
done so before."""


class Entry(msgspec.Struct, frozen=True):
    """An entry of the stream."""

    id: bytes
    fields: dict[bytes, bytes]
    """Empty where Redis has it no longer."""

    @property
    def bytes(self) -> int:
        """Of its body."""
        return len(self.fields.get(b"b", b""))

    @property
    def events(self) -> int:
        """How many events it says to have; 1 where it does not say."""
        said = self.fields.get(b"n", b"1")
        return max(1, int(said)) if len(said) < 9 and said.isdigit() else 1


class Backlog(msgspec.Struct, frozen=True):
    """What waits in a stream."""

    entries: int
    oldest_ms: int
    """Age of the oldest entry, which is about the delay of all of them; 0 where there is none."""
    bytes: int
    dead_letters: int
    now_ms: int
    """The time of Redis, whose clock all heartbeats are told by."""


class Intake:
    """Reads one site's stream by the consumer group. Its calls raise redis-py's errors."""

    def __init__(
        self,
        client: redis.asyncio.Redis,
        site: str,
        consumer: str,
        options: ConsumerOptions = ConsumerOptions(),  # noqa: B008  # frozen
    ):
        self.keys = ObservabilityKeys(site)
        self._client = client
        self._consumer = consumer
        self._options = options
        self.is_ready = False
        """Whether the stream has its group, as far as is known."""
        self._count = FIRST_COUNT
        self._cursor: Any = "0-0"

    async def prepare(self) -> None:
        """Makes the stream and its group, which are there already in most cases; tidies the group up."""
        try:
            await self._client.xgroup_create(self.keys.events, GROUP, id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise
        await self._forget_consumers()
        self.is_ready = True

    async def take(self, block_ms: int | None = None) -> list[Entry]:
        """Entries that nobody has read, waiting up to `block_ms` for the first."""
        return await self._read(">", block_ms or None)

    async def own(self) -> list[Entry]:
        """The oldest entries that this consumer has read and not settled. Nobody claims them for a while now."""
        return await self._read("0", None)

    async def claim(self) -> list[Entry]:
        """Entries that a consumer which died had read; they are this one's now."""
        try:
            reply = await self._client.xautoclaim(
                self.keys.events,
                GROUP,
                self._consumer,
                min_idle_time=self._options.claim_idle_ms,
                start_id=self._cursor,
                count=self._count,
            )
        except ResponseError as error:
            self._without_group(error)
            return []
        self._cursor = reply[0]
        return self._measured(entries_of(reply[1]))

    async def _read(self, after: str, block_ms: int | None) -> list[Entry]:
        try:
            reply = await self._client.xreadgroup(
                GROUP, self._consumer, {self.keys.events: after}, count=self._count, block=block_ms
            )
        except ResponseError as error:
            self._without_group(error)
            return []
        rows = reply.values() if isinstance(reply, dict) else [stream[1] for stream in reply or ()]
        return self._measured([entry for row in rows for entry in entries_of(row)])

    def _without_group(self, error: ResponseError) -> None:
        """Redis came back empty, or the stream was deleted, perhaps while this waited."""
        if "NOGROUP" not in str(error) and "UNBLOCKED" not in str(error):
            raise error
        self.is_ready = False

    def _measured(self, entries: list[Entry]) -> list[Entry]:
        """Sees to it that the next read is as large as a batch."""
        if entries:
            events = sum(entry.events for entry in entries) / len(entries)
            size = max(1.0, sum(entry.bytes for entry in entries) / len(entries))
            count = min(self._options.batch_events / events, self._options.batch_bytes / size)
            self._count = max(1, min(MAX_COUNT, int(count)))
        return entries

    async def settle(
        self, entries: Sequence[Entry], letters: Sequence[Mapping[str, Any]], grown: Mapping[str, int]
    ) -> None:
        """Takes entries that are stored off the stream, in one step with their dead letters and with the totals."""
        buried: dict[bytes, list[Any]] = {}
        for letter in letters:
            said = [word for pair in letter.items() for word in pair]
            buried.setdefault(letter["entry"], []).extend([len(said), *said])
        ids = [entry.id for entry in entries if entry.id not in buried]
        kept = (self._options.dead_letters, self._options.dead_letter_bytes)
        async with self._client.pipeline(transaction=True) as pipe:
            for entry, said in buried.items():
                keys = (self.keys.events, self.keys.dead, self.keys.counts)
                pipe.eval(BURY, 3, *keys, GROUP, entry, *kept, *said)
            if ids:
                pipe.xack(self.keys.events, GROUP, *ids)
                pipe.xdel(self.keys.events, *ids)
            for name, by in grown.items():
                if by:
                    pipe.hincrby(self.keys.counts, name, by)
            await pipe.execute()

    async def backlog(self) -> Backlog:
        """What waits."""
        reply = await self._client.eval(PEEK, 2, self.keys.events, self.keys.dead)  # type: ignore[misc]
        return backlog_of(reply)

    async def _forget_consumers(self) -> None:
        """Removes consumers from the group that have long been gone and left no entry behind."""
        for each in await self._client.xinfo_consumers(self.keys.events, GROUP):
            if not each["pending"] and each["idle"] > FORGOTTEN_MS:
                await self._client.xgroup_delconsumer(self.keys.events, GROUP, each["name"])

    async def leave(self) -> None:
        """Takes the consumer out of the group, and off the list; one that has entries stays, so that another one can
        claim them."""
        await self._client.hdel(self.keys.consumers, self._consumer)  # type: ignore[misc]
        try:
            left = await self._client.xpending_range(
                self.keys.events, GROUP, min="-", max="+", count=1, consumername=self._consumer
            )
            if not left:
                await self._client.xgroup_delconsumer(self.keys.events, GROUP, self._consumer)
        except ResponseError as error:
            if "NOGROUP" not in str(error) and "no such key" not in str(error):
                raise


def entries_of(rows: Any) -> list[Entry]:
    """Entries from a reply of redis-py, in the form of any of its versions and of either protocol."""
    if rows and isinstance(rows[0], list) and rows[0] and isinstance(rows[0][0], (list, tuple)):
        rows = [row for group in rows for row in group]  # RESP3 nests once more
    return [Entry(id_, fields or {}) for id_, fields in rows if id_ is not None]


def backlog_of(reply: Sequence[Any]) -> Backlog:
    """What the script PEEK answered."""
    length, first, size, dead, now = map(value_of, reply)
    began = int(first.partition(b"-")[0]) if first else now
    return Backlog(entries=length, oldest_ms=max(0, now - began), bytes=size, dead_letters=dead, now_ms=now)


def value_of(item: Any) -> Any:
    """Of a script's answer: RESP3 may bring whole numbers as floats."""
    return int(item) if isinstance(item, float) else item
