"""The decorator of the endpoints: registers them for the embedded host and whitelists them on a Frappe site."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from ai_assistant.core import endpoint as registry


def endpoint(
    *, methods: tuple[registry.Method, ...], allow_guest: bool = False, reviewers: bool = False
) -> Callable[[Any], Any]:
    """Like `core.endpoint.endpoint`; where Frappe is installed the function is whitelisted besides."""
    register = registry.endpoint(methods=methods, allow_guest=allow_guest, reviewers=reviewers)

    def declare(function: Any) -> Any:
        return whitelisted(register(function), methods, allow_guest, reviewers)

    return declare


def whitelisted(function: Any, methods: tuple[registry.Method, ...], allow_guest: bool, reviewers: bool) -> Any:
    """The function as Frappe serves it, or unchanged where there is no Frappe.

    The package called `frappe` on PyPI is an empty placeholder without a `utils`; it does not count.
    """
    if find_spec("frappe") is None or find_spec("frappe.utils") is None:
        return function
    from ai_assistant.site.endpoint import whitelist  # pyright: ignore[reportMissingImports]

    return whitelist(function, methods=methods, allow_guest=allow_guest, reviewers=reviewers)
