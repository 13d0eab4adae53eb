"""A server that takes every POST and forgets it: where the peers export to.

python -m benchmarks.tracing_parts.sink        prints its port
"""

from __future__ import annotations

import asyncio
import sys

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"


class Sink(asyncio.Protocol):
    """One connection: reads heads and bodies, answers each request."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps the transport."""
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]
        self._buffer = bytearray()
        self._left = 0

    def data_received(self, data: bytes) -> None:
        """Skips bodies; `Content-Length` only, which is what all of the peers send."""
        self._buffer += data
        while True:
            taken = min(self._left, len(self._buffer))
            del self._buffer[:taken]
            self._left -= taken
            head, found, rest = bytes(self._buffer).partition(b"\r\n\r\n")
            if self._left or not found:
                return
            lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
            self._left = int(lengths[0].split(b":")[1]) if lengths else 0
            self._buffer = bytearray(rest)
            self._transport.write(ANSWER)


async def main() -> None:
    """Serves until standard input ends."""
    server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(main())
