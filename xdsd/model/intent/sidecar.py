"""Sidecar: what a workload's proxy takes in, and what it sees of the mesh."""

from collections.abc import Iterator, Sequence
from enum import StrEnum

from xdsd.model.intent.base import (
    Finding,
    Message,
    PortNumber,
    Str,
    absent,
    many,
    missing,
    needed,
    shown,
    wrong,
)
from xdsd.model.intent.connection_pool import ConnectionPoolSettings
from xdsd.model.intent.gateway import ServerTLSMode, ServerTLSSettings
from xdsd.model.intent.hosts import Address, BindAddress, EgressHost, PortName, unix_fault
from xdsd.model.intent.selector import Destination, WorkloadSelector
from xdsd.model.intent.values import PortProtocol


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

    number: PortNumber | None = absent(
        "Port number; left out (or 0) where bind is a Unix socket.", drop_zero=True
    )
    protocol: PortProtocol | None = absent("Protocol spoken there.")
    name: PortName | None = absent("Name of the port.")
    target_port: PortNumber | None = absent("Port of the workload behind it.")


class OutboundTrafficPolicy(Message):
    """What happens to traffic for unknown destinations."""

    mode: OutboundTrafficPolicyMode | None = absent(
        "Let it pass or refuse it; the mesh's setting if left out."
    )
    egress_proxy: Destination | None = absent("Service that such traffic is sent through.")

    def findings(self) -> Iterator[Finding]:
        if self.egress_proxy is None:
            return
        if self.mode is not OutboundTrafficPolicyMode.ALLOW_ANY:
            yield missing("works with mode ALLOW_ANY only", "egressProxy")
        if self.egress_proxy.port is None:
            yield missing("is missing; name the port of the egress proxy", "egressProxy", "port")


class IngressTLSSettings(ServerTLSSettings):
    """TLS of connections to a workload, taken off before the program."""

    def findings(self) -> Iterator[Finding]:
        if self.mode is None:
            yield missing("is missing; write SIMPLE or MUTUAL", "mode")
        elif self.mode not in (ServerTLSMode.SIMPLE, ServerTLSMode.MUTUAL):
            yield wrong(f"{self.mode} has no meaning for a sidecar", "mode")
        else:
            yield from super().findings()
            for index, pair in enumerate(self.tls_certificates):
                if not pair.server_certificate or not pair.private_key:
                    why = "needs both serverCertificate and privateKey"
                    yield missing(why, "tlsCertificates", index)


class IstioIngressListener(Message):
    """A listener for traffic to the workload."""

    port: SidecarPort = needed("Port it listens on.")
    bind: Address | None = absent("Address it listens on; the workload's if left out.")
    capture_mode: CaptureMode | None = absent("How traffic reaches it.")
    default_endpoint: Str | None = absent(
        "Where the workload is: 127.0.0.1:PORT, 0.0.0.0:PORT or unix:///path."
    )
    tls: IngressTLSSettings | None = absent("TLS of the listener, from files of the proxy's machine.")
    connection_pool: ConnectionPoolSettings | None = absent("Limits on connections to the workload.")

    def findings(self) -> Iterator[Finding]:
        if self.port.number is None:
            yield missing("is missing; say which port it listens on", "port", "number")
        fault = endpoint_fault(self.default_endpoint) if self.default_endpoint else None
        if fault:
            yield wrong(f"{shown(self.default_endpoint)} {fault}", "defaultEndpoint")
        if self.tls is not None and self.port.protocol not in ("HTTPS", "TLS"):
            yield missing("works with protocol HTTPS or TLS only", "tls")


LOCAL = ("", "127.0.0.1", "0.0.0.0", "[::1]", "[::]")


def endpoint_fault(text: str) -> str | None:
    """Says why ``text`` is no endpoint of the workload itself, to follow it, or None."""
    if text.startswith("unix://"):
        return unix_fault(text)
    host, colon, port = text.rpartition(":")
    if not colon or host not in LOCAL:
        return (
            "is not the workload; write 127.0.0.1:PORT, 0.0.0.0:PORT, [::1]:PORT, [::]:PORT or unix:///path"
        )
    valid = port.isascii() and port.isdecimal() and len(port) <= 5 and 1 <= int(port) <= 65535
    return None if valid else "has no port between 1 and 65535"


class IstioEgressListener(Message):
    """What the workload may reach, on one port or all."""

    port: SidecarPort | None = absent("Port it listens on; all ports of the hosts if left out.")
    bind: BindAddress | None = absent("Address it listens on, or a Unix socket.")
    capture_mode: CaptureMode | None = absent("How traffic reaches it.")
    hosts: tuple[EgressHost, ...] = needed(
        "Services it sees, as namespace/host; ., ~ and * serve as namespace."
    )

    def findings(self) -> Iterator[Finding]:
        if not self.hosts:
            yield missing("is empty; give at least one NAMESPACE/HOST", "hosts")
        socket = self.bind is not None and self.bind.startswith("unix://")
        if self.port is None:
            if socket:
                yield missing("is missing; a Unix socket needs the protocol spoken there", "port")
            return
        if self.port.number is None and not socket:
            yield missing("is missing; only a listener on a Unix socket has no port number", "port", "number")
        if self.port.number is not None and socket:
            yield wrong("bind is a Unix socket, which has no port number", "port", "number")
        if socket and self.capture_mode is CaptureMode.IPTABLES:
            yield wrong("IPTABLES captures no Unix socket; write DEFAULT or NONE", "captureMode")


class Sidecar(Message):
    """The scope of the proxies it selects, or of a whole namespace."""

    workload_selector: WorkloadSelector | None = absent(
        "Workloads it is for; the whole namespace if left out."
    )
    ingress: tuple[IstioIngressListener, ...] = many("Listeners for traffic to the workload.")
    egress: tuple[IstioEgressListener, ...] = many("What the workload may reach.")
    outbound_traffic_policy: OutboundTrafficPolicy | None = absent("Traffic for unknown destinations.")
    inbound_connection_pool: ConnectionPoolSettings | None = absent("Limits on connections to the workload.")

    def findings(self) -> Iterator[Finding]:
        if not (self.egress or self.ingress or self.outbound_traffic_policy or self.inbound_connection_pool):
            yield missing("is empty; give egress, ingress, outboundTrafficPolicy or inboundConnectionPool")
        yield from _repeated("ingress", [listener.port.number for listener in self.ingress])
        yield from _repeated(
            "egress", [listener.port.number if listener.port else None for listener in self.egress]
        )
        sockets: set[str] = set()
        for index, listener in enumerate(self.egress):
            if listener.port is None and index < len(self.egress) - 1:
                yield wrong(
                    "has no port, so it takes all that is left; place it last, and once", "egress", index
                )
            if listener.port is not None and listener.port.number is None and listener.bind:
                if listener.bind in sockets:
                    yield wrong(f"{shown(listener.bind)} has a listener already", "egress", index, "bind")
                sockets.add(listener.bind)


def _repeated(field: str, numbers: Sequence[int | None]) -> Iterator[Finding]:
    seen: set[int] = set()
    for index, number in enumerate(numbers):
        if number in seen:
            yield wrong(f"port {number} has a listener already", field, index, "port", "number")
        seen.update(() if number is None else (number,))
