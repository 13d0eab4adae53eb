"""Documents as downloads: small ones whole, large ones in pieces, compressed on the way where the client wants that."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import IO, Final

from starlette.responses import Response, StreamingResponse

from ai_assistant.core.endpoint import FileAnswer

WHOLE_BYTES: Final = 1024 * 1024
"""Up to here a document is one answer, which `compress` compresses as any other."""
PIECE: Final = 256 * 1024
LEVEL: Final = 5


def file_response(answer: FileAnswer, *, gzip: bool = False) -> Response:
    """The document as a download; its file is closed when it has been sent. `gzip`: the client accepts it."""
    headers = {"Content-Disposition": f'attachment; filename="{answer.name}"'}
    if answer.size <= WHOLE_BYTES:
        with answer.file as file:
            return Response(file.read(), headers=headers, media_type=answer.content_type)
    parts = pieces(answer.file)
    # a plain iterator is read in a thread, piece by piece
    if gzip:
        headers |= {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
        parts = gzipped(parts)
    else:
        headers["Content-Length"] = str(answer.size)
    return StreamingResponse(parts, headers=headers, media_type=answer.content_type)


def pieces(file: IO[bytes]) -> Iterator[bytes]:
    """The file in pieces; closed at the end, and also where the client goes away before it."""
    with file:
        while piece := file.read(PIECE):
            yield piece


def gzipped(parts: Iterator[bytes]) -> Iterator[bytes]:
    """The same in gzip (RFC 1952), as it comes."""
    machine = zlib.compressobj(LEVEL, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    for part in parts:
        if packed := machine.compress(part):
            yield packed
    yield machine.flush()
