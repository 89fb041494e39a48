"""Providers that are told of requests: where access logs and spans go, and what they look like there."""

from collections.abc import Iterator
from enum import StrEnum

from xdsd.model.intent.base import (
    Bool,
    Finding,
    Message,
    PortNumber,
    Str,
    UInt32,
    Whole,
    absent,
    many,
    missing,
    needed,
    wrong,
)
from xdsd.model.intent.envoy_filter import JsonObject
from xdsd.model.intent.log_formats import labels_fault, text_fault
from xdsd.model.intent.provider_values import Path, ServiceName, Timeout
from xdsd.model.intent.values import HeaderName, HeaderValue


class LogFormat(Message):
    """How an entry of a log looks."""

    text: Str | None = absent("Line with Envoy's commands.")
    labels: JsonObject | None = absent("Map of texts with Envoy's commands.", keep_empty=True)

    def findings(self) -> Iterator[Finding]:
        for name, fault in (
            ("text", text_fault(self.text) if self.text else None),
            ("labels", labels_fault(self.labels or {}, texts_alone=True)),
        ):
            if fault:
                yield wrong(fault, name)


class FileLogFormat(LogFormat):
    """How a line of a file looks: text, or JSON."""

    at_most_one = (("text", "labels"),)

    def findings(self) -> Iterator[Finding]:
        for name, fault in (
            ("text", text_fault(self.text) if self.text else None),
            ("labels", labels_fault(self.labels or {})),
        ):
            if fault:
                yield wrong(fault, name)


class EnvoyFileAccessLogProvider(Message):
    """A file on the proxies' machines."""

    path: Path | None = absent("The file; /dev/stdout if left out.")
    log_format: FileLogFormat | None = absent("How lines look; Istio's text if left out.")
    omit_empty_values: Bool | None = absent("Leave out what there is none of, rather than write -.")


class Collector(Message):
    """What all services have that are told."""

    service: ServiceName = needed("Service that is told: HOST or NAMESPACE/HOST.")
    port: PortNumber = needed("Port of the service.")


class EnvoyTcpGrpcV3LogProvider(Collector):
    """A service that speaks Envoy's protocol for access logs, and is told of connections."""

    log_name: Str | None = absent("Name of the log; tcp_envoy_accesslog if left out.")
    filter_state_objects_to_log: tuple[Str, ...] = many("Objects of the filter state that it is told.")


class EnvoyHttpGrpcV3LogProvider(Collector):
    """A service that speaks Envoy's protocol for access logs, and is told of requests."""

    log_name: Str | None = absent("Name of the log; http_envoy_accesslog if left out.")
    filter_state_objects_to_log: tuple[Str, ...] = many("Objects of the filter state that it is told.")
    additional_request_headers_to_log: tuple[HeaderName, ...] = many(
        "Headers of requests that it is told beside."
    )
    additional_response_headers_to_log: tuple[HeaderName, ...] = many(
        "Headers of answers that it is told beside."
    )
    additional_response_trailers_to_log: tuple[HeaderName, ...] = many(
        "Trailers of answers that it is told beside."
    )


class EnvoyOpenTelemetryLogProvider(Collector):
    """A service that takes logs in OTLP over gRPC."""

    log_name: Str | None = absent("Name of the log; otel_envoy_accesslog if left out.")
    log_format: LogFormat | None = absent("Body (text) and attributes (labels) of entries.")


class HttpHeader(Message):
    """A header of what is sent to a collector."""

    at_most_one = (("value", "envName"),)

    name: HeaderName = needed("Name of the header.", min_length=1)
    value: HeaderValue | None = absent("Its value.")
    env_name: Str | None = absent("Variable of the control plane that holds its value.")

    def findings(self) -> Iterator[Finding]:
        if self.value is None and self.env_name is None:
            yield missing("is missing", "value")


class HttpService(Message):
    """How a collector is told over HTTP."""

    path: Path = needed("Path of requests, such as /v1/traces.")
    timeout: Timeout | None = absent("How long it has to answer; 5s if left out.")
    headers: tuple[HttpHeader, ...] = many("Headers of requests.")


class GrpcService(Message):
    """How a collector is told over gRPC."""

    timeout: Timeout | None = absent("How long it has to answer; no limit if left out.")
    initial_metadata: tuple[HttpHeader, ...] = many("Headers of calls.")


class TraceContextOption(StrEnum):
    """In which headers traces go on."""

    USE_B3 = "USE_B3"
    USE_B3_WITH_W3C_PROPAGATION = "USE_B3_WITH_W3C_PROPAGATION"


class ZipkinTracingProvider(Collector):
    """A service that takes spans as Zipkin does."""

    max_tag_length: UInt32 | None = absent("Longest path in a span; 256 if left out.")
    enable_64bit_trace_id: Bool | None = absent("Names of traces of 64 bits, not 128.")
    path: Path | None = absent("Path of requests; /api/v2/spans if left out.")
    trace_context_option: TraceContextOption | None = absent(
        "USE_B3 (if left out), or USE_B3_WITH_W3C_PROPAGATION for both."
    )
    timeout: Timeout | None = absent("How long it has to answer; 5s if left out.")
    headers: tuple[HttpHeader, ...] = many("Headers of requests.")


class DatadogTracingProvider(Collector):
    """An agent of Datadog's."""

    max_tag_length: UInt32 | None = absent("Longest path in a span; 256 if left out.")


class SkyWalkingTracingProvider(Collector):
    """A service that takes spans as SkyWalking does."""

    access_token: Str | None = absent("Token by which proxies are let in.")


class EnvironmentResourceDetector(Message):
    """Attributes from the proxy's variable OTEL_RESOURCE_ATTRIBUTES."""


class DynatraceResourceDetector(Message):
    """Attributes from files of Dynatrace's on the proxy's machine."""


class ResourceDetectors(Message):
    """Who says further attributes of a proxy."""

    environment: EnvironmentResourceDetector | None = absent("The variable OTEL_RESOURCE_ATTRIBUTES.")
    dynatrace: DynatraceResourceDetector | None = absent("Dynatrace's files.")


class OpenTelemetryTracingProvider(Collector):
    """A service that takes spans in OTLP."""

    at_most_one = (("http", "grpc"),)

    max_tag_length: UInt32 | None = absent("Longest path in a span; 256 if left out.")
    http: HttpService | None = absent("Tell it over HTTP; gRPC if left out.")
    grpc: GrpcService | None = absent("How to tell it over gRPC.")
    resource_detectors: ResourceDetectors | None = absent("Who says further attributes of a proxy.")
    service_attribute_enrichment: Str | None = absent("Which attributes name the workload.")
    dynatrace_sampler: Whole | None = absent("Dynatrace's choice of what is traced.")


class PrometheusMetricsProvider(Message):
    """Statistics that are read from each proxy's admin page."""


def speaks_grpc(said: Collector) -> bool:
    """True if a service is told over gRPC."""
    if isinstance(said, OpenTelemetryTracingProvider):
        return said.http is None
    return not isinstance(said, ZipkinTracingProvider | DatadogTracingProvider)
