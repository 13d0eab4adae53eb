"""A request for Ollama `/api/chat`.

Source: https://github.com/ollama/ollama/blob/main/docs/api.md
"""

from __future__ import annotations

from typing import Any

import msgspec

from ai_assistant.core.model import ModelConfig
from ai_assistant.gateway.dialects.base import chosen_function, encode, function_tools, with_parameters
from ai_assistant.gateway.parts import Media, invalid, read_parts
from ai_assistant.gateway.prices import facts
from ai_assistant.gateway.providers import endpoint
from ai_assistant.gateway.request import GatewayRequest
from ai_assistant.gateway.wires.base import WireCall

_BASE = "http://127.0.0.1:11434"
_PATH = "/api/chat"
#: Parameters that stand beside `options` and not in it.
_TOP_LEVEL = frozenset({"keep_alive", "format", "think", "options"})


def build_ollama(request: GatewayRequest, model: ModelConfig, *, stream: bool) -> WireCall:
    """URL, headers and body of a chat."""
    request = with_parameters(request, model)
    names = _tool_names(request.messages)
    body: dict[str, Any] = {
        "model": model.model_id,
        "messages": [_message(message, n, names) for n, message in enumerate(request.messages)],
        "stream": stream,
    }
    tools = _tools(request)
    if tools:
        body["tools"] = tools
    _add_think(body, request, model)
    if request.response_format is not None:
        body.update(_format(request.response_format))
    options = _options(request)
    body.update({name: value for name, value in request.extra.items() if name in _TOP_LEVEL})
    if options:
        body["options"] = {**options, **(body.get("options") or {})}
    headers = {"authorization": f"Bearer {model.api_key}"} if model.api_key else {}
    return WireCall(_url(model), headers, encode(body))


def _url(model: ModelConfig) -> str:
    base = endpoint(model, _BASE) or _BASE
    if base.endswith(_PATH):
        return base
    return base.removesuffix("/v1").removesuffix("/api") + _PATH


def _options(request: GatewayRequest) -> dict[str, Any]:
    """Sampling parameters by Ollama's names; others of the model's parameters as they are (num_ctx, seed, …)."""
    options = {name: value for name, value in request.extra.items() if name not in _TOP_LEVEL}
    if request.temperature is not None:
        options["temperature"] = request.temperature
    if request.max_tokens is not None:
        options["num_predict"] = request.max_tokens
    if request.stop:
        options["stop"] = request.stop
    return options


def _add_think(body: dict[str, Any], request: GatewayRequest, model: ModelConfig) -> None:
    """`think` is a switch, except for gpt-oss, which takes a level. Ollama refuses it for models that cannot think,
    so that without an effort it is left out: those that can then think by themselves."""
    effort = request.reasoning_effort
    known = facts(model)
    if effort is None or (known is not None and known.supports_reasoning is False):
        return
    if "gpt-oss" in model.model_id:
        levels = {"none": "low", "minimal": "low", "low": "low", "medium": "medium"}
        body["think"] = levels.get(effort, "high")
    else:
        body["think"] = effort != "none"


def _tools(request: GatewayRequest) -> list[dict[str, Any]]:
    """Ollama has no `tool_choice`: `none` sends no tools, a named function sends only that one, and `required`
    cannot be promised."""
    functions = function_tools(request)
    choice = request.tool_choice
    if not functions or choice == "none":
        return []
    if choice in ("required", "any"):
        raise invalid("tool_choice", 'Ollama cannot force a tool call; send "auto"')
    name = chosen_function(choice)
    return [{"type": "function", "function": function} for function in functions if name in (None, function["name"])]


def _format(form: dict[str, Any]) -> dict[str, Any]:
    if form.get("type") == "json_schema":
        schema = (form.get("json_schema") or {}).get("schema")
        return {"format": schema or "json"}
    return {"format": "json"} if form.get("type") == "json_object" else {}


def _message(message: dict[str, Any], n: int, names: dict[str, str]) -> dict[str, Any]:
    where = f"messages[{n}].content"
    role = message["role"]
    parts = read_parts(message.get("content"), where)
    texts = [part for part in parts if isinstance(part, str)]
    images = [_image(part) for part in parts if isinstance(part, Media)]
    out: dict[str, Any] = {
        "role": "system" if role == "developer" else role,
        "content": "\n".join(texts),
    }
    if images:
        out["images"] = images
    if role == "assistant" and message.get("tool_calls"):
        out["tool_calls"] = [_call(call) for call in message["tool_calls"]]
    if role == "tool":
        name = names.get(str(message.get("tool_call_id")))
        if name:
            out["tool_name"] = name
    return out


def _image(media: Media) -> str:
    if media.kind != "image":
        raise invalid(media.where, f"Ollama takes no part of type {media.kind}; send text or an image")
    if media.data is None:
        raise invalid(
            media.where,
            "Ollama takes an image only as data, and this server fetches no URL; send it as a data: URL",
        )
    return media.data


def _call(call: dict[str, Any]) -> dict[str, Any]:
    function = call["function"]
    arguments = function.get("arguments")
    if isinstance(arguments, str):
        try:
            arguments = msgspec.json.decode(arguments or "{}")
        except msgspec.MsgspecError:
            arguments = {"arguments": arguments}
    if not isinstance(arguments, dict):
        arguments = {"arguments": arguments}
    return {"function": {"name": function["name"], "arguments": arguments}}


def _tool_names(messages: list[dict[str, Any]]) -> dict[str, str]:
    """Tool call ids and the functions behind them, for results are told by name here."""
    return {
        str(call.get("id")): call["function"]["name"]
        for message in messages
        for call in message.get("tool_calls") or ()
    }
