"""Exceptions of the traced program, in words."""

from __future__ import annotations

import traceback


def words_of(error: BaseException) -> tuple[str, str]:
    """The message and the traceback of an exception; of one that cannot be put into words, what can be said of it. It
    is the program's, which must see it and not what its `__str__` raises."""
    try:
        message = str(error)
    except Exception as again:  # noqa: BLE001  # a class may raise anything from anywhere; said in its place
        message = f"<str raised {type(again).__name__}>"
    try:
        return message, "".join(traceback.format_exception(type(error), error, error.__traceback__))
    except Exception as again:  # noqa: BLE001  # as above
        return message, f"<traceback raised {type(again).__name__}>"


def is_cancellation(error: BaseException) -> bool:
    """Whether an exception says that somebody wants no more, not that something failed."""
    return isinstance(error, GeneratorExit | KeyboardInterrupt) or type(error).__name__ == "CancelledError"
