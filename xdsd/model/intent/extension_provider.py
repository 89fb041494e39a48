"""Services outside of proxies that are asked for a decision, or told of requests: what CUSTOM policies and Telemetry name as
their provider.
"""

from collections.abc import Iterator
from typing import Annotated

from pydantic import AfterValidator

from xdsd.model.intent.base import (
    Bool,
    Finding,
    Message,
    PortNumber,
    Str,
    UInt32,
    Whole,
    absent,
    invalid,
    many,
    missing,
    needed,
    shown,
    table,
    wrong,
)
from xdsd.model.intent.provider_values import Path, ProviderName, ServiceName, Timeout
from xdsd.model.intent.telemetry_provider import (
    DatadogTracingProvider,
    EnvoyFileAccessLogProvider,
    EnvoyHttpGrpcV3LogProvider,
    EnvoyOpenTelemetryLogProvider,
    EnvoyTcpGrpcV3LogProvider,
    OpenTelemetryTracingProvider,
    PrometheusMetricsProvider,
    SkyWalkingTracingProvider,
    ZipkinTracingProvider,
)
from xdsd.model.intent.values import HeaderName, HeaderValue

BUILT_IN = "envoy"
"""The provider of access logs that there is without being declared: the mesh's own log."""

DEFAULT_TIMEOUT = 600
"""Seconds that a provider has to answer unless told otherwise, as published."""

_STATUSES = frozenset({*range(400, 418), *range(421, 425), 426, 428, 429, 431, *range(500, 509), 510, 511})


def _status(text: str) -> str:
    if not text.isdecimal() or int(text) not in _STATUSES:
        raise invalid(f"{shown(text)} is no status of an error, such as '403'")
    return text


StatusText = Annotated[Str, AfterValidator(_status)]


class IncludeRequestBodyInCheck(Message):
    """How much of a request's body the provider sees."""

    max_request_bytes: UInt32 = needed(
        "Bytes that are held and sent; longer requests are answered with 413.", ge=1
    )
    allow_partial_message: Bool | None = absent(
        "Send what there is of a longer body, and let the provider decide."
    )
    pack_as_bytes: Bool | None = absent("Send it as bytes, over gRPC; else as text.")


class ExtAuthzProvider(Message):
    """What both kinds of providers have."""

    service: ServiceName = needed("Service that decides: HOST or NAMESPACE/HOST.")
    port: PortNumber = needed("Port of the service.")
    timeout: Timeout | None = absent("How long it has to answer; 600s if left out.")
    fail_open: Bool | None = absent(
        "Let requests pass while it cannot be asked; they are refused if left out."
    )
    clear_route_cache: Bool | None = absent("Choose the route again once it has changed the request.")
    status_on_error: StatusText | None = absent("Status while it cannot be asked; 403 if left out.")
    include_request_body_in_check: IncludeRequestBodyInCheck | None = absent(
        "Bodies that it sees; none if left out."
    )


class EnvoyExternalAuthorizationHttpProvider(ExtAuthzProvider):
    """A provider that is asked by the request's head, over HTTP: 200 lets the request pass."""

    path_prefix: Path | None = absent("What is put before the path of the request.")
    include_request_headers_in_check: tuple[HeaderName, ...] = many(
        "Headers of the request that it sees, beside Host, Method, Path, Content-Length and Authorization."
    )
    include_additional_headers_in_check: dict[HeaderName, HeaderValue] = table(
        "Headers that it is sent beside."
    )
    headers_to_upstream_on_allow: tuple[HeaderName, ...] = many(
        "Headers of its answer that are put into the request."
    )
    headers_to_downstream_on_deny: tuple[HeaderName, ...] = many(
        "Headers of its answer that refused clients see."
    )
    headers_to_downstream_on_allow: tuple[HeaderName, ...] = many("Headers of its answer that others see.")


class EnvoyExternalAuthorizationGrpcProvider(ExtAuthzProvider):
    """A provider that speaks Envoy's protocol for this, over gRPC."""


_KINDS = (
    "envoyExtAuthzHttp",
    "envoyExtAuthzGrpc",
    "zipkin",
    "opentelemetry",
    "datadog",
    "skywalking",
    "prometheus",
    "envoyFileAccessLog",
    "envoyHttpAls",
    "envoyTcpAls",
    "envoyOtelAls",
    "lightstep",
    "opencensus",
    "sds",
    "stackdriver",
)

Tracer = (
    ZipkinTracingProvider | OpenTelemetryTracingProvider | DatadogTracingProvider | SkyWalkingTracingProvider
)
"""Where spans go."""

Logger = (
    EnvoyFileAccessLogProvider
    | EnvoyHttpGrpcV3LogProvider
    | EnvoyTcpGrpcV3LogProvider
    | EnvoyOpenTelemetryLogProvider
)
"""Where access logs go."""


class MeshExtensionProvider(Message):
    """A provider, by the name that policies and Telemetry call it by."""

    at_most_one = (_KINDS,)

    name: ProviderName = needed("Name of the provider.", min_length=1, max_length=128)
    envoy_ext_authz_http: EnvoyExternalAuthorizationHttpProvider | None = absent(
        "One that is asked over HTTP."
    )
    envoy_ext_authz_grpc: EnvoyExternalAuthorizationGrpcProvider | None = absent(
        "One that is asked over gRPC."
    )
    zipkin: ZipkinTracingProvider | None = absent("One that takes spans, as Zipkin does.")
    opentelemetry: OpenTelemetryTracingProvider | None = absent("One that takes spans in OTLP.")
    datadog: DatadogTracingProvider | None = absent("One that takes spans, an agent of Datadog's.")
    skywalking: SkyWalkingTracingProvider | None = absent("One that takes spans, as SkyWalking does.")
    prometheus: PrometheusMetricsProvider | None = absent("One that reads statistics.")
    envoy_file_access_log: EnvoyFileAccessLogProvider | None = absent("Access logs in a file.")
    envoy_http_als: EnvoyHttpGrpcV3LogProvider | None = absent("One that takes logs of requests over gRPC.")
    envoy_tcp_als: EnvoyTcpGrpcV3LogProvider | None = absent("One that takes logs of connections over gRPC.")
    envoy_otel_als: EnvoyOpenTelemetryLogProvider | None = absent("One that takes logs in OTLP.")
    lightstep: Whole | None = absent("One that takes spans, as Lightstep did.")
    opencensus: Whole | None = absent("One that takes spans, as OpenCensus' agent did.")
    sds: Whole | None = absent("One that gives secrets.")
    stackdriver: Whole | None = absent("Google Cloud's.")

    @property
    def settings(self) -> ExtAuthzProvider | None:
        """What both kinds of those have that decide; None for others."""
        return self.envoy_ext_authz_http or self.envoy_ext_authz_grpc

    @property
    def tracer(self) -> Tracer | None:
        """Where spans go; None for others."""
        return self.zipkin or self.opentelemetry or self.datadog or self.skywalking

    @property
    def logger(self) -> Logger | None:
        """Where access logs go; None for others."""
        return self.envoy_file_access_log or self.envoy_http_als or self.envoy_tcp_als or self.envoy_otel_als

    def findings(self) -> Iterator[Finding]:
        if all(getattr(self, name) is None for name in type(self).model_fields if name != "name"):
            yield missing(f"is empty; give one of {', '.join(_KINDS[:-4])}")


def provider_findings(providers: tuple[MeshExtensionProvider, ...], field: str) -> Iterator[Finding]:
    """Providers that share a name."""
    seen: set[str] = set()
    for index, provider in enumerate(providers):
        if provider.name in seen:
            yield wrong(f"{shown(provider.name)} is the name of another provider", field, index, "name")
        seen.add(provider.name)
