"""TCP connections to a port of this machine, as Linux tells them to everybody."""

from __future__ import annotations

from pathlib import Path

ESTABLISHED, LISTEN = "01", "0A"
"""States in /proc/net/tcp (Linux, Documentation/networking/proc_net_tcp)."""


def connections_to(port: int, proc: Path = Path("/proc/net")) -> tuple[bool, int] | None:
    """Whether something listens on the port, and how many connections it has; None where the system does not tell."""
    listens, connections, told = False, 0, False
    for name in ("tcp", "tcp6"):
        try:
            rows = (proc / name).read_text().splitlines()[1:]
        except OSError:  # no IPv6, or no Linux
            continue
        told = True
        for row in rows:
            _, local, _, state, *_ = row.split(maxsplit=4)
            if int(local.rpartition(":")[2], 16) == port:
                listens |= state == LISTEN
                connections += state == ESTABLISHED
    return (listens, connections) if told else None
