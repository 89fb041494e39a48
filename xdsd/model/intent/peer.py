"""Peer: another mesh, with a daemon, a store, registries and an authority of its own, that services are shared with.

The kind is our own; nothing published says the same. A Peer is named as the other mesh calls itself, and counts in the root
namespace only. Nothing is offered to it and nothing taken from it but what ``exports`` and ``imports`` say.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, Field, Strict

from xdsd.model.intent.base import (
    Finding,
    Message,
    Notation,
    PortNumber,
    Str,
    absent,
    invalid,
    many,
    needed,
    shown,
    wrong,
)
from xdsd.model.intent.certificate_data import Authorities, TrustDomain
from xdsd.model.intent.durations import DurationOrZero
from xdsd.model.intent.hosts import is_address, is_label
from xdsd.model.intent.mesh_networks import GatewayAddress
from xdsd.model.intent.values import Locality

ANY = "*"
KEPT_FOR = timedelta(hours=24)
"""How long a peer's last known state is kept where its Peer does not say."""
MAX_SERVICES = 5_000
"""How many services are taken from a peer where its Peer does not say."""


def _dialled(text: str) -> str:
    host, _, port = text.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    numbered = port.isascii() and port.isdigit() and 1 <= int(port) <= 65535
    if not numbered or not (is_address(bare) or all(map(is_label, host.split(".")))):
        raise invalid(f"{shown(text)} is no address of a daemon; write HOST:PORT, such as 192.0.2.1:15016")
    return text


def _own_or_any(text: str) -> str:
    if text != ANY and not is_label(text):
        raise invalid(f"{shown(text)} is no name; write letters, digits and inner hyphens, 63 at most, or *")
    return text


Dialled = Annotated[Str, AfterValidator(_dialled)]
Most = Annotated[int, Strict(), Field(ge=1, le=1_000_000), Notation("integer(int32)")]
NameOrAny = Annotated[Str, AfterValidator(_own_or_any)]


class PeerServices(Message):
    """Services, by their namespaces and names."""

    namespaces: tuple[NameOrAny, ...] = many("Their namespaces; * or none is all.")
    names: tuple[NameOrAny, ...] = many("Their names, without the namespace; * or none is all.")

    def covers(self, namespace: str, name: str) -> bool:
        """True for a service that is among them."""
        return _among(namespace, self.namespaces) and _among(name, self.names)


class PeerGateway(Message):
    """A gateway of ours, as the peer's proxies reach it."""

    address: GatewayAddress = needed("IP address at which the peer's proxies reach the gateway.")
    port: PortNumber = needed("Port of the gateway where TLS is passed through.")
    locality: Locality | None = absent("Where the gateway is; by default where the services behind it are.")


class Peer(Message):
    """Another mesh that services are shared with."""

    addresses: tuple[Dialled, ...] = many(
        "Where its daemons take peers, tried in turn; without any nothing is taken from it."
    )
    trust_domain: TrustDomain = needed("Trust domain of its daemons and workloads.")
    ca_certificates: Authorities | None = absent(
        "Authorities that vouch for its daemon to begin with; later it tells those that follow. Not needed where its trust"
        " domain is the mesh's own, and its root too."
    )
    exports: tuple[PeerServices, ...] = many("Services of the mesh that are offered to it; none if left out.")
    imports: tuple[PeerServices, ...] = many("Services of it that are taken; none if left out.")
    gateways: tuple[PeerGateway, ...] = many("Gateways of the mesh through which it reaches what is offered.")
    keep_for: DurationOrZero | None = absent(
        "How long what it said last holds while it cannot be asked; 24h if left out."
    )
    max_services: Most | None = absent(
        "How many services are taken from it at most; 5000 if left out. Every sidecar that may call them has a cluster for"
        " each."
    )

    @property
    def most(self) -> int:
        return MAX_SERVICES if self.max_services is None else self.max_services

    @property
    def kept_for(self) -> timedelta:
        return KEPT_FOR if self.keep_for is None else self.keep_for

    def offers(self, namespace: str, name: str) -> bool:
        """True for a service of the mesh that the peer may know of."""
        return any(each.covers(namespace, name) for each in self.exports)

    def takes(self, namespace: str, name: str) -> bool:
        """True for a service of the peer that the mesh wants."""
        return any(each.covers(namespace, name) for each in self.imports)

    def findings(self) -> Iterator[Finding]:
        seen: set[tuple[str, int]] = set()
        for index, each in enumerate(self.gateways):
            if (each.address, each.port) in seen:
                yield wrong(f"{each.address} port {each.port} is listed twice", "gateways", index)
            seen.add((each.address, each.port))


def _among(name: str, names: tuple[str, ...]) -> bool:
    return not names or ANY in names or name in names
