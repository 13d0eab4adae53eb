"""Arguments of a request: JSON body, form or query, read as Frappe reads them (v15 `frappe/app.py`, make_form_dict).

A JSON body stands alone; otherwise the query and the form together, the form winning.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from typing import Any
from urllib.parse import parse_qsl

from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from ai_assistant.core.errors import ValidationError
from ai_assistant.host.errors import BadRequestError, BodyTooLargeError

#: Frappe's default for `max_file_size`, in bytes.
MAX_BODY = 25 * 1024 * 1024
MAX_DEPTH = 200
MAX_FIELDS = 1000


async def read_arguments(request: Request) -> dict[str, Any]:
    """Every argument of `request` by name. Raises BadRequestError (400), BodyTooLargeError (413), ValidationError."""
    body = await read_body(request)
    if body and is_json(request):
        arguments = json_arguments(body)
    else:
        arguments = {**query_arguments(request), **await form_arguments(request, body)}
    arguments.pop("_", None)
    arguments.pop("cmd", None)
    return arguments


async def read_body(request: Request) -> bytes:
    """The body, refused as soon as it is known to be longer than MAX_BODY bytes."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > MAX_BODY:
        raise too_large()
    parts: list[bytes] = []
    size = 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > MAX_BODY:
                raise too_large()
            parts.append(part)
    except ClientDisconnect as error:
        raise BadRequestError("The connection ended before the whole body had arrived.") from error
    return b"".join(parts)


def too_large() -> BodyTooLargeError:
    """The error for a body over the limit."""
    return BodyTooLargeError(f"The body is larger than {MAX_BODY // (1024 * 1024)} MB; send less at once.")


def is_json(request: Request) -> bool:
    """Whether the body is declared as JSON."""
    media = request.headers.get("content-type", "").split(";", 1)[0].strip().lower()
    return media == "application/json" or (media.startswith("application/") and media.endswith("+json"))


def json_arguments(body: bytes) -> dict[str, Any]:
    """A JSON object's members; a list goes to `data`, as in Frappe. Lone surrogates are left for the endpoint."""
    try:
        value = json.loads(body.decode("utf-8", "replace"))
        check_depth(value)
    except RecursionError as error:
        raise too_deep() from error
    except ValueError as error:
        raise BadRequestError(f"The body is not valid JSON: {error}") from error
    if isinstance(value, dict):
        return value
    if isinstance(value, list):
        return {"data": value}
    raise ValidationError("Invalid request arguments: the body must be a JSON object.")


def check_depth(value: Any) -> None:
    """Raises BadRequestError when containers are nested deeper than MAX_DEPTH."""
    level = containers([value])
    for _ in range(MAX_DEPTH):
        if not level:
            return
        level = [child for parent in level for child in containers(members(parent))]
    raise too_deep()


def members(container: Any) -> Any:
    """The values of an object or the items of a list."""
    return container.values() if isinstance(container, dict) else container


def containers(values: Any) -> list[Any]:
    """Those of `values` that hold further values."""
    return [value for value in values if isinstance(value, dict | list)]


def too_deep() -> BadRequestError:
    """The error for nesting that no request needs."""
    return BadRequestError(f"The JSON is nested deeper than {MAX_DEPTH} levels.")


def query_arguments(request: Request) -> dict[str, Any]:
    """Arguments of the query string; the first of several values counts."""
    return first_values(request.scope.get("query_string", b"").decode("utf-8", "replace"), "query string")


async def form_arguments(request: Request, body: bytes) -> dict[str, Any]:
    """Arguments of a form body, multipart or not; anything that is no form has none."""
    media = request.headers.get("content-type", "").split(";", 1)[0].strip().lower()
    if not body or media == "multipart/form-data":
        return await multipart_arguments(request, body) if body else {}
    if media != "application/x-www-form-urlencoded":
        return {}
    return first_values(body.decode("utf-8", "replace"), "form")


def first_values(text: str, where: str) -> dict[str, Any]:
    """Decodes `a=1&b=2`; broken escapes become replacement characters, as in werkzeug."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="replace")
    except ValueError as error:
        raise BadRequestError(f"The {where} has more than {MAX_FIELDS} fields.") from error
    return dict(reversed(pairs))


async def multipart_arguments(request: Request, body: bytes) -> dict[str, Any]:
    """Text fields of a multipart form; files are ignored."""

    async def stream() -> AsyncGenerator[bytes, None]:
        yield body

    try:
        parser = MultiPartParser(request.headers, stream(), max_fields=MAX_FIELDS, max_part_size=MAX_BODY)
        form = await parser.parse()
    except (MultiPartException, KeyError, ValueError) as error:
        raise BadRequestError(f"The multipart form cannot be read: {error}") from error
    try:
        return {name: value for name, value in reversed(form.multi_items()) if isinstance(value, str)}
    finally:
        await form.close()
