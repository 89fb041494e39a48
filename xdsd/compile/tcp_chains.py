"""Filter chains that carry connections unread, each to where its target says.

A port may have thousands of them, so what they have in common is not in each: a listener of nothing else logs its
connections itself, which makes a chain a third as large.
"""

from collections.abc import Iterable
from dataclasses import replace

from envoy.config.listener.v3.listener_components_pb2 import FilterChain, ListenerFilter
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.extensions.filters.listener.tls_inspector.v3.tls_inspector_pb2 import TlsInspector
from google.protobuf.any_pb2 import Any

from xdsd.compile.access_logs import OFF, access_logs
from xdsd.compile.addresses import cidr_range
from xdsd.compile.dynamic_forward import sni_filter
from xdsd.compile.listener_settings import ListenerSettings
from xdsd.compile.mesh_tls import opaque_filter
from xdsd.compile.object_metadata import note_origin
from xdsd.compile.tcp_proxies import tcp_proxy
from xdsd.compile.tcp_targets import TcpTarget, distinct

TLS_INSPECTOR = "envoy.filters.listener.tls_inspector"


def add_tcp_chains(listener: Listener, targets: Iterable[TcpTarget], settings: ListenerSettings) -> None:
    """Adds a chain a target; of targets that match the same, the first. One that takes everything is the default chain.

    Where a target asks for server names, clients must speak first.
    """
    kept, _ = distinct(targets)
    if any(target.sni or target.only_tls for target in kept):
        inspector = Any()
        inspector.Pack(TlsInspector())
        listener.listener_filters.append(ListenerFilter(name=TLS_INSPECTOR, typed_config=inspector))
    for target in kept:
        chain = tcp_chain(target, settings)
        if target.takes_everything:
            listener.default_filter_chain.CopyFrom(chain)
        else:
            listener.filter_chains.append(chain)


def log_connections(listener: Listener, settings: ListenerSettings) -> ListenerSettings:
    """Lets a listener log its connections, those that no chain takes too; returns the settings of its chains, which log
    none.
    """
    listener.access_log.extend(access_logs(settings.access_log))
    return replace(settings, access_log=OFF)


def tcp_chain(target: TcpTarget, settings: ListenerSettings) -> FilterChain:
    """The chain of one target."""
    proxy = tcp_proxy(target.cluster, settings, target.options, target.weighted)
    port = target.options.sni_port
    ahead = [sni_filter(port)] if port else [opaque_filter()] if target.options.opaque else []
    chain = FilterChain(name=target.name, filters=[*settings.guarding.network, *ahead, proxy])
    if target.origin is not None:
        note_origin(chain.metadata, target.origin.owner, target.origin.place)
    if not target.takes_everything:
        match = chain.filter_chain_match
        match.prefix_ranges.extend(map(cidr_range, target.addresses))
        match.server_names.extend(target.sni)
        match.source_prefix_ranges.extend(map(cidr_range, target.sources))
        if target.only_tls and not target.sni:
            match.transport_protocol = "tls"
    return chain
