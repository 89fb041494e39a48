"""The addresses that the mesh gives to hosts which have none, so that programs can look them up and connect.

They are routed nowhere: a program that connects to one is redirected to its sidecar, which knows the host by it. A host's
address is derived from its name alone, so that every daemon gives the same one, at any time and after every restart,
without asking a store.

Two names may come out at one IPv4 address. The host that has been there longer keeps it, and the younger one takes the next
address that its name gives; so a host that is added moves no other. Hosts of unknown age (machine lists give none) count as
older than all others, and among themselves the first by name does, so that one of them that is added may move a host. An
address that a service declares is nobody else's: a host that would come out there takes its next. With 5,000 hosts there
are two such in one mesh of eleven: the range is that wide (240.0.0.0/5, reserved and routed by nobody) to make it so.
Turned down: 240.240.0.0/16, in which 5,000 hosts meet 190 times, so that one that is removed often moves another; and
addresses kept in the store, which registries that only watch cannot write. IPv6 addresses (2001:2::/48) hold 80 bits of the
name's hash and do not meet.
"""

from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2b
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import NamedTuple

IPV4_RANGE = IPv4Network("240.0.0.0/5")
IPV6_RANGE = IPv6Network("2001:2::/48")

_PATIENCE = 64
"""Attempts to find a place that nobody declares; even of a range that is half declared, a host then has one."""


class VirtualAddresses(NamedTuple):
    """The addresses of a host, one of each family."""

    ipv4: str
    ipv6: str


class Declared(NamedTuple):
    """Places that a host has by its own declaration, the first and the last."""

    first: int
    last: int
    host: str


class Claimant(NamedTuple):
    """A host that may need an address. Older hosts (``created`` is RFC 3339) come first."""

    created: str
    host: str


def place(host: str, attempt: int = 0, network: IPv4Network = IPV4_RANGE) -> int:
    """Where in an IPv4 range a host belongs, at the first attempt or a later one."""
    return 1 + _hash(f"{attempt}/{host}") % (network.num_addresses - 2)


def addresses_at(host: str, attempt: int = 0, network: IPv4Network = IPV4_RANGE) -> VirtualAddresses:
    """The addresses of a host that ``attempt`` gave a place."""
    low = _hash(host) & int(IPV6_RANGE.hostmask)
    return VirtualAddresses(
        str(IPv4Address(int(network.network_address) + place(host, attempt, network))),
        str(IPv6Address(int(IPV6_RANGE.network_address) + low)),
    )


def declared(host: str, addresses: Iterable[str], network: IPv4Network = IPV4_RANGE) -> tuple[Declared, ...]:
    """The places of a range that addresses and ranges of a host are; none for one that takes more than half, which would
    leave too few.
    """
    base = int(network.network_address)
    found = []
    for address in addresses:
        if ":" in address:
            continue
        other = IPv4Network(address, strict=False)
        first = max(int(other.network_address), base) - base
        last = min(int(other.broadcast_address), int(network.broadcast_address)) - base
        if 0 <= last - first < network.num_addresses // 2:
            found.append(Declared(first, last, host))
    return tuple(found)


def displaced(
    claimants: Iterable[Claimant],
    network: IPv4Network = IPV4_RANGE,
    kept: Callable[[int, str], bool] = lambda _place, _host: False,
) -> Mapping[str, int]:
    """The attempt that gave each host its place, for those to whom the first did not. Every host stands there once, and
    there are fewer than places.

    ``kept`` tells of a place whether it is declared by others than this host. After many attempts a host has such a one.
    """
    taken: set[int] = set()
    found: dict[str, int] = {}
    for claimant in sorted(claimants):
        attempt = 0
        while (where := place(claimant.host, attempt, network)) in taken or (
            attempt < _PATIENCE and kept(where, claimant.host)
        ):
            attempt += 1
        taken.add(where)
        if attempt:
            found[claimant.host] = attempt
    return found


def _hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=16).digest())
