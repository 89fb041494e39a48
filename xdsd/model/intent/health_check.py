"""HealthCheck: callers' proxies ask the endpoints of a host whether they are well, and leave those that are not.

The kind is our own: the published API only watches the answers of requests (outlier detection). It is for endpoints of
which no platform says whether they are well: machines, and services outside of the mesh.

It costs what it says: each proxy that knows the host asks each endpoint of it by itself, once for every subset too. A
hundred callers that ask every 10 seconds are ten questions a second to each endpoint. ``exportTo`` and
``workloadSelector`` say who asks.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, Field, Strict

from xdsd.model.intent.base import (
    Finding,
    Message,
    Notation,
    Percent32,
    PortNumber,
    Str,
    absent,
    invalid,
    many,
    missing,
    needed,
    shown,
    table,
    wrong,
)
from xdsd.model.intent.durations import Duration
from xdsd.model.intent.hosts import ExportTo, name_fault
from xdsd.model.intent.selector import LabelSelector, PortSelector, export_findings
from xdsd.model.intent.values import Authority, Base64, HeaderName, Method, StatusCode

MIN_INTERVAL = timedelta(milliseconds=100)
MAX_PAYLOAD = 4096
MAX_STATUSES = 100
_NO_QUESTION = frozenset({"CONNECT", "*"})


def _checked_host(host: str) -> str:
    fault = name_fault(host, wildcard=False)
    if fault:
        raise invalid(f"{shown(host)} {fault}")
    return host


def _path(path: str) -> str:
    if not path.startswith("/") or not path.isascii() or not path.isprintable() or " " in path:
        raise invalid(f"{shown(path)} is no path: it begins with / and has printable ASCII without spaces")
    return path


def _asking_method(method: str) -> str:
    if method in _NO_QUESTION:
        raise invalid(f"{shown(method)} asks nothing; write GET, HEAD or another method")
    return method


CheckedHost = Annotated[Str, AfterValidator(_checked_host)]
CheckedPath = Annotated[Str, Field(max_length=4096), AfterValidator(_path)]
AskingMethod = Annotated[Method, AfterValidator(_asking_method)]
Threshold = Annotated[int, Strict(), Field(ge=1, le=1000), Notation("integer")]


class HTTPHealthCheck(Message):
    """A request, and the statuses of well endpoints."""

    path: CheckedPath = needed("Path to ask for.")
    host: Authority | None = absent("Host to ask for; the service's if left out.")
    method: AskingMethod | None = absent("Method; GET if left out.")
    headers: dict[HeaderName, Authority] = table("Headers of the request.")
    expected_statuses: tuple[StatusCode, ...] = many(
        "Statuses of those that are well; 200 alone if left out."
    )

    def findings(self) -> Iterator[Finding]:
        for name in self.headers:
            if name.lower() == "host":
                yield wrong("is written as host, beside headers", "headers", name)
        if len(self.expected_statuses) > MAX_STATUSES:
            yield wrong(
                f"has {len(self.expected_statuses)} entries, which is above {MAX_STATUSES}",
                "expectedStatuses",
            )


class HealthCheckPayload(Message):
    """Bytes on a connection."""

    at_most_one = (("text", "binary"),)

    text: Str | None = absent("The bytes as text.")
    binary: Base64 | None = absent("The bytes as base64.")

    @property
    def content(self) -> bytes:
        """The bytes themselves."""
        return self.binary if self.binary is not None else (self.text or "").encode()

    def findings(self) -> Iterator[Finding]:
        try:
            size = len(self.content)
        except UnicodeEncodeError:
            yield wrong("is no text: it holds half a character", "text")
            return
        if not size:
            yield missing("is empty; give text or binary")
        if size > MAX_PAYLOAD:
            yield wrong(f"is {size} bytes long, which is above {MAX_PAYLOAD}")


class TCPHealthCheck(Message):
    """A connection that is accepted, and perhaps words on it."""

    send: HealthCheckPayload | None = absent("What is sent; nothing if left out.")
    receive: tuple[HealthCheckPayload, ...] = many(
        "What must be in the answer, in this order; nothing is waited for if left out.", max_length=16
    )


class GRPCHealthCheck(Message):
    """The published health protocol of gRPC (``grpc.health.v1``)."""

    service: Authority | None = absent("Service to ask about; the whole server if left out.")
    authority: Authority | None = absent("Authority of the call; the service's host if left out.")


class HealthCheck(Message):
    """How callers find out which endpoints of a host are well."""

    at_most_one = (("http", "tcp", "grpc"),)

    host: CheckedHost = needed("Service host; a short name belongs to the namespace of this object.")
    port: PortSelector | None = absent(
        "Port of the host; all ports that have no check of their own if left out."
    )
    http: HTTPHealthCheck | None = absent("Ask by HTTP.")
    tcp: TCPHealthCheck | None = absent("Ask by connecting.")
    grpc: GRPCHealthCheck | None = absent("Ask by gRPC's health protocol.")
    endpoint_port: PortNumber | None = absent(
        "Port of the endpoints that is asked, over TLS if the service is; that of requests if left out."
    )
    interval: Duration | None = absent(
        "Pause between checks, up to a tenth longer; 10s if left out, 100ms at least."
    )
    no_traffic_interval: Duration | None = absent(
        "The pause in a proxy that never sent the host anything; 60s if left out."
    )
    timeout: Duration | None = absent("How long an endpoint has to answer; 1s if left out.")
    unhealthy_threshold: Threshold | None = absent("Failures in a row until it is left; 3 if left out.")
    healthy_threshold: Threshold | None = absent("Successes in a row until it is used again; 2 if left out.")
    min_health_percent: Percent32 | None = absent(
        "Below this share of healthy endpoints all are used; 0 for never, when none is healthy if left out."
    )
    export_to: tuple[ExportTo, ...] = many(
        "Namespaces whose proxies check: names, . for its own, * for all (default)."
    )
    workload_selector: LabelSelector | None = absent("Workloads whose proxies check; all if left out.")

    def findings(self) -> Iterator[Finding]:
        if self.http is None and self.tcp is None and self.grpc is None:
            yield missing("says nothing to ask; give http, tcp or grpc")
        for field, value in (("interval", self.interval), ("noTrafficInterval", self.no_traffic_interval)):
            if value is not None and value < MIN_INTERVAL:
                yield wrong("is below 100ms, the shortest pause between checks", field)
        yield from export_findings(self.export_to)
