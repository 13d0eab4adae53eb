"""`@traced`: calls of a function become observations. Also a context manager: `with traced("step"):`."""

from __future__ import annotations

import difflib
import functools
import inspect
import weakref
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from types import AsyncGeneratorType, CoroutineType, GeneratorType, TracebackType
from typing import Any, ParamSpec, TypeVar, overload

import msgspec

from ai_assistant.core.trace import TYPES
from ai_assistant.tracing import state
from ai_assistant.tracing.columns import COLUMNS
from ai_assistant.tracing.context import CURRENT
from ai_assistant.tracing.generators import trace_async_generator, trace_generator
from ai_assistant.tracing.no_span import nothing
from ai_assistant.tracing.settings import SettingError, settings_from
from ai_assistant.tracing.span import Span, leave
from ai_assistant.tracing.tracer import Tracer

LATER = frozenset({CoroutineType, GeneratorType, AsyncGeneratorType})
"""What a plain function may give that has yet to do its work."""

CACHE_METHODS = ("cache_clear", "cache_info", "cache_parameters")

Params = ParamSpec("Params")
Result = TypeVar("Result")

OPTIONS = (
    "capture_input", "capture_output", "capture_reasoning", "reasoning_max_length", "sample_rate", "max_payload_chars",
)  # fmt: skip
"""Settings that one function may have of its own."""


@overload
def traced(function: Callable[Params, Result], /) -> Callable[Params, Result]: ...


@overload
def traced(name: str | None = None, /, **options: Any) -> Traced: ...


def traced(function: Any = None, /, *, name: str | None = None, type: str = "span", **options: Any) -> Any:
    """Makes each call of a function an observation: plain functions, coroutines, generators and async generators,
    methods, static and class methods. `@traced`, `@traced("name", type="tool")`; or `with traced("step") as span:`.

    `type`: span, generation, tool, agent, retriever or event. Options: `capture_input`, `capture_output`,
    `capture_reasoning`, `reasoning_max_length`, `sample_rate`, `max_payload_chars`, each as in `init`, for this
    function only; `sample_rate` counts where the call begins a trace. `input`, `metadata`, `model` and other columns
    are noted with each call. Raises ValueError for an option that is wrong and TypeError for what is no function: that
    is found when the program starts.
    """
    if isinstance(function, str):
        name, function = function, None
    made = Traced(name, type, options)
    return made if function is None else made(function)


class Traced:
    """What `traced` gives: a decorator and a context manager."""

    def __init__(self, name: str | None, type_: str, options: dict[str, Any]):
        if type_ not in TYPES:
            raise SettingError(f"type: must be one of {', '.join(TYPES)}, not {type_!r}")
        self._name = name
        self._type = type_
        own = {key: options.pop(key) for key in OPTIONS if key in options}
        settings, problems = settings_from(own, {})
        if problems:
            raise SettingError("; ".join(problems))
        self._own = {key: getattr(settings, key) for key in own}
        for key in options:  # a column or metadata, unless it is meant as one of the above: not to capture, perhaps
            if key not in COLUMNS and (meant := difflib.get_close_matches(key, OPTIONS, n=1, cutoff=0.8)):
                raise SettingError(f"{key}: there is no such option; did you mean {meant[0]}?")
        self._values = options
        self._tracers: tuple[Tracer, Tracer] | None = None
        self._open: list[Span] = []
        """Those of its blocks that are open: one may be entered again within itself, and by several threads."""

    def __call__(self, function: Any) -> Any:
        """The function, traced. Raises TypeError for what is none."""
        if isinstance(function, staticmethod | classmethod):
            return function.__class__(self(function.__func__))
        if isinstance(function, property):
            return function.getter(self(function.fget))
        if isinstance(function, functools.cached_property):
            return functools.cached_property(self(function.func))
        if isinstance(function, type) or not callable(function):
            what = f"the class {function.__name__}" if isinstance(function, type) else type(function).__name__
            raise TypeError(f"traced: must be given a function, not {what}; of a class, decorate the methods")
        name = self._name or name_of(function)
        # what a decorator below this one has made is judged by itself, not by what it was made from: it may give
        # something else
        if inspect.isasyncgenfunction(function):
            return self._of_async_generator(function, name)
        if inspect.isgeneratorfunction(function):
            return self._of_generator(function, name)
        if inspect.iscoroutinefunction(function):
            return self._of_coroutine(function, name)
        return self._of_function(function, name)

    def _of_function(self, function: Callable[..., Any], name: str) -> Callable[..., Any]:
        begin, enter, reset, finish = self._beginning(function, name), CURRENT.set, CURRENT.reset, finished

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            span = begin(args, kwargs)
            if span is None:
                return function(*args, **kwargs)
            token = enter(span)
            try:
                result = function(*args, **kwargs)
            except BaseException as error:
                reset(token)
                span.end_with(error)
                raise
            reset(token)
            if type(result) in LATER:
                return later(span, result)
            finish(span, result)
            return result

        for extra in CACHE_METHODS:  # of functools' caches, which have them besides their attributes
            if hasattr(function, extra):
                setattr(call, extra, getattr(function, extra))
        return call

    def _of_coroutine(self, function: Callable[..., Any], name: str) -> Callable[..., Any]:
        begin, enter, finish = self._beginning(function, name), CURRENT.set, finished

        @functools.wraps(function)
        async def call(*args: Any, **kwargs: Any) -> Any:
            span = begin(args, kwargs)
            if span is None:
                return await function(*args, **kwargs)
            span._token = enter(span)
            try:
                result = await function(*args, **kwargs)
            except BaseException as error:
                leave(span)
                span.end_with(error)
                raise
            leave(span)
            finish(span, result)
            return result

        return call

    def _of_generator(self, function: Callable[..., Generator[Any, Any, Any]], name: str) -> Callable[..., Any]:
        begin = self._beginning(function, name)

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
            span = begin(args, kwargs)
            generator = function(*args, **kwargs)
            if span is None:
                return (yield from generator)
            return (yield from trace_generator(generator, span))

        return call

    def _of_async_generator(self, function: Callable[..., AsyncGenerator[Any, Any]], name: str) -> Callable[..., Any]:
        begin = self._beginning(function, name)

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
            return trace_async_generator(function(*args, **kwargs), lambda: begin(args, kwargs))

        return call

    def _beginning(self, function: Callable[..., Any], name: str) -> Callable[[Any, Any], Span | None]:
        """Begins a call's observation; None where it is not traced. Never raises."""
        given_to = arguments_of(function)
        active, current, kind, values = state.active, CURRENT.get, self._type, self._values

        def begin(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Span | None:
            tracer = active()
            if tracer is None:
                return None
            try:
                parent = current()
                if parent is not None:
                    if not parent.state.lane:
                        return None
                    tracer = parent.tracer.base
                if self._own:
                    tracer = self._tracer(tracer)
                given = given_to(args, kwargs) if args or kwargs else None
                return tracer.start(name, kind, parent=parent, given=given, **values)
            except Exception as error:  # noqa: BLE001  # counted and logged; tracing must not break its program
                tracer.failed("the beginning of a call", error)
                return None

        return begin

    def _tracer(self, tracer: Tracer) -> Tracer:
        """The tracer with this function's own settings."""
        known = self._tracers
        if known is None or known[0] is not tracer:
            settings = msgspec.structs.replace(tracer.settings, **self._own)
            own = Tracer(tracer.pipeline, settings, tracer.site, ids=tracer.ids, clock=tracer.clock)
            own.base = tracer
            known = self._tracers = (tracer, own)
        known[1].queue, known[1].ids = tracer.queue, tracer.ids  # new ones after a fork
        return known[1]

    def __enter__(self) -> Span:
        span = self._begun().__enter__()
        self._open.append(span)
        return span

    def _begun(self) -> Span:
        tracer = state.active()
        if tracer is None:
            return nothing(None)
        try:
            parent = CURRENT.get()
            if parent is not None and parent.state.lane:
                tracer = parent.tracer.base
            tracer = self._tracer(tracer) if self._own else tracer
            return tracer.start(self._name or "step", self._type, parent=parent, **self._values)
        except Exception as error:  # noqa: BLE001  # counted and logged; tracing must not break its program
            tracer.failed("the beginning of a block", error)
            return nothing(None)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if not self._open:
            return
        current, last = CURRENT.get(), self._open[-1]
        span = current if current is not None and current in self._open else last
        self._open.remove(span)
        span.__exit__(kind, error, tb)

    async def __aenter__(self) -> Span:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, tb)


def name_of(function: Any) -> str:
    """What a function is called; of a partial one the name of the function within, of an object its class's."""
    while isinstance(function, functools.partial):
        function = function.func
    return getattr(function, "__qualname__", type(function).__name__).replace("<locals>.", "")


def later(span: Span, result: Any) -> Any:
    """The same coroutine or generator that a plain function has given, with `span` as the current observation inside
    it: the call ends with it, or when nobody wants it any more."""
    if isinstance(result, CoroutineType):
        wrapped: Any = await_within(span, result)
    elif isinstance(result, GeneratorType):
        wrapped = trace_generator(result, span)
    else:
        wrapped = trace_async_generator(result, lambda: span)
    weakref.finalize(wrapped, span.end, status="cancelled").atexit = False  # one that is never begun ends nothing
    return wrapped


async def await_within(span: Span, coroutine: Coroutine[Any, Any, Any]) -> Any:
    """The result of the coroutine."""
    with span:
        result = await coroutine
        finished(span, result)
        return result


def finished(span: Span, result: Any) -> None:
    """Ends a call's observation. Never raises."""
    try:
        span.finish(result)
    except Exception as error:  # noqa: BLE001  # counted and logged; tracing must not break its program
        span.tracer.failed("the end of a call", error)


def arguments_of(function: Callable[..., Any]) -> Callable[[tuple[Any, ...], dict[str, Any]], dict[str, Any] | None]:
    """What gives a call's arguments by name, without `self` and `cls`; None where there are none."""
    names, skip = parameter_names(function)
    count = len(names)

    def given_to(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any] | None:
        if skip:
            args = args[skip:]
        given = dict(zip(names, args, strict=False))
        if len(args) > count:
            given["args"] = list(args[count:])
        if kwargs:
            given |= kwargs
        return given or None

    return given_to


def parameter_names(function: Callable[..., Any]) -> tuple[tuple[str, ...], int]:
    """The names of positional parameters, and how many of them come first that are no input: `self` or `cls`."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # a built-in without a signature
        return (), 0
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    names = tuple(parameter.name for parameter in parameters if parameter.kind in positional)
    skip = 1 if names and names[0] in ("self", "cls") else 0
    return names[skip:], skip
