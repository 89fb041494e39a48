"""Commands in headers and logs: which Envoy takes, and what is said of the others. Envoy 1.40 was asked about each."""

import pytest

from xdsd.model.intent.commands import OPTIONAL_ARGUMENT, PLAIN, command_fault
from xdsd.model.intent.log_formats import text_fault


@pytest.mark.parametrize("name", sorted(PLAIN | OPTIONAL_ARGUMENT))
def test_a_command_that_needs_no_argument_stands_alone(name: str) -> None:
    """In headers and in logs."""
    assert command_fault(f"a %{name}% b") is None
    assert text_fault(f"%{name}%") is None


@pytest.mark.parametrize(
    "text",
    [
        "%REQ(:AUTHORITY?X-Name)% %REQ(a):20% %RESP(a?:status)% %REQ(a'b!#$&*+.^_`|~-)% %TRAILER(a)%",
        "%METADATA(ROUTE:a:b):3% %METADATA(LISTENER)% %DYNAMIC_METADATA(a:b)% %CLUSTER_METADATA(a)%",
        "%FILTER_STATE(a)% %FILTER_STATE(a:PLAIN):5% %UPSTREAM_FILTER_STATE(a:FIELD:b:c)%",
        "%COMMON_DURATION(DS_RX_BEG:DS_TX_END:us)% %COMMON_DURATION(a:b)% %GRPC_STATUS(SNAKE_STRING)% %GRPC_STATUS()%",
        "%PATH(WQ:ORIG):5% %PATH(NQ)% %QUERY_PARAMS(DECODED):5% %REQUESTED_SERVER_NAME(SNI_FIRST:ORIG)%",
        "%START_TIME(%Y-%m-%dT%H:%M:%S.%3fZ)% %DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(24)% 100%%",
    ],
)
def test_arguments_that_envoy_takes_are_taken(text: str) -> None:
    """As published: names of headers, kinds of metadata and state, units and options."""
    assert command_fault(text) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("%REQ()%", "gives REQ no argument, and it needs one, as in %REQ(…)%"),
        ("%REQ(a?b?c)%", "gives REQ 'a?b?c'; it takes HEADER or HEADER?OTHER"),
        ("%RESP(a:b)%", "gives RESP 'a:b'"),
        ("%REQ(a b)%", "gives REQ 'a b'"),
        ("%METADATA(FOO:a)%", "gives METADATA 'FOO:a'; it takes ROUTE:KEY"),
        ("%FILTER_STATE(a:FOO)%", "gives FILTER_STATE 'a:FOO'; it takes KEY, KEY:PLAIN"),
        ("%FILTER_STATE(a:FIELD)%", "gives FILTER_STATE 'a:FIELD'"),
        ("%COMMON_DURATION(a)%", "gives COMMON_DURATION 'a'; it takes START:END"),
        ("%COMMON_DURATION(a:b:s)%", "of ms, us and ns"),
        ("%GRPC_STATUS(camel_string)%", "it takes CAMEL_STRING, SNAKE_STRING or NUMBER"),
        ("%PATH(X)%", "gives PATH 'X'"),
        ("%PATH(WQ:X)%", "gives PATH 'WQ:X'"),
        ("%QUERY_PARAMS(X)%", "it takes ORIG or DECODED"),
        ("%REQUESTED_SERVER_NAME(SNI_FIRST:X)%", "gives REQUESTED_SERVER_NAME 'SNI_FIRST:X'"),
        ("%START_TIME(%F\n)%", "gives START_TIME more than a line"),
        ("%RESPONSE_CODE:5%", "cuts RESPONSE_CODE to a length, and it is always whole"),
        ("%START_TIME(%F):5%", "cuts START_TIME to a length"),
        ("%CLUSTER_METADATA(a):5%", "cuts CLUSTER_METADATA to a length"),
        ("%REQ(a):9999999999999999999%", "cuts REQ to more than there can be"),
    ],
)
def test_an_argument_that_envoy_refuses_is_told(text: str, words: str) -> None:
    """What the command would take is said beside it."""
    assert words in (command_fault(text) or "")


def test_what_only_headers_hold_is_refused_in_logs() -> None:
    """Envoy reads the state of a request into headers alone."""
    assert command_fault("%PER_REQUEST_STATE(a)%") is None
    assert "is for headers" in (text_fault("%PER_REQUEST_STATE(a)%") or "")
