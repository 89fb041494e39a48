"""The address that proxies connect to, listened on by a kept socket under a service manager and by gRPC's own elsewhere."""

import asyncio
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from xdsd.listening.adopt import Adopted, adopt
from xdsd.listening.inherit import Inherited, inherited
from xdsd.notify import notify
from xdsd.setting_values import Address, TcpAddress
from xdsd.sockets import refuse_taken

STORED = "xdsd-kept"
_BACKLOG = 4096
_GREETING = 0.25
"""Seconds: many times what a connection over loopback needs until its first call is under way."""

_PARTS = 10
"""That time passes in so many parts: where the machine stalls, one of them is lost and not all."""


class Port:
    """``listen`` before the server starts, ``release`` before it drains, ``close`` when it has ended."""

    def __init__(self, address: Address, kept: socket.socket | None) -> None:
        self.address = address
        self._kept = kept
        self._adopted: Adopted | None = None

    @property
    def kept(self) -> bool:
        """True where connections wait while the daemon restarts."""
        return self._kept is not None

    def listen(self, listen: Callable[[str], object]) -> None:
        """Lets the server behind ``listen`` (its ``add_…_port``) serve this address.

        Raises:
            RuntimeError: gRPC cannot listen there.
            OSError: gRPC cannot take the kept socket over.
        """
        if self._kept is None:
            listen(str(self.address))
        else:
            self._adopted = adopt(listen, self._kept)

    async def release(self) -> None:
        """From now on connections wait for the next process, if the socket is kept.

        gRPC fails the calls of a connection that it has taken, but not greeted, when it is told to stop. So this returns
        only when those taken a moment ago have had time to be served.
        """
        if self._adopted is not None:
            self._adopted.release()
            self._adopted = None
            for _ in range(_PARTS):
                await asyncio.sleep(_GREETING / _PARTS)

    def close(self) -> None:
        """Ends our part of the socket; the service manager's stays."""
        if self._adopted is not None:
            self._adopted.release()
        if self._kept is not None:
            self._kept.close()


def open_port(address: Address, setting: str, environ: Mapping[str, str] = os.environ) -> Port:
    """The port for ``address``, which ``setting`` names, where there is no other; see ``open_ports``."""
    return open_ports([(address, setting)], environ)[0]


def open_ports(wanted: Sequence[tuple[Address, str]], environ: Mapping[str, str] = os.environ) -> list[Port]:
    """The ports for addresses and the settings that name them. Takes the sockets that the service manager handed over.

    A socket of a unit must stand for one of these addresses. One from the fd store that does not is of the time before the
    setting was changed, and is given up.

    Raises:
        OSError: its sentence says why an address cannot be had, and what can be changed.
    """
    given = inherited(environ)
    units = [each for each in given if not each.name.startswith(STORED)]
    for each in units:
        _check(each, wanted)
    ports = []
    for address, setting in wanted:
        named = [each for each in given if each.name == stored_name(setting)]
        found = [each.socket for each in (*units, *named) if _is(each, address)]
        _give_up([each for each in named if each.socket not in found[:1]], environ)
        ports.append(_port(address, setting, found, environ))
    _give_up([each for each in given if each.name.startswith(STORED) and not _known(each, wanted)], environ)
    return ports


def stored_name(setting: str) -> str:
    """What the socket of a setting is called in the fd store."""
    return STORED if setting == "xds-address" else f"{STORED}-{setting}"


def _known(stored: Inherited, wanted: Sequence[tuple[Address, str]]) -> bool:
    return any(stored.name == stored_name(setting) for _, setting in wanted)


def _port(address: Address, setting: str, found: Sequence[socket.socket], environ: Mapping[str, str]) -> Port:
    if found:
        return Port(address, found[0])
    refuse_taken(address, setting)
    if not environ.get("NOTIFY_SOCKET") or not isinstance(address, TcpAddress) or not address.port:
        return Port(address, None)
    kept = _listening(address)
    notify(f"FDSTORE=1\nFDNAME={stored_name(setting)}", environ, fds=[kept.fileno()])
    return Port(address, kept)


def _give_up(stored: Sequence[Inherited], environ: Mapping[str, str]) -> None:
    for each in stored:
        notify(f"FDSTOREREMOVE=1\nFDNAME={each.name}", environ)
        each.socket.close()


def _check(unit: Inherited, wanted: Sequence[tuple[Address, str]]) -> None:
    if not unit.listens:
        raise OSError(f"the socket {unit.name!r} that the service manager hands over does not listen")
    if not any(_is(unit, address) for address, _ in wanted):
        said = ", ".join(f"--{setting} is {address}" for address, setting in wanted)
        raise OSError(
            f"the socket unit listens on {unit.where}, but {said}; "
            "change one of them: systemctl edit xdsd.socket (ListenStream=)"
        )


def _is(given: Inherited, address: Address) -> bool:
    if not given.listens:
        return False
    name = given.socket.getsockname()
    if isinstance(address, TcpAddress):
        if given.socket.family not in {socket.AF_INET, socket.AF_INET6}:
            return False
        return any(
            (family, where[:2]) == (given.socket.family, name[:2])
            for family, *_, where in socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
        )
    return given.socket.family == socket.AF_UNIX and Path(os.fsdecode(name)) == address.path.absolute()


def _listening(address: TcpAddress) -> socket.socket:
    family, kind, *_, where = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0]
    made = socket.socket(family, kind)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(where)
        made.listen(_BACKLOG)
    except OSError:
        made.close()
        raise
    return made
