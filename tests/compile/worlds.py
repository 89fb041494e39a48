"""Small meshes for tests of the compiler: objects made in a line, and a sandbox that compiles and publishes them."""

from collections.abc import Mapping
from typing import Any

import envoy.config.cluster.v3.cluster_pb2
import envoy.config.endpoint.v3.endpoint_pb2
import envoy.config.listener.v3.listener_pb2
import envoy.config.route.v3.route_pb2  # noqa: F401 - registers the type, as the lines above
from google.protobuf.message import Message
from google.protobuf.symbol_database import Default

from xdsd.compile.compiler import Compiler
from xdsd.model.catalog import Endpoint, Location, Port, Protocol, Service
from xdsd.model.intent import (
    DestinationRule,
    Gateway,
    Metadata,
    Object,
    Sidecar,
    VirtualService,
)
from xdsd.model.mesh import Interception, MeshSettings, Proxy, Role
from xdsd.model.problem import ObjectRef
from xdsd.snapshot import TYPES, Snapshot, SnapshotChange

API = "networking.istio.io/v1"


def service(
    name: str,
    *,
    port: int = 9080,
    protocol: Protocol = Protocol.HTTP,
    namespace: str = "default",
    export_to: tuple[str, ...] = ("*",),
    created: str = "",
) -> Service:
    return Service(
        namespace,
        f"{name}.{namespace}.svc.cluster.local",
        (Port(port, protocol.lower(), protocol, port),),
        location=Location.MESH_INTERNAL,
        export_to=export_to,
        created=created,
    )


def _object(kind: str, name: str, spec: Any, created: str, namespace: str = "default") -> Object[Any]:
    return Object(API, kind, Metadata(namespace, name, creation_timestamp=created), spec)


def virtual_service(
    name: str, host: str, *, to: str, gateways: tuple[str, ...] = (), created: str = ""
) -> Object[Any]:
    http = [{"route": [{"destination": {"host": to}}]}]
    spec = VirtualService.model_validate({"hosts": [host], "gateways": list(gateways), "http": http})
    return _object("VirtualService", name, spec, created)


def destination_rule(
    name: str, host: str, subsets: Mapping[str, Mapping[str, str]], created: str = ""
) -> Object[Any]:
    listed = [{"name": subset, "labels": dict(labels)} for subset, labels in subsets.items()]
    return _object(
        "DestinationRule", name, DestinationRule.model_validate({"host": host, "subsets": listed}), created
    )


def gateway(name: str, port: int, hosts: tuple[str, ...] = ("*",)) -> Object[Any]:
    server = {"port": {"number": port, "name": "http", "protocol": "HTTP"}, "hosts": list(hosts)}
    spec = Gateway.model_validate({"selector": {"istio": "ingressgateway"}, "servers": [server]})
    return _object("Gateway", name, spec, "")


def sidecar(name: str, *, egress: tuple[str, ...]) -> Object[Any]:
    return _object("Sidecar", name, Sidecar.model_validate({"egress": [{"hosts": list(egress)}]}), "")


def proxy(
    address: str = "10.1.0.1",
    *,
    name: str = "a",
    namespace: str = "default",
    interception: Interception = Interception.REDIRECT,
    http_proxy_port: int = 0,
) -> Proxy:
    return Proxy(
        node_id=f"sidecar~{address}~{name}.{namespace}~{namespace}.svc.cluster.local",
        role=Role.SIDECAR,
        address=address,
        name=name,
        namespace=namespace,
        domain=f"{namespace}.svc.cluster.local",
        interception=interception,
        http_proxy_port=http_proxy_port,
    )


def router() -> Proxy:
    return Proxy(
        node_id="router~10.1.0.250~edge.default~default.svc.cluster.local",
        role=Role.ROUTER,
        address="10.1.0.250",
        name="edge",
        namespace="default",
        domain="default.svc.cluster.local",
        labels={"istio": "ingressgateway"},
    )


class Sandbox:
    """A compiler and the snapshot that it publishes to."""

    def __init__(self, settings: MeshSettings | None = None) -> None:
        self._settings = settings or MeshSettings()
        self.compiler = Compiler(self._settings)
        self.snapshot = Snapshot()
        self._objects: dict[ObjectRef, Object[Any]] = {}
        self._services: dict[str, tuple[Service, tuple[Endpoint, ...]]] = {}

    def put_service(self, declared: Service, *endpoints: Endpoint) -> None:
        self._services[declared.hostname] = (declared, endpoints)
        self.compiler.world.put_service(declared.key, declared)
        self.compiler.world.put_endpoints(declared.key, endpoints)
        for endpoint in endpoints:
            self._put_services_at(endpoint.address)

    def drop_service(self, name: str) -> None:
        found = self._services.pop(f"{name}.default.svc.cluster.local", None)
        if found:
            self.compiler.world.put_service(found[0].key, None)
            self.compiler.world.put_endpoints(found[0].key, ())
            for endpoint in found[1]:
                self._put_services_at(endpoint.address)

    def _put_services_at(self, address: str) -> None:
        keys = [s.key for s, endpoints in self._services.values() for e in endpoints if e.address == address]
        self.compiler.world.put_services_at(address, keys)

    def put_object(self, obj: Object[Any]) -> None:
        self._objects[obj.ref] = obj
        self.compiler.world.put_object(obj)

    def drop_object(self, kind: str, name: str) -> None:
        ref = ObjectRef(kind, "default", name)
        if self._objects.pop(ref, None):
            self.compiler.world.drop_object(ref)

    def attach(self, each: Proxy) -> str:
        self.compiler.attach(each)
        return each.node_id

    def settle(self) -> SnapshotChange:
        """Compiles and publishes; an empty change if there was nothing to say."""
        for _ in self.compiler.steps():
            pass
        change = self.compiler.take(self.snapshot)
        if change is None:
            return SnapshotChange(self.snapshot.generation)
        self.snapshot.apply(change)
        return change

    def names(self, node_id: str, type_url: str) -> set[str]:
        layers = (self.snapshot.layers[layer] for layer in self.snapshot.assigned[node_id])
        return {name for layer in layers for name in layer.resources(type_url)}

    def message(self, node_id: str, type_url: str, name: str) -> Any:
        for layer in self.snapshot.assigned[node_id]:
            found = self.snapshot.layers[layer].get(type_url, name)
            if found:
                message: Message = Default().GetSymbol(type_url.rpartition("/")[2])()
                message.ParseFromString(found.body)
                return message
        raise KeyError(name)

    def versions(self, node_id: str) -> dict[tuple[str, str], str]:
        return {
            (type_url, name): resource.version
            for layer in self.snapshot.assigned[node_id]
            for type_url in TYPES
            for name, resource in self.snapshot.layers[layer].resources(type_url).items()
        }

    def perform(self, change: tuple[Any, ...]) -> None:
        """One step of the property test."""
        match change:
            case ("service", name, protocol, export_to):
                declared = service(name, protocol=protocol, export_to=(export_to,), created=name)
                versions = ({"version": "v1"}, {"version": "v2"})
                endpoints = [Endpoint(f"10.1.0.{n + 1}", labels=labels) for n, labels in enumerate(versions)]
                self.put_service(declared, *endpoints)
            case ("no-service", name):
                self.drop_service(name)
            case ("rule", name, subset):
                self.put_object(destination_rule(name, name, {subset: {"version": subset}}))
            case ("no-rule", name):
                self.drop_object("DestinationRule", name)
            case ("route", name, host, at_edge):
                gateways = ("edge", "mesh") if at_edge else ()
                self.put_object(virtual_service(name, host, to="a", gateways=gateways, created=name))
            case ("no-route", name):
                self.drop_object("VirtualService", name)
            case ("gateway", port):
                self.put_object(gateway("edge", port))
            case ("sidecar", name):
                self.put_object(sidecar("scope", egress=(f"./{name}.default.svc.cluster.local",)))
            case ("no-sidecar",):
                self.drop_object("Sidecar", "scope")
            case _:
                self.settle()

    def again(self) -> "Sandbox":
        """A sandbox that starts anew with what is declared now."""
        fresh = Sandbox(self._settings)
        for obj in self._objects.values():
            fresh.put_object(obj)
        for declared, endpoints in self._services.values():
            fresh.put_service(declared, *endpoints)
        return fresh
