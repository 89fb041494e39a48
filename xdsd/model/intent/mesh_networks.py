"""Networks of the mesh and the gateways through which each is reached from others: the fields of Istio's MeshNetworks, which
is a file of its own there.
"""

from collections.abc import Iterator, Mapping
from ipaddress import ip_address, ip_network
from typing import Annotated, Any

from pydantic import AfterValidator

from xdsd.model.intent.base import (
    Finding,
    Message,
    PortNumber,
    Str,
    absent,
    invalid,
    many,
    missing,
    needed,
    shown,
    wrong,
)


def _cidr(text: str) -> str:
    try:
        ip_network(text)
    except ValueError as error:
        raise invalid(f"{shown(text)} is no range of addresses, such as 10.1.0.0/16") from error
    return text


def _address(text: str) -> str:
    try:
        ip_address(text)
    except ValueError as error:
        raise invalid(f"{shown(text)} is no IP address; a gateway is reached at one") from error
    return text


Cidr = Annotated[Str, AfterValidator(_cidr)]
GatewayAddress = Annotated[Str, AfterValidator(_address)]


class NetworkEndpoints(Message):
    """Endpoints of a network that do not say of which they are."""

    at_most_one = (("fromCidr", "fromRegistry"),)

    from_cidr: Cidr | None = absent("Range of their addresses.")
    from_registry: Str | None = absent("Registry that reports them.")

    def findings(self) -> Iterator[Finding]:
        if not (self.from_cidr or self.from_registry):
            yield missing("is missing; give a range such as 10.1.0.0/16", "fromCidr")


class NetworkGateway(Message):
    """A gateway of a network, by address or by the service that it is."""

    at_most_one = (("address", "registryServiceName"),)

    address: GatewayAddress | None = absent("IP address of the gateway.")
    registry_service_name: Str | None = absent("Host of the service whose endpoints are the gateways.")
    port: PortNumber = needed("Port of the gateway where TLS is passed through.")
    locality: Str | None = absent("Where the gateway is.")

    def findings(self) -> Iterator[Finding]:
        if not (self.address or self.registry_service_name):
            yield missing("is missing; give it, or registryServiceName", "address")


class Network(Message):
    """A network: whose endpoints are in it, and how it is reached from others."""

    endpoints: tuple[NetworkEndpoints, ...] = many("Endpoints that do not say of which network they are.")
    gateways: tuple[NetworkGateway, ...] = many("Gateways through which the network is reached.")

    def findings(self) -> Iterator[Finding]:
        if not self.gateways:
            yield missing("is missing; give at least one gateway", "gateways")


def network_findings(networks: Mapping[str, Any], field: str) -> Iterator[Finding]:
    """What is wrong with networks taken together."""
    ranges: dict[str, str] = {}
    for name, network in networks.items():
        if not name:
            yield wrong("a network has a name", field)
        for index, each in enumerate(network.endpoints):
            other = ranges.setdefault(each.from_cidr, name) if each.from_cidr else name
            if other != name:
                yield wrong(
                    f"{each.from_cidr} is of network {other} already", field, name, "endpoints", index
                )
