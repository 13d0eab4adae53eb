"""Arguments of a request: JSON body, form or query, read as Frappe reads them (v15 `frappe/app.py`, make_form_dict).

A JSON body stands alone; otherwise the query and the form together, the form winning.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any
from urllib.parse import parse_qsl

from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from ai_assistant.core.errors import ValidationError
from ai_assistant.host.errors import BadRequestError, BodyTooLargeError
from ai_assistant.host.pool import CallPool

#: Frappe's default for `max_file_size`, in bytes.
MAX_BODY = 25 * 1024 * 1024
#: What those may send who are not logged in: a login is short, and reading a body costs more than sending it.
MAX_GUEST_BODY = 128 * 1024
MAX_DEPTH = 200
MAX_FIELDS = 1000
#: Lists and objects of a JSON body, and escapes of a form: each costs some microseconds of the interpreter.
MAX_CONTAINERS = 500_000
MAX_ESCAPES = 1_000_000
#: Bytes from which a body is read in a thread.
THREAD_SIZE = 64 * 1024
#: Seconds within which a body must have arrived.
BODY_TIMEOUT = 120.0


async def read_arguments(request: Request, pool: CallPool, limit: int = MAX_BODY) -> dict[str, Any]:
    """Every argument of `request` by name; `limit` is in bytes. The body stays in `request.state.body`. Raises
    BadRequestError (400), BodyTooLargeError (413), ValidationError."""
    body = request.state.body = await read_body(request, limit)
    if body and is_json(request):
        arguments = json_arguments(body) if len(body) < THREAD_SIZE else await pool.run(json_arguments, body)
    elif len(body) >= THREAD_SIZE and is_form(request):
        arguments = {**query_arguments(request), **await pool.run(form_values, body)}
    else:
        arguments = {**query_arguments(request), **await form_arguments(request, body)}
    arguments.pop("_", None)
    arguments.pop("cmd", None)
    return arguments


async def read_body(request: Request, limit: int = MAX_BODY) -> bytes:
    """The body, refused as soon as it is known to be longer than `limit` bytes, and when it does not come."""
    if (declared_size(request) or 0) > limit:
        raise too_large(limit)
    try:
        return await asyncio.wait_for(received(request, limit), BODY_TIMEOUT)
    except ClientDisconnect as error:
        raise BadRequestError("The connection ended before the whole body had arrived.") from error
    except asyncio.TimeoutError as error:
        raise BadRequestError(f"The body had not arrived after {BODY_TIMEOUT:g} s.") from error


async def received(request: Request, limit: int) -> bytes:
    """All parts of the body. Raises BodyTooLargeError."""
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise too_large(limit)
        parts.append(part)
    return b"".join(parts)


def declared_size(request: Request) -> int | None:
    """Bytes of the body as its head says; 0 where there is no body, None where it comes in chunks."""
    if "transfer-encoding" in request.headers:
        return None
    declared = request.headers.get("content-length", "0")
    return int(declared) if declared.isdecimal() else None


def too_large(limit: int) -> BodyTooLargeError:
    """The error for a body over the limit."""
    if limit < MAX_BODY:
        return BodyTooLargeError(f"The body is larger than {limit // 1024} kB: log in to send more.")
    return BodyTooLargeError(f"The body is larger than {limit // (1024 * 1024)} MB; send less at once.")


def media_type(request: Request) -> str:
    """What the body is declared as, without parameters."""
    return request.headers.get("content-type", "").split(";", 1)[0].strip().lower()


def is_json(request: Request) -> bool:
    """Whether the body is declared as JSON."""
    media = media_type(request)
    return media == "application/json" or (media.startswith("application/") and media.endswith("+json"))


def json_arguments(body: bytes) -> dict[str, Any]:
    """A JSON object's members; a list goes to `data`, as in Frappe. Lone surrogates are left for the endpoint."""
    if body.count(b"[") + body.count(b"{") > MAX_CONTAINERS:
        raise BadRequestError(f"The JSON has more than {MAX_CONTAINERS} brackets and braces; send less at once.")
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
    if not body or media_type(request) == "multipart/form-data":
        return await multipart_arguments(request, body) if body else {}
    return form_values(body) if is_form(request) else {}


def is_form(request: Request) -> bool:
    """Whether the body is declared as an HTML form."""
    return media_type(request) == "application/x-www-form-urlencoded"


def form_values(body: bytes) -> dict[str, Any]:
    """The fields of a form. Raises BadRequestError where decoding it would take too long."""
    if body.count(b"%") > MAX_ESCAPES:
        raise BadRequestError(f"The form has more than {MAX_ESCAPES} escapes; send JSON instead.")
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
