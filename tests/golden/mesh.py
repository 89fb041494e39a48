"""A mesh from a file of objects, compiled the way the daemon does it: parsed, catalogued, compiled, published."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import envoy.config.cluster.v3.cluster_pb2
import envoy.config.endpoint.v3.endpoint_pb2
import envoy.config.listener.v3.listener_pb2
import envoy.config.route.v3.route_pb2  # noqa: F401 - registers the type, as the lines above
import yaml
from google.protobuf.symbol_database import Default

from xdsd.compile.compiler import Compiler
from xdsd.compile.proxies import proxy_of
from xdsd.manifest import parse_manifest
from xdsd.model.intent import Object
from xdsd.model.mesh import MeshSettings
from xdsd.model.node import Node
from xdsd.model.problem import Problem
from xdsd.registry.catalog import Catalog
from xdsd.registry.entries import Entries
from xdsd.snapshot import CLUSTER, ENDPOINT, LISTENER, ROUTE, Resource, Snapshot

AnyObject = Object[Any]

WORDS: Mapping[str, str] = {
    CLUSTER: "clusters",
    ENDPOINT: "endpoints",
    LISTENER: "listeners",
    ROUTE: "routes",
}
"""Type URLs, and the words by which golden files call them."""

CATALOG_KINDS = frozenset({"ServiceEntry", "WorkloadEntry"})


@dataclass(frozen=True, slots=True)
class Case:
    """A mesh and the proxies in it: node ids and metadata by a short name. ``settings`` are MeshSettings'."""

    name: str
    objects: tuple[AnyObject, ...]
    proxies: Mapping[str, Node]
    settings: MeshSettings = field(default_factory=MeshSettings)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What each proxy is served, in order of types and names, and what the mesh's owners are told."""

    resources: Mapping[str, tuple[Resource, ...]]
    problems: tuple[Problem, ...]


def read_case(file: Path) -> Case:
    """Reads objects in published YAML. The first document is the case's own: its ``proxies``, and perhaps the
    settings of its ``mesh`` and the file of objects that it goes ``on_top_of``.
    """
    head, _, objects = file.read_text().partition("\n---\n")
    ours = yaml.safe_load(head)
    base = ours.get("on_top_of")
    below = (file.parent / "bases" / f"{base}.yaml").read_text() if base else ""
    manifest = parse_manifest(f"{below}\n---\n{objects}".encode(), file.name)
    assert not manifest.problems, "\n".join(map(str, manifest.problems))
    proxies = {
        name: Node(each["id"], metadata=each.get("metadata", {})) for name, each in ours["proxies"].items()
    }
    settings = MeshSettings(**ours.get("mesh", {}))
    return Case(file.stem, tuple(parsed.object for parsed in manifest.objects), proxies, settings)


def compile_case(case: Case) -> Outcome:
    """Everything at once, as at a start of the daemon; a fault of the compiler is raised."""
    compiler = Compiler(case.settings)
    entries, catalog = Entries("store", case.settings.domain), Catalog()
    for obj in case.objects:
        if obj.kind not in CATALOG_KINDS:
            compiler.world.put_object(obj)
    delta = catalog.apply("store", entries.apply(put=case.objects))
    for key in delta.services:
        compiler.world.put_service(key, catalog.service(key))
    for key in delta.endpoints:
        compiler.world.put_endpoints(key, catalog.endpoints(key))
    for address in delta.addresses:
        compiler.world.put_services_at(address, catalog.services_at(address))
    proxies = {name: proxy_of(node) for name, node in case.proxies.items()}
    for proxy in proxies.values():
        compiler.attach(proxy)
    for _ in compiler.steps():
        pass
    for fault in compiler.faults():
        raise AssertionError(fault.what) from fault.error
    snapshot = Snapshot()
    change = compiler.take(snapshot)
    assert change is not None
    snapshot.apply(change)
    resources = {name: tuple(_served(snapshot, proxy.node_id)) for name, proxy in proxies.items()}
    problems = (*entries.problems, *catalog.problems, *compiler.problems())
    return Outcome(resources, tuple(sorted(problems, key=str)))


def message(resource: Resource) -> Any:
    """The resource as Google's message."""
    decoded = Default().GetSymbol(resource.type_url.rpartition("/")[2])()
    decoded.ParseFromString(resource.body)
    return decoded


def of_type(resources: Iterable[Resource], type_url: str) -> list[Any]:
    """The messages of one type."""
    return [message(resource) for resource in resources if resource.type_url == type_url]


def _served(snapshot: Snapshot, node_id: str) -> list[Resource]:
    found: dict[tuple[str, str], Resource] = {}
    for layer_id in snapshot.assigned[node_id]:
        for type_url in WORDS:
            for name, resource in snapshot.layers[layer_id].resources(type_url).items():
                assert (type_url, name) not in found, f"two layers have {name}"
                found[type_url, name] = resource
    return [found[key] for key in sorted(found, key=_order)]


def _order(key: tuple[str, str]) -> tuple[int, str]:
    return list(WORDS).index(key[0]), key[1]
