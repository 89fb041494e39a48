"""Filter chains that carry connections unread, each to where its target says.

A port may have thousands of them, so what they have in common is not in each: a listener of nothing else logs its
connections itself, which makes a chain a third as large.
"""

from collections.abc import Iterable
from dataclasses import replace

from envoy.config.listener.v3.listener_components_pb2 import FilterChain
from envoy.config.listener.v3.listener_pb2 import Listener

from xdsd.compile.access_logs import OFF, access_logs
from xdsd.compile.addresses import cidr_range
from xdsd.compile.dynamic_forward import sni_filter
from xdsd.compile.listener_filters import tls_inspector
from xdsd.compile.listener_settings import ListenerSettings
from xdsd.compile.mesh_tls import name_filter, opaque_filter
from xdsd.compile.object_metadata import note_origin, note_turn
from xdsd.compile.tcp_proxies import tcp_proxy
from xdsd.compile.tcp_targets import TcpTarget, distinct


def add_tcp_chains(listener: Listener, targets: Iterable[TcpTarget], settings: ListenerSettings) -> None:
    """Adds a chain a target; of targets that match the same, the first. One that takes everything is the default chain.

    Where a target asks for server names, clients must speak first.
    """
    kept, _ = distinct(targets)
    if asks_for_names(kept):
        listener.listener_filters.append(tls_inspector(()))
    append_chains(listener, kept, settings)


def asks_for_names(targets: Iterable[TcpTarget]) -> bool:
    """True if connections have to be looked into for these targets."""
    return any(target.sni or target.only_tls for target in targets)


def append_chains(listener: Listener, targets: Iterable[TcpTarget], settings: ListenerSettings) -> None:
    """Adds a chain a target; these match different connections. One that takes everything is the default chain."""
    for target in targets:
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
    if target.options.pass_name:
        ahead.append(name_filter())
    chain = FilterChain(name=target.name, filters=[*settings.guarding.network, *ahead, proxy])
    if target.origin is not None:
        note_origin(chain.metadata, target.origin.owner, target.origin.place)
    note_turn(chain.metadata, target.options.turn)
    if not target.takes_everything:
        match = chain.filter_chain_match
        match.prefix_ranges.extend(map(cidr_range, target.addresses))
        match.server_names.extend(target.sni)
        match.source_prefix_ranges.extend(map(cidr_range, target.sources))
        if target.only_tls and not target.sni:
            match.transport_protocol = "tls"
    return chain
