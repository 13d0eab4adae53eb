"""A request for Anthropic Messages.

Sources: https://docs.anthropic.com/en/api/messages and …/build-with-claude/extended-thinking, adaptive-thinking,
structured-outputs, vision, pdf-support.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ai_assistant.core.model import ModelConfig
from ai_assistant.gateway.dialects.anthropic_messages import split_system, to_messages, used_tools
from ai_assistant.gateway.dialects.base import chosen_function, encode, function_tools, with_parameters
from ai_assistant.gateway.dialects.claude import ClaudeTraits, traits
from ai_assistant.gateway.parts import invalid
from ai_assistant.gateway.providers import endpoint
from ai_assistant.gateway.request import GatewayRequest
from ai_assistant.gateway.wires.base import WireCall

_BASE = "https://api.anthropic.com"
_PATH = "/v1/messages"
_VERSION = "2023-06-01"
_FILES_BETA = "files-api-2025-04-14"
#: Tokens of thinking for each effort, where the model takes a budget. 1,024 is Anthropic's least.
_BUDGETS = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16_384, "xhigh": 32_000}
_LEAST_BUDGET = 1024
_EFFORTS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh"}
#: `max_tokens` is mandatory: the model's own limit up to this many tokens, else the smaller figure.
_MOST_TOKENS = 32_000
_DEFAULT_TOKENS = 8192


def build_messages(request: GatewayRequest, model: ModelConfig, *, stream: bool) -> WireCall:
    """URL, headers and body of a message."""
    request = with_parameters(request, model)
    known = traits(model)
    system, rest = split_system(request.messages)
    thinking = _thinking(request, known)
    body: dict[str, Any] = {
        "model": model.model_id,
        "messages": to_messages(rest),
        "max_tokens": request.max_tokens or min(known.max_output or _DEFAULT_TOKENS, _MOST_TOKENS),
        "stream": stream,
    }
    _add_system(body, system, request, known)
    _add_tools(body, request, known)
    _add_thinking(body, thinking, request, known)
    if request.temperature is not None and "thinking" not in body and known.sampling:
        body["temperature"] = min(request.temperature, 1.0)
    if request.stop:
        body["stop_sequences"] = request.stop
    body.update(request.extra)
    return WireCall(_url(model), _headers(model, body), encode(body))


def _url(model: ModelConfig) -> str:
    base = endpoint(model, _BASE) or _BASE
    if base.endswith(_PATH):
        return base
    return base.removesuffix("/v1") + _PATH


def _headers(model: ModelConfig, body: dict[str, Any]) -> dict[str, str]:
    headers = {"anthropic-version": _VERSION}
    if model.api_key:
        headers["x-api-key"] = model.api_key
    if _has_file_ids(body):
        headers["anthropic-beta"] = _FILES_BETA
    return headers


def _has_file_ids(body: dict[str, Any]) -> bool:
    return any(
        isinstance(block.get("source"), dict) and block["source"].get("type") == "file"
        for message in body["messages"]
        for block in message["content"]
    )


def _add_system(body: dict[str, Any], system: str, request: GatewayRequest, known: ClaudeTraits) -> None:
    """The system text, and the wish for JSON: native where the model has it, else in words."""
    form = request.response_format or {}
    schema = (form.get("json_schema") or {}).get("schema") if form.get("type") == "json_schema" else None
    if schema is not None and known.structured:
        body.setdefault("output_config", {})["format"] = {"type": "json_schema", "schema": schema}
    elif schema is not None:
        text = msgspec.json.encode(schema).decode()
        system = f"{system}\n\nAnswer with nothing but JSON that fits this JSON Schema: {text}".strip()
    elif form.get("type") == "json_object":
        system = f"{system}\n\nAnswer with nothing but one JSON object.".strip()
    if system:
        body["system"] = system


def _add_tools(body: dict[str, Any], request: GatewayRequest, known: ClaudeTraits) -> None:
    functions = function_tools(request)
    if not functions:
        # A conversation that holds calls must name its tools, even where no further call is wanted.
        functions = [{"name": name} for name in used_tools(request.messages)]
        if functions:
            body["tool_choice"] = {"type": "none"}
    elif request.tool_choice is not None:
        body["tool_choice"] = _choice(request, known)
    if functions:
        body["tools"] = [
            {
                "name": function["name"],
                "description": function.get("description") or "",
                "input_schema": function.get("parameters") or {"type": "object", "properties": {}},
            }
            for function in functions
        ]


def _choice(request: GatewayRequest, known: ClaudeTraits) -> dict[str, Any]:
    choice = request.tool_choice
    name = chosen_function(choice)
    if not known.forced_tools and (name or choice == "required"):
        raise invalid("tool_choice", 'this model cannot be forced to call a tool; send "auto"')
    if name:
        return {"type": "tool", "name": name}
    kinds = {"auto": "auto", "required": "any", "any": "any", "none": "none"}
    if choice not in kinds:
        raise invalid("tool_choice", 'must be "auto", "none", "required" or name a function')
    return {"type": kinds[str(choice)]}


def _thinking(request: GatewayRequest, known: ClaudeTraits) -> str | None:
    """How the model shall think: `adaptive`, `budget` or `None`.

    Not where a tool is forced, nor where the turn under way began without thinking (its signed blocks are missing):
    Anthropic refuses both.
    """
    effort = request.reasoning_effort
    always = known.always_thinks
    if not always and (effort in (None, "none") or not known.thinks):
        return None
    forced = request.tools and (isinstance(request.tool_choice, dict) or request.tool_choice == "required")
    if not always and (forced or not _turn_can_think(request.messages)):
        return None
    if known.adaptive:
        return "adaptive"
    return None if effort in (None, "none") else "budget"


def _turn_can_think(messages: list[dict[str, Any]]) -> bool:
    """Whether the turn under way may go on thinking: it has no tool call yet, or its calls have their thinking."""
    for message in reversed(messages):
        if message["role"] == "user":
            return True
        if message["role"] == "assistant" and message.get("tool_calls"):
            blocks = message.get("thinking_blocks") or ()
            return any(block.get("type") in ("thinking", "redacted_thinking") for block in blocks)
    return True


def _add_thinking(body: dict[str, Any], how: str | None, request: GatewayRequest, known: ClaudeTraits) -> None:
    """`thinking` and what goes with it. A budget stays below `max_tokens`, which the caller's limit of the whole
    answer is; where no budget of the least size fits, the answer is given without thinking."""
    effort = request.reasoning_effort
    if how == "adaptive":
        # Newer models leave the thinking out unless it is asked for.
        body["thinking"] = {"type": "adaptive", "display": "summarized"}
        if effort not in (None, "none"):
            word = _EFFORTS[str(effort)]
            if word == "xhigh" and not known.xhigh:
                word = "high"
            body.setdefault("output_config", {})["effort"] = word
    elif how == "budget":
        budget = _BUDGETS[str(effort)]
        room = body["max_tokens"] // 2
        if request.max_tokens is None:
            most = known.max_output or budget + _DEFAULT_TOKENS
            body["max_tokens"] = max(body["max_tokens"], min(budget + _DEFAULT_TOKENS, most))
            room = body["max_tokens"] - _LEAST_BUDGET
        budget = min(budget, max(room, _LEAST_BUDGET))
        if budget < body["max_tokens"]:
            body["thinking"] = {"type": "enabled", "budget_tokens": budget}
