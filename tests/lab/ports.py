"""Ports that nobody listens on now, and that nobody is given by chance before a test's program has them.

They are not the kernel's choice (port 0): that is from the range of outgoing connections, of which any program may be
given the same port a moment later. Each is this process's own until that ends, by a lock that every run on this machine
asks for: a port is free, too, while the program is restarted that a test gave it to.
"""

import errno
import fcntl
import os
import random
import socket
from collections.abc import Sequence
from contextlib import ExitStack
from functools import cache
from pathlib import Path

_LOWEST, _HIGHEST = 20000, 65535  # below are the well-known ports of meshes
_FEW = 2000


def free_ports(count: int) -> list[int]:
    """Distinct ports that are free on every address. None comes twice before all have come."""
    return [_own().take(1)[0] for _ in range(count)]


def free_port() -> int:
    """One of them."""
    return free_ports(1)[0]


def free_row(count: int) -> Sequence[int]:
    """As many, each the one after the other."""
    return _own().take(count)


class Ports:
    """Those of one process, in an order that chance chooses: it is not the tests' own, which may be seeded."""

    def __init__(self) -> None:
        low, high = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
        every = range(_LOWEST, _HIGHEST + 1)
        others = [port for port in every if not low <= port <= high]
        self._order = others if len(others) >= _FEW else list(every)
        random.SystemRandom().shuffle(self._order)
        self._next = 0
        self._given: set[int] = set()
        # Never closed: the first descriptor of the file that a process closes gives up all that it has locked.
        path = f"/tmp/xdsd-ports-{os.getuid()}"
        self._locks = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)

    def take(self, count: int) -> Sequence[int]:
        """So many in a row."""
        for _ in range(2 * len(self._order)):
            if self._next == len(self._order):
                self._next = 0
                self._given.clear()
            first = self._order[self._next]
            self._next += 1
            row = range(first, first + count)
            if all(map(self.takes, row)):
                self._given.update(row)
                return row
        raise AssertionError(f"there are no {count} free ports in a row")

    def takes(self, port: int) -> bool:
        """Whether it was neither given nor is taken by anybody; from now on it is nobody else's."""
        return port <= _HIGHEST and port not in self._given and self._locks_it(port) and _is_free(port)

    def _locks_it(self, port: int) -> bool:
        try:
            fcntl.lockf(self._locks, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
        except OSError as error:
            if error.errno not in {errno.EACCES, errno.EAGAIN}:
                raise
            return False
        return True


@cache
def _own() -> Ports:
    return Ports()


def _is_free(port: int) -> bool:
    """On every address of IPv4, and of IPv6 where there is that; for streams and for datagrams."""
    with ExitStack() as stack:
        for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                try:
                    held = stack.enter_context(socket.socket(family, kind))
                    if family == socket.AF_INET6:
                        held.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                    held.bind((address, port))
                except OSError as error:
                    if error.errno not in {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL}:
                        return False
    return True
