"""ServiceEntry and WorkloadEntry: services and workloads that no platform reports."""

from collections.abc import Iterator
from enum import StrEnum
from types import MappingProxyType

from xdsd.model.intent.base import (
    Finding,
    Message,
    PortNumber,
    Str,
    UInt32,
    absent,
    many,
    missing,
    needed,
    shown,
    table,
    wrong,
)
from xdsd.model.intent.hosts import (
    EndpointAddress,
    EndpointPortName,
    PortName,
    ServiceExportTo,
    ServiceHost,
    Subnet,
    is_address,
)
from xdsd.model.intent.selector import WorkloadSelector, export_findings
from xdsd.model.intent.values import Labels, Locality, PortProtocol


class Location(StrEnum):
    """Whether the service is part of the mesh."""

    MESH_EXTERNAL = "MESH_EXTERNAL"
    MESH_INTERNAL = "MESH_INTERNAL"


class Resolution(StrEnum):
    """How endpoints are found."""

    NONE = "NONE"
    STATIC = "STATIC"
    DNS = "DNS"
    DNS_ROUND_ROBIN = "DNS_ROUND_ROBIN"
    DYNAMIC_DNS = "DYNAMIC_DNS"


class WorkloadEntry(Message):
    """One instance of a program on a machine; also an endpoint of a ServiceEntry."""

    address: EndpointAddress | None = absent("IP address, host name, or unix:///path.", max_length=256)
    ports: dict[EndpointPortName, PortNumber] = table("Number here of each named port.", max_length=128)
    labels: Labels = table("Labels of the workload.", max_length=256)
    network: Str | None = absent("Network that the address belongs to.", max_length=2048)
    locality: Locality | None = absent("region/zone/subzone.", max_length=2048)
    weight: UInt32 | None = absent("Share of traffic relative to the other endpoints.")
    service_account: Str | None = absent("Service account of the workload.", max_length=253)

    def findings(self) -> Iterator[Finding]:
        if not self.address and not self.network:
            yield missing("is missing; give an IP address, a host name or unix:///path", "address")
        if self.on_socket and self.ports:
            yield wrong("the address is a Unix socket, which has no ports", "ports")

    @property
    def on_socket(self) -> bool:
        """True if the address is a Unix socket."""
        return self.address is not None and self.address.startswith("unix://")


class ServicePort(Message):
    """A port of a service."""

    number: PortNumber = needed("Port number that clients use.")
    protocol: PortProtocol | None = absent("Protocol spoken there.", max_length=256)
    name: PortName = needed("Name of the port, unique in the service.", max_length=256)
    target_port: PortNumber | None = absent("Port that endpoints listen on; the same if left out.")


class ServiceEntry(Message):
    """A service for the mesh to know."""

    at_most_one = (("workloadSelector", "endpoints"),)

    hosts: tuple[ServiceHost, ...] = needed("Host names of the service.", min_length=1, max_length=256)
    addresses: tuple[Subnet, ...] = many("Virtual addresses or CIDR ranges of the service.", max_length=256)
    ports: tuple[ServicePort, ...] = many("Ports of the service.", max_length=256)
    location: Location | None = absent("Whether it is part of the mesh; MESH_EXTERNAL if left out.")
    resolution: Resolution | None = absent("How endpoints are found; NONE if left out.")
    endpoints: tuple[WorkloadEntry, ...] = many("Endpoints of the service.", max_length=4096)
    workload_selector: WorkloadSelector | None = absent("Workloads that are its endpoints.")
    export_to: tuple[ServiceExportTo, ...] = many(
        "Namespaces that see it: names, . for its own, * for all (default)."
    )
    subject_alt_names: tuple[Str, ...] = many("Names of which the server's certificate must hold one.")

    def findings(self) -> Iterator[Finding]:
        yield from export_findings(self.export_to)
        yield from self._port_findings()
        yield from _RESOLUTIONS[self.resolution or Resolution.NONE](self)
        yield from self._endpoint_findings()
        for index, name in enumerate(self.subject_alt_names):
            if not name:
                yield wrong("is empty; name whom the certificate is for", "subjectAltNames", index)
        if self.resolution not in (None, Resolution.NONE, Resolution.STATIC):
            for index, address in enumerate(self.addresses):
                if "/" in address:
                    why = f"{shown(address)} is a range, which works with resolution NONE or STATIC only"
                    yield wrong(why, "addresses", index)

    def _port_findings(self) -> Iterator[Finding]:
        names: set[str] = set()
        numbers: set[int] = set()
        one_host = len(self.hosts) == 1 or self.resolution in (None, Resolution.NONE)
        for index, port in enumerate(self.ports):
            if port.name in names:
                yield wrong(f"{shown(port.name)} is the name of an earlier port", "ports", index, "name")
            if port.number in numbers:
                yield wrong(f"{port.number} is the number of an earlier port", "ports", index, "number")
            if not one_host and port.protocol not in TOLD_APART:
                why = f"{port.protocol or 'TCP'} cannot tell several hosts apart; use one host an object"
                yield wrong(why, "ports", index, "protocol" if port.protocol else "number")
            names.add(port.name)
            numbers.add(port.number)

    def _endpoint_findings(self) -> Iterator[Finding]:
        names = {port.name for port in self.ports}
        for index, endpoint in enumerate(self.endpoints):
            for name in endpoint.ports:
                if name not in names:
                    yield missing(
                        f"{shown(name)} is the name of no port of this service",
                        "endpoints",
                        index,
                        "ports",
                        name,
                    )
            if endpoint.on_socket and len(self.ports) != 1:
                yield missing(
                    "a Unix socket serves exactly one port of a service", "endpoints", index, "address"
                )


TOLD_APART = ("HTTP", "HTTP2", "GRPC", "GRPC-WEB", "HTTP_PROXY", "HTTPS", "TLS")
DYNAMIC = ("HTTP", "HTTP2", "GRPC", "TLS")


def _none(entry: ServiceEntry) -> Iterator[Finding]:
    if entry.endpoints:
        yield wrong(
            "resolution NONE forwards to where the client went; write resolution STATIC or DNS", "endpoints"
        )


def _static(entry: ServiceEntry) -> Iterator[Finding]:
    for index, endpoint in enumerate(entry.endpoints):
        if endpoint.address and not endpoint.on_socket and not is_address(endpoint.address):
            why = f"{shown(endpoint.address)} is no IP address; resolution STATIC resolves no names, DNS does"
            yield wrong(why, "endpoints", index, "address")


def _dns(entry: ServiceEntry) -> Iterator[Finding]:
    for index, endpoint in enumerate(entry.endpoints):
        if endpoint.on_socket:
            yield wrong(
                f"{shown(endpoint.address)} is a Unix socket; write resolution STATIC",
                "endpoints",
                index,
                "address",
            )
    if entry.endpoints or entry.workload_selector:
        return
    for index, host in enumerate(entry.hosts):
        if "*" in host:
            why = f"{shown(host)} cannot be resolved; give endpoints, or write resolution NONE"
            yield wrong(why, "hosts", index)


def _round_robin(entry: ServiceEntry) -> Iterator[Finding]:
    yield from _dns(entry)
    if len(entry.endpoints) > 1:
        yield wrong("resolution DNS_ROUND_ROBIN takes one endpoint at most", "endpoints", 1)


def _dynamic(entry: ServiceEntry) -> Iterator[Finding]:
    for index, host in enumerate(entry.hosts):
        if not host.startswith("*"):
            yield wrong(f"{shown(host)} is no wildcard, as resolution DYNAMIC_DNS wants", "hosts", index)
    for field, value in (
        ("addresses", entry.addresses),
        ("endpoints", entry.endpoints),
        ("workloadSelector", entry.workload_selector),
    ):
        if value:
            yield wrong("resolution DYNAMIC_DNS takes none; the request's host says where to go", field)
    for index, port in enumerate(entry.ports):
        if port.protocol not in DYNAMIC:
            yield wrong(
                f"resolution DYNAMIC_DNS works with {', '.join(DYNAMIC)} only", "ports", index, "protocol"
            )
        elif port.protocol != "TLS" and port.target_port not in (None, port.number):
            yield from _dynamic_target(port, index)


def _dynamic_target(port: ServicePort, index: int) -> Iterator[Finding]:
    """Requests are sent to the port that their host names, or means; only TLS that the proxy adds changes that."""
    if (port.number, port.target_port) != (80, 443):
        why = f"the request's host says which port, so it is {port.number}; only 80 may become 443, by a rule's tls"
        yield wrong(why, "ports", index, "targetPort")


_RESOLUTIONS = MappingProxyType(
    {
        Resolution.NONE: _none,
        Resolution.STATIC: _static,
        Resolution.DNS: _dns,
        Resolution.DNS_ROUND_ROBIN: _round_robin,
        Resolution.DYNAMIC_DNS: _dynamic,
    }
)
