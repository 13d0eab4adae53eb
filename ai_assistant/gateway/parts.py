"""The parts of a message, read once for every dialect. No URL is ever fetched here or anywhere in the gateway."""

from __future__ import annotations

import re
from typing import Any, Literal

import msgspec

from ai_assistant.core.errors import ChatError

_DATA_URL = re.compile(
    r"data:(?P<mime>[\w.+-]+/[\w.+-]+)?(?:;[\w.+-]+=[^;,]*)*;base64,(?P<data>[A-Za-z0-9+/=_\-\s]*)\Z"
)


class Media(msgspec.Struct, frozen=True, kw_only=True):
    """An image, file or sound: `data` (base64 text) or `url` or `file_id`, exactly one of them."""

    kind: Literal["image", "file", "audio"]
    where: str
    """The part's place in the request, for messages: `messages[2].content[0]`."""
    mime: str | None = None
    data: str | None = None
    url: str | None = None
    file_id: str | None = None
    filename: str | None = None
    detail: str | None = None


def invalid(where: str, why: str) -> ChatError:
    """A part of the request that cannot be translated."""
    return ChatError("invalid_request", f"{where}: {why}")


def read_parts(content: Any, where: str) -> list[str | Media]:
    """A message's content as texts and media. `where` names the content for error messages."""
    if content is None:
        return []
    if isinstance(content, str):
        return [content] if content else []
    if not isinstance(content, list):
        raise invalid(where, "must be a string or a list of parts")
    return [_read_part(part, f"{where}[{n}]") for n, part in enumerate(content)]


def text_of(content: Any, where: str) -> str:
    """The text of a message that can hold nothing else (system messages, tool results of some providers)."""
    parts = read_parts(content, where)
    for part in parts:
        if isinstance(part, Media):
            raise invalid(part.where, f"a part of type {part.kind} cannot stand here; send text")
    return "\n".join(part for part in parts if isinstance(part, str))


def _read_part(part: Any, where: str) -> str | Media:
    if isinstance(part, str):
        return part
    kind = part.get("type") if isinstance(part, dict) else None
    if kind in ("text", "input_text", "output_text") and isinstance(part.get("text"), str):
        return part["text"]
    if kind == "refusal" and isinstance(part.get("refusal"), str):
        return part["refusal"]
    if kind == "image_url":
        return _read_image(part.get("image_url"), where)
    if kind == "input_audio":
        return _read_audio(part.get("input_audio"), where)
    if kind == "file":
        return _read_file(part.get("file"), where)
    raise invalid(where, "is no part this server knows; send text, image_url, input_audio or file")


def _read_image(image: Any, where: str) -> Media:
    url = image.get("url") if isinstance(image, dict) else image
    if not isinstance(url, str) or not url:
        raise invalid(where, "image_url.url is missing")
    detail = image.get("detail") if isinstance(image, dict) else None
    if url[:5].lower() == "data:":
        mime, data = _data_url(url, f"{where}.image_url.url")
        return Media(kind="image", where=where, mime=mime or "image/png", data=data, detail=detail)
    return Media(kind="image", where=where, url=_web_url(url, f"{where}.image_url.url"), detail=detail)


def _read_audio(audio: Any, where: str) -> Media:
    if not isinstance(audio, dict) or not isinstance(audio.get("data"), str):
        raise invalid(where, "input_audio.data must be base64 text")
    return Media(kind="audio", where=where, data=audio["data"], mime=f"audio/{audio.get('format') or 'wav'}")


def _read_file(file: Any, where: str) -> Media:
    if not isinstance(file, dict):
        raise invalid(where, "file must be an object with file_data or file_id")
    name = file.get("filename") if isinstance(file.get("filename"), str) else None
    data, file_id = file.get("file_data"), file.get("file_id")
    if isinstance(data, str) and data:
        if data[:5].lower() == "data:":
            mime, data = _data_url(data, f"{where}.file.file_data")
            return Media(kind="file", where=where, mime=mime or "application/pdf", data=data, filename=name)
        return Media(kind="file", where=where, url=_web_url(data, f"{where}.file.file_data"), filename=name)
    if isinstance(file_id, str) and file_id:
        if "://" in file_id:
            return Media(kind="file", where=where, url=_web_url(file_id, f"{where}.file.file_id"), filename=name)
        return Media(kind="file", where=where, file_id=file_id, filename=name)
    raise invalid(where, "file needs file_data (a data: URL) or file_id")


def _data_url(url: str, where: str) -> tuple[str | None, str]:
    """Media type and base64 text of a data: URL (RFC 2397)."""
    found = _DATA_URL.match(url)
    if found is None:
        raise invalid(where, "is no base64 data: URL, such as data:image/png;base64,iVBOR…")
    return found["mime"], "".join(found["data"].split())


def _web_url(url: str, where: str) -> str:
    if not url.lower().startswith(("https://", "http://")):
        raise invalid(where, "must be a data:, https: or http: URL")
    return url


def as_data_url(media: Media) -> str:
    """The data: URL of a part that has data."""
    return f"data:{media.mime};base64,{media.data}"
