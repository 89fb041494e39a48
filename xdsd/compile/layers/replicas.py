"""How many of a proxy's like there are in each zone: what Envoy must know to balance zones.

A proxy whose bootstrap has the cluster ``local_cluster`` (``xdsctl bootstrap --zone-aware``) says so in its metadata. It
is served the endpoints of its own service, those of its region alone: its zone gets as much of other services as its
share of these. Replicas of a region share them.
"""

from xdsd.compile.endpoints import load_assignment
from xdsd.compile.graph import Graph
from xdsd.compile.layers.base import LayerSpec, Member, resource
from xdsd.compile.layers.own import own_services
from xdsd.compile.locality import split
from xdsd.compile.resolve import rule_spec, sees, settings
from xdsd.compile.world import (
    mesh_config_ref,
    read_endpoints,
    read_mesh_default,
    read_proxy,
    read_refs,
    read_service,
)
from xdsd.model.catalog import Port, Protocol, ServiceKey
from xdsd.model.mesh import Proxy
from xdsd.model.problem import ObjectRef, Problem, Reason, Severity
from xdsd.snapshot import ENDPOINT, LayerId, Resource

LOCAL_CLUSTER = "local_cluster"
METADATA = "ENABLE_SELF_DISCOVERY"

_NO_PORT = Port(0, "", Protocol.TCP, 0)


def replicas_layers(graph: Graph, node_id: str) -> tuple[LayerSpec, ...]:
    """The layer of a proxy that asks for its like; none for others, of which rules may want that they did."""
    proxy = read_proxy(graph, node_id)
    if proxy is None:
        return ()
    if proxy.metadata.get(METADATA) != "true":
        graph.ask(unaware, proxy.namespace)
        return ()
    region = split(proxy.locality)[0]
    return graph.ask(replicas_layer, own_service(graph, proxy), region)


def own_service(graph: Graph, proxy: Proxy) -> ServiceKey | None:
    """The service that a proxy's workload is part of; the first by host, of several."""
    return next(own_services(graph, proxy), None)


def replicas_layer(graph: Graph, key: ServiceKey | None, region: str) -> tuple[LayerSpec, ...]:
    """The layer of all proxies of a service in a region."""
    del graph
    name = f"{key.namespace}/{key.hostname}" if key else "-"
    layer_id = LayerId(f"replicas/{name}/{region}")
    return (LayerSpec(layer_id, ((replicas_members, (key, region)),)),)


def replicas_members(graph: Graph, key: ServiceKey | None, region: str) -> tuple[Member, ...]:
    """The one assignment of such a layer."""
    del graph
    return (Member(ENDPOINT, LOCAL_CLUSTER, replicas, (key, region)),)


def replicas(graph: Graph, key: ServiceKey | None, region: str) -> Resource:
    """The endpoints of a service in a region; none without a service, since Envoy waits for an answer."""
    service = read_service(graph, key) if key else None
    port = service.ports[0] if service and service.ports else _NO_PORT
    found = read_endpoints(graph, key) if key and service else ()
    near = [endpoint for endpoint in found if split(endpoint.locality)[0] == region]
    return resource(ENDPOINT, LOCAL_CLUSTER, load_assignment(LOCAL_CLUSTER, port, near))


def unaware(graph: Graph, namespace: str) -> None:
    """Tells of the rules that want zones balanced by proxies of a namespace that do not know their like."""
    for ref in read_refs(graph, "zone-aware-rules"):
        if sees(graph, namespace, ref, rule_spec(graph, ref).export_to):
            graph.report(_unaware(ref, namespace))
    default = read_mesh_default(graph, "zone_aware_lb_setting")
    if default is not None and default.enabled is not False:
        graph.report(_unaware(mesh_config_ref(settings(graph)), namespace))


def _unaware(ref: ObjectRef, namespace: str) -> Problem:
    why = (
        f"does not balance zones for some proxies of namespace {namespace}: they do not ask for their like; print their"
        " bootstraps with xdsctl bootstrap --zone-aware --locality REGION/ZONE"
    )
    return Problem(Reason.MISSING_FIELD, why, ref, "spec", severity=Severity.WARNING)
