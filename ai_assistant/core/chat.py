"""A chat request: the arguments of `chat_completion`, checked."""

from __future__ import annotations

import hashlib
from typing import Any, get_args

import msgspec

from ai_assistant.core import check
from ai_assistant.core.errors import ValidationError
from ai_assistant.core.messages import check_results, checked_messages, walk
from ai_assistant.core.model import ReasoningEffort
from ai_assistant.core.settings import Settings

MODES = ("ask", "agent")
NEW_CONVERSATION = "new"
MAX_METADATA_BYTES = 4096
MAX_TOOLS = 128
MAX_TOOL_BYTES = 256 * 1024


class ChatRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a task is to do; stored with it in Redis, without any credential."""

    messages: list[dict[str, Any]]
    mode: str = "ask"
    model: str | None = None
    provider: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    reasoning_effort: ReasoningEffort | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    response_format: dict[str, Any] | None = None
    stop: list[str] | None = None
    conversation: str | None = None
    metadata: dict[str, Any] | None = None

    def fingerprint(self) -> str:
        """Tells two requests apart: the same for the same body, whatever the order of its keys."""
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()


def checked_request(arguments: dict[str, Any], settings: Settings) -> ChatRequest:
    """The request that `arguments` describe. Raises ValidationError naming the first wrong field."""
    messages = checked_messages(
        check.parsed("messages", arguments.get("messages")) if arguments.get("messages") else None,
        max_messages=settings.max_messages,
        max_bytes=settings.max_request_bytes,
    )
    conversation = check.text("conversation", arguments.get("conversation"), max_length=140)
    if conversation is None:
        check_results(messages)
    tools = checked_tools(arguments.get("tools"))
    return ChatRequest(
        messages=messages,
        mode=check.choice("mode", arguments.get("mode"), MODES) or "ask",
        model=check.text("model", arguments.get("model"), max_length=140),
        provider=check.text("provider", arguments.get("provider"), max_length=140),
        temperature=check.number("temperature", arguments.get("temperature"), low=0, high=2),
        max_tokens=check.integer("max_tokens", arguments.get("max_tokens"), low=1, high=1_000_000, default=0) or None,
        reasoning_effort=check.choice(  # type: ignore[arg-type]  # one of the literal's values
            "reasoning_effort", arguments.get("reasoning_effort"), get_args(ReasoningEffort)
        ),
        tools=tools,
        tool_choice=checked_tool_choice(arguments.get("tool_choice"), tools),
        response_format=checked_response_format(arguments.get("response_format")),
        stop=checked_stop(arguments.get("stop")),
        conversation=conversation,
        metadata=checked_metadata(arguments.get("metadata")),
    )


def checked_tools(value: Any) -> list[dict[str, Any]] | None:
    """OpenAI's tool definitions: `{"type": "function", "function": {"name", "description", "parameters"}}`."""
    if value is None or value == "" or value == []:
        return None
    tools = check.parsed("tools", value)
    if not isinstance(tools, list):
        raise ValidationError(f"tools: must be a list, not {check.kind(tools)}")
    if len(tools) > MAX_TOOLS:
        raise ValidationError(f"tools: {len(tools)} tools; at most {MAX_TOOLS} are allowed")
    names: set[str] = set()
    for i, tool in enumerate(tools):
        names.add(checked_tool(f"tools[{i}]", tool, names))
    if len(msgspec.json.encode(tools)) > MAX_TOOL_BYTES:
        raise ValidationError(f"tools: more than {MAX_TOOL_BYTES // 1024} KiB in all; shorten the descriptions")
    return tools or None


def checked_tool(field: str, tool: Any, taken: set[str]) -> str:
    """The name of one tool definition that is well formed."""
    if not isinstance(tool, dict):
        raise ValidationError(f"{field}: must be an object, not {check.kind(tool)}")
    if tool.get("type") != "function":
        raise ValidationError(f"{field}.type: must be 'function', not {check.shown(tool.get('type'))}")
    walk(field, tool)
    function = tool.get("function")
    if not isinstance(function, dict):
        raise ValidationError(f"{field}.function: must be an object, not {check.kind(function)}")
    name = function.get("name")
    if not isinstance(name, str) or not 1 <= len(name) <= 64 or not name.replace("_", "a").replace("-", "a").isalnum():
        raise ValidationError(f"{field}.function.name: must be 1 to 64 letters, digits, _ or -")
    if name in taken:
        raise ValidationError(f"{field}.function.name: {name!r} is there twice")
    for key, type_ in (("parameters", dict), ("description", str)):
        if function.get(key) is not None and not isinstance(function[key], type_):
            raise ValidationError(f"{field}.function.{key}: must not be {check.kind(function[key])}")
    return name


def checked_tool_choice(value: Any, tools: list[dict[str, Any]] | None) -> str | dict[str, Any] | None:
    """`auto`, `none`, `required`, or the function to call."""
    if value is None or value == "":
        return None
    if isinstance(value, str) and value.startswith("{"):
        value = check.parsed("tool_choice", value)
    if isinstance(value, str):
        check.choice("tool_choice", value, ("auto", "none", "required"))
        return value
    function = value.get("function") if isinstance(value, dict) and value.get("type") == "function" else None
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(name, str):
        raise ValidationError('tool_choice: must be auto, none, required or {"type": "function", "function": {"name"}}')
    if name not in {tool["function"]["name"] for tool in tools or ()}:
        raise ValidationError(f"tool_choice.function.name: there is no tool {check.shown(name)} in tools")
    return {"type": "function", "function": {"name": name}}


def checked_response_format(value: Any) -> dict[str, Any] | None:
    """`{"type": "text" | "json_object"}` or `{"type": "json_schema", "json_schema": {"name", "schema"}}`."""
    if value is None or value == "":
        return None
    value = check.parsed("response_format", value)
    if not isinstance(value, dict):
        raise ValidationError(f"response_format: must be an object, not {check.kind(value)}")
    walk("response_format", value)
    type_ = value.get("type")
    if type_ not in ("text", "json_object", "json_schema"):
        raise ValidationError(
            f"response_format.type: must be text, json_object or json_schema, not {check.shown(type_)}"
        )
    schema = value.get("json_schema")
    if type_ == "json_schema" and not (
        isinstance(schema, dict) and isinstance(schema.get("name"), str) and isinstance(schema.get("schema"), dict)
    ):
        raise ValidationError("response_format.json_schema: must be an object with name and schema")
    return value


def checked_stop(value: Any) -> list[str] | None:
    """Up to four strings at which the answer ends."""
    if value is None or value in ("", []):
        return None
    if isinstance(value, str):
        value = check.parsed("stop", value) if value.startswith("[") else [value]
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise ValidationError("stop: must be a string or a list of strings that are not empty")
    if len(value) > 4:
        raise ValidationError(f"stop: {len(value)} strings; at most 4 are allowed")
    for i, item in enumerate(value):
        check.text(f"stop[{i}]", item, max_length=200)
    return value


def checked_metadata(value: Any) -> dict[str, Any] | None:
    """An object of the caller's own, at most 4 KiB of JSON."""
    if value is None or value == "":
        return None
    value = check.parsed("metadata", value)
    if not isinstance(value, dict):
        raise ValidationError(f"metadata: must be an object, not {check.kind(value)}")
    walk("metadata", value)
    size = len(msgspec.json.encode(value))
    if size > MAX_METADATA_BYTES:
        raise ValidationError(f"metadata: {size} bytes; at most {MAX_METADATA_BYTES} are allowed")
    return value
