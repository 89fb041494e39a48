"""How one Consul is asked, and how what it says is read."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from xdsd.model.catalog import Protocol

CONNECTIONS = 150
"""Below what an agent allows one client by default, which is 200."""


class Consistency(StrEnum):
    """How sure Consul must be of an answer: by its leader, by a leader that asked the others, by any server."""

    DEFAULT = "default"
    CONSISTENT = "consistent"
    STALE = "stale"


class Warned(StrEnum):
    """What instances are whose checks warn."""

    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


class Hosts(StrEnum):
    """What a service's host is: ``NAME.service.consul`` (and ``NAME.service.DATACENTER.consul``, where that is said), the
    latter alone, or ``NAME.NAMESPACE.svc.DOMAIN`` of the mesh.
    """

    CONSUL = "consul"
    DATACENTER = "datacenter"
    MESH = "mesh"


class Addressing(StrEnum):
    """Where an instance is; other words name a tagged address (``lan``, ``wan``, ``lan_ipv6``)."""

    SERVICE = "service"
    NODE = "node"


@dataclass(frozen=True, slots=True)
class ConsulOptions:
    """Files are read again at each use, so that they may be replaced. ``namespace`` is Consul's own (Enterprise), as is
    ``mesh_namespace`` the mesh's, for services and who they are. ``address`` is tried in order. Services without a port
    or protocol in their meta have ``port`` (0: that of their instances) and ``protocol`` (none: it is found out).
    ``hold`` is for how many seconds instances are kept that a Consul forgot which lost its data.
    """

    token_file: Path | None = None
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    datacenter: str = ""
    namespace: str = ""
    consistency: Consistency = Consistency.DEFAULT
    warning: Warned = Warned.HEALTHY
    tag_separators: str = "=:"
    address: tuple[str, ...] = (Addressing.SERVICE, Addressing.NODE)
    hosts: Hosts = Hosts.CONSUL
    mesh_namespace: str = "default"
    network: str = ""
    port: int = 0
    protocol: Protocol | None = None
    connections: int = CONNECTIONS
    hold: float = 300.0


def source_name(url: str, options: ConsulOptions) -> str:
    """What tells one Consul, or a part of one, from others: ``consul:https://127.0.0.1:8501?datacenter=dc2``."""
    parts = (("datacenter", options.datacenter), ("namespace", options.namespace))
    query = "&".join(f"{word}={value}" for word, value in parts if value)
    return f"consul:{url}" + (f"?{query}" if query else "")
