"""Reads one table of the config file: every value with its type, every error with the path of its key."""

from __future__ import annotations

import difflib
import math
from collections.abc import Collection, Mapping
from typing import Any

from ai_assistant.core.check import shown
from ai_assistant.core.errors import ConfigError

ENV_PREFIX = "env:"


class ConfigTable:
    """A TOML table. Take what is known from it, then call `done`: a key that nobody asked for is an error."""

    def __init__(
        self, data: Mapping[str, Any], path: str, environ: Mapping[str, str], names: Mapping[str, str] | None = None
    ):
        """`names`: what an error is to call a key that came from elsewhere than the file."""
        self._names = names or {}
        self._data = data
        self._path = path
        self._environ = environ
        self._known: set[str] = set()

    def key(self, name: str) -> str:
        """The whole path of a key, for example `models[1].timeouts.idle`."""
        return self._names.get(name) or (f"{self._path}.{name}" if self._path else name)

    def error(self, name: str, message: str) -> ConfigError:
        """A ConfigError for one of this table's keys."""
        return ConfigError(self.key(name), message)

    def has(self, name: str) -> bool:
        """Whether the key is there."""
        self._known.add(name)
        return name in self._data

    def _take(self, name: str, kind: type | tuple[type, ...], what: str) -> Any:
        value = self._data[name]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise self.error(name, f"must be {what}, not {_kind(value)}")
        return value

    def text(self, name: str, default: str | None = None, *, choices: Collection[str] = ()) -> str | None:
        """A string that is not empty; one of `choices` where there are any."""
        if not self.has(name):
            return default
        value = self._take(name, str, "a string")
        if not value.strip():
            raise self.error(name, "is empty; give it a value or take the line out")
        if choices and value not in choices:
            raise self.error(name, f"must be one of {', '.join(choices)}, not {shown(value)}{_hint(value, choices)}")
        return value

    def required(self, name: str) -> str:
        """A string that must be there."""
        value = self.text(name)
        if value is None:
            raise self.error(name, "is missing")
        return value

    def secret(self, name: str) -> str | None:
        """A string, or `env:NAME` for the value of an environment variable, which must be set then."""
        value = self.text(name)
        if value is None or not value.startswith(ENV_PREFIX):
            return value
        variable = value.removeprefix(ENV_PREFIX).strip()
        found = self._environ.get(variable, "")
        if not found.strip():
            raise self.error(name, f"the environment variable {variable or '(no name)'} is not set")
        return found.strip()

    def is_env(self, name: str) -> bool:
        """Whether the value refers to an environment variable."""
        return self.has(name) and isinstance(self._data[name], str) and self._data[name].startswith(ENV_PREFIX)

    def integer(self, name: str, default: int, *, low: int = 0, high: int = 2**31 - 1) -> int:
        """A whole number from `low` to `high`."""
        if not self.has(name):
            return default
        value = self._take(name, int, "a whole number")
        if not low <= value <= high:
            raise self.error(name, f"must be between {low} and {high}, not {value}")
        return value

    def number(self, name: str, default: Any, *, low: float = 0.0, above: bool = False) -> Any:
        """A number from `low` up; more than `low` with `above`."""
        if not self.has(name):
            return default
        value = float(self._take(name, (int, float), "a number"))
        if not math.isfinite(value) or value < low or (above and value == low):
            raise self.error(name, f"must be {'more than' if above else 'at least'} {low:g}, not {value:g}")
        return value

    def boolean(self, name: str, default: bool) -> bool:
        """`true` or `false`."""
        return self._take(name, bool, "true or false") if self.has(name) else default

    def strings(self, name: str) -> tuple[str, ...]:
        """A list of strings, none empty and none twice."""
        if not self.has(name):
            return ()
        values = self._take(name, list, "a list of strings")
        for i, value in enumerate(values):
            if not isinstance(value, str):
                raise self.error(f"{name}[{i}]", f"must be a string, not {_kind(value)}")
            if not value.strip():
                raise self.error(f"{name}[{i}]", "is empty; take it out")
            if value in values[:i]:
                raise self.error(f"{name}[{i}]", f"{shown(value)} is there twice")
        return tuple(values)

    def mapping(self, name: str) -> dict[str, Any]:
        """A table with keys of anybody's choice."""
        return dict(self._take(name, dict, "a table")) if self.has(name) else {}

    def table(self, name: str) -> ConfigTable:
        """A table within this one; empty when it is not there."""
        return ConfigTable(self.mapping(name), self.key(name), self._environ)

    def tables(self, name: str) -> list[ConfigTable]:
        """The tables written as `[[name]]`."""
        if not self.has(name):
            return []
        rows = self._take(name, list, f"tables: write [[{name}]]")
        for i, row in enumerate(rows):
            if not isinstance(row, dict):
                raise self.error(f"{name}[{i}]", f"must be a table: write [[{name}]]")
        return [ConfigTable(row, self.key(f"{name}[{i}]"), self._environ) for i, row in enumerate(rows)]

    def done(self) -> None:
        """Raises ConfigError for a key that nobody asked for, with the name that was perhaps meant."""
        for name in self._data:
            if name not in self._known:
                raise self.error(name, f"there is no such key{_hint(name, self._known)}")


def _hint(value: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(value, sorted(known), n=1, cutoff=0.6)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; there are: {', '.join(sorted(known))}" if known else ""


def _kind(value: Any) -> str:
    """A value's type as TOML names it. The value itself is not shown: it may be a secret."""
    names = {bool: "a boolean", str: "a string", int: "a number", float: "a number", list: "a list", dict: "a table"}
    return names.get(type(value), "a date or time")
