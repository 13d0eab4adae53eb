"""What every dialect needs: the request merged with the model's own parameters, and JSON encoding."""

from __future__ import annotations

from typing import Any

import msgspec

from ai_assistant.core.model import ModelConfig
from ai_assistant.gateway.parts import invalid
from ai_assistant.gateway.request import GatewayRequest

_NAMED = ("temperature", "max_tokens", "reasoning_effort", "tools", "tool_choice", "response_format", "stop")


def with_parameters(request: GatewayRequest, model: ModelConfig) -> GatewayRequest:
    """The request as this model gets it: the model's parameters where the request says nothing.

    Done for each candidate apart, so that a fallback gets its own parameters and not those of the first model.
    """
    if not model.parameters:
        return request
    changes: dict[str, Any] = {
        name: model.parameters[name] for name in _NAMED if name in model.parameters and getattr(request, name) is None
    }
    stop = changes.get("stop")
    if isinstance(stop, str):
        changes["stop"] = [stop]
    rest = {name: value for name, value in model.parameters.items() if name not in _NAMED}
    return msgspec.structs.replace(request, **changes, extra={**rest, **request.extra})


def encode(body: dict[str, Any]) -> bytes:
    """The JSON body. A lone surrogate in a text is no Unicode and refused by name."""
    try:
        return msgspec.json.encode(body)
    except UnicodeEncodeError as error:
        raise invalid("messages", "hold a lone surrogate, which is no Unicode text; remove it") from error


def function_tools(request: GatewayRequest) -> list[dict[str, Any]]:
    """The `function` objects of the request's tools. Raises for other kinds of tools."""
    functions = []
    for n, tool in enumerate(request.tools or ()):
        function = tool.get("function") if tool.get("type", "function") == "function" else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise invalid(f"tools[{n}]", 'must be {"type": "function", "function": {"name", …}}')
        functions.append(function)
    return functions


def chosen_function(choice: Any) -> str | None:
    """The function that `tool_choice` names, or `None` for auto, none and required."""
    if not isinstance(choice, dict):
        return None
    function = choice.get("function")
    name = function.get("name") if isinstance(function, dict) else choice.get("name")
    if not isinstance(name, str):
        raise invalid("tool_choice", 'must be "auto", "none", "required" or name a function')
    return name
