"""What a check finds, and what it is given to look at."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit, urlunsplit

import msgspec

State = Literal["ok", "note", "warning", "failure"]
ORDER: tuple[State, ...] = ("ok", "note", "warning", "failure")
"""From harmless to bad. Only a failure makes the command's exit code 1."""

_SECRET_NAME = re.compile(r"password|secret|api_key|encryption_key|token", re.IGNORECASE)


class Finding(msgspec.Struct, kw_only=True):
    """One thing that was looked at."""

    id: str
    """Stable, for monitoring: `<check>.<what>`."""
    state: State
    text: str
    """One or two sentences for a person."""
    fix: list[str] = msgspec.field(default_factory=list)
    """Lines to type, or to do, that set it right; empty where nothing is wrong."""
    data: dict[str, Any] = msgspec.field(default_factory=dict)
    """Figures and names behind the text, for monitoring."""


def ok(id_: str, text: str, **data: Any) -> Finding:
    """All is well."""
    return Finding(id=id_, state="ok", text=text, data=data)


def note(id_: str, text: str, *fix: str, **data: Any) -> Finding:
    """Nothing is wrong; worth knowing."""
    return Finding(id=id_, state="note", text=text, fix=list(fix), data=data)


def warning(id_: str, text: str, *fix: str, **data: Any) -> Finding:
    """It works, and may not tomorrow."""
    return Finding(id=id_, state="warning", text=text, fix=list(fix), data=data)


def failure(id_: str, text: str, *fix: str, **data: Any) -> Finding:
    """Something does not work, or is not safe."""
    return Finding(id=id_, state="failure", text=text, fix=list(fix), data=data)


class Subject(msgspec.Struct, kw_only=True):
    """The site that is examined, and the options of the examination."""

    site: str
    sites_path: Path
    """The bench's folder `sites`."""
    conf: dict[str, Any]
    """The site's configuration, that of the bench included."""
    redis_url: str
    redis_key: str
    """The configuration key that `redis_url` comes from."""
    scope: str
    """Name of the bench's task queue."""
    user: str = "Administrator"
    """Whose session the realtime check uses."""
    api_key: str | None = None
    """`key:secret` for the realtime check, instead of a session."""
    url: str = ""
    """The address at which browsers reach the site."""
    ask: bool = False
    """Whether each model is asked a short line."""
    port_closed: bool = False
    """Whether somebody tried from outside that the realtime port is closed."""

    @property
    def bench_path(self) -> Path:
        """The bench's folder."""
        return self.sites_path.parent

    @property
    def bench_site(self) -> str:
        """How commands for this site begin."""
        return f"bench --site {self.site}"

    @contextmanager
    def open(self) -> Iterator[Any]:
        """A unit of work on the site in the calling thread: Frappe, and the app's stores (`core.ports.SiteAccess`)."""
        from ai_assistant.site.opener import BenchOpener

        with BenchOpener(str(self.sites_path)).open(self.site) as access:
            yield access

    def secrets(self) -> list[str]:
        """What must not be printed: passwords and keys of the configuration, of URLs in it, and of the options."""
        found = [value for name, value in self.conf.items() if isinstance(value, str) and _SECRET_NAME.search(name)]
        urls = [self.redis_url, *(value for value in self.conf.values() if isinstance(value, str) and "://" in value)]
        found += [password for url in urls if (password := password_of(url))]
        if self.api_key:
            found += [self.api_key, self.api_key.partition(":")[2]]
        return sorted({secret for secret in found if len(secret) >= 4}, key=len, reverse=True)


class Check(msgspec.Struct, frozen=True):
    """One check."""

    name: str
    title: str
    run: Callable[[Subject], Iterable[Finding]]
    limit_s: float = 20.0


def password_of(url: str) -> str | None:
    """The password in a URL."""
    try:
        return urlsplit(url).password
    except ValueError:
        return None


def shown_url(url: str) -> str:
    """A URL without its password."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "(not a URL)"
    if not parts.password:
        return url
    return urlunsplit(parts._replace(netloc=f"{parts.username}:***@{parts.netloc.rpartition('@')[2]}"))
