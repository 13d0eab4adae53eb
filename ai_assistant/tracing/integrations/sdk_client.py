"""Observes a client of the SDKs that OpenAI and Anthropic publish, which are generated alike.

Every call of theirs, however it is made (`create`, `parse`, `stream`, `with_raw_response`, `beta`), goes through the
client's `post`. That is where it is watched: with what is sent, and what comes back.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, TypeVar

from ai_assistant.tracing.integrations.answers import Answer
from ai_assistant.tracing.integrations.options import DEFAULT, Options
from ai_assistant.tracing.integrations.payload import listed, split_request
from ai_assistant.tracing.integrations.recording import Recording, begin, harmless
from ai_assistant.tracing.integrations.streams import watch_stream

MARK: Final = "_ai_assistant_observed"
RAW_HEADER: Final = "X-Stainless-Raw-Response"
"""Set by `with_raw_response` and, as `stream`, by `with_streaming_response`, whose body only the program may read."""

C = TypeVar("C")


class Endpoint(NamedTuple):
    """A path that is watched."""

    operation: str
    """As the conventions of OpenTelemetry name it: `chat`, `embeddings`."""
    answer: Callable[[Recording], Answer]


class Observed(NamedTuple):
    """How one client is observed."""

    endpoints: Mapping[str, Endpoint]
    provider: str
    options: Options
    name: str | None
    metadata: Mapping[str, Any] | None


def observe(client: C, how: Observed) -> C:
    """Watches the calls of a client, and of the clients made from it by `with_options` and `copy`. Gives the same
    client; a second time changes nothing."""
    if MARK in vars(client):
        return client
    post = client.post  # type: ignore[attr-defined]
    watched = async_post(post, how) if inspect.iscoroutinefunction(post) else sync_post(post, how)
    setattr(client, MARK, how)
    client.post = watched  # type: ignore[attr-defined]
    rebind(client, watched, set())
    for name in ("copy", "with_options"):
        if callable(getattr(client, name, None)):
            setattr(client, name, observed_copy(getattr(client, name), how))
    return client


def observed_copy(copy: Callable[..., Any], how: Observed) -> Callable[..., Any]:
    """`copy` of a client, whose result is observed too."""

    @functools.wraps(copy)
    def copied(*args: Any, **kwargs: Any) -> Any:
        return observe(copy(*args, **kwargs), how)

    return copied


def rebind(holder: Any, post: Callable[..., Any], seen: set[int]) -> None:
    """Resources that were made before, as `client.chat.completions`, hold the client's own `post`: they get this."""
    for value in list(vars(holder).values()):
        if "_post" in getattr(value, "__dict__", ()) and id(value) not in seen:
            seen.add(id(value))
            value._post = post
            rebind(value, post, seen)


def sync_post(post: Callable[..., Any], how: Observed) -> Callable[..., Any]:
    """`post` of a synchronous client, watched."""

    @functools.wraps(post)
    def watched(path: str, *args: Any, **kwargs: Any) -> Any:
        answer = start(path, kwargs, how)
        if answer is None:
            return post(path, *args, **kwargs)
        try:
            received = post(path, *args, **kwargs)
        except BaseException as error:
            answer.failed(error)
            raise
        take(answer, parsed(received, kwargs))
        return received

    return watched


def async_post(post: Callable[..., Any], how: Observed) -> Callable[..., Any]:
    """`post` of an asynchronous client, watched."""

    @functools.wraps(post)
    async def watched(path: str, *args: Any, **kwargs: Any) -> Any:
        answer = start(path, kwargs, how)
        if answer is None:
            return await post(path, *args, **kwargs)
        try:
            received = await post(path, *args, **kwargs)
        except BaseException as error:
            answer.failed(error)
            raise
        found = parsed(received, kwargs)
        take(answer, await settled(found) if inspect.isawaitable(found) else found)
        return received

    return watched


@harmless
def start(path: str, kwargs: dict[str, Any], how: Observed) -> Answer | None:
    """Begins the observation of a call; `None` where it is none that is watched, or nothing is traced."""
    endpoint = how.endpoints.get(path.partition("?")[0])
    if endpoint is None or raw_mode(kwargs) == "stream":
        return None
    body = kwargs["body"] = listed(kwargs.get("body"))
    sent = {**(body if isinstance(body, Mapping) else {}), **(options_of(kwargs).get("extra_json") or {})}
    content, parameters = split_request(sent)
    model = str(sent.get("model") or "")
    span = begin(
        how.name or f"{endpoint.operation} {model}".strip(),
        "generation",
        input=content if how.options.capture_input else None,
        model=model or None,
        provider=how.provider,
        metadata={**(how.metadata or {}), **({"model_parameters": parameters} if parameters else {})} or None,
    )
    return endpoint.answer(Recording(span, how.options)) if span.is_recording else None


def options_of(kwargs: Mapping[str, Any]) -> Mapping[str, Any]:
    """The request's options."""
    options = kwargs.get("options")
    return options if isinstance(options, Mapping) else {}


def raw_mode(kwargs: Mapping[str, Any]) -> str | None:
    """How the program wants the response: `None`: parsed; `true`, `raw`: with its headers; `stream`: unread."""
    headers = options_of(kwargs).get("headers")
    return headers.get(RAW_HEADER) if isinstance(headers, Mapping) else None


@harmless
def parsed(received: Any, kwargs: Mapping[str, Any]) -> Any:
    """What the program will read. A raw response keeps what `parse` gives, so that the program gets the same."""
    return received.parse() if raw_mode(kwargs) else received


async def settled(found: Any) -> Any:
    """Of a raw response whose `parse` is a coroutine."""
    try:
        return await found
    except Exception:  # noqa: BLE001  # the program meets the same error at its own `parse`
        return None


def take(answer: Answer, received: Any) -> None:
    """Reads what came: a stream as the program reads it, anything else now."""
    if not watch_stream(received, answer):
        answer.whole(received)


def checked(function: str, client: Any, needs: tuple[str, ...], expected: str) -> None:
    """Raises TypeError where `client` is no client of the SDK."""
    if not all(hasattr(client, name) for name in ("post", *needs)):
        raise TypeError(f"{function}: client must be {expected}, not {type(client).__name__}")


def options_from(where: str, given: Mapping[str, Any]) -> Options:
    """Options of an integration. Raises ValueError naming what is wrong."""
    return DEFAULT.merged(given, where)
