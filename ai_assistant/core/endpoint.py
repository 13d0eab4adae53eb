"""Declares an endpoint once for both hosts: what `api/` decorates its functions with.

The embedded host serves what is registered here; on a Frappe site the same decorator whitelists the function.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextvars import ContextVar
from typing import IO, Any, Literal, TypeVar

import msgspec

from ai_assistant.core.ports import RequestHost

Method = Literal["GET", "POST"]
Function = TypeVar("Function", bound=Callable[..., Any])


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A function that clients may call as `/api/method/<dotted>`."""

    dotted: str
    function: Callable[..., Any]
    methods: tuple[Method, ...]
    allow_guest: bool
    reviewers: bool
    """Whether the role AI Trace Reviewer alone opens it, where roles open endpoints."""
    summary: str
    parameters: dict[str, inspect.Parameter]


class TextAnswer(msgspec.Struct, frozen=True):
    """What an endpoint gives that answers with plain text instead of `{"message": …}`."""

    text: str
    content_type: str


class ProtocolAnswer(msgspec.Struct, frozen=True):
    """What an endpoint gives that speaks another protocol, whose requests and answers are protobuf or JSON."""

    data: bytes
    content_type: str


class FileAnswer(msgspec.Struct, frozen=True):
    """What an endpoint gives that answers with a document to be kept; whoever sends it closes `file`."""

    file: IO[bytes]
    size: int
    """In bytes."""
    content_type: str
    name: str
    """What the file is to be called: letters, digits, dots and dashes."""


ENDPOINTS: dict[str, Endpoint] = {}
_host: ContextVar[RequestHost] = ContextVar("ai_assistant_host")


def endpoint(
    *, methods: tuple[Method, ...], allow_guest: bool = False, reviewers: bool = False
) -> Callable[[Function], Function]:
    """Registers the decorated function under its module's package and its own name."""

    def register(function: Function) -> Function:
        dotted = f"ai_assistant.api.{function.__name__}"
        ENDPOINTS[dotted] = Endpoint(
            dotted=dotted,
            function=function,
            methods=methods,
            allow_guest=allow_guest,
            reviewers=reviewers,
            summary=(inspect.getdoc(function) or "").split("\n", 1)[0],
            parameters=dict(inspect.signature(function).parameters),
        )
        return function

    return register


def use_host(host: RequestHost) -> Any:
    """Makes `host` the one that endpoints of this context answer for; gives the token to reset it."""
    return _host.set(host)


def current_host() -> RequestHost:
    """The host of the request that is being answered."""
    return _host.get()
