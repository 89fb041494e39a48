"""What the routing tests share: rules as users write them, and a mesh that knows every destination."""

from collections.abc import Mapping
from typing import Any

from xdsd.compile.matches import Source
from xdsd.compile.routes import http_routes
from xdsd.model.catalog import Protocol
from xdsd.model.intent import ConsistentHashLB, Destination, VirtualService
from xdsd.model.problem import ObjectRef

OWNER = ObjectRef("VirtualService", "default", "reviews")
SIDECAR = Source(gateways=frozenset({"mesh"}), namespace="default", labels={"app": "client"}, port=9080)


class AllKnown:
    """Destinations that all exist; ``hashing`` gives some hosts a consistent hash, ``protocols`` says what some speak."""

    def __init__(
        self,
        hashing: Mapping[str, ConsistentHashLB] | None = None,
        protocols: Mapping[str, Protocol] | None = None,
    ) -> None:
        self.hashing = hashing or {}
        self.protocols = protocols or {}

    def cluster(self, destination: Destination, namespace: str, listener_port: int) -> str:
        port = destination.port.number if destination.port else listener_port
        return f"outbound|{port}|{destination.subset or ''}|{destination.host}.{namespace}"

    def hash_policy(
        self, destination: Destination, namespace: str, listener_port: int
    ) -> ConsistentHashLB | None:
        return self.hashing.get(destination.host)

    def protocol(self, destination: Destination, namespace: str, listener_port: int) -> Protocol | None:
        return self.protocols.get(destination.host)


def routes_of(
    *rules: dict[str, Any], source: Source = SIDECAR, hashing: Mapping[str, ConsistentHashLB] | None = None
) -> list[Any]:
    """The routes that rules (published YAML as dicts) compile to."""
    spec = VirtualService.model_validate({"hosts": ["reviews"], "http": list(rules)})
    return http_routes(spec, OWNER, source, AllKnown(hashing))


def to(host: str = "reviews", **more: Any) -> dict[str, Any]:
    """A rule that sends everything to one host."""
    return {"route": [{"destination": {"host": host}}], **more}
