"""Access logs: one line a request or connection on the proxy's standard output, in Istio's default formats.

The fields and their order are those of Istio 1.9 and later, because log pipelines parse them; JSON also says who called, as
far as certificates prove it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from envoy.config.accesslog.v3.accesslog_pb2 import AccessLog as AccessLogProto
from envoy.config.core.v3.substitution_format_string_pb2 import SubstitutionFormatString
from envoy.extensions.access_loggers.file.v3.file_pb2 import FileAccessLog
from google.protobuf.any_pb2 import Any
from google.protobuf.struct_pb2 import Struct


class LogEncoding(StrEnum):
    """How a line is written."""

    TEXT = "TEXT"
    JSON = "JSON"


@dataclass(frozen=True, slots=True)
class AccessLog:
    """Where access logs go and how they look; an empty ``path`` turns them off.

    ``format`` is a line with Envoy's commands, or in JSON a map of such; empty for Istio's.
    """

    path: str = "/dev/stdout"
    encoding: LogEncoding = LogEncoding.TEXT
    format: str = ""


OFF = AccessLog(path="")

TEXT_FORMAT = (
    '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" '
    "%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "
    '"%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED% %BYTES_SENT% '
    "%DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "
    '"%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" '
    '"%UPSTREAM_HOST%" %UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS% '
    "%DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% "
    "%REQUESTED_SERVER_NAME% %ROUTE_NAME%\n"
)

JSON_FORMAT: Mapping[str, str] = MappingProxyType(
    {
        "authority": "%REQ(:AUTHORITY)%",
        "bytes_received": "%BYTES_RECEIVED%",
        "bytes_sent": "%BYTES_SENT%",
        "connection_termination_details": "%CONNECTION_TERMINATION_DETAILS%",
        "downstream_local_address": "%DOWNSTREAM_LOCAL_ADDRESS%",
        "downstream_peer_uri_san": "%DOWNSTREAM_PEER_URI_SAN%",
        "downstream_remote_address": "%DOWNSTREAM_REMOTE_ADDRESS%",
        "duration": "%DURATION%",
        "method": "%REQ(:METHOD)%",
        "path": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
        "protocol": "%PROTOCOL%",
        "request_id": "%REQ(X-REQUEST-ID)%",
        "requested_server_name": "%REQUESTED_SERVER_NAME%",
        "response_code": "%RESPONSE_CODE%",
        "response_code_details": "%RESPONSE_CODE_DETAILS%",
        "response_flags": "%RESPONSE_FLAGS%",
        "route_name": "%ROUTE_NAME%",
        "start_time": "%START_TIME%",
        "upstream_cluster": "%UPSTREAM_CLUSTER_RAW%",
        "upstream_host": "%UPSTREAM_HOST%",
        "upstream_local_address": "%UPSTREAM_LOCAL_ADDRESS%",
        "upstream_service_time": "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%",
        "upstream_transport_failure_reason": "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
        "user_agent": "%REQ(USER-AGENT)%",
        "x_forwarded_for": "%REQ(X-FORWARDED-FOR)%",
    }
)


def access_logs(log: AccessLog) -> list[AccessLogProto]:
    """The ``access_log`` of an HTTP connection manager, TCP proxy or listener: one file log, or none."""
    if not log.path:
        return []
    file = FileAccessLog(path=log.path, log_format=_format(log))
    config = Any()
    config.Pack(file)
    return [AccessLogProto(name="envoy.access_loggers.file", typed_config=config)]


def _format(log: AccessLog) -> SubstitutionFormatString:
    if log.encoding is LogEncoding.TEXT:
        line = log.format if not log.format or log.format.endswith("\n") else f"{log.format}\n"
        return SubstitutionFormatString(text_format_source={"inline_string": line or TEXT_FORMAT})
    fields = Struct()
    fields.update(json.loads(log.format) if log.format else dict(JSON_FORMAT))
    return SubstitutionFormatString(json_format=fields)
