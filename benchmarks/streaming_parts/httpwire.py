"""As much of HTTP/1.1 (RFC 9112) as the upstream needs: requests with a Content-Length, answers whole or chunked."""

from __future__ import annotations

from typing import NamedTuple

_REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found"}
MAX_HEAD = 64 * 1024


class Head(NamedTuple):
    """The first line and the length of a request."""

    method: str
    path: str
    length: int

    @staticmethod
    def parse(raw: bytes) -> Head:
        """Reads it. Raises ValueError for what is no HTTP, and for a chunked body."""
        lines = raw.decode("latin-1").split("\r\n")
        method, _, rest = lines[0].partition(" ")
        path = rest.partition(" ")[0].partition("?")[0]
        fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        if not path.startswith("/"):
            raise ValueError("this is no HTTP request")
        if "transfer-encoding" in fields:
            raise ValueError("a request with Transfer-Encoding is not taken; send a Content-Length")
        return Head(method, path, int(fields.get("content-length", "0")))

    @staticmethod
    def answer(status: int, media_type: str, length: int | None) -> bytes:
        """The head of an answer; `length` of `None` means chunked."""
        size = "transfer-encoding: chunked" if length is None else f"content-length: {length}"
        return f"HTTP/1.1 {status} {_REASONS[status]}\r\ncontent-type: {media_type}\r\n{size}\r\n\r\n".encode()


class Request(NamedTuple):
    """A whole request."""

    head: Head
    body: bytes


class RequestReader:
    """Feed it bytes, get requests."""

    def __init__(self) -> None:
        self._data = b""
        self._head: Head | None = None

    def feed(self, data: bytes) -> list[Request]:
        """The requests that `data` completed. Raises ValueError."""
        self._data += data
        requests = []
        while (request := self._next()) is not None:
            requests.append(request)
        return requests

    def _next(self) -> Request | None:
        if self._head is None:
            raw, end, rest = self._data.partition(b"\r\n\r\n")
            if not end:
                if len(self._data) > MAX_HEAD:
                    raise ValueError("the head of the request is too long")
                return None
            self._head, self._data = Head.parse(raw), rest
        if len(self._data) < self._head.length:
            return None
        head, self._head = self._head, None
        body, self._data = self._data[: head.length], self._data[head.length :]
        return Request(head, body)
