"""Ingress objects and their classes, read from their JSON. Pure.

What they mean stands in ``ingress_objects``. A part that cannot be used is a remark, and the rest of the object is.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from xdsd.model.problem import Reason
from xdsd.registry.kubernetes import facts
from xdsd.registry.kubernetes.facts import Json, Name, Remark

CONTROLLER = "xdsd.io/ingress-controller"
"""What ``spec.controller`` of an IngressClass says if it is ours."""
SELECTOR = "xdsd.io/gateway-selector"
"""The annotation of an IngressClass with the labels of its gateways: ``istio=ingressgateway,tier=edge``."""
DEFAULT_SELECTOR: Mapping[str, str] = {"istio": "ingressgateway"}
_DEFAULT_CLASS = "ingressclass.kubernetes.io/is-default-class"
_CLASS = "kubernetes.io/ingress.class"


class PathType(StrEnum):
    """How a path is compared."""

    EXACT = "Exact"
    PREFIX = "Prefix"
    SPECIFIC = "ImplementationSpecific"


@dataclass(frozen=True, slots=True)
class Backend:
    """A port of a service of the Ingress's namespace, by number or name; ``place`` is the field that says so."""

    service: str
    port: int | str
    place: str


@dataclass(frozen=True, slots=True)
class Path:
    """Where requests of a path go; None: nowhere, since what it says cannot be used."""

    path: str
    type: PathType
    backend: Backend | None
    place: str


@dataclass(frozen=True, slots=True)
class Rule:
    """Paths of a host; without one of all hosts, ``*`` alone stands for them."""

    host: str
    paths: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Tls:
    """Hosts that are served by a certificate; none: all."""

    hosts: tuple[str, ...]
    secret: str
    place: str


@dataclass(frozen=True, slots=True)
class Ingress:
    """One Ingress. ``class_name`` is None where it names no class."""

    name: Name
    created: str
    class_name: str | None
    default: Backend | None
    rules: tuple[Rule, ...]
    tls: tuple[Tls, ...]

    @property
    def age(self) -> tuple[str, str, str]:
        """Orders them: the oldest first, then by namespace and name."""
        return (self.created, *self.name)


@dataclass(frozen=True, slots=True)
class IngressClass:
    """A class of ours, and the labels of the gateways that serve it."""

    name: str
    is_default: bool
    selector: tuple[tuple[str, str], ...]


def ingress_class(obj: Json) -> IngressClass | None:
    """None if it is another controller's. Raises Unreadable."""
    name = facts.name_of(obj).name
    spec = obj.get("spec")
    if not isinstance(spec, dict) or spec.get("controller") != CONTROLLER:
        return None
    notes = _notes(obj)
    words = [word.partition("=") for word in str(notes.get(SELECTOR, "")).split(",") if word.strip()]
    labels = {key.strip(): value.strip() for key, _, value in words}
    return IngressClass(
        name, notes.get(_DEFAULT_CLASS) == "true", tuple(sorted((labels or DEFAULT_SELECTOR).items()))
    )


def ingress(obj: Json) -> tuple[Ingress, list[Remark]]:
    """What an Ingress says, and what of it cannot be used. Raises Unreadable."""
    name, remarks = facts.name_of(obj), list[Remark]()
    spec = obj.get("spec")
    spec = spec if isinstance(spec, dict) else {}
    said = spec.get("ingressClassName") or _notes(obj).get(_CLASS)
    default = spec.get("defaultBackend")
    return (
        Ingress(
            name,
            str(obj["metadata"].get("creationTimestamp") or ""),
            str(said) if said else None,
            _backend(default, "spec.defaultBackend", remarks) if default else None,
            tuple(_rules(spec, remarks)),
            tuple(_tls(spec, remarks)),
        ),
        remarks,
    )


def _rules(spec: Json, remarks: list[Remark]) -> Iterator[Rule]:
    for index, item in _items(spec.get("rules")):
        http = item.get("http")
        paths = http.get("paths") if isinstance(http, dict) else None
        place = f"spec.rules[{index}].http.paths"
        found = tuple(_path(each, f"{place}[{number}]", remarks) for number, each in _items(paths))
        yield Rule(str(item.get("host") or "*").lower(), found)


def _path(item: Json, place: str, remarks: list[Remark]) -> Path:
    said = item.get("pathType")
    kind = PathType(said) if said in set(PathType) else PathType.SPECIFIC
    if kind != said:
        remarks.append(Remark(f"{place}.pathType", f"{said!r} is none of {', '.join(PathType)}"))
    backend = _backend(item.get("backend"), f"{place}.backend", remarks)
    return Path(str(item.get("path") or "/"), kind, backend, place)


def _backend(item: Any, place: str, remarks: list[Remark]) -> Backend | None:
    found = item if isinstance(item, dict) else {}
    if found.get("resource"):
        message = "a resource is no backend here; name a service"
        remarks.append(Remark(f"{place}.resource", message, Reason.NOT_SUPPORTED))
        return None
    service = found.get("service")
    service = service if isinstance(service, dict) else {}
    port = service.get("port")
    port = port if isinstance(port, dict) else {}
    number = port.get("number") or port.get("name")
    if not service.get("name") or not isinstance(number, int | str):
        remarks.append(Remark(f"{place}.service", "names no service and port", Reason.MISSING_FIELD))
        return None
    return Backend(str(service["name"]), number, f"{place}.service")


def _tls(spec: Json, remarks: list[Remark]) -> Iterator[Tls]:
    for index, item in _items(spec.get("tls")):
        place, hosts = f"spec.tls[{index}]", item.get("hosts")
        if not item.get("secretName"):
            message = "is missing: TLS is ended here, with the certificate of a Secret"
            remarks.append(Remark(f"{place}.secretName", message, Reason.NOT_SUPPORTED))
            continue
        listed = hosts if isinstance(hosts, list) else []
        yield Tls(tuple(str(host).lower() for host in listed), str(item["secretName"]), place)


def _items(value: Any) -> Iterator[tuple[int, Json]]:
    for index, item in enumerate(value if isinstance(value, list) else ()):
        if isinstance(item, dict):
            yield index, item


def _notes(obj: Json) -> Mapping[str, Any]:
    found = obj["metadata"].get("annotations")
    return found if isinstance(found, dict) else {}
