"""What every store of conversations checks alike, and how it writes times."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from ai_assistant.core.check import shown
from ai_assistant.core.errors import DoesNotExistError, ValidationError
from ai_assistant.core.message_rows import storable

MAX_LIST = 1000
"""Conversations in one answer."""
MAX_TITLE = 140
"""Characters."""
MICROSECOND = timedelta(microseconds=1)


def checked_title(title: str) -> str:
    """The title as it is stored. Raises ValidationError when nothing is left of it, or too much."""
    title = storable(title).strip()
    if not 1 <= len(title) <= MAX_TITLE:
        raise ValidationError(f"title: must have 1 to {MAX_TITLE} characters, not {len(title)}")
    return title


def moment_of(field: str, text: str) -> datetime:
    """The time that an ISO 8601 text names, in UTC without a zone. Raises ValidationError, naming `field`."""
    try:
        moment = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
        return moment.astimezone(timezone.utc).replace(tzinfo=None) if moment.tzinfo else moment
    except (ValueError, OverflowError):
        raise no_moment(field, text) from None


def no_moment(field: str, text: str) -> ValidationError:
    """The error for a text that names no time, or one that lies outside of the calendar."""
    return ValidationError(
        f"{field}: must be a time in ISO 8601, as `modified` of a conversation is, not {shown(text)}"
    )


def unknown(name: str) -> DoesNotExistError:
    """The error for a conversation that is not there, or is another user's: nobody can tell which."""
    return DoesNotExistError(f"conversation: there is no conversation {shown(name)}")
