"""Endpoints of other networks, which are reached through the gateways of theirs.

A gateway passes TLS through and finds the service by its server name, so what is behind it is called by mutual TLS of the
mesh or not at all. It stands for as many endpoints as are behind it; those that are ill count where there are no others.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from ipaddress import IPv4Network, IPv6Network, ip_address
from math import lcm

from xdsd.compile.endpoints import Takes
from xdsd.model.catalog import BEHIND, NOT_SERVED, Endpoint, Health, Port, network_of

Range = IPv4Network | IPv6Network
Rank = Callable[[Endpoint], int]


@dataclass(frozen=True, slots=True)
class Networks:
    """The networks that have gateways, with their addresses and ports; and ranges of addresses with the network of each."""

    gateways: tuple[tuple[str, tuple[tuple[str, int], ...]], ...]
    ranges: tuple[tuple[Range, str], ...] = ()

    def of(self, endpoint: Endpoint) -> str:
        """The network of an endpoint: as it says, as its labels say, else the narrowest range that it is in."""
        said = network_of(endpoint)
        if said or not self.ranges:
            return said
        try:
            address = ip_address(endpoint.address)
        except ValueError:
            return ""
        found = [(each.prefixlen, name) for each, name in self.ranges if address in each]
        return max(found)[1] if found else ""

    def through(self, network: str) -> tuple[tuple[str, int], ...]:
        """The gateways of a network."""
        return next((found for name, found in self.gateways if name == network), ())

    def is_elsewhere(self, endpoint: Endpoint, own: str) -> bool:
        """True for an endpoint that is known to be on another network than ``own``."""
        return bool(own) and self.of(endpoint) not in {"", own}

    def is_apart(self, endpoint: Endpoint, own: str) -> bool:
        """True for an endpoint that a proxy of network ``own`` reaches through a gateway alone."""
        return self.is_elsewhere(endpoint, own) and bool(self.through(self.of(endpoint)))


def seen_from(
    endpoints: Iterable[Endpoint],
    networks: Networks,
    own: str,
    port: Port,
    mutual: Takes | None,
    rank: Rank | None = None,
) -> Iterator[Endpoint]:
    """The endpoints of a cluster as a proxy of network ``own`` calls them: others' through gateways.

    ``mutual`` says which can be called there; None: nothing can. A network stands where the endpoint of it is that ``rank``
    prefers.
    """
    near: list[Endpoint] = []
    behind: dict[str, list[Endpoint]] = {}
    for each in endpoints:
        if not networks.is_apart(each, own):
            near.append(each)
        elif mutual is not None and mutual(each) and each.port_for(port) != NOT_SERVED:
            behind.setdefault(networks.of(each), []).append(each)
    scale = lcm(*(len(networks.through(network)) for network in behind))
    yield from (replace(each, weight=(each.weight or 1) * scale) if scale > 1 else each for each in near)
    for network, found in sorted(behind.items()):
        yield from _gateways(network, networks.through(network), found, port, scale, rank)


def left_out(
    endpoints: Iterable[Endpoint], networks: Networks, own: str, mutual: Takes | None
) -> dict[str, int]:
    """How many endpoints of which other networks cannot be called through their gateways."""
    found: dict[str, int] = {}
    for each in endpoints:
        if networks.is_apart(each, own) and (mutual is None or not mutual(each)):
            network = networks.of(each)
            found[network] = found.get(network, 0) + 1
    return found


def is_gateway(endpoint: Endpoint) -> bool:
    """True for an endpoint that stands for others."""
    return BEHIND in endpoint.labels


def _gateways(
    network: str,
    gateways: tuple[tuple[str, int], ...],
    found: list[Endpoint],
    port: Port,
    scale: int,
    rank: Rank | None,
) -> Iterator[Endpoint]:
    well = [each for each in found if each.health is Health.HEALTHY]
    counted = well or found
    weight = sum(each.weight or 1 for each in counted) * scale // len(gateways)
    place = min(counted, key=lambda each: (rank(each) if rank else 0, each.locality))
    health = Health.HEALTHY if well else Health.UNHEALTHY
    for address, number in gateways:
        yield Endpoint(
            address,
            {port.name: number},
            {**place.labels, BEHIND: network},
            place.locality,
            weight,
            network,
            health=health,
        )
