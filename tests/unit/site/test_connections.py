"""Counting the connections to a port, with real sockets."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from ai_assistant.site.connections import connections_to

pytestmark = pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="only Linux tells connections there")
Listen = Callable[[str], socket.socket]


@pytest.fixture
def listen() -> Iterator[Listen]:
    """Makes listening sockets."""
    with ExitStack() as stack:

        def make(address: str) -> socket.socket:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            try:
                return stack.enter_context(socket.create_server((address, 0), family=family))
            except OSError:
                pytest.skip(f"this machine has no {address}")

        yield make


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_listening_and_connected(listen: Listen, address: str) -> None:
    server = listen(address)
    port = server.getsockname()[1]
    assert connections_to(port) == (True, 0)
    with ExitStack() as clients:
        for count in (1, 2, 3):
            clients.enter_context(socket.create_connection((address, port)))
            clients.enter_context(server.accept()[0])
            assert connections_to(port) == (True, count), "both ends are here, and one of them counts"
    with contextlib.closing(server):
        assert connections_to(port)[1] == 0  # type: ignore[index]  # those that were closed wait or are gone
    assert connections_to(port) == (False, 0)


def test_a_system_that_does_not_tell(tmp_path: Path) -> None:
    assert connections_to(9000, tmp_path) is None
