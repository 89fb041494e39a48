"""What is needed of a cluster's objects, read from their JSON. Pure.

Objects come as the API server sends them, without models in between: these would cost seventeen times the parsing of
50,000 endpoints, and know one version of each kind alone. Whatever else an object holds is forgotten here, so that what is
kept of a large cluster is small and equal facts mean that nothing happened.

A mistake that leaves nothing to go by raises ``Unreadable``; one that the rest can be served without is a problem beside it.
"""

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeGuard

from xdsd.model.catalog import Endpoint, Health, Location, Port, Resolution, Service
from xdsd.model.problem import Reason, Severity
from xdsd.model.protocols import protocol_of
from xdsd.registry.kubernetes.spread import spread_of

Json = Mapping[str, Any]  # Any: what the API server sent
EXPORT_TO = "networking.istio.io/exportTo"
NETWORK = "topology.istio.io/network"
LOCALITY = "istio-locality"
SERVICE_NAME = "kubernetes.io/service-name"
_REGION = ("topology.kubernetes.io/region", "failure-domain.beta.kubernetes.io/region")
_ZONE = ("topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone")
_SUBZONE = ("topology.istio.io/subzone",)
_HOSTNAME = "kubernetes.io/hostname"
_EVERYONE = frozenset({"*", ".", "~"})
_NAMESPACE = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_OVER = frozenset({"Succeeded", "Failed"})


class Name(NamedTuple):
    """An object within its kind; those without a namespace have an empty one."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


class Remark(NamedTuple):
    """A mistake in an object: where, what, and what would be right."""

    path: str
    message: str
    reason: Reason = Reason.INVALID_VALUE
    severity: Severity = Severity.ERROR


class Unreadable(Exception):  # noqa: N818 - it is named after what is the matter
    """An object of which nothing can be used."""

    def __init__(self, remark: Remark) -> None:
        super().__init__(f"{remark.path}: {remark.message}")
        self.remark = remark


@dataclass(frozen=True, slots=True)
class Backend:
    """One endpoint of a slice. ``pod`` is the pod behind it, None where there is none."""

    address: str
    health: Health
    node: str
    zone: str
    pod: Name | None


@dataclass(frozen=True, slots=True)
class Slice:
    """Endpoints of a service that share their ports; a port without a number is the target of the service's. ``idle`` are
    addresses of those that take no requests.
    """

    service: Name
    ports: tuple[tuple[str, int | None], ...]
    backends: tuple[Backend, ...]
    idle: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pod:
    """A program instance. ``locality`` and ``network`` are what its labels say of it, else empty."""

    address: str
    health: Health
    labels: Mapping[str, str]
    account: str
    node: str
    locality: str
    network: str


def name_of(obj: Json) -> Name:
    """Which object this is. Raises Unreadable."""
    metadata = _mapping(obj, "metadata")
    name = metadata.get("name")
    if not name or not isinstance(name, str):
        raise Unreadable(Remark("metadata.name", "is missing", Reason.MISSING_FIELD))
    return Name(str(metadata.get("namespace") or ""), name)


def service(obj: Json, domain: str, source: str) -> tuple[Service, list[Remark]]:
    """The service as far as it says so itself: an ExternalName knows its endpoint, others are given theirs by slices."""
    name, metadata, spec = name_of(obj), _mapping(obj, "metadata"), _mapping(obj, "spec")
    remarks: list[Remark] = []
    external = spec.get("type") == "ExternalName"
    endpoints: tuple[Endpoint, ...] = ()
    if external:
        host = spec.get("externalName")
        if not host or not isinstance(host, str):
            message = "is missing; a service of type ExternalName says which host it stands for"
            raise Unreadable(Remark("spec.externalName", message, Reason.MISSING_FIELD))
        endpoints = (Endpoint(host.removesuffix(".")),)
    return (
        Service(
            namespace=name.namespace,
            hostname=host_of(name, domain),
            ports=tuple(_ports(spec, remarks)),
            addresses=tuple(_cluster_addresses(spec)),
            resolution=Resolution.DNS if external else Resolution.STATIC,
            location=Location.MESH_EXTERNAL if external else Location.MESH_INTERNAL,
            export_to=_export_to(metadata),
            endpoints=endpoints,
            created=str(metadata.get("creationTimestamp") or ""),
            source=source,
            spread=spread_of(spec, metadata),
        ),
        remarks,
    )


def host_of(name: Name, domain: str) -> str:
    """The host of a service in the mesh."""
    return f"{name.name}.{name.namespace}.svc.{domain}"


def is_ipv6(address: str) -> bool:
    """The family of an address."""
    return ":" in address


def first_family(obj: Json) -> bool | None:
    """Whether IPv6 is the first family of a service; None where it does not say, as headless ones of older servers."""
    spec = _mapping(obj, "spec")
    families = spec.get("ipFamilies")
    if isinstance(families, list) and families:
        return bool(families[0] == "IPv6")
    return next((is_ipv6(each) for each in _cluster_addresses(spec)), None)


def endpoint_slice(obj: Json) -> Slice | None:
    """A slice of either version; None if it belongs to no service."""
    name = name_of(obj)
    owner = _mapping(obj, "metadata").get("labels") or {}
    if not isinstance(owner, dict) or not owner.get(SERVICE_NAME):
        return None
    ports: list[tuple[str, int | None]] = []
    for index, port in enumerate(_items(obj, "ports")):
        number = port.get("port")
        if number is not None and not _is_port(number):
            raise Unreadable(Remark(f"ports[{index}].port", f"{number!r} is not a port"))
        if port.get("protocol", "TCP") == "TCP":
            ports.append((sys.intern(str(port.get("name") or "")), number))
    backends: list[Backend] = []
    idle: list[str] = []
    for index, item in enumerate(_items(obj, "endpoints")):
        found = tuple(_backends(name.namespace, item, f"endpoints[{index}]"))
        backends += found
        if not found:
            idle += map(str, item.get("addresses") or ())
    return Slice(Name(name.namespace, str(owner[SERVICE_NAME])), tuple(ports), tuple(backends), tuple(idle))


def pod(obj: Json) -> Pod | None:
    """None for a pod that has no address yet, or whose programs have ended."""
    metadata, spec = _mapping(obj, "metadata"), _mapping(obj, "spec")
    status = obj.get("status") or {}
    if not isinstance(status, dict):
        raise Unreadable(Remark("status", "is not an object"))
    if not status.get("podIP") or status.get("phase") in _OVER:
        return None
    labels = _labels(metadata)
    return Pod(
        address=str(status["podIP"]),
        health=_pod_health(metadata, status),
        labels=labels,
        account=sys.intern(str(spec.get("serviceAccountName") or "default")),
        node=sys.intern(str(spec.get("nodeName") or "")),
        locality=labels.get(LOCALITY, "").replace(".", "/"),
        network=labels.get(NETWORK, ""),
    )


def node_locality(obj: Json) -> str:
    """Where a node stands, as region/zone/subzone; empty if its labels do not say so."""
    labels = _labels(_mapping(obj, "metadata"))
    return _locality(*(_first(labels, keys) for keys in (_REGION, _ZONE, _SUBZONE)))


def zone_locality(zone: str) -> str:
    """Where an endpoint stands of whose node nothing is known."""
    return _locality("", zone, "")


def namespace_network(obj: Json) -> str:
    """The network that a namespace's label names; empty if it has none."""
    return _labels(_mapping(obj, "metadata")).get(NETWORK, "")


def _ports(spec: Json, remarks: list[Remark]) -> Iterator[Port]:
    for index, item in enumerate(_items(spec, "ports", "spec.")):
        path, number = f"spec.ports[{index}]", item.get("port")
        if not _is_port(number):
            raise Unreadable(Remark(f"{path}.port", f"{number!r} is not a port; it is from 1 to 65535"))
        transport = item.get("protocol", "TCP")
        if transport != "TCP":
            message = (
                f"{transport} is not carried by the mesh; the port is left out and programs reach it as ever"
            )
            remarks.append(Remark(f"{path}.protocol", message, Reason.NOT_SUPPORTED, Severity.WARNING))
            continue
        # By the name of a port only a pod knows its number, and its slices say it.
        target = item.get("targetPort")
        name = str(item.get("name") or "")
        application = str(item.get("appProtocol") or "")
        protocol = protocol_of(number, name, application)
        basis = "" if protocol.is_auto else "appProtocol" if application else "name"
        yield Port(number, name, protocol, target if _is_port(target) else number, basis)


def _cluster_addresses(spec: Json) -> Iterator[str]:
    """Both families'; older servers say the first alone. A headless service has none, and says so by the word."""
    if spec.get("type") == "ExternalName":
        return
    listed = spec.get("clusterIPs") or [spec.get("clusterIP")]
    for address in listed if isinstance(listed, list) else ():
        if address and address != "None":
            yield str(address)


def _export_to(metadata: Json) -> tuple[str, ...]:
    annotations = metadata.get("annotations") or {}
    text = annotations.get(EXPORT_TO) if isinstance(annotations, dict) else None
    if not text:
        return ()
    names = tuple(word.strip() for word in str(text).split(","))
    path = f"metadata.annotations[{EXPORT_TO}]"
    for word in names:
        if word not in _EVERYONE and not _NAMESPACE.fullmatch(word):
            message = (
                f"{word!r} is not a namespace; write names of namespaces, '.' or '*' with commas between them"
            )
            raise Unreadable(Remark(path, message))
    if len(names) > 1 and ("*" in names or "~" in names):
        raise Unreadable(Remark(path, "'*' means everyone and '~' no one, so they stand alone"))
    return names


def _backends(namespace: str, item: Json, path: str) -> Iterator[Backend]:
    """One for each address; those that take no requests are none."""
    health = _health(_inner(item, "conditions", path))
    if health is None:
        return
    target = _inner(item, "targetRef", path)
    behind = (
        Name(sys.intern(str(target.get("namespace") or namespace)), str(target["name"]))
        if target.get("kind") == "Pod" and target.get("name")
        else None
    )
    topology = _inner(item, "topology", path)
    node = item.get("nodeName") or topology.get(_HOSTNAME) or ""
    zone = item.get("zone") or _first(topology, _ZONE)
    addresses = item.get("addresses")
    if not isinstance(addresses, list) or not addresses:
        raise Unreadable(Remark(f"{path}.addresses", "is missing", Reason.MISSING_FIELD))
    for address in addresses:
        yield Backend(str(address), health, sys.intern(str(node)), sys.intern(str(zone)), behind)


def _health(conditions: Json) -> Health | None:
    """By the published meaning: what is not said is ready; who ends but serves still is the last resort."""
    if conditions.get("ready") is not False:
        return Health.HEALTHY
    return Health.DRAINING if conditions.get("serving") and conditions.get("terminating") else None


def _pod_health(metadata: Json, status: Json) -> Health:
    if metadata.get("deletionTimestamp"):
        return Health.DRAINING
    for condition in _items(status, "conditions", "status."):
        if condition.get("type") == "Ready":
            return Health.HEALTHY if condition.get("status") == "True" else Health.UNHEALTHY
    return Health.UNHEALTHY


def _locality(region: str, zone: str, subzone: str) -> str:
    return sys.intern("/".join((region, zone, subzone)).rstrip("/"))


def _labels(metadata: Json) -> dict[str, str]:
    labels = metadata.get("labels") or {}
    if not isinstance(labels, dict):
        raise Unreadable(Remark("metadata.labels", "is not an object"))
    return {sys.intern(str(key)): sys.intern(str(value)) for key, value in labels.items()}


def _first(labels: Json, keys: tuple[str, ...]) -> str:
    return next((str(labels[key]) for key in keys if labels.get(key)), "")


def _is_port(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 65536


def _mapping(obj: Json, key: str) -> dict[str, Any]:
    value = obj.get(key)
    if value is None:
        raise Unreadable(Remark(key, "is missing", Reason.MISSING_FIELD))
    if not isinstance(value, dict):
        raise Unreadable(Remark(key, "is not an object", Reason.WRONG_TYPE))
    return value


def _inner(obj: Json, key: str, path: str) -> dict[str, Any]:
    value = obj.get(key) or {}
    if not isinstance(value, dict):
        raise Unreadable(Remark(f"{path}.{key}", "is not an object", Reason.WRONG_TYPE))
    return value


def _items(obj: Json, key: str, path: str = "") -> list[dict[str, Any]]:
    value = obj.get(key) or []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise Unreadable(Remark(f"{path}{key}", "is not a list of objects", Reason.WRONG_TYPE))
    return value
