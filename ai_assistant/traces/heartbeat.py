"""Heartbeats in a Redis hash, id → JSON with `beat` in epoch milliseconds: of consumers and of producers."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

import msgspec

ALIVE_MS: Final = 15_000
"""A consumer is alive while its last heartbeat is younger."""
GONE_MS: Final = 60_000
"""Another consumer removes it from the list after this."""

_decode = msgspec.json.Decoder(dict[str, Any]).decode


class Served(msgspec.Struct):
    """What a consumer has done for one site since its start."""

    processed: int = 0
    """Events that were stored."""
    duplicates: int = 0
    dead_letters: int = 0
    """Events of its that became dead letters."""
    failures: int = 0
    """Batches that could not be stored at once."""
    batch_ms: float = 0.0
    """How long the last batch took."""
    error: str = ""
    """Why the last batch could not be stored; empty since one could."""


def now_ms() -> int:
    """Epoch milliseconds."""
    return int(time.time() * 1000)


def beats_of(found: Mapping[bytes, bytes]) -> dict[str, dict[str, Any]]:
    """The heartbeats of a hash by id. One that cannot be read has no `beat`, and so is as old as can be."""
    beats = {}
    for id_, said in found.items():
        try:
            beats[id_.decode(errors="replace")] = _decode(said)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            beats[id_.decode(errors="replace")] = {}
    return beats


def age_ms(beat: Mapping[str, Any], now: int) -> int:
    """How old a heartbeat is; more than a day where it does not say."""
    at = beat.get("beat")
    known = isinstance(at, (int, float)) and not isinstance(at, bool)
    return max(0, now - int(at)) if known and abs(at) < 2**53 else 10**8  # type: ignore[operator, arg-type]


def living(found: Mapping[bytes, bytes], now: int | None = None) -> list[dict[str, Any]]:
    """What each living consumer said, with `age_ms` of its heartbeat; the one that began last comes last."""
    now = now_ms() if now is None else now
    alive = [{**beat, "id": id_, "age_ms": age_ms(beat, now)} for id_, beat in beats_of(found).items()]
    return sorted((beat for beat in alive if beat["age_ms"] < ALIVE_MS), key=lambda beat: str(beat["id"]))


def gone(found: Mapping[bytes, bytes], after_ms: int = GONE_MS, now: int | None = None) -> list[str]:
    """The ids of those that have been silent for longer than that."""
    now = now_ms() if now is None else now
    return [id_ for id_, beat in beats_of(found).items() if age_ms(beat, now) > after_ms]
