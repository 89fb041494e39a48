"""Header values as Envoy reads them: text with commands such as ``%DOWNSTREAM_REMOTE_ADDRESS%`` in it.

A proxy refuses the whole route configuration for one command that it does not know, so commands are checked by name
and by what they take. The names are those that Envoy 1.40 accepts in a header.
"""

import re

from xdsd.model.intent.command_arguments import argument_fault, length_fault

PLAIN = frozenset(
    [
        "ACCESS_LOG_TYPE",
        "BYTES_RECEIVED",
        "BYTES_RETRANSMITTED",
        "BYTES_SENT",
        "CONNECTION_ID",
        "CONNECTION_TERMINATION_DETAILS",
        "CUSTOM_FLAGS",
        "DOWNSTREAM_DECOMPRESSED_HEADER_BYTES_RECEIVED",
        "DOWNSTREAM_DECOMPRESSED_HEADER_BYTES_SENT",
        "DOWNSTREAM_DETECTED_CLOSE_TYPE",
        "DOWNSTREAM_DIRECT_LOCAL_ADDRESS",
        "DOWNSTREAM_DIRECT_LOCAL_ADDRESS_ENDPOINT_ID",
        "DOWNSTREAM_DIRECT_LOCAL_PORT",
        "DOWNSTREAM_DIRECT_REMOTE_ADDRESS",
        "DOWNSTREAM_DIRECT_REMOTE_PORT",
        "DOWNSTREAM_HANDSHAKE_DURATION",
        "DOWNSTREAM_HEADER_BYTES_RECEIVED",
        "DOWNSTREAM_HEADER_BYTES_SENT",
        "DOWNSTREAM_LOCAL_ADDRESS",
        "DOWNSTREAM_LOCAL_ADDRESS_ENDPOINT_ID",
        "DOWNSTREAM_LOCAL_CLOSE_REASON",
        "DOWNSTREAM_LOCAL_DNS_SAN",
        "DOWNSTREAM_LOCAL_EMAIL_SAN",
        "DOWNSTREAM_LOCAL_IP_SAN",
        "DOWNSTREAM_LOCAL_OTHERNAME_SAN",
        "DOWNSTREAM_LOCAL_PORT",
        "DOWNSTREAM_LOCAL_SUBJECT",
        "DOWNSTREAM_LOCAL_URI_SAN",
        "DOWNSTREAM_PEER_CERT",
        "DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_1",
        "DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_256",
        "DOWNSTREAM_PEER_CHAIN_SERIALS",
        "DOWNSTREAM_PEER_DNS_SAN",
        "DOWNSTREAM_PEER_EMAIL_SAN",
        "DOWNSTREAM_PEER_FINGERPRINT_1",
        "DOWNSTREAM_PEER_FINGERPRINT_256",
        "DOWNSTREAM_PEER_IP_SAN",
        "DOWNSTREAM_PEER_ISSUER",
        "DOWNSTREAM_PEER_ISSUER_FINGERPRINT_256",
        "DOWNSTREAM_PEER_ISSUER_SERIAL",
        "DOWNSTREAM_PEER_OTHERNAME_SAN",
        "DOWNSTREAM_PEER_SERIAL",
        "DOWNSTREAM_PEER_SUBJECT",
        "DOWNSTREAM_PEER_URI_SAN",
        "DOWNSTREAM_REMOTE_ADDRESS",
        "DOWNSTREAM_REMOTE_PORT",
        "DOWNSTREAM_TLS_CIPHER",
        "DOWNSTREAM_TLS_GROUP",
        "DOWNSTREAM_TLS_SESSION_ID",
        "DOWNSTREAM_TLS_VERSION",
        "DOWNSTREAM_TRANSPORT_FAILURE_REASON",
        "DOWNSTREAM_WIRE_BYTES_RECEIVED",
        "DOWNSTREAM_WIRE_BYTES_SENT",
        "DURATION",
        "FILTER_CHAIN_NAME",
        "GRPC_STATUS_NUMBER",
        "HOSTNAME",
        "LOCAL_REPLY_BODY",
        "PACKETS_RETRANSMITTED",
        "PROTOCOL",
        "REQUEST_DURATION",
        "REQUEST_HEADERS_BYTES",
        "REQUEST_TX_DURATION",
        "RESPONSE_CODE",
        "RESPONSE_DURATION",
        "RESPONSE_FLAGS",
        "RESPONSE_FLAGS_LONG",
        "RESPONSE_HEADERS_BYTES",
        "RESPONSE_TRAILERS_BYTES",
        "RESPONSE_TX_DURATION",
        "ROUNDTRIP_DURATION",
        "ROUTE_NAME",
        "SPAN_ID",
        "STREAM_ID",
        "TLS_JA3_FINGERPRINT",
        "TLS_JA4_FINGERPRINT",
        "TRACE_ID",
        "UNIQUE_ID",
        "UPSTREAM_CLUSTER",
        "UPSTREAM_CLUSTER_RAW",
        "UPSTREAM_CONNECTION_ID",
        "UPSTREAM_CONNECTION_IDS_ATTEMPTED",
        "UPSTREAM_CONNECTION_POOL_READY_DURATION",
        "UPSTREAM_DECOMPRESSED_HEADER_BYTES_RECEIVED",
        "UPSTREAM_DECOMPRESSED_HEADER_BYTES_SENT",
        "UPSTREAM_DETECTED_CLOSE_TYPE",
        "UPSTREAM_HEADER_BYTES_RECEIVED",
        "UPSTREAM_HEADER_BYTES_SENT",
        "UPSTREAM_HOST",
        "UPSTREAM_HOSTS_ATTEMPTED",
        "UPSTREAM_HOSTS_ATTEMPTED_WITHOUT_PORT",
        "UPSTREAM_HOST_NAME",
        "UPSTREAM_HOST_NAMES_ATTEMPTED",
        "UPSTREAM_HOST_NAMES_ATTEMPTED_WITHOUT_PORT",
        "UPSTREAM_HOST_NAME_WITHOUT_PORT",
        "UPSTREAM_LOCAL_ADDRESS",
        "UPSTREAM_LOCAL_CLOSE_REASON",
        "UPSTREAM_LOCAL_DNS_SAN",
        "UPSTREAM_LOCAL_IP_SAN",
        "UPSTREAM_LOCAL_PORT",
        "UPSTREAM_LOCAL_URI_SAN",
        "UPSTREAM_PEER_CERT",
        "UPSTREAM_PEER_DNS_SAN",
        "UPSTREAM_PEER_IP_SAN",
        "UPSTREAM_PEER_ISSUER",
        "UPSTREAM_PEER_SUBJECT",
        "UPSTREAM_PEER_URI_SAN",
        "UPSTREAM_PROTOCOL",
        "UPSTREAM_REMOTE_ADDRESS",
        "UPSTREAM_REMOTE_ADDRESS_ENDPOINT_ID",
        "UPSTREAM_REMOTE_PORT",
        "UPSTREAM_REQUEST_ATTEMPT_COUNT",
        "UPSTREAM_SERVER_NAME",
        "UPSTREAM_TLS_CIPHER",
        "UPSTREAM_TLS_GROUP",
        "UPSTREAM_TLS_SESSION_ID",
        "UPSTREAM_TLS_VERSION",
        "UPSTREAM_TRANSPORT_FAILURE_REASON",
        "UPSTREAM_WIRE_BYTES_RECEIVED",
        "UPSTREAM_WIRE_BYTES_SENT",
        "VIRTUAL_CLUSTER_NAME",
    ]
)
OPTIONAL_ARGUMENT = frozenset(
    [
        "DOWNSTREAM_DIRECT_LOCAL_ADDRESS_WITHOUT_PORT",
        "DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT",
        "DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT",
        "DOWNSTREAM_PEER_CERT_V_END",
        "DOWNSTREAM_PEER_CERT_V_START",
        "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT",
        "EMIT_TIME",
        "EMIT_TIME_LOCAL",
        "GRPC_STATUS",
        "PATH",
        "QUERY_PARAMS",
        "REQUESTED_SERVER_NAME",
        "RESPONSE_CODE_DETAILS",
        "START_TIME",
        "START_TIME_LOCAL",
        "UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT",
        "UPSTREAM_PEER_CERT_V_END",
        "UPSTREAM_PEER_CERT_V_START",
        "UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT",
    ]
)
ARGUMENT = frozenset(
    [
        "CLUSTER_METADATA",
        "COMMON_DURATION",
        "DYNAMIC_METADATA",
        "ENVIRONMENT",
        "FILTER_STATE",
        "METADATA",
        "PER_REQUEST_STATE",
        "QUERY_PARAM",
        "REQ",
        "REQUEST_HEADER",
        "RESP",
        "RESPONSE_HEADER",
        "RESPONSE_TRAILER",
        "TRAILER",
        "UPSTREAM_FILTER_STATE",
        "UPSTREAM_METADATA",
    ]
)
EXPRESSIONS = frozenset({"CEL", "TYPED_CEL", "COALESCE"})

_COMMAND = re.compile(r"%%|%([A-Z0-9_]+)(\([^)]*\))?(?::([0-9]+))?%")


def command_fault(text: str) -> str | None:
    """Says what is wrong with the commands of a header value, to follow it, or None."""
    if "%" in _COMMAND.sub("", text):
        return "holds a lone %; write %% for the sign, or a command such as %HOSTNAME%"
    for found in _COMMAND.finditer(text):
        name = found[1]
        fault = _fault(name, found[2], found[3]) if name is not None else None
        if fault:
            return fault
    return None


def _fault(name: str, brackets: str | None, length: str | None) -> str | None:
    if name in EXPRESSIONS:
        return f"holds {name}, an expression that is not supported in headers"
    if name not in PLAIN | OPTIONAL_ARGUMENT | ARGUMENT:
        return f"holds %{name[:40]}%, which is no command of Envoy's"
    if brackets and name in PLAIN:
        return f"gives {name} an argument, and it takes none"
    argument = brackets[1:-1] if brackets else ""
    if not argument and name in ARGUMENT:
        return f"gives {name} no argument, and it needs one, as in %{name}(…)%"
    if length is not None and (fault := length_fault(name, length, needs_argument=name in ARGUMENT)):
        return fault
    return argument_fault(name, argument) if brackets else None
