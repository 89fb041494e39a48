"""Servers of gateways that lead mutual TLS of the mesh on by the server name that callers ask for (``AUTO_PASSTHROUGH``).

The name says port, subset and host of a service (``outbound_.9080_._.reviews.default.svc.cluster.local``); a cluster of that
name carries the connection unread to those endpoints that take mutual TLS, on the gateway's own network. There is a filter
chain for each name and none for others: a name that a caller makes up leads nowhere.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from xdsd.compile.clusters import outbound_cluster
from xdsd.compile.endpoints import load_assignment, selected
from xdsd.compile.gateways import GatewayServer, MergedPort, covers, hosts_for_namespace
from xdsd.compile.graph import Graph
from xdsd.compile.layers.base import Member, resource
from xdsd.compile.layers.defaults import cluster_policy
from xdsd.compile.layers.networks import networks
from xdsd.compile.layers.peers import mutual_endpoints
from xdsd.compile.layers.scope import view_services
from xdsd.compile.mesh_tls import mesh_sni
from xdsd.compile.names import outbound_cluster_name
from xdsd.compile.networks import is_gateway
from xdsd.compile.resolve import View, merged_rule, rules_for
from xdsd.compile.world import read_endpoints, read_service
from xdsd.model.catalog import Location, Protocol, Resolution, ServiceKey
from xdsd.model.global_names import is_global
from xdsd.model.problem import ObjectRef
from xdsd.snapshot import CLUSTER, ENDPOINT, Resource


class Passed(NamedTuple):
    """What a server name leads to: a port of a service, or of a subset, and the rules that say how it is called."""

    key: ServiceKey
    port: int
    subset: str
    rules: tuple[ObjectRef, ...]


def passing(graph: Graph, view: View, server: GatewayServer) -> tuple[tuple[str, Passed], ...]:
    """The names that a server leads on: those of the mesh's services that its gateways see and its hosts cover."""
    found: list[tuple[str, Passed]] = []
    for key in graph.ask(view_services, view):
        if not _covered(server, key) or not _led_to(graph, key):
            continue
        service = read_service(graph, key)
        if (
            service is None
            or service.resolution is not Resolution.STATIC
            or service.location is not Location.MESH_INTERNAL
        ):
            continue
        rules = graph.ask(rules_for, view.namespace, view.labels, key)
        rule = graph.ask(merged_rule, rules)
        for subset in ("", *(each.name for each in rule.subsets if rule)) if rule else ("",):
            found += (
                (
                    mesh_sni(outbound_cluster_name(port.number, subset, key.hostname)),
                    Passed(key, port.number, subset, rules),
                )
                for port in service.ports
            )
    return tuple(found)


def _led_to(graph: Graph, key: ServiceKey) -> bool:
    """Names that mean the same in all meshes lead on only where a peer is offered the service."""
    return not is_global(key.hostname) or graph.read(("offered", key)) is not None


def passing_members(
    graph: Graph, view: View, ports: tuple[MergedPort, ...], network: str
) -> Iterator[Member]:
    """The clusters to which these names lead, and their endpoints as a gateway of a network has them."""
    servers = (server for port in ports for server in port.servers if server.automatic)
    passed = {name: each for server in servers for name, each in graph.ask(passing, view, server)}
    for name, each in passed.items():
        yield Member(CLUSTER, name, passing_cluster, (name, each))
        yield Member(ENDPOINT, name, passing_assignment, (name, each, network))


def passing_cluster(graph: Graph, name: str, passed: Passed) -> Resource | None:
    """A cluster that carries bytes as they are; None once its service or port is gone."""
    service = read_service(graph, passed.key)
    port = service.port(passed.port) if service else None
    if service is None or port is None:
        return None
    policy = cluster_policy(graph, passed.rules, passed.port, passed.subset, passed.key.hostname)
    policy = replace(policy, tls=None, proxy_protocol=None)
    unread = replace(port, protocol=Protocol.TCP)
    return resource(CLUSTER, name, outbound_cluster(name, service, unread, policy, intercepted=False))


def passing_assignment(graph: Graph, name: str, passed: Passed, network: str) -> Resource | None:
    """Those endpoints that take mutual TLS, without those of other networks."""
    service = read_service(graph, passed.key)
    port = service.port(passed.port) if service else None
    if service is None or port is None:
        return None
    rule = graph.ask(merged_rule, passed.rules)
    subsets = rule.subsets if rule else ()
    labels = next((dict(each.labels) for each in subsets if each.name == passed.subset), {})
    mutual, known = mutual_endpoints(graph, passed.key, port), graph.ask(networks)
    endpoints = [
        each
        for each in read_endpoints(graph, passed.key)
        if selected(each, labels)
        and mutual(each)
        and not is_gateway(each)
        and not (known is not None and known.is_elsewhere(each, network))
    ]
    return resource(ENDPOINT, name, load_assignment(name, port, endpoints, mutual=lambda _: False))


def _covered(server: GatewayServer, key: ServiceKey) -> bool:
    return any(covers(pattern, key.hostname) for pattern in hosts_for_namespace(server, key.namespace))
