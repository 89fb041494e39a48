"""Telling the service manager how the daemon is, by the protocol of sd_notify(3)."""

import array
import os
import socket
from collections.abc import Mapping, Sequence


def notify(state: str, environ: Mapping[str, str] = os.environ, *, fds: Sequence[int] = ()) -> bool:
    """Sends ``READY=1`` and the like to the manager that started us; False if there is none.

    ``fds`` go with it, for ``FDSTORE=1``: the manager gets duplicates of its own. A manager that does not listen any more
    is no reason to fail.
    """
    address = environ.get("NOTIFY_SOCKET", "")
    if not address:
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as manager:
        try:
            manager.sendmsg([state.encode()], rights, 0, address)
        except OSError:
            return False
    return True
