"""A reverse proxy as it stands before a bench: /socket.io to the realtime server, all else to the web server. Its
headers can be set rightly, wrongly, or not at all."""

import asyncio
import contextlib
import threading


class RealtimeProxy:
    """Listens on a free port of 127.0.0.1 while in its `with`."""

    def __init__(self, web_port, realtime_port, *, set_headers=None, drop=()):
        """`set_headers`: what the proxy sends instead of the client's, by name; `drop`: names it leaves out."""
        self._targets = (web_port, realtime_port)
        self._set = {name.lower(): value for name, value in (set_headers or {}).items()}
        self._drop = {name.lower() for name in drop}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self):
        self._thread.start()
        server = asyncio.run_coroutine_threadsafe(asyncio.start_server(self._serve, "127.0.0.1", 0), self._loop)
        self.port = server.result(5).sockets[0].getsockname()[1]
        return self

    def __exit__(self, *error):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    async def _serve(self, reader, writer):
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            is_socket = head.split(" ", 2)[1].startswith("/socket.io")
            there, onward = await asyncio.open_connection("127.0.0.1", self._targets[is_socket])
            onward.write((self._rewritten(head) if is_socket else closing(head)).encode("latin-1"))
            await asyncio.wait(
                [asyncio.ensure_future(pipe(reader, onward)), asyncio.ensure_future(pipe(there, writer))],
                return_when=asyncio.FIRST_COMPLETED,
            )
            onward.close()
        writer.close()

    def _rewritten(self, head):
        first, *rows = head.rstrip("\r\n").split("\r\n")
        kept = [row for row in rows if row.split(":", 1)[0].lower() not in self._drop | self._set.keys()]
        return "\r\n".join([first, *kept, *(f"{name}: {value}" for name, value in self._set.items())]) + "\r\n\r\n"


def closing(head):
    """One request per connection: what follows on it would not be looked at."""
    return head.replace("\r\n", "\r\nConnection: close\r\n", 1)


async def pipe(reader, writer):
    """Copies until the end of one side."""
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
