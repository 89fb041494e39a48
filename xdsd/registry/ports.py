"""The ports that several reporters give one service.

Reporters agree on a port if they give its number the same name and protocol. A name that nobody declared, or a protocol,
contradicts nothing: where another declares it, that counts for all. Names tell the ports of a service apart, so one that
was not declared gives way.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Generic, TypeVar

from xdsd.model.catalog import Port, Protocol
from xdsd.model.protocols import SERVER_FIRST
from xdsd.registry.contradictions import Contradiction

Who = TypeVar("Who")


def agree(one: Port, other: Port) -> bool:
    """True if two ports say nothing of one number that contradicts."""
    return one.number == other.number and _names_agree(one, other) and _protocols_agree(one, other)


class Ports(Generic[Who]):
    """Ports as they are joined, the oldest reporter's first; each with whose word of it holds."""

    def __init__(self, ports: Iterable[Port], who: Who) -> None:
        self._known = [(port, who) for port in ports]

    def add(self, port: Port, who: Who) -> Contradiction[Who] | None:
        """Takes in a port; one that contradicts is left out, and the contradiction returned."""
        index = next((at for at, (known, _) in enumerate(self._known) if known.number == port.number), None)
        if index is None:
            if rival := self._of_name(port):
                return _against(rival, port, who)
            self._known.append((port, who))
            return None
        known, older = self._known[index]
        if not agree(known, port):
            return _against((known, older), port, who)
        if not known.declared_name and port.declared_name:
            if rival := self._of_name(port):
                return _against(rival, port, who)
            known, older = replace(known, name=port.name, made_up=False), who
        if not _declares_protocol(known) and _declares_protocol(port):
            known, older = replace(known, protocol=port.protocol, basis=port.basis), who
        self._known[index] = known, older
        return None

    def stranger(self, ports: Iterable[Port]) -> tuple[Port, Port, Who] | None:
        """Of ports that are not added yet one that may be meant to be a known one, and that with its reporter: none of the
        numbers is known, and not all names were declared.
        """
        mine = list(ports)
        numbers = {known.number for known, _ in self._known}
        if not mine or not self._known or any(port.number in numbers for port in mine):
            return None
        known, who = self._known[0]
        declared = mine[0].declared_name and known.declared_name
        return None if declared else (mine[0], known, who)

    def joined(self) -> tuple[Port, ...]:
        """The ports, each of another name."""
        taken = {port.declared_name for port, _ in self._known} - {""}
        found = []
        for port, _ in self._known:
            if not port.declared_name:
                name = port.name
                while name in taken:
                    name = f"{name or 'port'}-{port.number}"
                taken.add(name)
                found.append(port if name == port.name else replace(port, name=name, made_up=True))
            else:
                found.append(port)
        return tuple(found)

    def _of_name(self, port: Port) -> tuple[Port, Who] | None:
        """The known port that has the declared name of a port."""
        name = port.declared_name
        return next((each for each in self._known if name and each[0].declared_name == name), None)


def shown(port: Port) -> str:
    """A port as people read it."""
    return f"{port.number} ({port.declared_name or 'unnamed'}, {port.protocol})"


def _against(rival: tuple[Port, Who], port: Port, who: Who) -> Contradiction[Who]:
    known, older = rival
    return Contradiction(who, f"port {shown(port)}", older, f"port {shown(known)}")


def _names_agree(one: Port, other: Port) -> bool:
    return not one.declared_name or not other.declared_name or one.name == other.name


def _protocols_agree(one: Port, other: Port) -> bool:
    return one.protocol is other.protocol or not (_declares_protocol(one) and _declares_protocol(other))


def _declares_protocol(port: Port) -> bool:
    """False also where a protocol is assumed of the number alone."""
    assumed = not port.basis and port.number in SERVER_FIRST and port.protocol is Protocol.TCP
    return not port.protocol.is_auto and not assumed
