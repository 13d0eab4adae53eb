"""Checks arguments against the annotations of an endpoint, as Frappe does with pydantic's lax mode.

Unknown arguments are dropped (v15 `frappe.get_newargs`); a wrong type is 417 in the words of
`frappe/utils/typing_validations.py`.
"""

from __future__ import annotations

import inspect
import types
from typing import Any, Union, get_args, get_origin

from ai_assistant.core.endpoint import Endpoint
from ai_assistant.host.errors import ArgumentTypeError

_MISSING = object()
_FLOAT_EXACT = 2**53
"""Up to here every whole number is a float without loss."""


def bind_arguments(endpoint: Endpoint, given: dict[str, Any]) -> dict[str, Any]:
    """The arguments that `endpoint` takes, each of an annotated type. Raises ArgumentTypeError naming the first
    that is not."""
    return {
        name: checked(name, given[name], parameter) for name, parameter in endpoint.parameters.items() if name in given
    }


def checked(name: str, value: Any, parameter: inspect.Parameter) -> Any:
    """`value`, cast where nothing is lost by it."""
    if parameter.annotation in (Any, inspect.Parameter.empty):
        return value
    allowed = accepted_types(parameter.annotation)
    if type(value) in allowed:
        return value
    cast = cast_to(value, allowed)
    if cast is _MISSING:
        raise ArgumentTypeError(
            f"Argument '{name}' should be of type '{type_name(parameter.annotation)}' "
            f"but got '{type(value).__name__}' instead."
        )
    return cast


def accepted_types(annotation: Any) -> tuple[type, ...]:
    """The members of a union, or the one type."""
    if get_origin(annotation) in (Union, types.UnionType):
        return tuple(get_origin(member) or member for member in get_args(annotation))
    return (get_origin(annotation) or annotation,)


def cast_to(value: Any, allowed: tuple[type, ...]) -> Any:
    """A number as another kind of number, text as a number where text is not accepted; else _MISSING."""
    if isinstance(value, bool | int) and int in allowed:
        return int(value)
    if isinstance(value, bool | int) and float in allowed and abs(value) <= _FLOAT_EXACT:
        return float(value)
    if isinstance(value, float) and int in allowed and value.is_integer():
        return int(value)
    if isinstance(value, str):
        return number_from(value, allowed)
    return _MISSING


def number_from(text: str, allowed: tuple[type, ...]) -> Any:
    """The number that `text` spells, or _MISSING."""
    for kind in (int, float):
        if kind in allowed:
            try:
                return kind(text)
            except ValueError:
                continue
    return _MISSING


def type_name(annotation: Any) -> str:
    """The annotation as Python writes it."""
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)
