"""Sidecar: what a workload's proxy takes in, and what it sees of the mesh."""

from enum import StrEnum

from xdsd.model.intent.base import Message, PortNumber, Str, absent, many, needed
from xdsd.model.intent.destination_rule import ConnectionPoolSettings
from xdsd.model.intent.gateway import ServerTLSSettings
from xdsd.model.intent.selector import Destination, WorkloadSelector
from xdsd.model.intent.values import Address, BindAddress, EgressHost, PortProtocol


class CaptureMode(StrEnum):
    """How traffic reaches a listener."""

    DEFAULT = "DEFAULT"
    IPTABLES = "IPTABLES"
    NONE = "NONE"


class OutboundTrafficPolicyMode(StrEnum):
    """What happens to traffic for unknown destinations."""

    REGISTRY_ONLY = "REGISTRY_ONLY"
    ALLOW_ANY = "ALLOW_ANY"


class SidecarPort(Message):
    """A port of a sidecar's listener."""

    number: PortNumber | None = absent("Port number.")
    protocol: PortProtocol | None = absent("Protocol spoken there.")
    name: Str | None = absent("Name of the port.")
    target_port: PortNumber | None = absent("Port of the workload behind it.")


class OutboundTrafficPolicy(Message):
    """What happens to traffic for unknown destinations."""

    mode: OutboundTrafficPolicyMode | None = absent(
        "Let it pass or refuse it; the mesh's setting if left out."
    )
    egress_proxy: Destination | None = absent("Service that such traffic is sent through.")


class IstioIngressListener(Message):
    """A listener for traffic to the workload."""

    port: SidecarPort = needed("Port it listens on.")
    bind: Address | None = absent("Address it listens on; the workload's if left out.")
    capture_mode: CaptureMode | None = absent("How traffic reaches it.")
    default_endpoint: Str | None = absent(
        "Where the workload is: 127.0.0.1:PORT, 0.0.0.0:PORT or unix:///path."
    )
    tls: ServerTLSSettings | None = absent("TLS of the listener.")
    connection_pool: ConnectionPoolSettings | None = absent("Limits on connections to the workload.")


class IstioEgressListener(Message):
    """What the workload may reach, on one port or all."""

    port: SidecarPort | None = absent("Port it listens on; all ports of the hosts if left out.")
    bind: BindAddress | None = absent("Address it listens on, or a Unix socket.")
    capture_mode: CaptureMode | None = absent("How traffic reaches it.")
    hosts: tuple[EgressHost, ...] = needed(
        "Services it sees, as namespace/host; ., ~ and * serve as namespace."
    )


class Sidecar(Message):
    """The scope of the proxies it selects, or of a whole namespace."""

    workload_selector: WorkloadSelector | None = absent(
        "Workloads it is for; the whole namespace if left out."
    )
    ingress: tuple[IstioIngressListener, ...] = many("Listeners for traffic to the workload.")
    egress: tuple[IstioEgressListener, ...] = many("What the workload may reach.")
    outbound_traffic_policy: OutboundTrafficPolicy | None = absent("Traffic for unknown destinations.")
    inbound_connection_pool: ConnectionPoolSettings | None = absent("Limits on connections to the workload.")
