"""ServiceEntry and WorkloadEntry: services and workloads that no platform reports."""

from enum import StrEnum

from xdsd.model.intent.base import Message, PortNumber, Str, UInt32, absent, many, needed, table
from xdsd.model.intent.selector import Labels, WorkloadSelector
from xdsd.model.intent.values import EndpointPortName, ExportTo, PortName, PortProtocol, ServiceHost, Subnet


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

    address: Str | None = absent("IP address, host name, or unix:///path.", max_length=256)
    ports: dict[EndpointPortName, PortNumber] = table("Number here of each named port.", max_length=128)
    labels: Labels = table("Labels of the workload.", max_length=256)
    network: Str | None = absent("Network that the address belongs to.", max_length=2048)
    locality: Str | None = absent("region/zone/subzone.", max_length=2048)
    weight: UInt32 | None = absent("Share of traffic relative to the other endpoints.")
    service_account: Str | None = absent("Service account of the workload.", max_length=253)


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
    export_to: tuple[ExportTo, ...] = many(
        "Namespaces that see it: names, . for its own, * for all (default)."
    )
    subject_alt_names: tuple[Str, ...] = many("Names of which the server's certificate must hold one.")
