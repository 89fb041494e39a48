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
    AWAY = "AWAY"
    """Nobody hears of it any more. It is tried where no healthy one is left, near or far."""


class Spread(StrEnum):
    """Among which of its endpoints a service has its callers spread, by its platform's word."""

    ALL = ""
    SAME_ZONE = "PreferSameZone"
    """Those in the caller's zone come first, then those in its region, and those of its network before others."""
    SAME_NODE = "PreferSameNode"
    """Those on the caller's node come first, then by sub-zone, zone and region, and those of its network before others."""
    OWN_NODE = "Local"
    """Only those on the caller's node."""

    @property
    def is_by_node(self) -> bool:
        """True where it matters on which node a caller is."""
        return self in _BY_NODE


_BY_NODE = frozenset({Spread.SAME_NODE, Spread.OWN_NODE})


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
    """A port of a service; ``target`` is the port that its endpoints listen on unless they say otherwise by name. ``basis``
    tells people by what the protocol is known: ``protocol``, ``name`` or ``appProtocol``. ``made_up``: nobody declared the
    name, the reader of a platform that has no names gave it.
    """

    number: int
    name: str
    protocol: Protocol
    target: int
    basis: str = field(default="", compare=False)
    made_up: bool = False

    @property
    def declared_name(self) -> str:
        """The name, or nothing where nobody declared one."""
        return "" if self.made_up else self.name


UNDATED = "~"
"""Sorts after all times in text."""

NOT_SERVED = 0
"""The number of a port that an endpoint does not serve."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address behind a service. ``ports`` maps a service port's name to the number here, or to ``NOT_SERVED``; others
    use the target.

    ``address`` is an IP, a hostname (DNS resolution only) or ``unix:///path``. ``locality`` is ``region/zone/subzone``.
    ``identities`` are the SPIFFE ids of who answers, where it is not the service account's of the mesh. ``node`` is the
    machine of a platform that it runs on (``CLUSTER/NAME``, or ``NAME`` of a cluster without a name), empty if not said.
    """

    address: str
    ports: Mapping[str, int] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    locality: str = ""
    weight: int = 1
    network: str = ""
    service_account: str = ""
    health: Health = Health.HEALTHY
    identities: tuple[str, ...] = ()
    node: str = ""

    def port_for(self, port: Port) -> int:
        return self.ports.get(port.name, port.target)


NETWORK_LABEL = "topology.istio.io/network"

BEHIND = "networking.xdsd.io/behind"
"""A label that stands for the network or the mesh behind an endpoint that is a gateway; nobody else writes it."""


def network_of(endpoint: Endpoint) -> str:
    """The network of an endpoint, as it says or as its labels say; empty: the same as whoever calls it."""
    return endpoint.network or endpoint.labels.get(NETWORK_LABEL, "")


def node_name(cluster: str, name: str) -> str:
    """A node as endpoints say it: names of nodes are a cluster's own."""
    return f"{cluster}/{name}" if cluster and name else name


class NodeAt(NamedTuple):
    """The node of a workload, and the network on which it has its address."""

    network: str
    node: str


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
    by age (RFC 3339, then text order; it is empty where the platform does not say); ``source`` says who declared it, for
    people (``store``, ``machines:/etc/xdsd/vms``). ``subject_alt_names`` are what its certificates may be for, where TLS to
    it is asked for without saying. ``regional``: callers prefer what is in their own region, unless a rule speaks of that.
    ``spread`` is more than that, and yields to no default of the mesh's.
    ``undeclared`` names those of ``resolution`` and ``location`` that are only what holds where nobody says.
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
    regional: bool = False
    undeclared: frozenset[str] = frozenset()
    spread: Spread = Spread.ALL

    @property
    def key(self) -> ServiceKey:
        return ServiceKey(self.namespace, self.hostname)

    @property
    def age(self) -> str:
        """When it was created, as text that sorts: those of which that is not known come last."""
        return self.created or UNDATED

    def port(self, number: int) -> Port | None:
        return next((port for port in self.ports if port.number == number), None)


class Departed(NamedTuple):
    """An endpoint that left its service not long ago, and the service as it was then."""

    service: Service
    endpoint: Endpoint
