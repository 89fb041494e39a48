"""The outbound layer of a view: clusters and endpoints of what it may reach, listeners and routes towards them."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from xdsd.compile.clusters import (
    black_hole_cluster,
    forward_cluster,
    outbound_cluster,
    passthrough_cluster,
)
from xdsd.compile.credential_names import selects_workloads
from xdsd.compile.graph import Graph
from xdsd.compile.health_checks import why_unchecked
from xdsd.compile.layers.assignments import assignment_members, nodes_of, subset_labels
from xdsd.compile.layers.base import LayerSpec, Member, resource
from xdsd.compile.layers.checks import check_for, check_spec
from xdsd.compile.layers.credentials import client_lacks, rule_uses
from xdsd.compile.layers.defaults import (
    cluster_nearness,
    cluster_policy,
    dns_refresh,
    passthrough_pool,
    platform_word,
)
from xdsd.compile.layers.dns import dns_members
from xdsd.compile.layers.host_discovery import discovery_parts, shell_member
from xdsd.compile.layers.hosts import (
    host_groups,
    host_scope,
    port_form,
    routes,
    service_host,
    shard_hosts,
    shard_keys,
)
from xdsd.compile.layers.limits import limiter_members, outbound_limits
from xdsd.compile.layers.listening import redirected_members
from xdsd.compile.layers.networks import crosses
from xdsd.compile.layers.outbound_ahead import outbound_ahead
from xdsd.compile.layers.peers import cut_off, mutual_endpoints, peers_for
from xdsd.compile.layers.portions import AHEAD
from xdsd.compile.layers.scope import SHARDS, egress_for, port_tables, services_of_shard, shard_claims
from xdsd.compile.layers.unknown import unknown_host_cluster
from xdsd.compile.locality import NOWHERE, Nearness, Place
from xdsd.compile.names import (
    BLACK_HOLE_CLUSTER,
    FORWARD_CLUSTER,
    HTTP_PROXY_ROUTE,
    PASSTHROUGH_CLUSTER,
    outbound_cluster_name,
)
from xdsd.compile.policy import Policy
from xdsd.compile.resolve import (
    Client,
    View,
    client_towards,
    imports,
    merged_rule,
    rule_spec,
    rules_for,
    settings,
)
from xdsd.compile.upstream_tls import begun_anew, originates_tls
from xdsd.compile.world import read_endpoints, read_service
from xdsd.model.catalog import Protocol, Resolution, Service, ServiceKey, Spread
from xdsd.model.global_names import is_global
from xdsd.model.mesh import Interception
from xdsd.model.problem import ObjectRef, Problem, Reason, Severity
from xdsd.snapshot import CLUSTER, ROUTE, LayerId, Resource

Rules = tuple[ObjectRef, ...]

_DNS = frozenset({Resolution.DNS, Resolution.DNS_ROUND_ROBIN, Resolution.DYNAMIC_DNS})


def outbound_layer(view: View) -> LayerSpec:
    """The layer that all proxies of a view share."""
    words = [view.role, view.namespace, *(f"{key}={value}" for key, value in view.labels)]
    words += [
        word for word, said in (("ipv6", view.ipv6), ("vhds", view.vhds), ("mutual", view.mutual)) if said
    ]
    if view.account:
        words.append(f"account={view.account}")
    if view.dns:
        words.append(f"dns={view.dns}")
    if view.sidecar:
        words.append(f"{view.sidecar.namespace}.{view.sidecar.name}")
    layer_id = LayerId(f"outbound/{'/'.join(words)}/{view.interception}")
    shards = tuple((shard_members, (view, shard)) for shard in range(SHARDS))
    ahead = tuple((outbound_ahead, (view, step)) for step in range(AHEAD))
    return LayerSpec(layer_id, (*ahead, *shards, *discovery_parts(view), (common_members, (view,))))


def shard_members(graph: Graph, view: View, shard: int) -> tuple[Member, ...]:
    """Clusters and endpoints of the services of one shard, and their virtual hosts as ingredients."""
    members: list[Member] = []
    # Made here, a shard at a time, and not at once when the ports are settled.
    graph.ask(shard_claims, view, shard)
    for key in graph.ask(services_of_shard, view, shard):
        service = read_service(graph, key)
        if service is None:
            continue
        members += service_members(graph, key, view)
        if not view.vhds:
            members += _host_ingredients(graph, view, service)
    return tuple(members)


def _host_ingredients(graph: Graph, view: View, service: Service) -> Iterator[Member]:
    """The virtual hosts of a service, in the form in which most proxies need them."""
    every_port = view.interception is Interception.NONE
    for port in service.ports:
        egress = egress_for(graph, view, port.number)
        if egress is not None and port.protocol.carries_http and imports(egress.hosts, service.key):
            scope = host_scope(view, egress.hosts, port_form(port.number, every_port=every_port))
            name = f"{service.hostname}:{port.number}"
            yield Member("", name, service_host, (scope, service.key, port.number))


def service_members(graph: Graph, key: ServiceKey, view: View) -> list[Member]:
    """Clusters and endpoints of a service, for every port and subset."""
    service = read_service(graph, key)
    rules = graph.ask(rules_for, view.namespace, view.labels, key)
    members: list[Member] = []
    if service and service.resolution is Resolution.NONE and not view.client.intercepted:
        graph.report(_goes_nowhere(key))
    for port in service.ports if service else ():
        check = check_for(graph, view.namespace, view.labels, key, port.number)
        client = client_towards(graph, view, key, port.number)
        for subset in ("", *graph.ask(subset_names, rules)):
            members += cluster_members(graph, key, port.number, subset, rules, check, client)
    return members


def _goes_nowhere(key: ServiceKey) -> Problem:
    return Problem(
        Reason.CONFLICT,
        f"{key.hostname} has resolution NONE, which sends connections where they were going; a proxy without redirection"
        " does not know where that is, and answers 503. Write resolution DNS, or STATIC with endpoints",
        ObjectRef("Service", *key),
        severity=Severity.WARNING,
    )


def cluster_members(
    graph: Graph,
    key: ServiceKey,
    port: int,
    subset: str,
    rules: Rules,
    check: ObjectRef | None,
    client: Client,
) -> list[Member]:
    """A cluster and its endpoints, but for what depends on where proxies are: see ``near_members``. Endpoints alone differ
    from node to node.
    """
    name = outbound_cluster_name(port, subset, key.hostname)
    arguments = (key, port, subset, rules, check)
    client = as_needed(graph, rules, client)
    members = [
        Member(CLUSTER, name, cluster, (*arguments, client, NOWHERE)),
    ]
    if depends_on_node(graph, key, rules, port, subset):
        return members
    if not depends_on_place(graph, key, rules, port, subset):
        return [*members, *assignment_members(graph, name, (*arguments, NOWHERE))]
    return [] if _found_by_dns(graph, key) else members


def near_members(
    graph: Graph,
    key: ServiceKey,
    port: int,
    subset: str,
    rules: Rules,
    check: ObjectRef | None,
    place: Place,
    client: Client,
) -> list[Member]:
    """What of a cluster that depends on places proxies at one place have: its endpoints, which stand inline for DNS."""
    name = outbound_cluster_name(port, subset, key.hostname)
    arguments = (key, port, subset, rules, check)
    client = as_needed(graph, rules, client)
    nearness = cluster_nearness(graph, rules, port, subset, key)
    seen = _seen_from(graph, key, nearness, place, client)
    if _found_by_dns(graph, key):
        return [Member(CLUSTER, name, cluster, (*arguments, client, seen))]
    if graph.ask(platform_word, key)[1] is Spread.OWN_NODE:
        seen = seen._replace(node=place.node)
    elif seen.node and seen.node not in graph.ask(nodes_of, key):
        seen = seen._replace(node="")
    return assignment_members(graph, name, (*arguments, seen))


def as_needed(graph: Graph, rules: Rules, client: Client) -> Client:
    """As much of a client as matters for a cluster: whose credentials it may have where rules name some."""
    if rules and rule_uses(graph, rules):
        return client
    return client._replace(home=None, gateway=False)


def depends_on_place(graph: Graph, key: ServiceKey, rules: Rules, port: int, subset: str) -> bool:
    """True if proxies at different places may see the endpoints of a cluster differently."""
    if is_global(key.hostname):
        return True
    return ranks_places(graph, rules, port, subset, key) or graph.ask(crosses, key)


def depends_on_node(graph: Graph, key: ServiceKey, rules: Rules, port: int, subset: str) -> bool:
    """True if proxies on different nodes may see the endpoints of a cluster differently."""
    spread = graph.ask(platform_word, key)[1]
    if spread is Spread.OWN_NODE:
        return True
    nearness = cluster_nearness(graph, rules, port, subset, key) if spread is Spread.SAME_NODE else None
    return nearness is not None and nearness.own_node


def ranks_places(graph: Graph, rules: Rules, port: int, subset: str, key: ServiceKey | None = None) -> bool:
    """True if a cluster, or any one without ``key``, prefers endpoints by where proxies are."""
    nearness = cluster_nearness(graph, rules, port, subset, key)
    return nearness is not None and (nearness.needs_locality or bool(nearness.compared_labels))


def _seen_from(
    graph: Graph, key: ServiceKey, nearness: Nearness | None, place: Place, client: Client
) -> Place:
    """As much of a place as matters for a service: without other localities there is nothing to rank, and without other
    networks nothing to reach.
    """
    seen = nearness.seen_from(place) if nearness is not None else NOWHERE
    if nearness is not None and not nearness.shares and len(graph.ask(localities, key)) < 2:
        seen = seen._replace(locality="")
    if place.network and graph.ask(crosses, key):
        seen = seen._replace(network=place.network, mutual=client.mutual)
    return seen._replace(mutual=client.mutual) if is_global(key.hostname) else seen


def localities(graph: Graph, key: ServiceKey) -> frozenset[str]:
    """Where the endpoints of a service are."""
    return frozenset(endpoint.locality for endpoint in read_endpoints(graph, key))


def _found_by_dns(graph: Graph, key: ServiceKey) -> bool:
    service = read_service(graph, key)
    return service is not None and service.resolution in _DNS


def subset_names(graph: Graph, rules: Rules) -> tuple[str, ...]:
    """The names of the subsets that rules define."""
    rule = graph.ask(merged_rule, rules)
    return tuple(subset.name for subset in rule.subsets) if rule else ()


def cluster(
    graph: Graph,
    key: ServiceKey,
    number: int,
    subset: str,
    rules: Rules,
    check: ObjectRef | None,
    client: Client,
    place: Place,
) -> Resource | None:
    """One cluster, for proxies at a place; None once its service or port is gone."""
    service = read_service(graph, key)
    port = service.port(number) if service else None
    if service is None or port is None:
        return None
    name = outbound_cluster_name(number, subset, key.hostname)
    policy = cluster_policy(graph, rules, number, subset, key.hostname)
    endpoints = read_endpoints(graph, key) if service.resolution is not Resolution.STATIC else ()
    labels = graph.ask(subset_labels, rules, subset)
    read = client.reads and port.protocol.is_tls
    if read:
        tls = begun_anew(policy.tls)
        policy, port = replace(policy, tls=tls), replace(port, protocol=Protocol.HTTP)
        if key.namespace != settings(graph).root_namespace:
            # Who is asked for is nobody's to say but the root's.
            service = replace(service, subject_alt_names=())
    selected = bool(rules) and selects_workloads(rule_spec(graph, rules[0]))
    lacking = client_lacks(graph, client, policy.tls, selected=selected)
    message = outbound_cluster(
        name,
        service,
        port,
        policy,
        endpoints,
        subset_labels=labels,
        intercepted=client.intercepted,
        peers=peers_for(graph, key, policy, client),
        system_ca=settings(graph).system_ca if originates_tls(policy.tls) else "",
        place=place,
        check=check_spec(graph, check) if check else None,
        refresh=dns_refresh(graph) if service.resolution in _DNS else None,
        closed=bool(lacking),
        mutual=mutual_endpoints(graph, key, port) if endpoints else None,
        negotiates=read,
    )
    if lacking:
        _report_lacking(graph, rules, f"port {number} of {key.hostname}", lacking)
    for problem in cut_off(rules, policy, client, f"port {number} of {key.hostname}"):
        graph.report(problem)
    if check is not None:
        _report_unchecked(graph, check, message, f"port {number} of {key.hostname}", port.protocol, policy)
    return resource(CLUSTER, name, message)


def _report_lacking(graph: Graph, rules: Rules, what: str, why: str) -> None:
    """Tells whom a rule's credential keeps from connecting."""
    text = f"reaches nobody at {what}: {why}"
    graph.report(Problem(Reason.BROKEN_REFERENCE, text, rules[0], "spec.trafficPolicy.tls.credentialName"))


def _report_unchecked(
    graph: Graph, check: ObjectRef, message: Any, what: str, protocol: Protocol, policy: Policy
) -> None:
    """Tells if a cluster (a generated message) goes without its check."""
    why = why_unchecked(message, check_spec(graph, check), protocol, policy)
    if why:
        text = f"has no effect on {what}: {why}"
        graph.report(Problem(Reason.CONFLICT, text, check, "spec", severity=Severity.WARNING))


def common_members(graph: Graph, view: View) -> tuple[Member, ...]:
    """What a view has whatever its services: fallthrough clusters, listeners and route configurations."""
    members = [
        Member(CLUSTER, PASSTHROUGH_CLUSTER, passthrough, ()),
        Member(CLUSTER, BLACK_HOLE_CLUSTER, blackhole, ()),
        *limiter_members(graph, graph.ask(outbound_limits, view.namespace, 0)),
    ]
    if view.interception is Interception.NONE:
        members += route_members(graph, view, HTTP_PROXY_ROUTE)
        if graph.ask(unknown_host_cluster, view, HTTP_PROXY_ROUTE) == FORWARD_CLUSTER:
            members.append(Member(CLUSTER, FORWARD_CLUSTER, forward, ()))
    else:
        members += redirected_members(graph, view)
        members += dns_members(graph, view)
    for table in graph.ask(port_tables, view):
        if table.claims.http:
            members += route_members(graph, view, table.route_name)
    return tuple(members)


def route_members(graph: Graph, view: View, name: str) -> list[Member]:
    """A route configuration, and ahead of it the groups that it is joined from."""
    if view.vhds:
        return [shell_member(view, name)]
    groups = graph.ask(host_groups, view, name)
    ingredients = [Member("", name, query, arguments) for query, arguments in groups]
    ingredients += [
        Member("", name, shard_keys, arguments) for query, arguments in groups if query is shard_hosts
    ]
    return [*ingredients, Member(ROUTE, name, routes, (view, name))]


def passthrough(graph: Graph) -> Resource:
    """Where unknown destinations go."""
    return resource(CLUSTER, PASSTHROUGH_CLUSTER, passthrough_cluster(passthrough_pool(graph)))


def forward(graph: Graph) -> Resource:
    """Where an HTTP proxy sends hosts that nobody declared."""
    return resource(CLUSTER, FORWARD_CLUSTER, forward_cluster(passthrough_pool(graph)))


def blackhole(graph: Graph) -> Resource:
    """Where nothing goes."""
    del graph
    return resource(CLUSTER, BLACK_HOLE_CLUSTER, black_hole_cluster())
