"""What platforms report: services, the workloads behind them, and their endpoints.

A registry turns its platform's words into these values and knows nothing of proxies. A service either lists its
endpoints or selects workloads by label within its namespace; the catalog (``xdsd.registry.catalog``) joins the two.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple


class Protocol(StrEnum):
    """The declared protocol of a port, as the published API spells it."""

    HTTP = "HTTP"
    HTTP2 = "HTTP2"
    GRPC = "GRPC"
    GRPC_WEB = "GRPC-WEB"
    HTTPS = "HTTPS"
    TLS = "TLS"
    TCP = "TCP"
    MONGO = "MONGO"
    MYSQL = "MYSQL"
    REDIS = "REDIS"
    AUTO = "AUTO"
    """Not declared: whether a connection speaks HTTP is found out by its first bytes. Nobody writes this word."""

    @property
    def is_http(self) -> bool:
        """True where requests are routed, not only connections."""
        return self in _HTTP

    @property
    def is_auto(self) -> bool:
        """True where the protocol is not declared."""
        return self is Protocol.AUTO

    @property
    def carries_http(self) -> bool:
        """True where requests may arrive that are routed: also where that is found out for each connection."""
        return self in _HTTP or self is Protocol.AUTO

    @property
    def is_http2(self) -> bool:
        """True where the upstream is spoken to in HTTP/2."""
        return self in _HTTP2

    @property
    def is_tls(self) -> bool:
        """True where the client's own TLS is passed through and told apart by SNI."""
        return self in _TLS


_HTTP = frozenset({Protocol.HTTP, Protocol.HTTP2, Protocol.GRPC, Protocol.GRPC_WEB})
GRPC = frozenset({Protocol.GRPC, Protocol.GRPC_WEB})
"""Ports behind which servers speak gRPC."""
_HTTP2 = frozenset({Protocol.HTTP2, *GRPC})
_TLS = frozenset({Protocol.HTTPS, Protocol.TLS})


class Resolution(StrEnum):
    """How endpoints of a service are found."""

    NONE = "NONE"
    STATIC = "STATIC"
    DNS = "DNS"
    DNS_ROUND_ROBIN = "DNS_ROUND_ROBIN"
    DYNAMIC_DNS = "DYNAMIC_DNS"


class Location(StrEnum):
    """Whether the service is part of the mesh."""

    MESH_EXTERNAL = "MESH_EXTERNAL"
    MESH_INTERNAL = "MESH_INTERNAL"


class Health(StrEnum):
    """What the platform says of an endpoint; only healthy ones get traffic while there are any."""

    HEALTHY = "HEALTHY"
    UNHEALTHY = "UNHEALTHY"
    DRAINING = "DRAINING"


class ServiceKey(NamedTuple):
    """A service is known by its fully qualified host within the namespace that declares it."""

    namespace: str
    hostname: str


class WorkloadKey(NamedTuple):
    """A workload is known by its name within its namespace."""

    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Port:
    """A port of a service; ``target`` is the port that its endpoints listen on unless they say otherwise by name."""

    number: int
    name: str
    protocol: Protocol
    target: int


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address behind a service. ``ports`` maps a service port's name to the number here; others use the target.

    ``address`` is an IP, a hostname (DNS resolution only) or ``unix:///path``. ``locality`` is ``region/zone/subzone``.
    """

    address: str
    ports: Mapping[str, int] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    locality: str = ""
    weight: int = 1
    network: str = ""
    service_account: str = ""
    health: Health = Health.HEALTHY

    def port_for(self, port: Port) -> int:
        return self.ports.get(port.name, port.target)


@dataclass(frozen=True, slots=True)
class Workload:
    """A program instance that services select by label; its endpoint is what a service sees of it."""

    namespace: str
    name: str
    endpoint: Endpoint

    @property
    def key(self) -> WorkloadKey:
        return WorkloadKey(self.namespace, self.name)


@dataclass(frozen=True, slots=True)
class Service:
    """A host and its ports. With ``selector`` its endpoints are the selected workloads, else ``endpoints`` as listed.

    ``export_to`` holds namespace names, ``.`` or ``*``; where it is empty, the mesh decides. ``created`` orders services
    by age (RFC 3339, then text order); ``source`` says who declared it, for people (``store``,
    ``machines:/etc/xdsd/vms``). ``subject_alt_names`` are what its certificates may be for, where TLS to it is asked for
    without saying.
    """

    namespace: str
    hostname: str
    ports: tuple[Port, ...]
    addresses: tuple[str, ...] = ()
    resolution: Resolution = Resolution.STATIC
    location: Location = Location.MESH_EXTERNAL
    export_to: tuple[str, ...] = ()
    selector: Mapping[str, str] | None = None
    endpoints: tuple[Endpoint, ...] = ()
    created: str = ""
    source: str = ""
    subject_alt_names: tuple[str, ...] = ()

    @property
    def key(self) -> ServiceKey:
        return ServiceKey(self.namespace, self.hostname)

    def port(self, number: int) -> Port | None:
        return next((port for port in self.ports if port.number == number), None)
