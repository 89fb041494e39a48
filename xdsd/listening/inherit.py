"""The sockets that the service manager hands over, by the protocol of sd_listen_fds(3)."""

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass

FIRST_FD = 3


@dataclass(frozen=True, slots=True)
class Inherited:
    """A socket and the name that its unit, or who put it into the fd store, gave it."""

    name: str
    socket: socket.socket

    @property
    def listens(self) -> bool:
        return bool(self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))

    @property
    def where(self) -> str:
        """The address as settings write it."""
        name = self.socket.getsockname()
        if self.socket.family == socket.AF_INET:
            return f"{name[0]}:{name[1]}"
        if self.socket.family == socket.AF_INET6:
            return f"[{name[0]}]:{name[1]}"
        return f"unix:{os.fsdecode(name)}"


def inherited(environ: Mapping[str, str] = os.environ, first: int = FIRST_FD) -> list[Inherited]:
    """What we were given; nothing where the words in the environment are for another process. To be called once.

    Raises:
        OSError: something is no socket.
    """
    if environ.get("LISTEN_PID") != str(os.getpid()):
        return []
    count = int(environ.get("LISTEN_FDS") or "0")
    names = environ.get("LISTEN_FDNAMES", "").split(":")
    found = []
    for index, fd in enumerate(range(first, first + count)):
        name = names[index] if index < len(names) else "unknown"
        os.set_inheritable(fd, False)
        try:
            found.append(Inherited(name, socket.socket(fileno=fd)))
        except OSError as error:
            raise OSError(f"what the service manager hands over as {name!r} is no socket") from error
    return found
