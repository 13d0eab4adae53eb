"""A request for OpenAI-compatible chat completions: the form it already has, plus each provider's accent."""

from __future__ import annotations

from typing import Any

from ai_assistant.core.model import ModelConfig
from ai_assistant.gateway.dialects.base import encode, function_tools, with_parameters
from ai_assistant.gateway.parts import Media, as_data_url, invalid, read_parts
from ai_assistant.gateway.prices import facts
from ai_assistant.gateway.providers import ChatProvider, chat_provider, endpoint, is_openai_itself
from ai_assistant.gateway.request import GatewayRequest
from ai_assistant.gateway.wires.base import WireCall

_PATH = "/chat/completions"


def build_chat(request: GatewayRequest, model: ModelConfig, *, stream: bool) -> WireCall:
    """URL, headers and body of a chat completion."""
    provider = chat_provider(model)
    request = with_parameters(request, model)
    body: dict[str, Any] = {
        "model": model.model_id,
        "messages": [
            chat_message(message, n, plain=not is_openai_itself(model)) for n, message in enumerate(request.messages)
        ],
        "stream": stream,
    }
    if stream and provider.include_usage:
        body["stream_options"] = {"include_usage": True}
    _add_options(body, request, model)
    _add_effort(body, request, model, provider)
    body.update(request.extra)
    return WireCall(_url(model, provider), _headers(model), encode(body))


def _url(model: ModelConfig, provider: ChatProvider) -> str:
    base = endpoint(model, provider.base)
    if base is None:
        raise invalid("model", f"{model.label} ({model.provider}) needs an api_base; ask an administrator to set it")
    return base if base.endswith(_PATH) else base + _PATH


def _headers(model: ModelConfig) -> dict[str, str]:
    return {"authorization": f"Bearer {model.api_key}"} if model.api_key else {}


def _add_options(body: dict[str, Any], request: GatewayRequest, model: ModelConfig) -> None:
    if request.temperature is not None:
        body["temperature"] = request.temperature
    if request.max_tokens is not None:
        # OpenAI's own API has renamed it, and its reasoning models refuse the old name; all others know the old one.
        body["max_completion_tokens" if is_openai_itself(model) else "max_tokens"] = request.max_tokens
    if request.stop:
        body["stop"] = request.stop
    if request.response_format is not None:
        body["response_format"] = request.response_format
    if request.tools:
        function_tools(request)
        body["tools"] = request.tools
        if request.tool_choice is not None:
            body["tool_choice"] = request.tool_choice


def _add_effort(body: dict[str, Any], request: GatewayRequest, model: ModelConfig, provider: ChatProvider) -> None:
    """`reasoning_effort` in the provider's words; left out for a model that is known not to reason."""
    effort = request.reasoning_effort
    known = facts(model)
    if effort is None or (known is not None and not known.supports_reasoning):
        return
    style = provider.effort
    if style == "openai":
        body["reasoning_effort"] = effort
    elif style == "low_high":
        body["reasoning_effort"] = "low" if effort in ("none", "minimal", "low") else "high"
    elif style == "high_or_none":
        body["reasoning_effort"] = "none" if effort == "none" else "high"
    elif style == "openrouter":
        body["reasoning"] = {"effort": effort}
    elif style == "thinking":
        body["thinking"] = {"type": "disabled" if effort == "none" else "enabled"}
    elif style == "enable_thinking":
        body["enable_thinking"] = effort != "none"


def chat_message(message: dict[str, Any], n: int, *, plain: bool = True) -> dict[str, Any]:
    """One message in the chat form, its parts checked and written anew; `n` is its index, for error messages.

    `plain` is for servers that are not OpenAI's: many know no `developer` role, and take a list of parts only where
    there is more than text in it.
    """
    where = f"messages[{n}].content"
    role = "system" if plain and message["role"] == "developer" else message["role"]
    out: dict[str, Any] = {"role": role, "content": _content(message.get("content"), where, plain)}
    if message.get("name"):
        out["name"] = message["name"]
    if role == "tool":
        out["tool_call_id"] = message.get("tool_call_id")
    if role == "assistant":
        _add_calls(out, message)
    return out


def _add_calls(out: dict[str, Any], message: dict[str, Any]) -> None:
    """Tool calls, and the thinking that this provider wants back with them."""
    calls = message.get("tool_calls")
    if calls:
        out["tool_calls"] = calls
    blocks = message.get("thinking_blocks") or ()
    details = [block for block in blocks if str(block.get("type", "")).startswith("reasoning.")]
    if details:
        out["reasoning_details"] = details
    if calls:
        texts = [str(block.get("text", "")) for block in blocks if block.get("type") == "reasoning_content"]
        if texts:
            out["reasoning_content"] = "".join(texts)


def _content(content: Any, where: str, plain: bool) -> Any:
    """A string stays one; parts are checked and written anew, URLs by reference."""
    if content is None or isinstance(content, str):
        return content
    parts = read_parts(content, where)
    texts = [part for part in parts if isinstance(part, str)]
    if plain and len(texts) == len(parts):
        return "\n".join(texts)
    return [{"type": "text", "text": part} if isinstance(part, str) else _media(part) for part in parts]


def _media(media: Media) -> dict[str, Any]:
    if media.kind == "image":
        image: dict[str, Any] = {"url": media.url or as_data_url(media)}
        if media.detail:
            image["detail"] = media.detail
        return {"type": "image_url", "image_url": image}
    if media.kind == "audio":
        return {
            "type": "input_audio",
            "input_audio": {"data": media.data, "format": (media.mime or "audio/wav").partition("/")[2]},
        }
    if media.url:
        raise invalid(media.where, "this provider takes a file as data: URL or file_id, not by web address")
    file = {"file_id": media.file_id} if media.file_id else {"file_data": as_data_url(media)}
    if media.filename:
        file["filename"] = media.filename
    return {"type": "file", "file": file}
