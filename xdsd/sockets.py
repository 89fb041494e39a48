"""Looks at an address before it is listened on, for a sentence about what is wrong with it.

gRPC tells no reason when a port cannot be bound, and takes a socket in the file system over from whoever listens there;
aiohttp even takes the place of a file.
"""

import errno
import os
import socket
import stat
from pathlib import Path

from xdsd.settings import Address, TcpAddress

_PATIENCE = 1.0


def refuse_taken(address: Address, setting: str) -> None:
    """Raises OSError where ``address`` cannot be listened on; its sentence names ``setting``, which can be changed.

    A socket in the file system that nobody answers is a dead daemon's, and may be taken over.
    """
    why = _unbindable(address) if isinstance(address, TcpAddress) else _occupied(address.path)
    if why:
        raise OSError(f"cannot listen on {address}: {why} --{setting}")


def _unbindable(address: TcpAddress) -> str:
    try:
        family, kind, *_, where = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return "it is in use; stop what listens there or set another"
        return f"{_reason(error)}; set another"
    return ""


def _occupied(path: Path) -> str:
    if not path.parent.is_dir():
        return f"there is no folder {path.parent}; make it first or set another"
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            return "what stands there is no socket; set another"
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(_PATIENCE)
            probe.connect(str(path))
    except (FileNotFoundError, ConnectionRefusedError):
        return "" if os.access(path.parent, os.W_OK) else "its folder may not be written; set another"
    except OSError as error:
        return f"{_reason(error)}; set another"
    return "another program listens there already; stop it or set another"


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
