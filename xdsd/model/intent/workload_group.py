"""WorkloadGroup: what machines that register themselves have in common, and how each is found to be well."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field, Strict

from xdsd.model.intent.base import (
    Finding,
    Message,
    Notation,
    PortNumber,
    Str,
    UInt32,
    absent,
    invalid,
    many,
    missing,
    needed,
    shown,
    table,
    wrong,
)
from xdsd.model.intent.health_check import CheckedPath
from xdsd.model.intent.hosts import EndpointPortName, is_address
from xdsd.model.intent.values import Authority, HeaderName, LabelKey, Labels, Locality

LONGEST_PAUSE = 24 * 3600
MAX_HEADERS = 100


def _local(text: str) -> str:
    """A program is asked where its machine is; names are for a Host header."""
    if text == "localhost" or is_address(text):
        return text
    raise invalid(
        f"{shown(text)} is no IP address: the machine asks its own program; write a name as the header Host in httpHeaders"
    )


ProbeHost = Annotated[Str, AfterValidator(_local)]
Seconds = Annotated[int, Strict(), Field(ge=0, le=LONGEST_PAUSE), Notation("integer(int32)")]
Times = Annotated[int, Strict(), Field(ge=0, le=1000), Notation("integer(int32)")]
Annotations = dict[LabelKey, Str]


class WorkloadGroupMetadata(Message):
    """What the metadata of each entry has."""

    labels: Labels = table("Labels of each workload; they win over those of the template.", max_length=256)
    annotations: Annotations = table("Annotations of each entry.", max_length=256)

    def findings(self) -> Iterator[Finding]:
        size = sum(len(key) + len(value) for key, value in self.annotations.items())
        if size > 256 << 10:
            yield wrong(f"has {size} characters, which is above {256 << 10}", "annotations")


class WorkloadTemplate(Message):
    """The entry of each machine, but for its address."""

    address: Str | None = absent("The machine's own address.", max_length=256)
    ports: dict[EndpointPortName, PortNumber] = table("Number there of each named port.", max_length=128)
    labels: Labels = table("Labels of each workload.", max_length=256)
    network: Str | None = absent(
        "Network of the machines; what each says of itself if left out.", max_length=2048
    )
    locality: Locality | None = absent(
        "region/zone/subzone; what each machine says of itself if left out.", max_length=2048
    )
    weight: UInt32 | None = absent("Share of traffic relative to other endpoints.")
    service_account: Str | None = absent(
        "Service account of the machines, which each must prove; default if left out.", max_length=253
    )


class HTTPHeader(Message):
    """A header of a probe."""

    name: HeaderName = needed("Name of the header.")
    value: Authority | None = absent("Value of the header; empty if left out.")


class ProbeScheme(StrEnum):
    """How a probe connects."""

    HTTP = "HTTP"
    HTTPS = "HTTPS"


def _scheme(text: str) -> str:
    if text.upper() not in set(ProbeScheme):
        raise invalid(f"{shown(text)} is no scheme: write HTTP or HTTPS")
    return text.upper()


Scheme = Annotated[Str, AfterValidator(_scheme)]


class HTTPProbe(Message):
    """A request; answers of 200 to 399 are good."""

    path: CheckedPath | None = absent("Path to ask for; / if left out.")
    port: PortNumber = needed("Port to ask.")
    host: ProbeHost | None = absent("Address to ask; where the program hears of its callers if left out.")
    scheme: Scheme | None = absent("HTTP, or HTTPS (the certificate is not looked at); HTTP if left out.")
    http_headers: tuple[HTTPHeader, ...] = many("Headers of the request.", max_length=MAX_HEADERS)

    def findings(self) -> Iterator[Finding]:
        if sum(each.name.lower() == "host" for each in self.http_headers) > 1:
            yield wrong("has more than one header Host", "httpHeaders")


class TCPProbe(Message):
    """A connection that is accepted."""

    host: ProbeHost | None = absent(
        "Address to connect to; where the program hears of its callers if left out."
    )
    port: PortNumber = needed("Port to connect to.")


class GRPCProbe(Message):
    """gRPC's published health protocol."""

    port: PortNumber = needed("Port to ask.")
    service: Authority | None = absent("Service to ask about; the whole server if left out.")


class ExecProbe(Message):
    """A command of the machine."""

    command: tuple[Str, ...] = many("Command and arguments.")


class ReadinessProbe(Message):
    """How a machine finds out whether its program is well."""

    at_most_one = (("httpGet", "tcpSocket", "exec", "grpc"),)

    initial_delay_seconds: Seconds | None = absent("Seconds after a machine connects until its first probe.")
    timeout_seconds: Seconds | None = absent("Seconds that a program has to answer; 1 if left out.")
    period_seconds: Seconds | None = absent("Seconds between probes; 10 if left out.")
    success_threshold: Times | None = absent("Successes in a row until it is well again; 1 if left out.")
    failure_threshold: Times | None = absent("Failures in a row until it is not well; 3 if left out.")
    http_get: HTTPProbe | None = absent("Ask by HTTP.")
    tcp_socket: TCPProbe | None = absent("Ask by connecting.")
    exec: ExecProbe | None = absent("Ask by running a command.")
    grpc: GRPCProbe | None = absent("Ask by gRPC's health protocol.")

    def findings(self) -> Iterator[Finding]:
        if not any((self.http_get, self.tcp_socket, self.exec, self.grpc)):
            yield missing("says nothing to ask; give httpGet, tcpSocket or grpc")


class WorkloadGroup(Message):
    """Machines that register themselves."""

    metadata: WorkloadGroupMetadata | None = absent("What the metadata of each entry has.")
    template: WorkloadTemplate = needed("The entry of each machine.")
    probe: ReadinessProbe | None = absent("How each is found to be well; they all are if left out.")

    @property
    def service_account(self) -> str:
        """Who the machines must prove to be."""
        return self.template.service_account or "default"

    @property
    def labels(self) -> dict[str, str]:
        """Of each machine."""
        return {**self.template.labels, **(self.metadata.labels if self.metadata else {})}
