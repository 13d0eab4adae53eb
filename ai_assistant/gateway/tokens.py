"""Counts tokens where a provider sends none, and estimates cheaply for trimming a history.

Counting uses tiktoken's `cl100k_base` from the file that litellm ships, so that nothing is downloaded. The count is
of another tokenizer than most models', hence always marked as estimated. Without that file, and for the cheap
estimate, the rule is: a token is four ASCII characters, or one and a half others (CJK is about one, Cyrillic two).
"""

from __future__ import annotations

import functools
import importlib.util
import logging
import os
from pathlib import Path
from typing import Any

import msgspec

from ai_assistant.gateway.request import GatewayRequest

_LOG = logging.getLogger(__name__)
#: tiktoken's name of the cl100k_base file: the SHA-1 of its address.
_ENCODING_FILE = "9b5ad71b2ce5302211f9c61530b329a4922fc6a4"
_ENCODING_FOLDER = "litellm_core_utils/tokenizers"
_CACHE_VARIABLE = "TIKTOKEN_CACHE_DIR"
#: Tokens around each message in OpenAI's chat format; others are near it.
PER_MESSAGE = 4
#: Flat figure for an image, sound or file: what OpenAI counts for a 1024 x 1024 image in high detail.
PER_MEDIA = 765
#: Texts beyond this many characters are counted by a sample of this size.
_SAMPLE = 200_000
#: A run without white space of this length is counted by the rule: byte-pair merging is quadratic in it.
_LONGEST_RUN = 2_000


def estimate_text(text: str) -> int:
    """Tokens of a text by the rule; O(n) and never 0 for a text."""
    if text.isascii():
        return (len(text) + 3) // 4
    ascii_count = len(text.encode("ascii", "ignore"))
    return int(ascii_count / 4 + (len(text) - ascii_count) / 1.5) + 1


def estimate_tokens(messages: list[dict[str, Any]]) -> int:
    """Tokens of OpenAI chat messages by the rule: cheap enough for every turn of a long history."""
    return sum(_of_message(message, estimate_text) for message in messages)


def count_text(text: str) -> int:
    """Tokens of a text by cl100k_base; up to some 100 ms for long ones, so use a thread."""
    if not text:
        return 0
    encoding = _encoding()
    if encoding is None or _has_long_run(text):
        return estimate_text(text)
    if len(text) > _SAMPLE:
        return round(len(encoding.encode_ordinary(text[:_SAMPLE])) * len(text) / _SAMPLE)
    return len(encoding.encode_ordinary(text))


def count_prompt(request: GatewayRequest) -> int:
    """Tokens of a whole request: messages and tools."""
    total = sum(_of_message(message, count_text) for message in request.messages)
    if request.tools:
        total += count_text(msgspec.json.encode(request.tools).decode())
    return total


def _of_message(message: dict[str, Any], count: Any) -> int:
    content = message.get("content")
    total = PER_MESSAGE
    if isinstance(content, str):
        total += count(content)
    elif isinstance(content, list):
        for part in content:
            text = part.get("text") if isinstance(part, dict) else None
            total += count(text) if isinstance(text, str) else PER_MEDIA
    for call in message.get("tool_calls") or ():
        function = call.get("function") or {}
        total += count(f"{function.get('name', '')}{function.get('arguments', '')}") + PER_MESSAGE
    return total


def _has_long_run(text: str) -> bool:
    return len(text) > _LONGEST_RUN and max(map(len, text.split()), default=0) > _LONGEST_RUN


@functools.lru_cache(maxsize=1)
def _encoding() -> Any:
    """The encoding, or `None` where tiktoken or the file is missing: nothing is downloaded."""
    spec = importlib.util.find_spec("litellm")
    if spec is None or importlib.util.find_spec("tiktoken") is None:
        return None
    folder = Path((spec.submodule_search_locations or [""])[0]) / _ENCODING_FOLDER
    if not (folder / _ENCODING_FILE).is_file():
        _LOG.warning("litellm ships no %s: token counts fall back to a rule of thumb", _ENCODING_FILE)
        return None
    import tiktoken

    before = os.environ.get(_CACHE_VARIABLE)
    os.environ[_CACHE_VARIABLE] = str(folder)
    try:
        return tiktoken.get_encoding("cl100k_base")
    except (OSError, ValueError) as error:
        _LOG.warning("token counts fall back to a rule of thumb: %s", error)
        return None
    finally:
        if before is None:
            del os.environ[_CACHE_VARIABLE]
        else:
            os.environ[_CACHE_VARIABLE] = before
