"""The tracer of an HTTP connection manager, for each provider that Envoy carries."""

from typing import Any

import pytest
from envoy.config.trace.v3.datadog_pb2 import DatadogConfig
from envoy.config.trace.v3.opentelemetry_pb2 import OpenTelemetryConfig
from envoy.config.trace.v3.skywalking_pb2 import SkyWalkingConfig
from envoy.config.trace.v3.zipkin_pb2 import ZipkinConfig
from envoy.extensions.request_id.uuid.v3.uuid_pb2 import UuidRequestIdConfig
from google.protobuf.json_format import MessageToDict

from xdsd.compile.observing.collectors import Collecting
from xdsd.compile.observing.merging import Traced
from xdsd.compile.observing.spans import names_service, request_ids, tracing
from xdsd.model.intent import CustomTag
from xdsd.model.intent.extension_provider import MeshExtensionProvider, Tracer

TO = Collecting("c.example.com", "outbound|1||c.example.com")
SAID = {"service": "c.example.com", "port": 1}
GRPC = {"envoy_grpc": {"cluster_name": TO.cluster, "authority": TO.host}}
HEADERS = [{"name": "x-key", "value": "a"}]


def provider(kind: str, **said: Any) -> Tracer:
    found = MeshExtensionProvider.model_validate({"name": "p", kind: {**SAID, **said}}).tracer
    assert found is not None
    return found


def made(said: Tracer, traced: Traced | None = None, *, gateway: bool = False) -> Any:
    return tracing(traced or Traced("p", istio_tags=False), said, TO, "web.shop", gateway=gateway)


def config(found: Any, kind: Any) -> dict[str, Any]:
    return MessageToDict(kind.FromString(found.provider.typed_config.value), preserving_proto_field_name=True)


def http(path: str, timeout: str) -> dict[str, Any]:
    return {"http_uri": {"uri": f"http://c.example.com{path}", "cluster": TO.cluster, "timeout": timeout}}


SENT = {
    "request_headers_to_add": [
        {"header": {"key": "x-key", "value": "a"}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
    ]
}


@pytest.mark.parametrize(
    ("said", "name", "kind", "expected"),
    [
        (
            provider("zipkin"),
            "zipkin",
            ZipkinConfig,
            {
                "trace_id_128bit": True,
                "shared_span_context": False,
                "collector_endpoint_version": "HTTP_JSON",
                "collector_service": http("/api/v2/spans", "5s"),
            },
        ),
        (
            provider(
                "zipkin",
                path="/x",
                timeout="2s",
                enable64bitTraceId=True,
                headers=HEADERS,
                traceContextOption="USE_B3_WITH_W3C_PROPAGATION",
            ),
            "zipkin",
            ZipkinConfig,
            {
                "shared_span_context": False,
                "collector_endpoint_version": "HTTP_JSON",
                "trace_context_option": "USE_B3_WITH_W3C_PROPAGATION",
                "collector_service": {**http("/x", "2s"), **SENT},
            },
        ),
        (
            provider("opentelemetry"),
            "opentelemetry",
            OpenTelemetryConfig,
            {"grpc_service": GRPC, "service_name": "web.shop"},
        ),
        (
            provider("opentelemetry", grpc={"timeout": "2s", "initialMetadata": HEADERS}),
            "opentelemetry",
            OpenTelemetryConfig,
            {
                "grpc_service": {
                    **GRPC,
                    "timeout": "2s",
                    "initial_metadata": [{"key": "x-key", "value": "a"}],
                },
                "service_name": "web.shop",
            },
        ),
        (
            provider("opentelemetry", http={"path": "/v1/traces", "timeout": "2s", "headers": HEADERS}),
            "opentelemetry",
            OpenTelemetryConfig,
            {"http_service": {**http("/v1/traces", "2s"), **SENT}, "service_name": "web.shop"},
        ),
        (
            provider("datadog"),
            "datadog",
            DatadogConfig,
            {"collector_cluster": TO.cluster, "collector_hostname": TO.host, "service_name": "web.shop"},
        ),
        (provider("skywalking"), "skywalking", SkyWalkingConfig, {"grpc_service": GRPC}),
    ],
)
def test_a_provider_is_told_as_it_wants(said: Tracer, name: str, kind: Any, expected: dict[str, Any]) -> None:
    """Where, how, and under which name."""
    found = made(said)
    assert found.provider.name == f"envoy.tracers.{name}"
    assert config(found, kind) == expected


def test_resource_detectors_are_those_that_were_asked_for() -> None:
    """None unless told so."""
    said = provider("opentelemetry", resourceDetectors={"environment": {}, "dynatrace": {}})
    found = config(made(said), OpenTelemetryConfig)["resource_detectors"]
    names = [each["name"].rpartition(".")[2] for each in found]
    assert names == ["environment", "dynatrace"]


def test_what_is_traced_already_is_traced_on_and_of_the_rest_a_share() -> None:
    """Requests with the headers of a trace are not diced for."""
    found = made(provider("zipkin", maxTagLength=64), Traced("p", sampling=12.5, withheld=True))
    sampled = (found.client_sampling.value, found.random_sampling.value, found.overall_sampling.value)
    assert sampled == (100, 12.5, 100)
    assert found.max_path_tag_length.value == 64
    assert found.SerializeToString().endswith(b"\x68\x01")


def test_a_gateway_makes_a_span_of_its_own_for_what_it_sends() -> None:
    """Sidecars make one a request, but for SkyWalking."""
    assert made(provider("zipkin"), gateway=True).spawn_upstream_span.value
    assert not made(provider("zipkin")).HasField("spawn_upstream_span")
    assert made(provider("skywalking")).spawn_upstream_span.value


def test_tags_are_of_four_kinds_and_in_order() -> None:
    """A tag of one's own goes before Istio's of that name."""
    tags = {
        "d": {"literal": {"value": "1"}},
        "c": {"environment": {"name": "C", "defaultValue": "x"}},
        "b": {"header": {"name": "x-b"}},
        "istio.namespace": {"formatter": {"value": "%PROTOCOL%"}},
    }
    traced = Traced("p", tags={name: CustomTag.model_validate(each) for name, each in tags.items()})
    found = {tag.tag: tag for tag in made(provider("zipkin"), traced).custom_tags}
    assert list(found) == sorted(found)
    assert found["d"].literal.value == "1"
    assert (found["c"].environment.name, found["c"].environment.default_value) == ("C", "x")
    assert found["b"].request_header.name == "x-b"
    assert found["istio.namespace"].value == "%PROTOCOL%"
    assert {name for name in found if name.startswith("istio.")} == {
        "istio.canonical_revision",
        "istio.canonical_service",
        "istio.cluster_id",
        "istio.mesh_id",
        "istio.namespace",
    }


def test_the_id_of_a_request_may_say_whether_it_is_traced() -> None:
    """Unless told that it may not."""
    for wanted in (True, False):
        found = UuidRequestIdConfig.FromString(request_ids(Traced(by_request_id=wanted)).typed_config.value)
        assert found.use_request_id_for_trace_sampling.value is wanted


def test_some_have_to_be_told_the_name_of_the_workload() -> None:
    """Envoy tells the others its own."""
    kinds = ("zipkin", "opentelemetry", "datadog", "skywalking")
    assert [names_service(provider(kind)) for kind in kinds] == [False, True, True, False]
