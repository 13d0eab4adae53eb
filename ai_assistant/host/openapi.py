"""An OpenAPI 3.1 description of the endpoints, made from their signatures; for people, generators and fuzzers."""

from __future__ import annotations

import inspect
import types
from functools import cache
from typing import Any, Union, get_args, get_origin

import ai_assistant
from ai_assistant.core.endpoint import ENDPOINTS, Endpoint, FileAnswer, ProtocolAnswer, TextAnswer

JSON_TYPES: dict[Any, str] = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    list: "array",
    dict: "object",
    type(None): "null",
}
ERRORS = {
    "400": "The body cannot be read, or the CSRF token is missing",
    "401": "Not logged in",
    "403": "Not permitted",
    "404": "There is no such thing, or it is another user's",
    "413": "The body is too large",
    "417": "An argument is wrong; the message names it",
    "421": "A Host name that this server does not answer to",
    "429": "A limit is reached",
    "503": "Redis is away, or the backlog is full",
}


@cache
def describe() -> dict[str, Any]:
    """The whole description."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "AI Assistant",
            "version": ai_assistant.__version__,
            "description": "Streaming chat over Frappe's RPC form. Events come by Socket.IO; see docs/protocol.md.",
        },
        "paths": {f"/api/method/{e.dotted}": path_item(e) for e in ENDPOINTS.values()},
        "components": {
            "schemas": {"Error": ERROR_SCHEMA},
            "securitySchemes": {
                "session": {"type": "apiKey", "in": "cookie", "name": "sid"},
                "key": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "token <key>:<secret>",
                },
            },
        },
    }


ERROR_SCHEMA = {
    "type": "object",
    "required": ["exc_type", "exception"],
    "properties": {
        "exc_type": {"type": "string"},
        "exception": {"type": "string"},
        "_server_messages": {"type": "string", "description": "JSON: a list of JSON objects, each with `message`"},
    },
}


PROTOCOL = {
    "application/x-protobuf": {"schema": {"type": "string", "format": "binary"}},
    "application/json": {"schema": {"type": "object"}},
}
"""A body of another protocol."""


def path_item(endpoint: Endpoint) -> dict[str, Any]:
    """The operations of one endpoint: GET takes the arguments from the query, POST from a JSON body or a form."""
    return {method.lower(): operation(endpoint, method) for method in endpoint.methods}


def operation(endpoint: Endpoint, method: str) -> dict[str, Any]:
    """One operation."""
    described: dict[str, Any] = {
        "operationId": f"{endpoint.dotted.rsplit('.', 1)[1]}_{method.lower()}",
        "summary": endpoint.summary,
        "security": [{}] if endpoint.allow_guest else [{"session": []}, {"key": []}],
        "responses": responses(endpoint),
    }
    if inspect.signature(endpoint.function).return_annotation is ProtocolAnswer:
        described["requestBody"] = {"required": True, "content": PROTOCOL}
    properties = {name: schema_of(p.annotation) for name, p in endpoint.parameters.items()}
    if method == "GET":
        described["parameters"] = [
            {"name": name, "in": "query", "schema": text_schema(schema)} for name, schema in properties.items()
        ]
    elif properties:
        schema = {"type": "object", "properties": properties}
        media = ("application/json", "application/x-www-form-urlencoded")
        described["requestBody"] = {"content": {kind: {"schema": schema} for kind in media}}
    return described


def responses(endpoint: Endpoint) -> dict[str, Any]:
    """The answers that an endpoint can give."""
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    good: dict[str, Any] = {
        "description": "The result, under `message`",
        "content": {"application/json": {"schema": {"type": "object", "properties": {"message": {}}}}},
    }
    answer = inspect.signature(endpoint.function).return_annotation
    if answer is FileAnswer:
        good = {"description": "The document", "content": {"application/json": {"schema": {"type": "object"}}}}
    if answer is ProtocolAnswer:
        good = {"description": "The protocol's own answer", "content": PROTOCOL}
    if answer is TextAnswer:
        good = {"description": "The text", "content": {"text/plain": {"schema": {"type": "string"}}}}
    return {
        "200": good,
        **{status: {"description": text, "content": error} for status, text in ERRORS.items()},
    }


def schema_of(annotation: Any) -> dict[str, Any]:
    """The JSON schema of an annotation; anything unknown may be anything."""
    if get_origin(annotation) in (Union, types.UnionType):
        kinds = [JSON_TYPES[member] for member in get_args(annotation) if member in JSON_TYPES]
        return {"type": kinds} if kinds else {}
    kind = JSON_TYPES.get(annotation)
    return {"type": kind} if kind else {}


def text_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of an argument in a query, where everything is text."""
    return {"type": "string"} if schema else {}
