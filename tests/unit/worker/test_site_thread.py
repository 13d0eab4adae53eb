"""A site's thread whose database never answers."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

from ai_assistant.core.errors import ServiceUnavailableError
from ai_assistant.worker.site_thread import SiteThreads
from tests.kit import Site

STUCK_S = 0.3


async def test_a_unit_that_does_not_end_gets_the_site_another_thread() -> None:
    threads, answer, began = SiteThreads(Site({}), stuck_s=STUCK_S), threading.Event(), threading.Event()

    def never(_access: Any) -> str:
        began.set()
        answer.wait(20)
        return "late"

    stuck = asyncio.create_task(threads.run("a", never))
    await asyncio.to_thread(began.wait, 5)
    behind = asyncio.create_task(threads.run("a", lambda _access: "behind"))
    assert await threads.run("b", lambda _access: "another site") == "another site"
    await asyncio.sleep(STUCK_S + 0.1)
    assert await asyncio.wait_for(threads.run("a", lambda _access: "new"), 5) == "new"
    with pytest.raises(ServiceUnavailableError, match="does not answer"):
        await asyncio.wait_for(behind, 5)
    answer.set()
    assert await asyncio.wait_for(stuck, 5) == "late"
    threads.close()


async def test_a_caller_that_is_cancelled_hears_that() -> None:
    threads, answer = SiteThreads(Site({})), threading.Event()
    first = asyncio.create_task(threads.run("a", lambda _access: answer.wait(20)))
    second = asyncio.create_task(threads.run("a", lambda _access: None))
    await asyncio.sleep(0.05)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    answer.set()
    await first
    threads.close()


async def test_units_of_a_site_keep_their_order_and_their_thread() -> None:
    threads, found = SiteThreads(Site({}), stuck_s=STUCK_S), []

    def unit(number: int) -> int:
        time.sleep(STUCK_S / 4)
        found.append(number)
        return threading.get_ident()

    idents = await asyncio.gather(*(threads.run("a", lambda _access, n=n: unit(n)) for n in range(6)))
    assert found == list(range(6))
    assert len(set(idents)) == 1, "many units are not one that takes long"
    threads.close()
