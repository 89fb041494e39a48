"""What Consul says, as values: checked where it is used, since a proxy would suffer from what is wrong.

An answer that is not what was asked for is ``Malformed`` as a whole. A mistake in one instance is that instance's own.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

JsonValue = Any  # Any: what a server answers is anything until it is looked at
_NODE_MAINTENANCE = "_node_maintenance"
_SERVICE_MAINTENANCE = "_service_maintenance:"


class Malformed(Exception):  # noqa: N818 - it says what the answer is
    """An answer that is no answer; says what is wrong with it."""


class Mistake(Exception):  # noqa: N818 - it is the user's, and becomes a problem
    """Something wrong in one instance: ``path`` is the field as Consul spells it."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(message)
        self.path = path
        self.message = message


class InstanceKey(NamedTuple):
    """An instance is known by its node and by its service's id there."""

    node: str
    id: str


class Server(NamedTuple):
    """One of Consul's servers: its node, that one's id, and the index at which it was registered."""

    node: str
    id: str
    created: int


class Place(NamedTuple):
    """An address, and the port there; 0 says none."""

    address: str
    port: int


@dataclass(frozen=True, slots=True)
class Checks:
    """How many checks say what; ``other`` are words that are not Consul's."""

    critical: bool = False
    warning: bool = False
    maintenance: bool = False
    other: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Instance:
    """One entry of ``/v1/health/service``, with its own words."""

    key: InstanceKey
    kind: str
    place: Place
    node_address: str
    tagged: Mapping[str, Place]
    node_tagged: Mapping[str, str]
    tags: tuple[str, ...]
    meta: Mapping[str, str]
    node_meta: Mapping[str, str]
    datacenter: str
    locality: tuple[str, str]
    node_locality: tuple[str, str]
    passing_weight: int
    warning_weight: int
    checks: Checks
    created: int


def read_names(body: bytes) -> frozenset[str]:
    """The names of services, from ``/v1/catalog/services``, in lower case: to Consul case makes no other service.

    Raises Malformed.
    """
    answer = read_json(body)
    if not isinstance(answer, dict):
        raise Malformed(f"a list of services is an object, and this is {_kind(answer)}")
    return frozenset(map(str.lower, answer))


def read_entries(body: bytes) -> list[JsonValue]:
    """The instances of a service, from ``/v1/health/service``. Raises Malformed."""
    answer = read_json(body)
    if not isinstance(answer, list):
        raise Malformed(f"the instances of a service are a list, and this is {_kind(answer)}")
    return answer


def read_entry(entry: JsonValue, index: int) -> tuple[InstanceKey, Instance | Mistake]:
    """One of them, whole or with its first mistake."""
    key = _key(entry, index)
    try:
        return key, _instance(key, entry)
    except Mistake as mistake:
        return key, mistake.with_traceback(None)


def read_servers(body: bytes) -> frozenset[Server]:
    """Consul's servers, from ``/v1/catalog/service/consul``; each whole or left out. Raises Malformed."""
    answer = read_json(body)
    if not isinstance(answer, list):
        raise Malformed(f"servers are a list, and this is {_kind(answer)}")
    found = set()
    for entry in answer:
        words = [entry.get(name) for name in ("Node", "ID", "CreateIndex")] if isinstance(entry, dict) else []
        match words:
            case [str(node), str(ident), int(created)] if node and ident:
                found.add(Server(node, ident, created))
    return frozenset(found)


def read_troubled(body: bytes) -> Mapping[tuple[str, str], tuple[str, str]]:
    """Node and id of each check that does not pass, its status and its service's name ('' where it is the node's), from
    ``/v1/health/state/any``. Raises Malformed.
    """
    answer = read_json(body)
    if not isinstance(answer, list):
        raise Malformed(f"checks are a list, and this is {_kind(answer)}")
    found = {}
    for entry in answer:
        if isinstance(entry, dict):
            words = [str(entry.get(name, "")) for name in ("Node", "CheckID", "Status", "ServiceName")]
            found[words[0], words[1]] = (words[2], words[3])
    return found


def read_json(body: bytes) -> JsonValue:
    """Raises Malformed."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"the answer is not JSON: {str(error)[:120]}") from None


def _key(entry: JsonValue, index: int) -> InstanceKey:
    node = entry.get("Node") if isinstance(entry, dict) else None
    service = entry.get("Service") if isinstance(entry, dict) else None
    name = node.get("Node") if isinstance(node, dict) else None
    ident = service.get("ID") if isinstance(service, dict) else None
    if isinstance(name, str) and name and isinstance(ident, str) and ident:
        return InstanceKey(name, ident)
    return InstanceKey("", f"[{index}]")


def _instance(key: InstanceKey, entry: JsonValue) -> Instance:
    if not key.node:
        raise Mistake("", "has no name of a node and id of a service")
    node, service = entry["Node"], entry["Service"]
    weights = _mapping(service, "Service", "Weights")
    return Instance(
        key=key,
        kind=_text(service, "Service", "Kind"),
        place=Place(_text(service, "Service", "Address"), _number(service, "Service", "Port", 0, 65535)),
        node_address=_text(node, "Node", "Address"),
        tagged={
            name: _place(_mapping(service, "Service", "TaggedAddresses"), name)
            for name in _mapping(service, "Service", "TaggedAddresses")
        },
        node_tagged=_texts(node, "Node", "TaggedAddresses"),
        tags=_tags(service),
        meta=_texts(service, "Service", "Meta"),
        node_meta=_texts(node, "Node", "Meta"),
        datacenter=_text(node, "Node", "Datacenter"),
        locality=_locality(service, "Service"),
        node_locality=_locality(node, "Node"),
        passing_weight=_number(weights, "Service.Weights", "Passing", 1, 65535, missing=1),
        warning_weight=_number(weights, "Service.Weights", "Warning", 0, 65535, missing=1),
        checks=_checks(entry.get("Checks")),
        created=_number(service, "Service", "CreateIndex", 0, 1 << 64),
    )


def _checks(value: JsonValue) -> Checks:
    critical = warning = maintenance = False
    other: list[str] = []
    if value is not None and not isinstance(value, list):
        raise Mistake("Checks", f"is a list, and this is {_kind(value)}")
    for check in value or ():
        status = str(check.get("Status")) if isinstance(check, dict) else ""
        if status == "passing":
            continue
        if status in {"critical", "maintenance"}:
            ident = str(check.get("CheckID", ""))
            if (
                status == "maintenance"
                or ident == _NODE_MAINTENANCE
                or ident.startswith(_SERVICE_MAINTENANCE)
            ):
                maintenance = True
            else:
                critical = True
        elif status == "warning":
            warning = True
        else:
            other.append(status)
    return Checks(critical, warning, maintenance, tuple(other)) if value else _WELL


_WELL = Checks()


def _place(tagged: Mapping[str, JsonValue], name: str) -> Place:
    path = f"Service.TaggedAddresses.{name}"
    value = tagged[name]
    if not isinstance(value, dict):
        raise Mistake(path, f"is an object, and this is {_kind(value)}")
    return Place(_text(value, path, "Address"), _number(value, path, "Port", 0, 65535))


def _tags(service: JsonValue) -> tuple[str, ...]:
    value = service.get("Tags") or ()
    if not isinstance(value, list | tuple) or not all(isinstance(each, str) for each in value):
        raise Mistake("Service.Tags", "is not a list of texts")
    return tuple(value)


def _locality(holder: JsonValue, path: str) -> tuple[str, str]:
    value = _mapping(holder, path, "Locality")
    return (_text(value, f"{path}.Locality", "Region"), _text(value, f"{path}.Locality", "Zone"))


def _mapping(holder: JsonValue, path: str, name: str) -> Mapping[str, JsonValue]:
    value = holder.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Mistake(f"{path}.{name}", f"is an object, and this is {_kind(value)}")
    return value


def _texts(holder: JsonValue, path: str, name: str) -> Mapping[str, str]:
    value = _mapping(holder, path, name)
    for key, each in value.items():
        if not isinstance(each, str):
            raise Mistake(f"{path}.{name}.{key}", f"is a text, and this is {_kind(each)}")
    return value


def _text(holder: Mapping[str, JsonValue], path: str, name: str) -> str:
    value = holder.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Mistake(f"{path}.{name}", f"is a text, and this is {_kind(value)}")
    return value


def _number(
    holder: Mapping[str, JsonValue], path: str, name: str, least: int, most: int, missing: int = 0
) -> int:
    value = holder.get(name)
    if value is None:
        return missing
    if not isinstance(value, int) or isinstance(value, bool):
        raise Mistake(f"{path}.{name}", f"is a whole number, and this is {_kind(value)}")
    if not least <= value <= most:
        raise Mistake(f"{path}.{name}", f"{value} is not between {least} and {most}")
    return value


def _kind(value: JsonValue) -> str:
    if value is None:
        return "nothing"
    return {bool: "a truth value", int: "a number", float: "a number", str: "a text", list: "a list"}.get(
        type(value), "an object"
    )
