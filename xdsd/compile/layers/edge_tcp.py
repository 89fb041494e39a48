"""Listeners of gateways' ports whose connections are carried unread."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from envoy.config.listener.v3.listener_pb2 import Listener

from xdsd.compile.access_logs import OFF
from xdsd.compile.authorization.heads import Extras, heads
from xdsd.compile.gateway_listeners import gateway_tcp_listener
from xdsd.compile.gateways import MergedPort
from xdsd.compile.graph import Graph
from xdsd.compile.layers.base import Member, encode, resource
from xdsd.compile.layers.edge_connections import PORTION, edge_connections, port_rules, routed, unread
from xdsd.compile.layers.edge_tables import port_guards
from xdsd.compile.layers.guarding import Guards, extras_of, guarded, head_members
from xdsd.compile.layers.settings import listener_settings
from xdsd.compile.listener_settings import ListenerSettings
from xdsd.compile.resolve import View
from xdsd.compile.tcp_chains import append_chains, asks_for_names
from xdsd.compile.tcp_targets import TcpTarget, distinct
from xdsd.snapshot import LISTENER, Resource


def edge_tcp_members(graph: Graph, view: View, port: MergedPort, guards: Guards) -> list[Member]:
    """The listener of a port, and what guards it; nothing while no rule is for it."""
    if not graph.ask(edge_connections, view, port).targets:
        return []
    extras = graph.ask(extras_of, guards.policies)
    told = head_members(guards, heads(extras, place=port.listener_name, http=False))
    return [Member(LISTENER, port.listener_name, edge_tcp_listener, (view, port, extras)), *told]


def tcp_steps(graph: Graph, view: View, port: MergedPort) -> Iterator[tuple[Any, ...]]:
    """What is to be asked for, one after the other, so that no step is long: queries with their arguments."""
    count = len(graph.ask(port_rules, view, routed(unread(port))))
    extras = graph.ask(extras_of, graph.ask(port_guards, view, port).policies)
    if count > PORTION:
        yield from ((tcp_chains, view, port, extras, at) for at in range(0, count, PORTION))


def edge_tcp_listener(graph: Graph, view: View, port: MergedPort, extras: Extras) -> Resource | None:
    """The listener of a port; None where nothing leads on from it any more."""
    kept = graph.ask(kept_targets, view, port)
    if not kept:
        return None
    found = _settings(graph, view, port, extras)
    listener = gateway_tcp_listener(port.bind, port.port, inspect=asks_for_names(kept), settings=found)
    for at in range(0, len(kept), PORTION):
        listener.MergeFromString(graph.ask(tcp_chains, view, port, extras, at))
    return resource(LISTENER, listener.name, listener)


def kept_targets(graph: Graph, view: View, port: MergedPort) -> tuple[TcpTarget, ...]:
    """Where connections to a port belong, each to the first that takes it."""
    return distinct(graph.ask(edge_connections, view, port).targets)[0]


def tcp_chains(graph: Graph, view: View, port: MergedPort, extras: Extras, at: int) -> bytes:
    """The chains of a portion of these, as a listener that has nothing else."""
    quiet = replace(_settings(graph, view, port, extras), access_log=OFF)
    made = Listener()
    append_chains(made, graph.ask(kept_targets, view, port)[at : at + PORTION], quiet)
    return encode(made)


def _settings(graph: Graph, view: View, port: MergedPort, extras: Extras) -> ListenerSettings:
    return guarded(listener_settings(graph, view.topology), extras, port.listener_name)
