"""Who can reach a TCP port of this machine: the addresses that it listens on, and the machine's own addresses."""

from __future__ import annotations

import ipaddress
import socket
from pathlib import Path

LISTEN = "0A"
"""State of a listening socket in /proc/net/tcp (Linux, Documentation/networking/proc_net_tcp)."""
CONNECT_S = 1.0


def listening_on(port: int, proc: Path = Path("/proc/net")) -> set[str] | None:
    """The addresses on which something listens to the port; `None` where the system does not tell."""
    found: set[str] | None = None
    for name in ("tcp", "tcp6"):
        try:
            rows = (proc / name).read_text().splitlines()[1:]
        except OSError:
            continue
        found = set() if found is None else found
        for row in rows:
            _, local, _, state, *_ = row.split()
            address, _, number = local.rpartition(":")
            if state == LISTEN and int(number, 16) == port:
                found.add(address_of(address))
    return found


def address_of(digits: str) -> str:
    """The address behind the hexadecimal digits of /proc/net/tcp: 32-bit words in the machine's byte order, which is
    little-endian wherever benches run."""
    raw = bytes.fromhex(digits)
    words = b"".join(raw[at : at + 4][::-1] for at in range(0, len(raw), 4))
    return str(ipaddress.ip_address(words))


def own_addresses(proc: Path = Path("/proc/net")) -> list[str]:
    """The machine's addresses that others may reach: neither loopback nor link-local."""
    found = {*ipv4_addresses(proc), *ipv6_addresses(proc)} or {outgoing_address()}
    return sorted(each for each in found if each and is_outside(each))


def is_outside(address: str) -> bool:
    """Whether another machine could use this address."""
    parsed = ipaddress.ip_address(address)
    return not (parsed.is_loopback or parsed.is_link_local or parsed.is_unspecified)


def ipv4_addresses(proc: Path) -> set[str]:
    """Those that the kernel's routing table calls local hosts."""
    found: set[str] = set()
    before = ""
    try:
        rows = (proc / "fib_trie").read_text().splitlines()
    except OSError:
        return found
    for row in rows:
        if "/32 host LOCAL" in row:
            found.add(before.split()[-1])
        before = row
    return found


def ipv6_addresses(proc: Path) -> set[str]:
    """Those of all interfaces."""
    try:
        rows = (proc / "if_inet6").read_text().splitlines()
    except OSError:
        return set()
    return {str(ipaddress.ip_address(bytes.fromhex(row.split()[0]))) for row in rows}


def outgoing_address() -> str:
    """The address from which this machine would speak to the outside; nothing is sent. Empty without a network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # TEST-NET-1, RFC 5737
        except OSError:
            return ""
        return probe.getsockname()[0]


def reachable(address: str, port: int) -> bool:
    """Whether a connection to the port is taken."""
    try:
        with socket.create_connection((address, port), timeout=CONNECT_S):
            return True
    except OSError:
        return False


def base_url(address: str, port: int) -> str:
    """`http://address:port`, with brackets where they belong."""
    return f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"
