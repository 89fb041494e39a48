"""Listener filters: what looks at a connection before a filter chain is chosen for it."""

from collections.abc import Sequence

from envoy.config.listener.v3.listener_components_pb2 import (
    ListenerFilter,
    ListenerFilterChainMatchPredicate,
)
from envoy.extensions.filters.listener.http_inspector.v3.http_inspector_pb2 import HttpInspector
from envoy.extensions.filters.listener.proxy_protocol.v3.proxy_protocol_pb2 import ProxyProtocol
from envoy.extensions.filters.listener.tls_inspector.v3.tls_inspector_pb2 import TlsInspector
from envoy.type.v3.range_pb2 import Int32Range
from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message

HTTP_INSPECTOR = "envoy.filters.listener.http_inspector"
PROXY_PROTOCOL = "envoy.filters.listener.proxy_protocol"
TLS_INSPECTOR = "envoy.filters.listener.tls_inspector"

PLAINTEXT_HTTP = ("http/1.0", "http/1.1", "h2c")
"""What the HTTP inspector finds."""


def http_inspector(ports: Sequence[int] = ()) -> ListenerFilter:
    """What looks for HTTP in the first bytes of connections to these ports, or with none to any.

    At other ports servers may speak first.
    """
    found = listener_filter(HTTP_INSPECTOR, HttpInspector())
    if ports:
        found.filter_disabled.not_match.CopyFrom(_any_of(ports))
    return found


def tls_inspector(only: Sequence[int], *, but: Sequence[int] = ()) -> ListenerFilter:
    """What looks for TLS in the first bytes of connections to ``only`` these ports; if none, of all ``but`` some.

    At other ports servers may speak first.
    """
    found = listener_filter(TLS_INSPECTOR, TlsInspector())
    if only:
        found.filter_disabled.not_match.CopyFrom(_any_of(only))
    elif but:
        found.filter_disabled.CopyFrom(_any_of(but))
    return found


def proxy_protocol() -> ListenerFilter:
    """What takes who calls from the PROXY protocol (version 1 or 2), and refuses connections that do not begin with it. It
    belongs before all others.
    """
    return listener_filter(PROXY_PROTOCOL, ProxyProtocol())


def listener_filter(name: str, config: Message) -> ListenerFilter:
    """A listener filter."""
    typed_config = Any()
    typed_config.Pack(config)
    return ListenerFilter(name=name, typed_config=typed_config)


def _any_of(ports: Sequence[int]) -> ListenerFilterChainMatchPredicate:
    ranges = [
        ListenerFilterChainMatchPredicate(destination_port_range=Int32Range(start=port, end=port + 1))
        for port in ports
    ]
    if len(ranges) == 1:
        return ranges[0]
    found = ListenerFilterChainMatchPredicate()
    found.or_match.rules.extend(ranges)
    return found
