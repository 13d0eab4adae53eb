"""What an integration may keep of one client, node or tool."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """Switches of capture. They only take away from what the program's settings allow."""

    capture_input: bool = True
    capture_output: bool = True
    capture_reasoning: bool = True
    reasoning_max_length: int | None = None
    """Characters of reasoning that are kept; `None`: as the program's settings say."""

    def merged(self, changes: Mapping[str, Any], where: str) -> Options:
        """These with some changed. Raises ValueError naming the option that does not exist or cannot be used."""
        for name, value in changes.items():
            if name not in self.__struct_fields__:
                known = ", ".join(self.__struct_fields__)
                raise ValueError(f"{where}: there is no option {name!r}; there are {known}")
            check_option(f"{where}: {name}", name, value)
        return msgspec.structs.replace(self, **changes)

    def below(self, around: Options) -> Options:
        """These, as far as `around` lets reasoning be kept."""
        lengths = [each for each in (self.reasoning_max_length, around.reasoning_max_length) if each is not None]
        return msgspec.structs.replace(
            self,
            capture_reasoning=self.capture_reasoning and around.capture_reasoning,
            reasoning_max_length=min(lengths) if lengths else None,
        )


def check_option(where: str, name: str, value: Any) -> None:
    """Raises ValueError for a value that the option cannot have."""
    if name == "reasoning_max_length":
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
            raise ValueError(f"{where} must be a number of characters from 0, or None, not {value!r}")
    elif not isinstance(value, bool):
        raise ValueError(f"{where} must be True or False, not {value!r}")


DEFAULT = Options()
