"""Where connections arrive that are carried unread, and where they belong.

Each service's targets are a query of their own: a VirtualService that changes is read for its services alone, and the one
listener that they share is built anew.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

from xdsd.compile.addresses import is_unix
from xdsd.compile.graph import Graph
from xdsd.compile.layers.base import resource
from xdsd.compile.layers.defaults import cluster_policy
from xdsd.compile.layers.destinations import MeshDestinations, service_options
from xdsd.compile.layers.peers import turn_of
from xdsd.compile.layers.scope import Claim, lost, wants_virtual
from xdsd.compile.layers.settings import listener_settings
from xdsd.compile.listeners import outbound_tcp_listener
from xdsd.compile.matches import MESH, Source
from xdsd.compile.names import outbound_cluster_name
from xdsd.compile.resolve import (
    EgressHosts,
    Labels,
    host_matches,
    rules_for,
    section_of,
    virtual_service_for,
    virtual_service_spec,
)
from xdsd.compile.tcp_routes import TcpRule, rule_targets, tcp_rules, tls_rules
from xdsd.compile.tcp_targets import TcpTarget, distinct
from xdsd.compile.world import read_service, read_virtual_addresses
from xdsd.model.problem import ObjectRef, Problem, Reason, Severity
from xdsd.snapshot import LISTENER, Resource

OWN_ADDRESS = "give it an address of its own or another port"
OWN_PORT = "a proxy without redirection listens once for each port, so give it another one"


class TcpScope(NamedTuple):
    """Those for whom connections are carried alike, and where: at ``anywhere`` unless a service has an address.

    ``bound`` says that they listen there themselves, so that the address that callers meant is not known. ``virtual``
    says that callers know services by the addresses that the mesh gives them.
    """

    namespace: str
    labels: Labels
    hosts: tuple[EgressHosts, ...]
    anywhere: str
    ipv6: bool
    bound: bool
    virtual: bool = False


def tcp_addresses(graph: Graph, scope: TcpScope, claim: Claim) -> tuple[str, ...]:
    """Where connections to a service arrive: at its addresses, or with all others of the port."""
    addresses = _addresses(graph, scope, claim)
    if addresses is None:
        return (scope.anywhere,)
    ranges = any("/" in address for address in addresses)
    return (*(each for each in addresses if "/" not in each), *((scope.anywhere,) if ranges else ()))


def _addresses(graph: Graph, scope: TcpScope, claim: Claim) -> tuple[str, ...] | None:
    """The addresses of a service that count; None if there are none at all.

    Only connections of the proxy's own family of addresses are redirected to it.
    """
    service = read_service(graph, claim.key)
    declared = service.addresses if service and not scope.bound else ()
    if service and scope.virtual and wants_virtual(service, claim.port.protocol, ipv6=scope.ipv6):
        declared = read_virtual_addresses(graph, claim.key.hostname)
    return tuple(each for each in declared if (":" in each) == scope.ipv6) if declared else None


def claim_targets(graph: Graph, scope: TcpScope, claim: Claim, address: str) -> tuple[TcpTarget, ...]:
    """Where connections to a service that arrive at ``address`` belong: as its VirtualService says, else to the service."""
    applying = graph.ask(rules_for, scope.namespace, scope.labels, claim.key)
    policy = cluster_policy(graph, applying, claim.port.number)
    options = service_options(policy, read_service(graph, claim.key), claim.port.number)
    options = replace(options, turn=graph.ask(turn_of, claim.key))
    own = TcpTarget(outbound_cluster_name(claim.port.number, "", claim.key.hostname), options=options)
    if address == scope.anywhere:
        ranges = tuple(each for each in _addresses(graph, scope, claim) or () if "/" in each)
        sni = (claim.key.hostname,) if claim.port.protocol.is_tls else ()
        own = TcpTarget(own.cluster, ranges, sni, options)
    nameless = any(name.startswith("*") and not name.startswith("*.") for name in own.sni)
    if nameless:
        graph.report(_untold(claim))
    rules = _rules(graph, scope, claim)
    if not rules:
        return () if nameless else (own,)
    destinations = MeshDestinations(graph, scope.namespace, scope.labels, scope.hosts)
    return tuple(rule_targets(rules, None if nameless else own, claim.port.number, destinations))


def _untold(claim: Claim) -> Problem:
    message = (
        f"connections to port {claim.port.number} of {claim.key.hostname} cannot be told by their server name: Envoy knows"
        " no partial wildcards; write *.DOMAIN, or give the service an address"
    )
    service = ObjectRef("Service", claim.key.namespace, claim.key.hostname)
    return Problem(Reason.NOT_SUPPORTED, message, service, severity=Severity.WARNING)


def _rules(graph: Graph, scope: TcpScope, claim: Claim) -> list[TcpRule]:
    section = section_of(claim.port.protocol)
    ref = graph.ask(virtual_service_for, scope.namespace, scope.hosts, claim.key.hostname, section)
    if ref is None:
        return []
    source = Source(frozenset({MESH}), scope.namespace, dict(scope.labels), claim.port.number)
    rules = (tls_rules if section == "tls" else tcp_rules)(virtual_service_spec(graph, ref), ref, source)
    if is_unix(scope.anywhere):
        rules = [_anywhere(rule) for rule in rules]
    return rules


def _anywhere(rule: TcpRule) -> TcpRule:
    """A rule on a Unix socket, to which connections have no address."""
    return TcpRule(rule.conditions._replace(addresses=()), rule.route, rule.origin, rule.only_tls)


def tcp_listener(
    graph: Graph,
    scope: TcpScope,
    address: str,
    number: int,
    claims: tuple[Claim, ...],
    fallthrough: str | None,
) -> Resource | None:
    """A listener that carries connections unread to the services that claim it, older ones first; None if it would serve
    nobody.
    """
    kept = carried(graph, scope, address, number, claims)
    if not kept and fallthrough is None:
        return None
    return graph.ask(built_tcp_listener, address, number, kept, fallthrough, scope.bound)


def carried(
    graph: Graph, scope: TcpScope, address: str, number: int, claims: tuple[Claim, ...]
) -> tuple[TcpTarget, ...]:
    """Where connections belong that arrive at an address, each match once; what has no effect is reported."""
    found = [
        (claim, target)
        for claim in claims
        for target in (
            graph.ask(claim_targets, scope, claim, address)
            if len(claims) > 1
            else claim_targets(graph, scope, claim, address)
        )
    ]
    found.sort(key=lambda pair: _is_foreign(*pair))
    by_target: dict[TcpTarget, Claim] = {}
    for claim, target in found:
        by_target.setdefault(target, claim)
    kept, shadowed = distinct((*by_target, *_completed(by_target)))
    for target in shadowed:
        if target in by_target:
            _report_shadowed(graph, scope, number, by_target[target], target, found[0][0])
    return tuple(kept)


def _is_foreign(claim: Claim, target: TcpTarget) -> bool:
    """True for names that a VirtualService of several hosts routes too; they are first of all their own services'."""
    return not all(host_matches(claim.key.hostname, name) for name in target.sni)


def _completed(targets: Iterable[TcpTarget]) -> list[TcpTarget]:
    """Targets of any address, once more for those addresses that rules mention: there Envoy looks no further."""
    targets = tuple(targets)
    mentioned = tuple(sorted({each for target in targets if target.origin for each in target.addresses}))
    if not mentioned:
        return []
    return [
        replace(target, addresses=mentioned)
        for target in targets
        if not target.addresses and not target.takes_everything
    ]


def _report_shadowed(
    graph: Graph, scope: TcpScope, number: int, claim: Claim, target: TcpTarget, winner: Claim
) -> None:
    if target.origin is None:
        graph.report(lost(number, claim, winner, OWN_PORT if scope.bound else OWN_ADDRESS))
        return
    message = f"has no effect at port {number}: the rule of an older service takes the same connections"
    place = f"spec.{target.origin.place}"
    graph.report(Problem(Reason.CONFLICT, message, target.origin.owner, place, severity=Severity.WARNING))


def built_tcp_listener(
    graph: Graph,
    address: str,
    port: int,
    targets: tuple[TcpTarget, ...],
    fallthrough: str | None,
    bound: bool,
) -> Resource:
    """The encoded listener, shared by all views in which it comes out equal."""
    listener = outbound_tcp_listener(
        address, port, targets, fallthrough, bind_to_port=bound, settings=listener_settings(graph)
    )
    return resource(LISTENER, listener.name, listener)
