"""Ports that nobody listens on now, and that nobody is given by chance before a test's program has them.

They are not the kernel's choice (port 0): that is from the range of outgoing connections, of which any program may be
given the same port a moment later.
"""

import random
import socket
from pathlib import Path

_LOWEST = 20000  # below are the well-known ports of meshes


def free_ports(count: int, address: str = "127.0.0.1") -> list[int]:
    """Distinct free TCP ports of ``address``, all held until the last is known, so that none comes twice."""
    sockets: list[socket.socket] = []
    # Chance keeps tests that run at the same time apart; it is not the tests' own, which may be seeded.
    candidates = random.SystemRandom().sample(range(_LOWEST, _outgoing_from()), k=1000)
    try:
        for port in candidates:
            if len(sockets) == count:
                break
            held = socket.socket()
            try:
                held.bind((address, port))
            except OSError:
                held.close()
            else:
                sockets.append(held)
        assert len(sockets) == count, f"{address} has no {count} free ports"
        return [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()


def free_port(address: str = "127.0.0.1") -> int:
    """One free TCP port of ``address``."""
    return free_ports(1, address)[0]


def _outgoing_from() -> int:
    """The first port that the kernel gives to outgoing connections."""
    low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    return low if low >= _LOWEST + 2000 else 65000
