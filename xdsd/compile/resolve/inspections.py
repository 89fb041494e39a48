"""Which Inspections count, and for whom."""

from typing import NamedTuple, cast

from xdsd.compile.graph import Graph
from xdsd.compile.resolve.visibility import ignored, settings
from xdsd.compile.world import read_refs, read_spec
from xdsd.model.catalog import Port
from xdsd.model.inspected import Inspected, stands_for
from xdsd.model.intent import Inspection
from xdsd.model.problem import ObjectRef


class Standing(NamedTuple):
    """An Inspection as far as it counts: its hosts but those of the mesh itself, for which no program's sidecar stands."""

    ref: ObjectRef
    inspected: Inspected
    ports: tuple[int, ...]


def inspections(graph: Graph) -> tuple[Standing, ...]:
    """All that count, older ones first."""
    own = settings(graph)
    found: list[Standing] = []
    for ref in read_refs(graph, "inspections", own.root_namespace):
        spec = cast("Inspection", read_spec(graph, ref))
        hosts = tuple(host for host in spec.hosts if not is_own(host, own.domain, own.trust_domain))
        if hosts:
            inspected = Inspected(hosts, spec.namespaces, spec.service_accounts)
            found.append(Standing(ref, inspected, spec.served))
    return tuple(found)


def is_own(host: str, *domains: str) -> bool:
    """True for hosts of the mesh: who stood for these could be taken for its daemon, or for another program."""
    bare = host.removeprefix("*.")
    return any(bare == each or bare.endswith(f".{each}") for each in (*domains, "global", "svc", "xdsd"))


def tells_accounts(graph: Graph, namespace: str) -> bool:
    """True if some Inspection is for some service accounts of a namespace alone."""
    found = (each.inspected for each in graph.ask(inspections))
    return any(each.accounts and each.concerns(namespace, None) for each in found)


def reads(graph: Graph, namespace: str, account: str | None, hostname: str, port: int) -> bool:
    """True if sidecars of a service account read what their programs say to a service over TLS. None is an account that
    nobody proved.
    """
    return any(
        port in each.ports
        and each.inspected.concerns(namespace, account)
        and any(stands_for(host, hostname) for host in each.inspected.hosts)
        for each in graph.ask(inspections)
    )


def is_inspected(graph: Graph, hostname: str) -> bool:
    """True if some programs' TLS to a host is read: then what decides of the host counts from the root namespace alone."""
    return any(stands_for(host, hostname) for each in graph.ask(inspections) for host in each.inspected.hosts)


def decisive(
    graph: Graph, refs: tuple[ObjectRef, ...], hostname: str, path: str = ""
) -> tuple[ObjectRef, ...]:
    """Those of the objects about a host whose word counts. Of the others it is told why it does not, where ``path`` says
    which field names the host.
    """
    root = settings(graph).root_namespace
    if all(ref.namespace == root for ref in refs) or not graph.ask(is_inspected, hostname):
        return refs
    for ref in refs:
        if path and ref.namespace != root:
            why = f"{hostname} is inspected, so what is said of it counts in the namespace {root} alone"
            graph.report(ignored(ref, path, why))
    return tuple(ref for ref in refs if ref.namespace == root)


def is_read_somewhere(graph: Graph, hostname: str, port: Port) -> bool:
    """True if some programs' TLS to a port of a service is read, so that there are requests."""
    return port.protocol.is_tls and any(
        port.number in each.ports and any(stands_for(host, hostname) for host in each.inspected.hosts)
        for each in graph.ask(inspections)
    )
