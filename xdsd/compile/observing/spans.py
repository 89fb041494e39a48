"""Spans as Envoy's messages: the tracer of an HTTP connection manager, and the tags of its spans."""

from collections.abc import Iterator, Mapping
from typing import Any

from envoy.config.trace.v3.datadog_pb2 import DatadogConfig
from envoy.config.trace.v3.opentelemetry_pb2 import OpenTelemetryConfig
from envoy.config.trace.v3.skywalking_pb2 import SkyWalkingConfig
from envoy.config.trace.v3.zipkin_pb2 import ZipkinConfig
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
    RequestIDExtension,
)
from envoy.extensions.request_id.uuid.v3.uuid_pb2 import UuidRequestIdConfig
from envoy.extensions.tracers.opentelemetry.resource_detectors.v3.dynatrace_resource_detector_pb2 import (
    DynatraceResourceDetectorConfig,
)
from envoy.extensions.tracers.opentelemetry.resource_detectors.v3.environment_resource_detector_pb2 import (
    EnvironmentResourceDetectorConfig,
)
from envoy.type.tracing.v3.custom_tag_pb2 import CustomTag as CustomTagProto
from google.protobuf.message import Message

from xdsd.compile.observing.collectors import Collecting, grpc_service, http_service
from xdsd.compile.observing.merging import Traced
from xdsd.model.intent import CustomTag
from xdsd.model.intent.extension_provider import Tracer
from xdsd.model.intent.telemetry_provider import (
    DatadogTracingProvider,
    OpenTelemetryTracingProvider,
    SkyWalkingTracingProvider,
    TraceContextOption,
    ZipkinTracingProvider,
)

ZIPKIN_PATH = "/api/v2/spans"

_NOT_PROPAGATED = b"\x68\x01"
"""Envoy's field ``no_context_propagation`` of ``Tracing`` (13, a bool), which the generated class does not know yet."""

_DETECTORS = "envoy.tracers.opentelemetry.resource_detectors"


def tracing(traced: Traced, said: Tracer, to: Collecting, service: str, *, gateway: bool) -> Any:
    """The ``tracing`` of an HTTP connection manager; ``service`` is how the proxy's workload is called.

    Requests that somebody traces already are always traced on. A ``gateway`` makes a span of its own for what it sends.
    """
    made: Any = HttpConnectionManager.Tracing()
    made.client_sampling.value = made.overall_sampling.value = 100
    made.random_sampling.value = traced.sampling
    made.custom_tags.extend(_tags(traced))
    if gateway or isinstance(said, SkyWalkingTracingProvider):
        made.spawn_upstream_span.value = True
    length = None if isinstance(said, SkyWalkingTracingProvider) else said.max_tag_length
    if length:
        made.max_path_tag_length.value = length
    name, config = _tracer(said, to, service)
    made.provider.name = name
    made.provider.typed_config.Pack(config, deterministic=True)
    if traced.withheld:
        made.MergeFromString(_NOT_PROPAGATED)
    return made


def names_service(said: Tracer) -> bool:
    """True if spans for a provider have to say how the workload is called, since Envoy does not say it there by itself."""
    return isinstance(said, OpenTelemetryTracingProvider | DatadogTracingProvider)


def request_ids(traced: Traced) -> RequestIDExtension:
    """How requests are called, which may tell whether they are traced."""
    config = UuidRequestIdConfig()
    config.use_request_id_for_trace_sampling.value = traced.by_request_id
    made = RequestIDExtension()
    made.typed_config.Pack(config, deterministic=True)
    return made


def _tracer(said: Tracer, to: Collecting, service: str) -> tuple[str, Message]:
    match said:
        case ZipkinTracingProvider():
            return "envoy.tracers.zipkin", _zipkin(said, to)
        case OpenTelemetryTracingProvider():
            return "envoy.tracers.opentelemetry", _opentelemetry(said, to, service)
        case DatadogTracingProvider():
            config = DatadogConfig(
                collector_cluster=to.cluster, collector_hostname=to.host, service_name=service
            )
            return "envoy.tracers.datadog", config
        case SkyWalkingTracingProvider():
            return "envoy.tracers.skywalking", SkyWalkingConfig(grpc_service=grpc_service(to))


def _zipkin(said: ZipkinTracingProvider, to: Collecting) -> ZipkinConfig:
    made = ZipkinConfig(
        trace_id_128bit=not said.enable_64bit_trace_id,
        collector_endpoint_version=ZipkinConfig.HTTP_JSON,
        collector_service=http_service(to, said.path or ZIPKIN_PATH, said.timeout, said.headers),
    )
    made.shared_span_context.value = False
    if said.trace_context_option is TraceContextOption.USE_B3_WITH_W3C_PROPAGATION:
        made.trace_context_option = ZipkinConfig.USE_B3_WITH_W3C_PROPAGATION
    return made


def _opentelemetry(said: OpenTelemetryTracingProvider, to: Collecting, service: str) -> OpenTelemetryConfig:
    made = OpenTelemetryConfig(service_name=service)
    if said.http is not None:
        made.http_service.CopyFrom(http_service(to, said.http.path, said.http.timeout, said.http.headers))
    else:
        timeout, headers = (said.grpc.timeout, said.grpc.initial_metadata) if said.grpc else (None, ())
        made.grpc_service.CopyFrom(grpc_service(to, timeout, headers))
    detectors = said.resource_detectors
    if detectors and detectors.environment is not None:
        found = made.resource_detectors.add(name=f"{_DETECTORS}.environment")
        found.typed_config.Pack(EnvironmentResourceDetectorConfig())
    if detectors and detectors.dynatrace is not None:
        found = made.resource_detectors.add(name=f"{_DETECTORS}.dynatrace")
        found.typed_config.Pack(DynatraceResourceDetectorConfig())
    return made


def _tags(traced: Traced) -> Iterator[CustomTagProto]:
    own = {name: _tag(name, tag) for name, tag in traced.tags.items()}
    if traced.istio_tags:
        for name, text in _ISTIO_TAGS.items():
            own.setdefault(name, CustomTagProto(tag=name, value=f"%CEL({text})%"))
    yield from (own[name] for name in sorted(own))


def _node(key: str, missing: str) -> str:
    return f"'{key}' in xds.node.metadata ? xds.node.metadata['{key}'] : {missing}"


def _label(key: str, missing: str) -> str:
    labels = "xds.node.metadata['LABELS']"
    return f"'{key}' in {labels} ? {labels}['{key}'] : {missing}"


def _labelled(found: str, missing: str) -> str:
    return f"'LABELS' in xds.node.metadata ? ({found}) : {missing}"


_ISTIO_TAGS: Mapping[str, str] = {
    "istio.canonical_revision": _labelled(
        _label("service.istio.io/canonical-revision", "'latest'"), "'latest'"
    ),
    "istio.canonical_service": _labelled(
        _label("service.istio.io/canonical-name", _label("app", "'unknown'")), "'unknown'"
    ),
    "istio.cluster_id": _node("CLUSTER_ID", "'unknown'"),
    "istio.mesh_id": _node("MESH_ID", "'unknown'"),
    "istio.namespace": _node("NAMESPACE", "'default'"),
}
"""What spans say of the proxy's workload, which is in its node: so all proxies of a namespace are told the same."""


def _tag(name: str, tag: CustomTag) -> CustomTagProto:
    made = CustomTagProto(tag=name)
    if tag.literal is not None:
        made.literal.value = tag.literal.value
    elif tag.environment is not None:
        made.environment.name = tag.environment.name
        made.environment.default_value = tag.environment.default_value or ""
    elif tag.header is not None:
        made.request_header.name = tag.header.name
        made.request_header.default_value = tag.header.default_value or ""
    elif tag.formatter is not None:
        made.value = tag.formatter.value
    return made
