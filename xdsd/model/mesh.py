"""Intent and catalog resolved against each other, as one proxy or a group of equal proxies sees them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from typing import Any

from xdsd.model.gateway_topology import UNSAID, GatewayTopology
from xdsd.model.identity import SpiffeID
from xdsd.model.role import Interception, Role
from xdsd.model.virtual_addresses import IPV4_RANGE

__all__ = ["SYSTEM_CA", "Interception", "MeshSettings", "Proxy", "Role"]


@dataclass(frozen=True, slots=True)
class Proxy:
    """An Envoy as its node describes it: ``role~address~name.namespace~domain`` and metadata.

    Equal proxies are interchangeable for the compiler. ``http_proxy_port`` (metadata ``HTTP_PROXY_PORT``) asks a sidecar
    without redirection for an HTTP proxy listener. ``bind`` (metadata ``OUTBOUND_BIND``) is where such a sidecar puts its
    outbound listeners, and a gateway those of servers without an address. ``dns`` (metadata ``DNS_CAPTURE`` and
    ``DNS_PROXY_ADDR``) is where a sidecar answers DNS, as address and port. ``metadata`` is all of it that is text,
    ``start`` (metadata ``PROXY_CONFIG``) what objects said of it when its bootstrap was written; None if it never starts.
    ``topology`` is what it says there of what stands in front of it.
    ``vhds``: it can discover virtual hosts on its stream. ``identity`` is what it proved, None where it proved nothing;
    ``node_id`` then tells it apart from others of its id.
    """

    node_id: str
    role: Role
    address: str
    name: str
    namespace: str
    domain: str
    labels: Mapping[str, str] = field(default_factory=dict)
    cluster: str = ""
    network: str = ""
    locality: str = ""
    interception: Interception = Interception.REDIRECT
    http_proxy_port: int = 0
    bind: str = ""
    dns: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    vhds: bool = False
    identity: SpiffeID | None = None
    start: Mapping[str, Any] | None = field(default_factory=dict)
    topology: GatewayTopology = UNSAID


SYSTEM_CA = "/etc/ssl/certs/ca-certificates.crt"
"""Where most Linux systems keep the certificates of the authorities that they trust."""


@dataclass(frozen=True, slots=True)
class MeshSettings:
    """What the whole mesh agrees on. ``root_namespace`` holds the objects that are defaults for every namespace.

    ``system_ca`` is the file, on the proxies' machines, of the authorities that vouch for servers outside the mesh.
    ``dns_resolvers`` (``10.0.0.2:53``) are asked for names that the mesh does not have; by default those of each machine.
    From ``virtual_addresses`` the mesh gives addresses to hosts that have none.
    ``vhds``: sidecars that can discover virtual hosts one by one, apart from route configurations.
    ``http3``: gateways speak HTTP/3 where they end TLS and ask callers for no certificate.
    Peers of ``trust_domain`` are of the mesh, and those of its aliases (which the MeshConfig says).
    """

    domain: str = "cluster.local"
    root_namespace: str = "istio-system"
    allow_any: bool = True
    rate_limit_service: str = ""
    system_ca: str = SYSTEM_CA
    vhds: bool = False
    http3: bool = False
    trust_domain: str = "cluster.local"
    dns_resolvers: tuple[str, ...] = ()
    virtual_addresses: IPv4Network = IPV4_RANGE
