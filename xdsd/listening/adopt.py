"""Makes gRPC accept from a socket that is there already.

gRPC is told to listen on an address that nobody knows, an abstract Unix socket. The descriptor of that **stand-in** is then
made to mean the other socket, and so is its entry in gRPC's epoll, whose number and cookie the kernel tells in
``/proc/self/fdinfo``. Releasing is the same in reverse: gRPC gets its stand-in back, and that is what it shuts down.
Nothing of gRPC's memory is touched. Where gRPC does not wait by epoll, nothing is changed and ``CannotAdoptError`` says so.
"""

import ctypes
import os
import platform
import re
import secrets
import select
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_CTL_ADD, _CTL_DEL = 1, 2
_ENTRY = re.compile(r"^tfd:\s*(\d+) events:\s*([0-9a-f]+) data:\s*([0-9a-f]+)", re.MULTILINE)


class CannotAdoptError(OSError):
    """gRPC's way of waiting for connections is not the one that is known here."""


class _Event(ctypes.Structure):
    """``struct epoll_event``, which x86 alone packs."""

    _pack_ = 1 if platform.machine() in {"x86_64", "i386", "i686"} else 8
    _fields_ = [("events", ctypes.c_uint32), ("data", ctypes.c_uint64)]


@dataclass(frozen=True, slots=True)
class _Watched:
    """A descriptor's entry in an epoll."""

    epoll: int
    fd: int
    events: int
    cookie: int

    def put(self) -> None:
        self._control(_CTL_ADD)

    def take(self) -> None:
        self._control(_CTL_DEL)

    def _control(self, operation: int) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.epoll_ctl(self.epoll, operation, self.fd, ctypes.byref(_Event(self.events, self.cookie))):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))


class Adopted:
    """A socket from which gRPC accepts. ``release`` ends that; the socket itself stays open and keeps its backlog."""

    def __init__(self, watched: _Watched, adopted: socket.socket) -> None:
        self._watched = watched
        self._stand_in: int | None = os.dup(watched.fd)
        self._become(adopted.fileno())

    def release(self) -> None:
        """gRPC accepts no more; may be called again. What it has accepted already stays with it."""
        if self._stand_in is not None:
            self._become(self._stand_in)
            os.close(self._stand_in)
            self._stand_in = None

    def _become(self, other: int) -> None:
        # An entry belongs to the open file behind a descriptor, so it has to go while the descriptor still means that.
        self._watched.take()
        os.dup2(other, self._watched.fd, inheritable=False)
        self._watched.put()


def adopt(listen: Callable[[str], object], adopted: socket.socket) -> Adopted:
    """Lets the gRPC server behind ``listen`` (its ``add_…_port``), which has not started, accept from ``adopted``.

    Raises:
        CannotAdoptError: it cannot be done with this gRPC, in this environment.
    """
    name = f"xdsd-{secrets.token_hex(16)}"
    listen(f"unix-abstract:{name}")
    watched = _watched(_descriptor(f"\0{name}".encode()))
    adopted.setblocking(False)
    if adopted.family != socket.AF_UNIX:
        adopted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # what gRPC does to those it makes
    return Adopted(watched, adopted)


def _descriptor(name: bytes) -> int:
    """The descriptor of the socket that has this name."""
    for fd in _descriptors():
        with suppress(OSError):  # closed meanwhile
            if stat.S_ISSOCK(os.fstat(fd).st_mode) and _name(fd) == name:
                return fd
    raise CannotAdoptError("gRPC's listening socket was not found among the open files")


def _name(fd: int) -> object:
    with socket.socket(fileno=os.dup(fd)) as found:
        return found.getsockname()


def _watched(fd: int) -> _Watched:
    for epoll in _descriptors():
        with suppress(OSError):
            if str(Path(f"/proc/self/fd/{epoll}").readlink()) != "anon_inode:[eventpoll]":
                continue
            text = Path(f"/proc/self/fdinfo/{epoll}").read_text()
            for number, events, cookie in _ENTRY.findall(text):
                # asyncio has an epoll as well, where this number may have been another's once: gRPC waits for edges.
                if int(number) == fd and int(events, 16) & select.EPOLLET:
                    return _Watched(epoll, fd, int(events, 16), int(cookie, 16))
    raise CannotAdoptError(
        "gRPC does not wait for connections by epoll; unset GRPC_POLL_STRATEGY if it is set"
    )


def _descriptors() -> Iterator[int]:
    return iter([int(name) for name in os.listdir("/proc/self/fd")])  # noqa: PTH208 - names alone
