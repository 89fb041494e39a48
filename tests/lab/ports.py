"""Ports that nobody listens on now, and that nobody is given by chance before a test's program has them.

They are not the kernel's choice (port 0): that is from the range of outgoing connections, of which any program may be
given the same port a moment later. Each worker of a parallel run has ports of its own: a port is free, too, while the
program is restarted that another worker's test gave it to.
"""

import os
import random
import socket
from collections.abc import Iterator
from functools import cache
from itertools import cycle, islice
from pathlib import Path

_LOWEST = 20000  # below are the well-known ports of meshes


def free_ports(count: int, address: str = "127.0.0.1") -> list[int]:
    """Distinct free TCP ports of ``address``. None comes twice, even if nobody listens there yet, before all have come."""
    sockets: list[socket.socket] = []
    try:
        for port in _next(1000):
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


@cache
def _order() -> Iterator[int]:
    """This process's ports for ever, from a place that chance chooses: it is not the tests' own, which may be seeded."""
    ports = list(_own())
    random.SystemRandom().shuffle(ports)
    return cycle(ports)


def _next(most: int) -> Iterator[int]:
    return islice(_order(), most)


def _own() -> range:
    """The ports of this worker, where several run the tests."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    return range(_LOWEST + worker, _outgoing_from(), workers)


def _outgoing_from() -> int:
    """The first port that the kernel gives to outgoing connections."""
    low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    return low if low >= _LOWEST + 2000 else 65000
