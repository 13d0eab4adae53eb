"""A request for OpenAI Responses: stateless (`store: false`), with the reasoning encrypted for the next turn.

Source: https://platform.openai.com/docs/api-reference/responses/create
"""

from __future__ import annotations

from typing import Any

from ai_assistant.core.model import ModelConfig
from ai_assistant.gateway.dialects.base import chosen_function, encode, function_tools, with_parameters
from ai_assistant.gateway.parts import Media, as_data_url, invalid, read_parts
from ai_assistant.gateway.prices import ModelFacts, facts
from ai_assistant.gateway.providers import CHAT_PROVIDERS, endpoint
from ai_assistant.gateway.request import GatewayRequest
from ai_assistant.gateway.wires.base import WireCall

_PATH = "/responses"
_TOKENS = ("temperature", "top_p")


def build_response(request: GatewayRequest, model: ModelConfig, *, stream: bool) -> WireCall:
    """URL, headers and body of a response."""
    request = with_parameters(request, model)
    known = facts(model)
    if request.stop:
        raise invalid("stop", f"{model.label} takes no stop sequences (OpenAI Responses); leave stop out")
    body: dict[str, Any] = {
        "model": model.model_id,
        "input": [item for n, message in enumerate(request.messages) for item in _items(message, n)],
        "stream": stream,
        "store": False,
    }
    if request.max_tokens is not None:
        body["max_output_tokens"] = request.max_tokens
    _add_reasoning(body, request, known)
    _add_tools(body, request)
    if request.response_format is not None:
        body["text"] = {"format": _format(request.response_format)}
    extra = dict(request.extra)
    if "reasoning" in body and request.reasoning_effort != "none":
        # Reasoning models refuse sampling parameters.
        for name in _TOKENS:
            extra.pop(name, None)
    elif request.temperature is not None:
        body["temperature"] = request.temperature
    body.update(extra)
    headers = {"authorization": f"Bearer {model.api_key}"} if model.api_key else {}
    return WireCall(_url(model), headers, encode(body))


def _url(model: ModelConfig) -> str:
    provider = CHAT_PROVIDERS.get(model.provider)
    base = endpoint(model, provider.base if provider else None)
    if base is None:
        raise invalid("model", f"{model.label} ({model.provider}) needs an api_base; ask an administrator to set it")
    return base if base.endswith(_PATH) else base + _PATH


def _add_reasoning(body: dict[str, Any], request: GatewayRequest, known: ModelFacts | None) -> None:
    """Effort, a summary of the reasoning, and the encrypted reasoning that goes back with tool results."""
    if known is not None and not known.supports_reasoning:
        return
    reasoning: dict[str, Any] = {"summary": "auto"}
    effort = request.reasoning_effort
    if effort is not None:
        reasoning["effort"] = _effort(effort, known)
        if reasoning["effort"] == "none":
            del reasoning["summary"]
    body["reasoning"] = reasoning
    body["include"] = ["reasoning.encrypted_content"]


def _effort(effort: str, known: ModelFacts | None) -> str:
    """The nearest effort that the model has, by the table."""
    if known is None:
        return effort
    if effort == "none" and known.supports_none_reasoning_effort is not True:
        effort = "minimal"
    if effort == "minimal" and known.supports_minimal_reasoning_effort is not True:
        return "low"
    if effort == "xhigh" and known.supports_xhigh_reasoning_effort is not True:
        return "high"
    return effort


def _add_tools(body: dict[str, Any], request: GatewayRequest) -> None:
    functions = function_tools(request)
    if not functions:
        return
    body["tools"] = [
        {
            "type": "function",
            "name": function["name"],
            "description": function.get("description") or "",
            "parameters": function.get("parameters") or {"type": "object", "properties": {}},
            "strict": bool(function.get("strict", False)),
        }
        for function in functions
    ]
    if request.tool_choice is not None:
        name = chosen_function(request.tool_choice)
        body["tool_choice"] = {"type": "function", "name": name} if name else request.tool_choice


def _format(form: dict[str, Any]) -> dict[str, Any]:
    """`response_format` without the level that the chat form has."""
    if form.get("type") != "json_schema":
        return {"type": form.get("type", "text")}
    return {"type": "json_schema", "name": "answer", **(form.get("json_schema") or {})}


def _items(message: dict[str, Any], n: int) -> list[dict[str, Any]]:
    """One message as input items: reasoning, then text, then calls."""
    where = f"messages[{n}].content"
    role = message["role"]
    if role == "tool":
        output = _content(message.get("content"), where, "input")
        text = output[0]["text"] if len(output) == 1 and output[0]["type"] == "input_text" else output
        return [{"type": "function_call_output", "call_id": message.get("tool_call_id"), "output": text or ""}]
    if role != "assistant":
        return [{"type": "message", "role": role, "content": _content(message.get("content"), where, "input")}]
    items: list[dict[str, Any]] = [
        block
        for block in message.get("thinking_blocks") or ()
        if block.get("type") == "reasoning" and block.get("encrypted_content")
    ]
    content = _content(message.get("content"), where, "output")
    if content:
        items.append({"type": "message", "role": "assistant", "content": content})
    for call in message.get("tool_calls") or ():
        function = call["function"]
        items.append(
            {
                "type": "function_call",
                "call_id": call.get("id"),
                "name": function["name"],
                "arguments": function.get("arguments") or "{}",
            }
        )
    return items


def _content(content: Any, where: str, direction: str) -> list[dict[str, Any]]:
    return [
        {"type": f"{direction}_text", "text": part} if isinstance(part, str) else _media(part)
        for part in read_parts(content, where)
    ]


def _media(media: Media) -> dict[str, Any]:
    if media.kind == "audio":
        raise invalid(media.where, "OpenAI's reasoning models take no sound; send a text")
    if media.kind == "image":
        return {
            "type": "input_image",
            "image_url": media.url or as_data_url(media),
            "detail": media.detail or "auto",
        }
    if media.url:
        return {"type": "input_file", "file_url": media.url}
    if media.file_id:
        return {"type": "input_file", "file_id": media.file_id}
    return {
        "type": "input_file",
        "file_data": as_data_url(media),
        "filename": media.filename or "file.pdf",
    }
