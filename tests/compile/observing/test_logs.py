"""Access logs as Envoy reads them."""

from typing import Any

import pytest
from envoy.extensions.access_loggers.file.v3.file_pb2 import FileAccessLog
from envoy.extensions.access_loggers.filters.cel.v3.cel_pb2 import ExpressionFilter
from envoy.extensions.access_loggers.grpc.v3.als_pb2 import HttpGrpcAccessLogConfig, TcpGrpcAccessLogConfig
from envoy.extensions.access_loggers.open_telemetry.v3.logs_service_pb2 import OpenTelemetryAccessLogConfig
from google.protobuf.json_format import MessageToDict

from xdsd.compile.access_logs import AccessLog, LogEncoding
from xdsd.compile.observing.collectors import Collecting
from xdsd.compile.observing.logs import file_log, own_log, told, written
from xdsd.model.intent.telemetry_provider import (
    EnvoyFileAccessLogProvider,
    EnvoyHttpGrpcV3LogProvider,
    EnvoyOpenTelemetryLogProvider,
    EnvoyTcpGrpcV3LogProvider,
)

TO = Collecting("als.example.com", "outbound|1||als.example.com")
SAID = {"service": "als.example.com", "port": 1}
MESH = AccessLog("/dev/null", LogEncoding.TEXT, "mesh")


def file(**said: Any) -> EnvoyFileAccessLogProvider:
    return EnvoyFileAccessLogProvider.model_validate(said)


def unpacked(log: Any, kind: Any) -> dict[str, Any]:
    return MessageToDict(kind.FromString(log.typed_config.value), preserving_proto_field_name=True)


@pytest.mark.parametrize(
    ("said", "built_in", "expected"),
    [
        (file(), False, AccessLog("/dev/stdout", LogEncoding.TEXT, "")),
        (file(), True, AccessLog("/dev/stdout", LogEncoding.TEXT, "mesh")),
        (file(path="/a"), True, AccessLog("/a", LogEncoding.TEXT, "mesh")),
        (file(logFormat={"text": "x"}), True, AccessLog("/dev/stdout", LogEncoding.TEXT, "x")),
        (
            file(logFormat={"labels": {"a": "b"}}),
            False,
            AccessLog("/dev/stdout", LogEncoding.JSON, '{"a": "b"}'),
        ),
    ],
)
def test_a_file_is_where_and_as_its_provider_says(
    said: EnvoyFileAccessLogProvider, built_in: bool, expected: AccessLog
) -> None:
    """On standard output and in Istio's words if left out; one that is called envoy looks as the mesh's log."""
    assert file_log(said, MESH, built_in=built_in) == expected


def test_empty_labels_are_istios() -> None:
    """An empty map asks for JSON as the mesh has it by default."""
    assert (
        '"path": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%"'
        in file_log(file(logFormat={"labels": {}}), MESH, built_in=False).format
    )


def test_the_built_in_log_is_on_standard_output_where_the_mesh_has_none() -> None:
    """Who names it wants it."""
    assert own_log(MESH) == MESH
    assert own_log(AccessLog("", LogEncoding.TEXT, "mesh")) == AccessLog(
        "/dev/stdout", LogEncoding.TEXT, "mesh"
    )


def test_an_expression_limits_a_log() -> None:
    """As the filter of the log, in CEL; without one there is none."""
    (log,) = written(MESH, "response.code >= 400", omit_empty=True)
    assert log.filter.extension_filter.name == "envoy.access_loggers.extension_filters.cel"
    found = ExpressionFilter.FromString(log.filter.extension_filter.typed_config.value)
    assert found.expression == "response.code >= 400"
    assert FileAccessLog.FromString(log.typed_config.value).log_format.omit_empty_values
    (log,) = written(MESH, "")
    assert not log.HasField("filter")


def test_requests_and_connections_are_told_to_whom_they_are_a_matter_of() -> None:
    """One log of requests, one of connections, and one of both."""
    http = EnvoyHttpGrpcV3LogProvider.model_validate({**SAID, "additionalRequestHeadersToLog": ["x-a"]})
    tcp = EnvoyTcpGrpcV3LogProvider.model_validate({**SAID, "filterStateObjectsToLog": ["a"]})
    (log,) = told(http, "", TO, http=True)
    assert unpacked(log, HttpGrpcAccessLogConfig) == {
        "common_config": {
            "log_name": "http_envoy_accesslog",
            "grpc_service": {"envoy_grpc": {"cluster_name": TO.cluster, "authority": TO.host}},
            "transport_api_version": "V3",
        },
        "additional_request_headers_to_log": ["x-a"],
    }
    assert told(http, "", TO, http=False) == []
    (log,) = told(tcp, "", TO, http=False)
    common = unpacked(log, TcpGrpcAccessLogConfig)["common_config"]
    assert (common["log_name"], common["filter_state_objects_to_log"]) == ("tcp_envoy_accesslog", ["a"])
    assert told(tcp, "", TO, http=True) == []


@pytest.mark.parametrize("http", [True, False])
def test_otlp_has_a_body_and_attributes_of_any_depth(http: bool) -> None:
    """Texts, lists and maps stay what they are."""
    labels = {"a": "b", "f": ["x", {"y": "z"}]}
    said = EnvoyOpenTelemetryLogProvider.model_validate(
        {**SAID, "logName": "web", "logFormat": {"text": "t", "labels": labels}}
    )
    (log,) = told(said, "connection.mtls", TO, http=http)
    found = unpacked(log, OpenTelemetryAccessLogConfig)
    assert found["body"] == {"string_value": "t"}
    assert found["common_config"]["log_name"] == "web"
    assert found["attributes"]["values"] == [
        {"key": "a", "value": {"string_value": "b"}},
        {
            "key": "f",
            "value": {
                "array_value": {
                    "values": [
                        {"string_value": "x"},
                        {"kvlist_value": {"values": [{"key": "y", "value": {"string_value": "z"}}]}},
                    ]
                }
            },
        },
    ]
    assert log.filter.HasField("extension_filter")
