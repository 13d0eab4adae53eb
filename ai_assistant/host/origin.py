"""Where a request comes from: accepted Host names, and writes from other origins."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from ai_assistant.host.errors import CrossOriginError, UnknownHostError

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_ANY_ADDRESS = frozenset({"", "0.0.0.0", "::"})


def hostname(value: str | None) -> str:
    """The name in a Host header, an Origin or a URL: lower case, without scheme, port and brackets."""
    text = (value or "").strip().lower()
    if "://" in text:
        text = text.split("/")[2]
    if text.startswith("["):
        return text[1:].split("]", 1)[0]
    return text.split(":", 1)[0] if text.count(":") <= 1 else text


def is_loopback(name: str) -> bool:
    """Whether a name to bind to can be reached from this machine only."""
    return name in LOOPBACK_NAMES or name.startswith("127.") or name.endswith(".localhost")


class HostNames:
    """The Host names that this server answers to. Refusing others is the defence against DNS rebinding."""

    def __init__(self, site: str, bound: str, allowed: Iterable[str] = ()):
        """`bound` is the name or address that the server listens on; `allowed` are further names."""
        names = {site.lower(), *LOOPBACK_NAMES, *(hostname(name) for name in allowed)}
        self.names = frozenset(names if bound in _ANY_ADDRESS else names | {hostname(bound)})

    def check(self, headers: Headers) -> None:
        """Raises UnknownHostError (421) unless the Host header names this server."""
        name = hostname(headers.get("host"))
        if name not in self.names and not name.endswith(".localhost"):
            raise UnknownHostError(
                f"This server does not answer to the name {name[:200]!r}. "
                "Start it with --allow-host <name>, or add the name to allowed_hosts in its config file."
            )


def check_same_origin(headers: Headers) -> None:
    """Raises CrossOriginError for a request that a browser sends on behalf of a page of another origin.

    Browsers send `Origin` with every write and `Sec-Fetch-Site` with every request (Fetch Metadata); other clients
    send neither.
    """
    if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        raise refusal(headers.get("origin", "another site"))
    origin = headers.get("origin")
    if origin is not None and urlsplit_netloc(origin) != headers.get("host", "").lower():
        raise refusal(origin)


def refusal(origin: str) -> CrossOriginError:
    """The error for a page of another origin."""
    return CrossOriginError(f"Requests from pages of {origin[:200]} are refused: the page must be of this server.")


def urlsplit_netloc(origin: str) -> str:
    """`host:port` of an Origin header; empty for `null` and for anything that is no web origin."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return ""
    return parts.netloc.lower() if parts.scheme in ("http", "https") else ""
