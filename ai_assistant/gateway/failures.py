"""Every way in which a provider fails, as the wire contract's codes, in words that say what to do.

Nothing of a provider's answer is shown but its own error message, cleaned of keys and markup and cut.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import httpx
import msgspec

from ai_assistant.core.errors import ChatError
from ai_assistant.core.model import ModelConfig
from ai_assistant.gateway.retry import parse_retry_after

_MAX_WORDS = 300
#: Characters that are looked at for these words.
_MAX_READ = 4000
_SECRETS = re.compile(r"(?i)\b(?:bearer\s+\S+|(?:sk|pk|rk|gsk|xai|pplx|nvapi|hf|key|AIza)[-_]?[A-Za-z0-9_*\-.…]{8,})")
_CONTEXT = re.compile(
    r"(?i)context[ _-]?(?:length|window|size|limit)|prompt is too long|input is too long|too many (?:input )?tokens"
    r"|maximum (?:number of|prompt|input) (?:tokens|length)|exceeds the maximum number of tokens"
    r"|reduce the length|input tokens exceed|request too large.*tokens"
)
_FILTER = re.compile(
    r"(?i)content[ _-]?(?:filter|policy|management)|responsibleaipolicy|data_inspection_failed|safety system"
    r"|flagged (?:as|for|by)|moderation|usage policies"
)
_QUOTA = re.compile(r"(?i)insufficient[ _](?:quota|balance|funds|credit)|credit balance|billing|payment required")
_OVERLOAD = re.compile(r"(?i)overloaded|unavailable|capacity|server[ _]error|internal[ _]error|api_error|try again")
_RATE = re.compile(r"(?i)rate[ _-]?limit|too many requests|tokens per min|resource[ _]exhausted")
_AUTH = re.compile(r"(?i)authentication|permission_error|invalid[ _]api[ _]key|unauthorized|forbidden")


def name_of(model: ModelConfig) -> str:
    """The model and its provider, as messages call them."""
    return f"{model.label} ({model.provider})"


def clean(text: str, model: ModelConfig) -> str:
    """A provider's words, fit to be shown: no key, no markup, no control character, one line, at most 300
    characters."""
    if model.api_key:
        text = text.replace(model.api_key, "[key]")
    if re.search(r"(?i)<(?:!doctype|html|head|body)\b", text):
        return ""
    shown = "".join(c if c.isprintable() else " " for c in text[:_MAX_READ])  # a terminal may be what shows it
    text = _SECRETS.sub("[key]", " ".join(shown.split()))
    return text if len(text) <= _MAX_WORDS else text[:_MAX_WORDS] + "…"


def from_response(model: ModelConfig, status: int, headers: Mapping[str, str], body: bytes) -> ChatError:
    """The error of an HTTP answer other than 200."""
    try:
        kind, words = _read_body(body)
    except RecursionError:  # nested too deeply to hold an explanation
        kind, words = "", ""
    return from_status(model, status, kind, words, retry_after=parse_retry_after(headers))


def from_status(
    model: ModelConfig, status: int, kind: str, words: str, *, retry_after: float | None = None
) -> ChatError:
    """Map an HTTP status. `kind` is the provider's own error type and code, `words` its message;
    `retry_after` in seconds."""
    said = _said(words, model)
    name = name_of(model)
    meaning = _by_meaning(model, f"{kind} {words}", said, status)
    if meaning is not None and (status not in (401, 403, 404) or meaning.code == "content_filtered"):
        return meaning
    if status in (401, 403):
        return ChatError(
            "provider_auth",
            f"The key of model {model.label} was refused by {model.provider} (HTTP {status}). "
            f"Check api_key of this model, and that its account may use {model.model_id}.",
            status=status,
        )
    if status == 404:
        return ChatError(
            "provider_unavailable",
            f"{model.provider} does not know {model.model_id} (HTTP 404). "
            f"Check model and api_base of {model.label}.{said}",
            retryable=False,
            status=status,
        )
    if status == 429:
        return ChatError(
            "provider_rate_limited",
            f"{name} is rate limited by its provider. Try again {_when(retry_after)}.{said}",
            retry_after=retry_after,
            status=status,
        )
    if status == 408:
        return ChatError(
            "provider_timeout", f"{name} timed out (HTTP 408). Try again.", retry_after=retry_after, status=status
        )
    if status >= 500 or status in (409, 425):
        return ChatError(
            "provider_unavailable",
            f"{name} is not available (HTTP {status}). Try again {_when(retry_after)}, or use another model.{said}",
            retry_after=retry_after,
            status=status,
        )
    if 300 <= status < 400:
        return ChatError(
            "provider_unavailable",
            f"{name} answered with a redirect (HTTP {status}), which is not followed. Check api_base of {model.label}.",
            retryable=False,
            status=status,
        )
    return ChatError(
        "invalid_request",
        f"{name} refused the request (HTTP {status}). Change it and send it again.{said}",
        status=status,
    )


def from_error_object(model: ModelConfig, error: Any) -> ChatError:
    """The error of an object inside a stream (or inside an answer with status 200)."""
    kind, words = _read_error(error)
    status = _status_in(error)
    if status is not None and status >= 400:
        return from_status(model, status, kind, words)
    said = _said(words, model)
    meaning = _by_meaning(model, f"{kind} {words}", said, None)
    if meaning is not None:
        return meaning
    name = name_of(model)
    text = f"{kind} {words}"
    if _RATE.search(text):
        return ChatError("provider_rate_limited", f"{name} is rate limited by its provider. Try again later.{said}")
    if _AUTH.search(kind):
        return ChatError("provider_auth", f"{name} refused its key. Check api_key of model {model.label}.")
    if "invalid_request" in kind or "not_found" in kind:
        return ChatError("invalid_request", f"{name} refused the request. Change it and send it again.{said}")
    if _OVERLOAD.search(text):
        return ChatError("provider_unavailable", f"{name} is overloaded or failing. Try again in a moment.{said}")
    return ChatError("stream_interrupted", f"{name} broke its answer off with an error. Try again.{said}")


def from_transport(model: ModelConfig, error: httpx.HTTPError | httpx.InvalidURL) -> ChatError:
    """A connection that failed, or broke."""
    name = name_of(model)
    if isinstance(error, (httpx.InvalidURL, httpx.UnsupportedProtocol)):
        return ChatError(
            "provider_unavailable",
            f"The address of {name} is no http(s) URL. Check api_base of {model.label}.",
            retryable=False,
        )
    if isinstance(error, httpx.ConnectTimeout):
        return timed_out(model, "connect", model.timeouts.connect)
    if isinstance(error, httpx.PoolTimeout):
        return ChatError("provider_unavailable", f"All connections to providers are in use. {name}: try again.")
    if isinstance(error, httpx.ConnectError) and "CERTIFICATE" in str(error).upper():
        return ChatError(
            "provider_unavailable",
            f"The certificate of {name} is not trusted. Check api_base of {model.label}; a private authority's "
            "certificate is given to the server by the variable SSL_CERT_FILE.",
            retryable=False,
        )
    if isinstance(error, httpx.ConnectError):
        return ChatError(
            "provider_unavailable",
            f"{name} cannot be reached. Check api_base of {model.label}, and that the provider is up.",
        )
    return ChatError("stream_interrupted", f"The connection to {name} broke. Try again.")


_PHASES = {
    "connect": "took no connection within {s:g} s",
    "first_token": "sent nothing of an answer within {s:g} s",
    "idle": "fell silent for {s:g} s in the middle of its answer",
    "total": "did not finish its answer within {s:g} s",
    "queue": "had no free stream within {s:g} s",
}


def timed_out(model: ModelConfig, phase: str, seconds: float) -> ChatError:
    """A phase of `core.model.Timeouts` (or `queue`) took longer than its limit."""
    what = _PHASES[phase].format(s=seconds)
    return ChatError(
        "provider_timeout",
        f"{name_of(model)} {what}. Try again, or raise the limit in the model's timeouts.",
        retryable=phase != "total",
    )


def paused(model: ModelConfig, failed: int, seconds: float) -> ChatError:
    """The circuit breaker keeps calls away for `seconds` more."""
    return ChatError(
        "provider_unavailable",
        f"{name_of(model)} failed {failed} times in a row and is given a pause. "
        f"Try again in {max(1, round(seconds))} s, or use another model.",
        retry_after=seconds,
    )


def broken_answer(model: ModelConfig, reason: str) -> ChatError:
    """What came does not parse. `reason` is the parser's and holds none of the content."""
    return ChatError(
        "stream_interrupted",
        f"{name_of(model)} sent something that does not follow its protocol ({clean(reason, model)}). Try again; "
        f"if it happens every time, check api_base of {model.label}.",
    )


def cut_answer(model: ModelConfig) -> ChatError:
    """The connection ended before the answer did."""
    return ChatError("stream_interrupted", f"The answer of {name_of(model)} was cut before its end. Try again.")


def web_page(model: ModelConfig) -> ChatError:
    """An HTML page with status 200."""
    return ChatError(
        "provider_unavailable",
        f"{name_of(model)} answered with a web page instead of a model's answer. "
        f"Check that api_base of {model.label} is the address of an API.",
        retryable=False,
    )


def too_long(model: ModelConfig, limit: int) -> ChatError:
    """The answer exceeds the bound of the gateway, in characters."""
    return ChatError(
        "stream_interrupted",
        f"The answer of {name_of(model)} was stopped at {limit} characters. Ask for less, or set max_tokens.",
        retryable=False,
    )


def before_first_delta(error: ChatError) -> ChatError:
    """The same failure, seen before anything had arrived: nothing was interrupted, the provider is unavailable."""
    if error.code != "stream_interrupted":
        return error
    return ChatError(
        "provider_unavailable",
        error.message,
        retryable=error.retryable,
        retry_after=error.retry_after,
        status=error.status,
    )


def _by_meaning(model: ModelConfig, text: str, said: str, status: int | None) -> ChatError | None:
    """The cases that providers tell by words rather than by status."""
    name = name_of(model)
    if status is not None and status >= 500:
        return None
    if status != 429 and _CONTEXT.search(text):
        return ChatError(
            "context_length_exceeded",
            f"The conversation is longer than {name} can read. Shorten it, or choose a model with a larger context.",
            status=status,
        )
    if _QUOTA.search(text) or status == 402:
        return ChatError(
            "provider_rate_limited",
            f"The account of {name} is out of credit. Check its billing at {model.provider}.",
            retryable=False,
            status=status,
        )
    if status != 429 and _FILTER.search(text):
        return ChatError(
            "content_filtered",
            f"The content filter of {name} stopped this. Rephrase the message, or choose another model.{said}",
            status=status,
        )
    return None


def _read_body(body: bytes) -> tuple[str, str]:
    """Type and message in an error body; empty where it is no JSON (a proxy's HTML says nothing to a person)."""
    try:
        data = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        text = body[:2000].decode("utf-8", "replace").strip()
        return "", "" if text.startswith("<") else text
    if isinstance(data, list) and data:
        data = data[0]
    if isinstance(data, dict):
        inner = data.get("error") or data.get("errors")
        return _read_error(inner if inner else data)
    return "", data if isinstance(data, str) else ""


def _read_error(error: Any) -> tuple[str, str]:
    """Type and message of an error object in any provider's shape."""
    if isinstance(error, list) and error:
        error = error[0]
    if isinstance(error, str):
        return "", error
    if not isinstance(error, dict):
        return "", ""
    inner = error.get("error")
    if isinstance(inner, dict):
        return _read_error(inner)
    kind = " ".join(str(error[key]) for key in ("type", "code", "status") if error.get(key))
    words = error.get("message") or error.get("detail") or error.get("msg") or inner or ""
    return kind, words if isinstance(words, str) else msgspec.json.encode(words).decode()


def _status_in(error: Any) -> int | None:
    """An HTTP status that some providers put into `code` of an error object."""
    code = error.get("code") if isinstance(error, dict) else None
    if isinstance(code, str) and code.isdigit():
        code = int(code)
    return code if isinstance(code, int) and 300 <= code < 600 else None


def _said(words: str, model: ModelConfig) -> str:
    text = clean(words, model)
    return f" The provider says: {text}" if text else ""


def _when(retry_after: float | None) -> str:
    return "in a moment" if retry_after is None else f"in {max(1, round(retry_after))} s"
