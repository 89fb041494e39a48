"""Values of headers as Envoy reads them: text in which ``%COMMAND%`` stands for something of the request.

Envoy refuses a whole route configuration over one malformed command, so values are checked before it sees
them. Allowed are the commands that speak of the request, the response, the connection and the route; what
reads the proxy's own files or environment is not, because whoever may write a route need not be who runs the
proxy.
"""

import re

_SIDES = ("DOWNSTREAM", "UPSTREAM")
_OF_BOTH_SIDES = (
    "LOCAL_ADDRESS",
    "LOCAL_ADDRESS_WITHOUT_PORT",
    "LOCAL_PORT",
    "LOCAL_URI_SAN",
    "PEER_CERT",
    "PEER_CERT_V_END",
    "PEER_CERT_V_START",
    "PEER_DNS_SAN",
    "PEER_ISSUER",
    "PEER_SUBJECT",
    "PEER_URI_SAN",
    "REMOTE_ADDRESS",
    "REMOTE_ADDRESS_WITHOUT_PORT",
    "REMOTE_PORT",
    "TLS_CIPHER",
    "TLS_SESSION_ID",
    "TLS_VERSION",
    "TRANSPORT_FAILURE_REASON",
)
PLAIN_COMMANDS = frozenset(f"{side}_{what}" for side in _SIDES for what in _OF_BOTH_SIDES) | {
    "BYTES_RECEIVED",
    "BYTES_SENT",
    "CONNECTION_ID",
    "CONNECTION_TERMINATION_DETAILS",
    "DOWNSTREAM_DIRECT_LOCAL_ADDRESS",
    "DOWNSTREAM_DIRECT_REMOTE_ADDRESS",
    "DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT",
    "DOWNSTREAM_DIRECT_REMOTE_PORT",
    "DOWNSTREAM_LOCAL_SUBJECT",
    "DOWNSTREAM_PEER_FINGERPRINT_1",
    "DOWNSTREAM_PEER_FINGERPRINT_256",
    "DOWNSTREAM_PEER_SERIAL",
    "DURATION",
    "FILTER_CHAIN_NAME",
    "GRPC_STATUS",
    "GRPC_STATUS_NUMBER",
    "HOSTNAME",
    "PATH",
    "PROTOCOL",
    "QUERY_PARAMS",
    "REQUESTED_SERVER_NAME",
    "REQUEST_DURATION",
    "RESPONSE_CODE",
    "RESPONSE_CODE_DETAILS",
    "RESPONSE_DURATION",
    "RESPONSE_FLAGS",
    "RESPONSE_FLAGS_LONG",
    "RESPONSE_TX_DURATION",
    "ROUTE_NAME",
    "SPAN_ID",
    "START_TIME",
    "STREAM_ID",
    "TRACE_ID",
    "UNIQUE_ID",
    "UPSTREAM_CLUSTER",
    "UPSTREAM_CONNECTION_ID",
    "UPSTREAM_HOST",
    "UPSTREAM_PROTOCOL",
    "UPSTREAM_REQUEST_ATTEMPT_COUNT",
    "VIRTUAL_CLUSTER_NAME",
}
_HEADER = re.compile(r":?[A-Za-z0-9_-]+(\?:?[A-Za-z0-9_-]+)?")
COMMANDS_WITH_ARGUMENT = {
    "REQ": _HEADER,
    "RESP": _HEADER,
    "REQUEST_HEADER": _HEADER,
    "RESPONSE_HEADER": _HEADER,
    "QUERY_PARAM": re.compile(r"[A-Za-z0-9_.-]+"),
    "DYNAMIC_METADATA": re.compile(r"[A-Za-z0-9_./-]+(:[A-Za-z0-9_./-]+)*"),
    "START_TIME": re.compile(r"([A-Za-z0-9 :./_-]|%[YmdHMSFTsfjaAbBeyZz]|%[369]f)+"),
}
_PIECE = re.compile(r"%%|%(?P<name>[A-Z0-9_]+)(\((?P<argument>[^()]*)\)(?P<length>:\d{1,5})?)?%|[^%]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_LONGEST = 16384


def value_error(value: str) -> str:
    """What is wrong with a header's value, as the second half of a sentence; empty if nothing is."""
    if error := text_error(value):
        return error
    position = 0
    while position < len(value):
        piece = _PIECE.match(value, position)
        if piece is None:
            return f"has a lone % at character {position + 1}; write %% for a percent sign"
        if piece["name"] and (error := _command_error(piece)):
            return error
        position = piece.end()
    return ""


def text_error(value: str) -> str:
    """The same for text that goes into a request or response as it stands, such as a path or a host."""
    if len(value.encode()) > _LONGEST:
        return f"is longer than {_LONGEST} bytes"
    control = _CONTROL.search(value)
    return f"has a control character at character {control.start() + 1}" if control else ""


def _command_error(piece: re.Match[str]) -> str:
    name, argument = piece["name"], piece["argument"]
    if argument is None:
        if name in PLAIN_COMMANDS:
            return ""
        if name in COMMANDS_WITH_ARGUMENT:
            return f"has %{name}% without an argument; write %{name}(NAME)%"
    else:
        pattern = COMMANDS_WITH_ARGUMENT.get(name)
        if pattern is not None and pattern.fullmatch(argument):
            return "has %START_TIME(...)% with a length" if name == "START_TIME" and piece["length"] else ""
        if pattern is not None:
            return f"has %{name}(...)% with the unusable argument {argument!r}"
        if name in PLAIN_COMMANDS:
            return f"has %{name}% with an argument, and it takes none"
    return f"has the unknown command %{name}%; write %% for a percent sign"
