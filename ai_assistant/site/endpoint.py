"""Whitelists the endpoints of `api/` on a site, and answers them for the request's user."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from typing import IO, Any

import frappe
import msgspec
from werkzeug.wrappers import Response

from ai_assistant.core.endpoint import FileAnswer, ProtocolAnswer, TextAnswer, use_host
from ai_assistant.core.errors import ApiError, PermissionError_
from ai_assistant.core.session import ADMINISTRATOR, GUEST, MANAGER_ROLE, REVIEWER_ROLE
from ai_assistant.site import errors

USER_ROLE = "AI User"
PIECE = 256 * 1024
"""Bytes of a document that are sent at once."""
ROLES = frozenset({USER_ROLE, MANAGER_ROLE, "System Manager"})
"""Any of them opens the endpoints: a website's customers, who are users too, must not spend an organisation's money."""


def whitelist(
    function: Callable[..., Any], *, methods: tuple[str, ...], allow_guest: bool, reviewers: bool
) -> Callable[..., Any]:
    """The function as Frappe calls it. `reviewers`: whether those may call it who only review traces.

    The wrapper takes anything for each argument: pydantic's answer to a wrong type has no text where tracebacks are
    switched off (v15), while the core names the field. Develop calls no method with an argument that has no annotation.
    """

    roles = ROLES | {REVIEWER_ROLE} if reviewers else ROLES

    @functools.wraps(function)
    def answer(*args: Any, **kwargs: Any) -> Any:
        from ai_assistant.site.calls import count_call
        from ai_assistant.site.request import SiteRequest

        try:
            count_call()
            if not allow_guest:
                require_role(roles)
            use_host(SiteRequest(is_outsider=not has_role(roles)))
            return shown(function(*args, **kwargs))
        except ApiError as error:
            errors.throw(error)
        except Exception as error:  # noqa: BLE001  # all of them: Frappe would write their variables down
            errors.report(error)

    answer.__annotations__ = dict.fromkeys(inspect.signature(function).parameters, Any)
    return frappe.whitelist(methods=list(methods), allow_guest=allow_guest)(answer)


def require_role(roles: frozenset[str]) -> None:
    """Raises PermissionError_ for a user who may log in, but has no part in the assistant."""
    user = frappe.session.user
    if user == GUEST or has_role(roles):
        return
    raise PermissionError_(f"{user} has none of the roles that may use the assistant; ask for the role {USER_ROLE}")


def has_role(roles: frozenset[str] = ROLES) -> bool:
    """Whether the request's user has a part in the assistant."""
    return frappe.session.user == ADMINISTRATOR or not roles.isdisjoint(frappe.get_roles())


def shown(result: Any) -> Any:
    """The result as Frappe takes it: a response as it is (v15 `handler.handle`), anything else under `message`."""
    if isinstance(result, FileAnswer):
        return file_response(result)
    if isinstance(result, TextAnswer):
        return Response(result.text, content_type=result.content_type)
    if isinstance(result, ProtocolAnswer):
        return Response(result.data, content_type=result.content_type)
    return plain(result)


def file_response(answer: FileAnswer) -> Response:
    """The document as a download, read in pieces; whoever serves the response closes the file with it."""
    response = Response(iter_file(answer.file), content_type=answer.content_type)
    response.headers["Content-Disposition"] = f'attachment; filename="{answer.name}"'
    response.headers["Content-Length"] = str(answer.size)
    response.call_on_close(answer.file.close)
    return response


def iter_file(file: IO[bytes]) -> Iterator[bytes]:
    """The file in pieces."""
    return iter(functools.partial(file.read, PIECE), b"")


def plain(value: Any) -> Any:
    """Built-in data, which Frappe's JSON can write: events come as the raw JSON that is in Redis."""
    if isinstance(value, msgspec.Raw):
        return msgspec.json.decode(value)
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value
