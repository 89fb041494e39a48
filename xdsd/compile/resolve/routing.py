"""Which VirtualService routes a host, and where its destinations are."""

from collections.abc import Iterator
from typing import cast

from xdsd.compile.graph import Graph
from xdsd.compile.names import resolve_host
from xdsd.compile.resolve.egress import EgressHosts, imports, service_for
from xdsd.compile.resolve.inspections import decisive
from xdsd.compile.resolve.sections import Section
from xdsd.compile.resolve.visibility import host_matches, ignored, sees, settings
from xdsd.compile.world import read_refs, read_service, read_spec
from xdsd.model.catalog import Service, ServiceKey
from xdsd.model.intent import Destination, HTTPRoute, VirtualService
from xdsd.model.problem import ObjectRef, Problem


def _routed(graph: Graph, ref: ObjectRef, older: ObjectRef, host: str) -> Problem:
    """A host of an object that an older one routes; the path is that of its closest name."""
    domain = settings(graph).domain
    names = [resolve_host(each, ref.namespace, domain) for each in virtual_service_spec(graph, ref).hosts]
    fitting = [index for index, name in enumerate(names) if host_matches(name, host)]
    index = max(fitting, key=lambda each: (not names[each].startswith("*"), len(names[each])), default=0)
    return ignored(ref, f"spec.hosts[{index}]", f"{older} is older and routes {host} already")


def virtual_service_for(
    graph: Graph, namespace: str, hosts: tuple[EgressHosts, ...], host: str, section: Section = "http"
) -> ObjectRef | None:
    """The VirtualService that routes a host for sidecars of a namespace: of those that egress hosts let in and that have
    rules of the ``section``, that of the exact host, else of the longest wildcard; the oldest. Requests to an inspected host
    are routed by the root namespace alone.
    """
    exact = [
        ref
        for ref in read_refs(graph, "virtual-services", host)
        if _routes_for(graph, ref, namespace, hosts, host, section)
    ]
    if section == "http":
        exact = list(decisive(graph, tuple(exact), host, "spec.hosts"))
    if exact:
        for ref in exact[1:]:
            graph.report(_routed(graph, ref, exact[0], host))
        return exact[0]
    best: tuple[int, ObjectRef] | None = None
    patterns = read_refs(graph, "wildcard-virtual-services")
    for ref in decisive(graph, patterns, host) if section == "http" else patterns:
        wildcards = (each for each in virtual_service_spec(graph, ref).hosts if each.startswith("*"))
        longest = max((len(pattern) for pattern in wildcards if host_matches(pattern, host)), default=0)
        if not longest or not _routes_for(graph, ref, namespace, hosts, host, section):
            continue
        if best and longest == best[0]:
            graph.report(_routed(graph, ref, best[1], host))
        elif best is None or longest > best[0]:
            best = (longest, ref)
    return best[1] if best else None


def _routes_for(
    graph: Graph,
    ref: ObjectRef,
    namespace: str,
    hosts: tuple[EgressHosts, ...],
    host: str,
    section: Section,
) -> bool:
    spec = virtual_service_spec(graph, ref)
    if not {"http": spec.http, "tcp": spec.tcp, "tls": spec.tls}[section]:
        return False
    return sees(graph, namespace, ref, spec.export_to) and imports(hosts, ServiceKey(ref.namespace, host))


def virtual_service_spec(graph: Graph, ref: ObjectRef) -> VirtualService:
    """The spec of a VirtualService that an index named."""
    return cast("VirtualService", read_spec(graph, ref))


def request_destinations(rule: HTTPRoute) -> Iterator[Destination]:
    """Where a rule leads, copies included."""
    yield from (entry.destination for entry in rule.route)
    yield from (entry.destination for entry in rule.mirrors)
    if rule.mirror is not None:
        yield rule.mirror


def destination_service(
    graph: Graph, namespace: str, hosts: tuple[EgressHosts, ...], owner: str, host: str
) -> tuple[str, Service | None]:
    """What a destination's host means in an object of namespace ``owner``: the full host, and the service if
    there is one.
    """
    full = resolve_host(host, owner, settings(graph).domain)
    key = graph.ask(service_for, namespace, hosts, full)
    return full, read_service(graph, key) if key else None
