"""The kinds of intent that this daemon knows, and those of the published API that it does not know yet."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from xdsd.model.intent.authorization_policy import AuthorizationPolicy
from xdsd.model.intent.base import Message
from xdsd.model.intent.destination_rule import DestinationRule
from xdsd.model.intent.envoy_filter import EnvoyFilter
from xdsd.model.intent.gateway import Gateway
from xdsd.model.intent.health_check import HealthCheck
from xdsd.model.intent.inspection import Inspection
from xdsd.model.intent.mesh_config import MeshConfig
from xdsd.model.intent.peer import Peer
from xdsd.model.intent.peer_authentication import PeerAuthentication
from xdsd.model.intent.proxy_config import ProxyConfig
from xdsd.model.intent.rate_limit import RateLimit
from xdsd.model.intent.request_authentication import RequestAuthentication
from xdsd.model.intent.residency import Residency
from xdsd.model.intent.service_entry import ServiceEntry, WorkloadEntry
from xdsd.model.intent.sidecar import Sidecar
from xdsd.model.intent.telemetry import Telemetry
from xdsd.model.intent.virtual_service import VirtualService
from xdsd.model.intent.workload_group import WorkloadGroup

NETWORKING = "networking.istio.io"
SECURITY = "security.istio.io"
TELEMETRY = "telemetry.istio.io"
POLICY = "policy.xdsd.io"
"""The group of our own kinds that are for workloads and routes."""

MESH = "mesh.xdsd.io"
"""The group of our own kinds that are for the mesh as a whole, after the package of Istio's message of that name."""

CATALOG = "catalog.xdsd.io"
"""The group of what registries report, which is shown as objects are and never written."""

OWN_GROUPS = frozenset({MESH, POLICY})


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind as the API names it; ``versions`` lists the preferred one first."""

    kind: str
    group: str
    plural: str
    singular: str
    short_names: tuple[str, ...]
    versions: tuple[str, ...]
    spec: type[Message]

    @property
    def preferred(self) -> str:
        """``networking.istio.io/v1``."""
        return f"{self.group}/{self.versions[0]}"

    @property
    def api_versions(self) -> tuple[str, ...]:
        return tuple(f"{self.group}/{version}" for version in self.versions)


def _networking(kind: str, plural: str, short_names: tuple[str, ...], spec: type[Message]) -> Kind:
    return Kind(kind, NETWORKING, plural, kind.lower(), short_names, ("v1", "v1beta1", "v1alpha3"), spec)


def _security(kind: str, plural: str, short_names: tuple[str, ...], spec: type[Message]) -> Kind:
    return Kind(kind, SECURITY, plural, kind.lower(), short_names, ("v1", "v1beta1"), spec)


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        kind.kind: kind
        for kind in (
            _security("AuthorizationPolicy", "authorizationpolicies", ("ap",), AuthorizationPolicy),
            _networking("DestinationRule", "destinationrules", ("dr",), DestinationRule),
            Kind(
                "EnvoyFilter", NETWORKING, "envoyfilters", "envoyfilter", ("ef",), ("v1alpha3",), EnvoyFilter
            ),
            _networking("Gateway", "gateways", ("gw",), Gateway),
            Kind("HealthCheck", POLICY, "healthchecks", "healthcheck", ("hc",), ("v1",), HealthCheck),
            Kind("Inspection", MESH, "inspections", "inspection", (), ("v1",), Inspection),
            Kind("Peer", MESH, "peers", "peer", (), ("v1",), Peer),
            Kind(
                "PeerAuthentication",
                SECURITY,
                "peerauthentications",
                "peerauthentication",
                ("pa",),
                ("v1", "v1beta1"),
                PeerAuthentication,
            ),
            Kind("MeshConfig", MESH, "meshconfigs", "meshconfig", ("mc",), ("v1",), MeshConfig),
            Kind("ProxyConfig", NETWORKING, "proxyconfigs", "proxyconfig", (), ("v1beta1",), ProxyConfig),
            Kind("RateLimit", POLICY, "ratelimits", "ratelimit", ("rl",), ("v1",), RateLimit),
            _security("RequestAuthentication", "requestauthentications", ("ra",), RequestAuthentication),
            Kind("Residency", MESH, "residencies", "residency", (), ("v1",), Residency),
            _networking("ServiceEntry", "serviceentries", ("se",), ServiceEntry),
            _networking("Sidecar", "sidecars", (), Sidecar),
            Kind("Telemetry", TELEMETRY, "telemetries", "telemetry", (), ("v1", "v1alpha1"), Telemetry),
            _networking("VirtualService", "virtualservices", ("vs",), VirtualService),
            _networking("WorkloadEntry", "workloadentries", ("we",), WorkloadEntry),
            _networking("WorkloadGroup", "workloadgroups", ("wg",), WorkloadGroup),
        )
    }
)

NOT_YET: Mapping[str, str] = MappingProxyType(
    {
        "TrafficExtension": "extensions.istio.io",
        "WasmPlugin": "extensions.istio.io",
    }
)
