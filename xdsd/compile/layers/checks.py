"""Which HealthCheck is for a cluster."""

from typing import cast

from xdsd.compile.graph import Graph
from xdsd.compile.resolve import Labels, exported_to, selects, settings
from xdsd.compile.world import read_refs, read_spec
from xdsd.model.catalog import ServiceKey
from xdsd.model.intent import HealthCheck
from xdsd.model.problem import ObjectRef, Problem, Reason, Severity

Rank = tuple[int, bool, bool]
"""Of two checks the one of the lower rank counts: by namespace, then by port, then by selector."""


def check_for(graph: Graph, namespace: str, labels: Labels, key: ServiceKey, port: int) -> ObjectRef | None:
    """The check of a service's port for clients of a namespace.

    The client's namespace is asked first, then the service's, then the root; in each, a check of this port before one
    of all ports, one that selects the client before one for all, and the older of two that are alike.
    """
    refs = read_refs(graph, "health-checks", key.hostname)
    if not refs:
        return None
    owners = dict.fromkeys((namespace, key.namespace, settings(graph).root_namespace))
    places = {owner: place for place, owner in enumerate(owners)}
    best: tuple[Rank, ObjectRef] | None = None
    for ref in refs:
        rank = _rank(graph, ref, namespace, labels, port, places)
        if rank is None:
            continue
        if best is not None and rank == best[0]:
            why = f"has no effect: {best[1]} is older and checks port {port} of {key.hostname} already"
            graph.report(Problem(Reason.CONFLICT, why, ref, "spec.host", severity=Severity.WARNING))
        elif best is None or rank < best[0]:
            best = (rank, ref)
    return best[1] if best else None


def check_spec(graph: Graph, ref: ObjectRef) -> HealthCheck:
    """The spec of a HealthCheck that an index named."""
    return cast("HealthCheck", read_spec(graph, ref))


def asked_port(graph: Graph, ref: ObjectRef) -> int:
    """The port at which a check asks endpoints; 0 for that of requests."""
    return check_spec(graph, ref).endpoint_port or 0


def _rank(
    graph: Graph, ref: ObjectRef, namespace: str, labels: Labels, port: int, places: dict[str, int]
) -> Rank | None:
    """None for a check that is not for these clients or this port."""
    spec = check_spec(graph, ref)
    if ref.namespace not in places or not exported_to(spec.export_to, ref.namespace, namespace):
        return None
    if spec.port is not None and spec.port.number != port:
        return None
    selector = spec.workload_selector.match_labels if spec.workload_selector else {}
    if selector and (ref.namespace != namespace or not selects(selector, dict(labels))):
        return None
    return (places[ref.namespace], spec.port is None, not selector)
