"""`@traced` on everything that can be called: what is noted, and that the function stays what it was."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import inspect
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest

from ai_assistant import tracing
from ai_assistant.tracing import testing
from ai_assistant.tracing.settings import SettingError


@pytest.fixture
def traces():
    with testing.recorded() as found:
        yield found


def test_a_function_with_its_arguments_and_result(traces):
    @tracing.traced
    def add(a, b=2, *rest, c=3, **more):
        """Adds."""
        return {"sum": a + b}

    assert add(1, 5, 7, c=4, d=6) == {"sum": 6}
    row = traces.named("test_a_function_with_its_arguments_and_result.add")
    assert row["input"] == '{"a":1,"b":5,"args":[7],"c":4,"d":6}'
    assert row["output"] == '{"sum":6}'
    assert (row["type"], row["status"], row["parent"]) == ("span", "completed", "")
    assert row["ended_at"] > row["started_at"]
    assert add.__doc__ == "Adds."
    assert list(inspect.signature(add).parameters) == ["a", "b", "rest", "c", "more"]


def test_names_types_and_columns(traces):
    @tracing.traced("label", type="tool", model="m-1", metadata={"k": 1}, team="blue")
    def f():
        return None

    f()
    row = traces.named("label")
    assert (row["type"], row["model"], row["metadata"]) == ("tool", "m-1", '{"k":1,"team":"blue"}')
    assert "output" not in row


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"type": "thing"}, "type: must be one of"),
        ({"sample_rate": 2}, "sample_rate: must be from 0 to 1"),
        ({"capture_input": "perhaps"}, "capture_input: must be true or false"),
        ({"reasoning_max_length": -1}, "reasoning_max_length: must be from 0"),
        ({"capture_inptu": False}, "capture_inptu: there is no such option; did you mean capture_input"),
    ],
)
def test_wrong_options_are_told_when_the_program_starts(options, message):
    with pytest.raises(SettingError, match=message):
        tracing.traced(**options)


def test_methods_do_not_note_self_and_keep_their_kind(traces):
    class Thing:
        @tracing.traced
        def method(self, x):
            return x

        @tracing.traced
        @staticmethod
        def static(x):
            return x

        @tracing.traced
        @classmethod
        def of_class(cls, x):
            return cls.__name__ + x

    assert Thing().method("m") == "m"
    assert Thing.static("s") == "s"
    assert Thing.of_class("c") == "Thingc"
    assert [row["input"] for row in traces.observations()] == ['{"x":"m"}', '{"x":"s"}', '{"x":"c"}']


def test_an_exception_is_recorded_and_goes_on(traces):
    @tracing.traced
    def fail():
        raise LookupError("not there")

    with pytest.raises(LookupError):
        fail()
    row = traces.observations()[0]
    assert (row["status"], row["error_type"], row["error_message"], row["level"]) == (
        "failed", "LookupError", "not there", "error",
    )  # fmt: skip
    assert "raise LookupError" in row["error_stack"]


async def test_a_coroutine_and_its_children(traces):
    @tracing.traced
    async def leaf(n):
        await asyncio.sleep(0)
        return n

    @tracing.traced
    async def root():
        return await asyncio.gather(*(leaf(n) for n in range(3)))

    assert await root() == [0, 1, 2]
    assert inspect.iscoroutinefunction(root)
    name = "test_a_coroutine_and_its_children"
    await asyncio.to_thread(traces.client.flush)
    assert traces.tree() == [f"{name}.root", *[f"  {name}.leaf"] * 3]


async def test_a_cancelled_coroutine(traces):
    @tracing.traced
    async def forever():
        await asyncio.sleep(3600)

    task = asyncio.ensure_future(forever())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    row = (await asyncio.to_thread(traces.observations))[0]
    assert row["status"] == "cancelled"
    assert "error_type" not in row


def test_a_generator_keeps_its_context_and_leaves_none_behind(traces):
    seen = []

    @tracing.traced
    def numbers(n):
        for i in range(n):
            seen.append(tracing.current().id)
            tracing.event(f"at {i}")
            received = yield i
            seen.append(received)
        return "done"

    @tracing.traced("consumer")
    def consume():
        mine = tracing.current().id
        generator = numbers(2)
        assert next(generator) == 0
        assert tracing.current().id == mine
        assert generator.send("hello") == 1
        assert tracing.current().id == mine
        with pytest.raises(StopIteration) as stop:
            next(generator)
        assert stop.value.value == "done"

    consume()
    row = next(row for row in traces.observations() if row["title"].endswith(".numbers"))
    assert seen == [row["span"], "hello", row["span"], None]
    assert (row["status"], row["output"]) == ("completed", "done")
    assert [line.strip() for line in traces.tree()][2:] == ["at 0", "at 1"]


def test_a_generator_that_is_left_unfinished_closes_its_observation(traces):
    closed = []

    @tracing.traced
    def letters():
        try:
            yield "a"
            yield "b"
        finally:
            closed.append(tracing.current().is_recording)

    for _ in letters():
        break
    gc.collect()
    row = traces.observations()[0]
    assert (row["status"], row["output"]) == ("cancelled", "a")
    assert closed == [True]


def test_a_generator_that_raises_and_one_that_is_thrown_into(traces):
    @tracing.traced("raises")
    def raises():
        yield 1
        raise KeyError("x")

    with pytest.raises(KeyError):
        list(raises())
    assert (traces.named("raises")["status"], traces.named("raises")["output"]) == ("failed", "[1]")

    @tracing.traced("catches")
    def catches():
        try:
            yield 1
        except ValueError:
            yield 2

    generator = catches()
    assert next(generator) == 1
    assert generator.throw(ValueError("thrown in")) == 2
    assert list(generator) == []
    assert traces.named("catches")["status"] == "completed"


def test_a_generator_that_is_never_asked_begins_nothing(traces):
    @tracing.traced
    def never():
        yield 1

    never()
    assert traces.observations() == []


async def test_an_async_generator(traces):
    @tracing.traced("stream")
    async def stream():
        for piece in ("Hel", "lo"):
            await asyncio.sleep(0)
            assert tracing.current().is_recording
            yield piece

    assert [piece async for piece in stream()] == ["Hel", "lo"]
    row = await asyncio.to_thread(traces.named, "stream")
    assert (row["status"], row["output"]) == ("completed", "Hello")
    assert inspect.isasyncgen(stream())


async def test_an_async_generator_that_is_closed_early(traces):
    @tracing.traced("stream")
    async def stream():
        yield 1
        yield 2

    generator = stream()
    assert await generator.__anext__() == 1
    await generator.aclose()
    assert (await asyncio.to_thread(traces.named, "stream"))["status"] == "cancelled"


def test_as_a_context_manager(traces):
    with tracing.traced("step", type="agent") as span:
        span.update(output="x")
        with pytest.raises(ZeroDivisionError), tracing.span("inner"):
            raise ZeroDivisionError
    assert traces.tree() == ["step", "  inner"]
    assert traces.named("inner")["status"] == "failed"
    assert traces.named("step")["status"] == "completed"


async def test_as_an_async_context_manager(traces):
    async with tracing.span("outer"), tracing.traced("inner"):
        await asyncio.sleep(0)
    assert (await asyncio.to_thread(traces.tree)) == ["outer", "  inner"]


def test_settings_of_one_function_are_its_own(traces):
    @tracing.traced("inner")
    def inner(word):
        tracing.current().append_reasoning("0123456789")
        return word

    @tracing.traced("outer", capture_input=False, capture_output=False, reasoning_max_length=4)
    def outer(word):
        tracing.current().append_reasoning("0123456789")
        return inner(word)

    outer("s")
    assert {"input", "output"}.isdisjoint(traces.named("outer"))
    row = traces.named("outer")
    assert (row["reasoning"], row["reasoning_chars"], row["reasoning_truncated"]) == ("0123", 10, 1)
    assert traces.named("inner")["input"] == '{"word":"s"}'
    assert traces.named("inner")["reasoning_truncated"] == 0


def test_threads_and_pools_go_on_below_who_started_them(traces):
    @tracing.traced("work")
    def work():
        return tracing.current().parent_id

    with tracing.span("root") as root:
        with ThreadPoolExecutor(2) as pool:
            assert {pool.submit(work).result() for _ in range(4)} == {root.id}
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    work()
    assert traces.tree() == ["root", *["  work"] * 5, "work"]


def test_sampling_keeps_or_leaves_whole_traces():
    @tracing.traced("leaf")
    def leaf():
        return tracing.traceparent()

    @tracing.traced("root")
    def root():
        return leaf()

    with testing.recorded(fixed=False, sample_rate=0.5) as traces:
        headers = [root() for _ in range(200)]
    kept = {row["trace"] for row in traces.observations()}
    assert 60 < len(kept) < 140
    assert len(traces.observations()) == 2 * len(kept)
    assert {header[3:35] for header in headers if header.endswith("-01")} == kept


def test_where_nothing_is_traced_nothing_happens():
    @tracing.traced
    def f(x):
        tracing.update(output=1)
        tracing.event("e")
        tracing.progress(1, 2)
        tracing.score("s", 1)
        tracing.set_trace(user="u")
        with tracing.span("s") as span:
            span.fail(ValueError())
        return x

    with testing.recorded(enabled=False) as traces:
        assert f(1) == 1
        assert tracing.traceparent() == ""
    assert traces.events == []


def test_a_failure_of_tracing_is_counted_and_never_the_programs(traces, caplog):
    class Bad:
        def __int__(self):
            raise RuntimeError("bad")

    @tracing.traced("f")
    def f():
        tracing.update(prompt_tokens=Bad())
        tracing.update(cost="many")
        return 1

    assert f() == 1
    assert tracing.status()["errors"] == 2
    assert "update failed" in caplog.text
    assert traces.named("f")["status"] == "completed"


class Wordless(Exception):
    def __str__(self):
        raise RuntimeError("no words")


def test_an_exception_that_cannot_be_put_into_words_reaches_the_program_as_it_is(traces):
    @tracing.traced("sync")
    def fails():
        raise Wordless

    @tracing.traced("async")
    async def fails_later():
        raise Wordless

    with pytest.raises(Wordless):
        fails()
    with pytest.raises(Wordless):
        asyncio.run(fails_later())
    with pytest.raises(Wordless), tracing.span("block"):
        raise Wordless
    for name in ("sync", "async", "block"):
        row = traces.named(name)
        assert (row["status"], row["error_type"]) == ("failed", "Wordless")
        assert row["error_message"] == "<str raised RuntimeError>"


def test_what_another_decorator_made_stays_what_it_is(traces):
    def run(function):
        @functools.wraps(function)
        def call():
            return asyncio.run(function())

        return call

    def listed(function):
        @functools.wraps(function)
        def call():
            return list(function())

        return call

    @tracing.traced("run")
    @run
    async def answer():
        return 42

    @tracing.traced("listed")
    @listed
    def items():
        yield 1

    @tracing.traced
    @contextlib.contextmanager
    def block():
        yield "inside"

    @tracing.traced
    @contextlib.asynccontextmanager
    async def later_block():
        yield "inside"

    async def enter():
        async with later_block() as found:
            return found

    assert (answer(), items()) == (42, [1])
    with block() as found:
        assert found == "inside"
    assert asyncio.run(enter()) == "inside"
    assert [traces.named(name)["output"] for name in ("run", "listed")] == ["42", "[1]"]


def test_a_plain_function_that_gives_a_coroutine_ends_with_it(traces):
    async def work():
        with tracing.span("inner"):
            return 5

    class Asynchronous:
        async def __call__(self):
            return await work()

    for name, function in (("plain", lambda: work()), ("object", Asynchronous())):
        assert asyncio.run(awaited(tracing.traced(name)(function))) == 5
        row = traces.named(name)
        assert (row["status"], row["output"]) == ("completed", "5")
    assert {row["parent"] for row in traces.observations() if row["title"] == "inner"} == {
        traces.named(name)["span"] for name in ("plain", "object")
    }


async def awaited(function):
    return await function()


def test_a_plain_function_that_gives_a_generator_ends_with_it(traces):
    def items():
        with tracing.span("inner"):
            yield "a"
        yield "b"

    assert list(tracing.traced("plain")(lambda: items())()) == ["a", "b"]
    row = traces.named("plain")
    assert (row["status"], row["output"]) == ("completed", "ab")
    assert traces.named("inner")["parent"] == row["span"]


def test_what_a_plain_function_gives_and_nobody_begins_is_cancelled(traces):
    async def work():
        return None

    def items():
        yield 1

    tracing.traced("generator")(lambda: items())()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        tracing.traced("coroutine")(lambda: work())()
        gc.collect()
    assert [traces.named(name)["status"] for name in ("generator", "coroutine")] == ["cancelled"] * 2


def test_properties_caches_and_partial_functions(traces):
    class Thing:
        @tracing.traced("property")
        @property
        def size(self):
            return 3

        @tracing.traced("cached property")
        @functools.cached_property
        def weight(self):
            return 4

    @tracing.traced("cached")
    @functools.cache
    def price():
        return 5

    def add(a, b):
        return a + b

    assert (Thing().size, Thing().weight, price()) == (3, 4, 5)
    price.cache_clear()
    assert tracing.traced(functools.partial(add, 1))(2) == 3
    assert {row["title"] for row in traces.observations()} == {
        "property",
        "cached property",
        "cached",
        "test_properties_caches_and_partial_functions.add",
    }


@pytest.mark.parametrize("target", [Wordless, 5, [], property()])
def test_what_is_no_function_is_told_when_the_program_starts(target):
    with pytest.raises(TypeError, match="must be given a function"):
        tracing.traced(target)


def test_one_block_entered_within_itself_and_by_several_threads(traces):
    step, inside = tracing.traced("step"), threading.Barrier(2)

    def work():
        with step:
            inside.wait(5)

    with step as outer, step as inner:
        assert inner.parent_id == outer.id
    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rows = traces.observations()
    assert [row["title"] for row in rows] == ["step"] * 4
    assert {row.get("status") for row in rows} == {"completed"}
    assert tracing.current_span().id == "0" * 16


def test_an_async_generator_that_is_collected_after_its_loop(traces):
    async def never():
        await asyncio.get_running_loop().create_future()
        yield 1

    loop = asyncio.new_event_loop()
    generator = tracing.traced("items")(never)()
    task = loop.create_task(generator.__anext__())  # type: ignore[arg-type]
    loop.run_until_complete(asyncio.sleep(0))
    raised = []
    before, sys.unraisablehook = sys.unraisablehook, raised.append
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            loop.close()
            del task, generator
            gc.collect()
    finally:
        sys.unraisablehook = before
    assert not [each for each in raised if isinstance(each.exc_value, ValueError)]
