"""Sends a program's events to Redis, again and again while it is away, from one thread."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, Final

from redis.exceptions import NoScriptError, RedisError, ResponseError

from ai_assistant.streams import scripts
from ai_assistant.streams.connection import program_client
from ai_assistant.streams.publisher import FOR_NOW, OUTAGE_S, REFUSED, Command, Emission, calls_of

log = logging.getLogger("ai_assistant.program")

RETRY_S: Final = (0.02, 0.25)
"""Between two attempts: the first pause, and the longest. A short one: a task whose heartbeat is late is settled by the
first reader who finds it."""

Batch = list[Emission | Command]


class Sender:
    """One connection. Not thread-safe."""

    def __init__(self, url: str, on_return: Callable[[], None], *, outage_s: float = OUTAGE_S):
        """`on_return` is called before the first events after Redis was away; `outage_s`: seconds that events wait for
        it, counted from the first failure."""
        self.errors = 0
        """Attempts that failed."""
        self._url = url
        self._on_return = on_return
        self._outage_s = outage_s
        self._client: Any = None
        self._away_since: float | None = None

    def send(self, batch: Batch) -> list[int | None]:
        """The scripts' answers; `None` for each when Redis stayed away. Sending again is harmless: events have
        numbers."""
        delay = RETRY_S[0]
        while True:
            try:
                if self._away_since is not None:
                    self._on_return()
                answers = self._attempt(batch)
                self._away_since = None
                return answers
            except ResponseError as error:
                failure: Exception = error
                if not any(word in str(error) for word in FOR_NOW):
                    return self._refused(batch, error)
            except Exception as error:
                # redis-py lets errors of its own through when a connection breaks; publishing must outlive them
                failure = error
                if not isinstance(error, (RedisError, OSError)):
                    log.exception("ai_progress: publishing failed")
            self.errors += 1
            if self._gave_up(failure):
                log.error("Redis has been away for %g s; %d events are lost: %s", self._outage_s, len(batch), failure)
                return [None] * len(batch)
            time.sleep(delay)
            delay = min(RETRY_S[1], delay * 2)

    def _gave_up(self, error: Exception) -> bool:
        now = time.monotonic()
        if self._away_since is None:
            self._away_since = now
            log.warning("events of this program's tasks cannot be published, trying again: %s", error)
        return now - self._away_since > self._outage_s

    def _refused(self, batch: Batch, error: ResponseError) -> list[int | None]:
        """Each item by itself, so that one that Redis refuses harms no task but its own."""
        if len(batch) == 1:
            log.error("an event was refused: %s", error)
            return [REFUSED]
        return [answer for item in batch for answer in self.send([item])]

    def _attempt(self, batch: Batch) -> list[int | None]:
        """One round trip: runs of events as one script call each, other commands between them."""
        calls, sizes = calls_of(batch)
        try:
            replies = self._pipelined(calls)
        except NoScriptError:
            for script in scripts.ALL:
                self.client().script_load(script.source)
            replies = self._pipelined(calls)
        answers: list[int | None] = []
        for reply, size in zip(replies, sizes, strict=True):
            answers.extend(reply if size else [reply])
        return answers

    def _pipelined(self, calls: list[tuple[Any, ...]]) -> list[Any]:
        with self.client().pipeline(transaction=False) as pipe:
            for call in calls:
                pipe.evalsha(*call)
            return pipe.execute()

    def run(self, script: scripts.Script, keys: list[str], args: list[Any]) -> Any:
        """One script, once. Raises redis-py's errors, and OSError."""
        try:
            return self.client().evalsha(script.sha, len(keys), *keys, *args)
        except NoScriptError:
            return self.client().eval(script.source, len(keys), *keys, *args)

    def client(self) -> Any:
        """The connection, made when it is first needed."""
        if self._client is None:
            self._client = program_client(self._url)
        return self._client

    @property
    def is_connected(self) -> bool:
        """Whether it was needed since the last `close`."""
        return self._client is not None

    def close(self) -> None:
        """Lets go of the connection."""
        client, self._client = self._client, None
        if client is not None:
            client.close()
