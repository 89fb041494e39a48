"""A mesh from a file of objects, compiled the way the daemon does it: parsed, catalogued, compiled, published."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import envoy.config.cluster.v3.cluster_pb2
import envoy.config.core.v3.extension_pb2
import envoy.config.endpoint.v3.endpoint_pb2
import envoy.config.listener.v3.listener_pb2
import envoy.config.route.v3.route_pb2  # noqa: F401 - registers the type, as the lines above
import yaml
from google.protobuf.symbol_database import Default

from xdsd.compile.compiler import Compiler
from xdsd.compile.proxies import proxy_of
from xdsd.manifest import parse_manifest
from xdsd.model.credential import CredentialName, CredentialParts
from xdsd.model.identity import parse_identity
from xdsd.model.intent import Object
from xdsd.model.mesh import MeshSettings
from xdsd.model.node import Locality, Node
from xdsd.model.problem import ObjectRef, Problem
from xdsd.registry.base import CatalogChange
from xdsd.registry.catalog import Catalog
from xdsd.registry.entries import Entries
from xdsd.snapshot import CLUSTER, ENDPOINT, EXTENSION, LISTENER, ROUTE, VIRTUAL_HOST, Resource, Snapshot

AnyObject = Object[Any]

WORDS: Mapping[str, str] = {
    CLUSTER: "clusters",
    ENDPOINT: "endpoints",
    LISTENER: "listeners",
    ROUTE: "routes",
    VIRTUAL_HOST: "hosts",
    EXTENSION: "extensions",
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
    credentials: Mapping[CredentialName, CredentialParts] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What each proxy is served, in order of types and names, and what the mesh's owners are told."""

    resources: Mapping[str, tuple[Resource, ...]]
    problems: tuple[Problem, ...]


def read_case(file: Path) -> Case:
    """Reads objects in published YAML. The first document is the case's own: its ``proxies``, and perhaps the
    settings of its ``mesh``, the ``credentials`` that are kept, and the file of objects that it goes ``on_top_of``.
    """
    head, _, objects = file.read_text().partition("\n---\n")
    ours = yaml.safe_load(head)
    base = ours.get("on_top_of")
    below = (file.parent / "bases" / f"{base}.yaml").read_text() if base else ""
    manifest = parse_manifest(f"{below}\n---\n{objects}".encode(), file.name)
    assert not manifest.problems, "\n".join(map(str, manifest.problems))
    proxies = {
        name: Node(
            each["id"],
            metadata=each.get("metadata", {}),
            locality=_locality(each),
            identity=parse_identity(each["identity"]) if "identity" in each else None,
            user_agent="envoy",
            version="1.40.0",
            incremental=True,
        )
        for name, each in ours["proxies"].items()
    }
    settings = MeshSettings(**ours.get("mesh", {}))
    objects_of_case = tuple(parsed.object for parsed in manifest.objects)
    return Case(file.stem, objects_of_case, proxies, settings, _credentials(ours.get("credentials", {})))


def _credentials(written: Mapping[str, Mapping[str, Any]]) -> dict[CredentialName, CredentialParts]:
    return {
        CredentialName(*name.split("/")): CredentialParts(
            **{**each, **{key: tuple(each.get(key, ())) for key in ("accounts", "names")}}
        )
        for name, each in written.items()
    }


def _locality(proxy: Mapping[str, str]) -> Locality:
    return Locality(*proxy.get("locality", "").split("/"))


class Mesh:
    """The daemon's way from objects to resources, without its loop. A fault of the compiler is raised."""

    def __init__(self, settings: MeshSettings | None = None) -> None:
        self._settings = settings or MeshSettings()
        self._compiler = Compiler(self._settings)
        self._entries = Entries("store", self._settings.domain)
        self._catalog = Catalog()
        self._proxies: dict[str, str] = {}
        self.snapshot = Snapshot()

    def put(self, objects: Iterable[AnyObject]) -> None:
        """Adds or replaces objects."""
        objects = list(objects)
        for obj in objects:
            if obj.kind not in CATALOG_KINDS:
                self._compiler.world.put_object(obj)
        self._take(self._entries.apply(put=objects))

    def drop(self, refs: Iterable[ObjectRef]) -> None:
        refs = list(refs)
        for ref in refs:
            if ref.kind not in CATALOG_KINDS:
                self._compiler.world.drop_object(ref)
        self._take(self._entries.apply(drop=refs))

    def keep(self, credentials: Mapping[CredentialName, CredentialParts]) -> None:
        """These are all the credentials that there are."""
        self._compiler.set_credentials(credentials)

    def attach(self, name: str, node: Node) -> None:
        """Connects a proxy, to be called ``name``."""
        proxy = proxy_of(node)
        self._proxies[name] = proxy.node_id
        self._compiler.attach(proxy)

    def settle(self) -> Outcome:
        """Compiles and publishes what changed; returns all that is served then."""
        for _ in self._compiler.steps():
            pass
        for fault in self._compiler.faults():
            raise AssertionError(fault.what) from fault.error
        change = self._compiler.take(self.snapshot)
        if change is not None:
            self.snapshot.apply(change)
        resources = {name: tuple(_served(self.snapshot, node_id)) for name, node_id in self._proxies.items()}
        problems = (*self._entries.problems, *self._catalog.problems, *self._compiler.problems())
        return Outcome(resources, tuple(sorted(problems, key=str)))

    def _take(self, change: CatalogChange) -> None:
        world, catalog = self._compiler.world, self._catalog
        delta = catalog.apply("store", change)
        for key in delta.services:
            world.put_service(key, catalog.service(key))
        for key in delta.endpoints:
            world.put_endpoints(key, catalog.endpoints(key))
        for address in delta.addresses:
            world.put_services_at(address, catalog.services_at(address))


def compile_case(case: Case) -> Outcome:
    """Everything at once, as at a start of the daemon."""
    mesh = Mesh(case.settings)
    mesh.put(case.objects)
    mesh.keep(case.credentials)
    for name, node in case.proxies.items():
        mesh.attach(name, node)
    return mesh.settle()


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
