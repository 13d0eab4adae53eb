"""Figures of models, and of one worker by itself, through a real Redis and a provider that plays scripts."""

from __future__ import annotations

import asyncio

from ai_assistant.core import genai
from ai_assistant.core.metrics import render
from ai_assistant.core.model import Prices
from ai_assistant.streams.metrics import collect
from ai_assistant.streams.tasks import Tasks
from tests.kit import MODEL, QUICK, Site, model, start, wait_final, wait_until, working
from tests.prometheus import Page
from tests.servers import Delta, Endless, Finish, Refusal, Upstream

OWN = {"gen_ai_operation_name": "chat", "gen_ai_provider_name": "openai", "gen_ai_request_model": "x"}
LABELS = {"gen_ai_provider_name": "openai", "gen_ai_request_model": "x"}


def page_of(tasks: Tasks) -> Page:
    """The figures as they stand."""
    return Page(render(collect(tasks)))


def sample(page: Page, name: str, **labels: str) -> float:
    """A line by its whole name; 0 where there is none."""
    return page.samples.get((name, frozenset({**OWN, **labels}.items())), 0.0)


def site(upstream: Upstream, retries: int = 0) -> Site:
    """A site with one model, which costs a dollar for each token."""
    return Site({MODEL: model(upstream.base, retries=retries, prices=Prices(input=1e6, output=1e6))})


async def test_calls_of_several_workers_add_up(tasks: Tasks, redis_url: str, upstream: Upstream) -> None:
    upstream.play("think", Delta(reasoning="Hm."), Delta(text="a"), Delta(text="b"), Finish())
    for _ in range(2):
        async with working(redis_url, site(upstream)):
            await asyncio.to_thread(wait_final, tasks, start(tasks, "think"))
    page = page_of(tasks)
    assert sample(page, f"{genai.DURATION}_count") == 2
    assert sample(page, f"{genai.FIRST_CHUNK}_count") == sample(page, f"{genai.FIRST_TOKEN}_count") == 2
    assert sample(page, f"{genai.TOKEN_USAGE}_sum", gen_ai_token_type="input") == 6
    assert page.get("tokens_total", type="output", **LABELS) == 10
    assert page.get("cost_dollars_total", **LABELS) == 16
    assert (page.get("chunks_total", type="text"), page.get("chunks_total", type="reasoning")) == (4, 2)


async def test_each_attempt_is_a_call(tasks: Tasks, redis_url: str, upstream: Upstream) -> None:
    upstream.play("fail", Refusal(500, "no"))
    async with working(redis_url, site(upstream, retries=1)):
        await asyncio.to_thread(wait_final, tasks, start(tasks, "fail"))
    page = page_of(tasks)
    assert sample(page, f"{genai.DURATION}_count", error_type="provider_unavailable") == 2
    assert sample(page, f"{genai.FIRST_CHUNK}_count") == 0
    assert page["provider_retries_total"] == 1


async def test_a_model_that_is_paused_is_not_called(tasks: Tasks, redis_url: str, upstream: Upstream) -> None:
    upstream.play("fail", Refusal(503, "no"))
    async with working(redis_url, site(upstream)):
        for _ in range(10):
            await asyncio.to_thread(wait_final, tasks, start(tasks, "fail"))
        await asyncio.to_thread(wait_until, lambda: page_of(tasks).get("breakers", model=MODEL, state="open") == 1)
    page = page_of(tasks)
    assert sample(page, f"{genai.DURATION}_count", error_type="provider_unavailable") == 8 == len(upstream.of("fail"))
    assert page["provider_failures_total"] == 10


async def test_a_cancelled_call(tasks: Tasks, redis_url: str, upstream: Upstream) -> None:
    upstream.play("endless", Endless())
    async with working(redis_url, site(upstream)):
        ref = start(tasks, "endless")
        await asyncio.to_thread(upstream.wait_call, "endless")
        await asyncio.to_thread(wait_until, lambda: tasks.get(ref).seq > 2)
        assert page_of(tasks).get("provider_streams", state="open") is not None
        await asyncio.to_thread(tasks.cancel, ref, "u")
        await asyncio.to_thread(wait_final, tasks, ref)
    assert sample(page_of(tasks), f"{genai.DURATION}_count", error_type="cancelled") == 1


async def test_one_worker_by_itself(tasks: Tasks, redis_url: str, upstream: Upstream) -> None:
    upstream.play("think", Delta(text="a"), Finish())
    upstream.play("fail", Refusal(401, "no"))
    async with working(redis_url, site(upstream)):
        await asyncio.to_thread(wait_final, tasks, start(tasks, "think"))
    async with working(redis_url, site(upstream), QUICK) as worker:
        for text in ("think", "fail"):
            await asyncio.to_thread(wait_final, tasks, start(tasks, text))
        await asyncio.to_thread(wait_until, lambda: ended(worker) == 2)
        page = Page(render(worker.families()))
    assert page.get("worker_tasks_ended_total", status="completed", code="") == 1
    assert page.get("worker_tasks_ended_total", status="failed", code="provider_auth") == 1
    assert page["worker_tasks_taken_total"] == 2, "the other worker's are its own"
    assert sample(page, f"{genai.DURATION}_count") == 1
    assert page.get("worker_breakers", model=MODEL, state="closed") == 1


def ended(worker: object) -> int:
    """Tasks that a worker has ended."""
    page = Page(render(worker.families()))  # type: ignore[attr-defined]
    return sum(int(value) for (name, _), value in page.samples.items() if name.endswith("worker_tasks_ended_total"))
