"""Access logs as Envoy's messages: files, and services that are told over gRPC."""

import json
from dataclasses import replace
from typing import Any

from envoy.config.accesslog.v3.accesslog_pb2 import AccessLog as AccessLogProto
from envoy.config.core.v3.config_source_pb2 import ApiVersion
from envoy.extensions.access_loggers.file.v3.file_pb2 import FileAccessLog
from envoy.extensions.access_loggers.filters.cel.v3.cel_pb2 import ExpressionFilter
from envoy.extensions.access_loggers.grpc.v3.als_pb2 import (
    CommonGrpcAccessLogConfig,
    HttpGrpcAccessLogConfig,
    TcpGrpcAccessLogConfig,
)
from envoy.extensions.access_loggers.open_telemetry.v3.logs_service_pb2 import OpenTelemetryAccessLogConfig
from google.protobuf.message import Message

from xdsd.compile.access_logs import JSON_FORMAT, TEXT_FORMAT, AccessLog, LogEncoding, access_logs
from xdsd.compile.observing.collectors import Collecting, grpc_service
from xdsd.model.intent.extension_provider import Logger
from xdsd.model.intent.telemetry_provider import (
    EnvoyFileAccessLogProvider,
    EnvoyHttpGrpcV3LogProvider,
    EnvoyOpenTelemetryLogProvider,
    EnvoyTcpGrpcV3LogProvider,
)

STDOUT = "/dev/stdout"

CEL = "envoy.access_loggers.extension_filters.cel"


def own_log(mesh: AccessLog) -> AccessLog:
    """The log of the built-in provider: the mesh's own, on standard output where the mesh has none."""
    return mesh if mesh.path else replace(mesh, path=STDOUT)


def file_log(said: EnvoyFileAccessLogProvider, mesh: AccessLog, *, built_in: bool) -> AccessLog:
    """A provider's file; one that has the ``built_in`` one's name looks as the mesh's own log unless told otherwise."""
    path = said.path or STDOUT
    shape = said.log_format
    if shape is None and built_in and not said.omit_empty_values:
        return replace(mesh, path=path)
    if shape is not None and shape.labels is not None:
        labels = shape.labels or dict(JSON_FORMAT)
        return AccessLog(path, LogEncoding.JSON, json.dumps(labels))
    return AccessLog(path, LogEncoding.TEXT, (shape.text if shape else None) or "")


def written(log: AccessLog, expression: str, *, omit_empty: bool = False) -> list[AccessLogProto]:
    """A file's log, of what the expression is true of."""
    made = access_logs(log)
    for each in made:
        if omit_empty:
            file = FileAccessLog.FromString(each.typed_config.value)
            file.log_format.omit_empty_values = True
            each.typed_config.Pack(file, deterministic=True)
        _limit(each, expression)
    return made


def told(said: Logger, expression: str, to: Collecting, *, http: bool) -> list[AccessLogProto]:
    """The log that a service is told, where requests are read (``http``) or connections are carried; none where that is no
    matter of its.
    """
    config: Message
    if isinstance(said, EnvoyHttpGrpcV3LogProvider) and http:
        name = "envoy.access_loggers.http_grpc"
        config = HttpGrpcAccessLogConfig(
            common_config=_common(said, said.log_name or "http_envoy_accesslog", to),
            additional_request_headers_to_log=said.additional_request_headers_to_log,
            additional_response_headers_to_log=said.additional_response_headers_to_log,
            additional_response_trailers_to_log=said.additional_response_trailers_to_log,
        )
    elif isinstance(said, EnvoyTcpGrpcV3LogProvider) and not http:
        name = "envoy.access_loggers.tcp_grpc"
        config = TcpGrpcAccessLogConfig(
            common_config=_common(said, said.log_name or "tcp_envoy_accesslog", to)
        )
    elif isinstance(said, EnvoyOpenTelemetryLogProvider):
        name = "envoy.access_loggers.open_telemetry"
        config = _otel(said, to)
    else:
        return []
    made = AccessLogProto(name=name)
    made.typed_config.Pack(config, deterministic=True)
    _limit(made, expression)
    return [made]


def _limit(log: AccessLogProto, expression: str) -> None:
    if expression:
        condition = log.filter.extension_filter
        condition.name = CEL
        condition.typed_config.Pack(ExpressionFilter(expression=expression), deterministic=True)


def _common(
    said: EnvoyHttpGrpcV3LogProvider | EnvoyTcpGrpcV3LogProvider, name: str, to: Collecting
) -> CommonGrpcAccessLogConfig:
    return CommonGrpcAccessLogConfig(
        log_name=name,
        grpc_service=grpc_service(to),
        transport_api_version=ApiVersion.V3,
        filter_state_objects_to_log=said.filter_state_objects_to_log,
    )


def _otel(said: EnvoyOpenTelemetryLogProvider, to: Collecting) -> OpenTelemetryAccessLogConfig:
    made: Any = OpenTelemetryAccessLogConfig(disable_builtin_labels=False)
    made.common_config.CopyFrom(
        CommonGrpcAccessLogConfig(
            log_name=said.log_name or "otel_envoy_accesslog",
            grpc_service=grpc_service(to),
            transport_api_version=ApiVersion.V3,
        )
    )
    shape = said.log_format
    made.body.string_value = (shape.text if shape else None) or TEXT_FORMAT
    for key, value in (shape.labels or {} if shape else {}).items():
        _set(made.attributes.values.add(key=key).value, value)
    return made


def _set(target: Any, value: Any) -> None:
    """Writes a text, a list or a map as a value of OTLP."""
    match value:
        case str():
            target.string_value = value
        case list():
            target.array_value.SetInParent()
            for each in value:
                _set(target.array_value.values.add(), each)
        case dict():
            target.kvlist_value.SetInParent()
            for key, each in value.items():
                _set(target.kvlist_value.values.add(key=key).value, each)
