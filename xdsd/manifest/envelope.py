"""The envelope of an object: apiVersion, kind, metadata and spec, and nothing that would go unheard.

Of what servers write, ``resourceVersion``, ``generation``, ``creationTimestamp`` and ``uid`` are kept (the store
decides what they mean), while ``managedFields``, ``selfLink`` and ``status`` are accepted and dropped, so that the
output of ``get -o yaml``, here or elsewhere, applies as it is. ``status`` may hold only what servers write there.
Metadata that asks for something to happen (``finalizers``, ``ownerReferences``, ``generateName``) is refused.
"""

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from xdsd.manifest.checking import check_spec
from xdsd.manifest.faults import MAX_FAULTS, Fault, similar, unknown_field, wrong_type
from xdsd.manifest.paths import Key, Path
from xdsd.model.intent.authorization_policy import DRY_RUN, AuthorizationPolicy, dry_run
from xdsd.model.intent.base import shown
from xdsd.model.intent.destination_rule import DestinationRule
from xdsd.model.intent.gateway import Gateway
from xdsd.model.intent.health_check import HealthCheck
from xdsd.model.intent.hosts import is_label
from xdsd.model.intent.kinds import CATALOG, KINDS, NETWORKING, NOT_YET, Kind
from xdsd.model.intent.metadata import Metadata, Object
from xdsd.model.intent.values import label_key_fault, label_value_fault
from xdsd.model.problem import ObjectRef, Reason

AnyObject = Object[Any]

_FIELDS = ("apiVersion", "kind", "metadata", "spec", "status")
_KEPT = {"name": str, "namespace": str, "resourceVersion": str, "generation": int, "uid": str}
_MAPS = ("labels", "annotations")
_DROPPED = {"managedFields": list, "selfLink": str}
_REFUSED = (
    "finalizers",
    "ownerReferences",
    "generateName",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
)
_METADATA = (*_KEPT, *_MAPS, "creationTimestamp")
_STATUS = ("conditions", "validationMessages", "observedGeneration", "addresses")
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[-+]\d\d:\d\d)")
_WORDS = {str: "text", int: "a whole number", list: "a list"}
_DECLARING = "write a ServiceEntry to declare a service, and a WorkloadEntry for what is behind it"
_DECLARED_BY = {
    "Endpoint": "a ServiceEntry lists endpoints, and a WorkloadEntry is one",
    "Service": "write a ServiceEntry to declare a service",
    "Workload": "write a WorkloadEntry to declare a workload",
}
_ANNOTATION_BYTES = 256 * 1024


def read_object(value: Any, default_namespace: str) -> tuple[ObjectRef | None, AnyObject | list[Fault]]:
    """One object, or all that is wrong with it; the reference is there as far as it can be made out."""
    if not isinstance(value, Mapping):
        return None, [wrong_type(value, "an object, a map with apiVersion, kind, metadata and spec", ())]
    ref = reference(value, default_namespace)
    kind = _kind(value)
    if isinstance(kind, Fault):
        return ref, [kind]
    faults = [
        unknown_field(str(name)[:63], _FIELDS, ())
        for name in islice(value, MAX_FAULTS)
        if name not in _FIELDS
    ]
    faults += _status_faults(value.get("status", {}))
    metadata = _Metadata(value.get("metadata"), default_namespace)
    faults += metadata.faults
    if "spec" not in value or value["spec"] is None:
        faults.append(Fault(Reason.MISSING_FIELD, f"is missing; say what the {kind.kind} does", ("spec",)))
        return ref, faults
    spec = check_spec(kind.spec, value["spec"])
    if isinstance(spec, list) or metadata.faults:
        return ref, [*faults, *(spec if isinstance(spec, list) else ())]
    made = Object(kind.preferred, kind.kind, metadata.read(), spec)
    faults += _scope_faults(made)
    return ref, faults or made


def reference(value: Mapping[Any, Any], default_namespace: str) -> ObjectRef | None:
    """Kind, namespace and name, where they can be made out."""
    metadata = value.get("metadata")
    kind = value.get("kind")
    if not isinstance(metadata, Mapping) or not isinstance(kind, str):
        return None
    name, namespace = metadata.get("name"), metadata.get("namespace") or default_namespace
    return ObjectRef(kind[:63], str(namespace)[:63], name[:253]) if name and isinstance(name, str) else None


def _kind(value: Mapping[Any, Any]) -> Kind | Fault:
    for field in ("apiVersion", "kind"):
        if value.get(field) is None:
            others = [name for name in islice(value, 20) if isinstance(name, str) and name not in _FIELDS]
            hint = next((f"; {name} is there instead" for name in others if similar(name, [field])), "")
            return Fault(Reason.MISSING_FIELD, f"is missing{hint}", (field,))
        if not isinstance(value[field], str):
            return wrong_type(value[field], "text", (field,))
    version, name = value["apiVersion"], value["kind"]
    group = version.rpartition("/")[0]
    known = KINDS.get(name)
    if group == CATALOG:
        told = f"{shown(name)[1:-1]} is what registries report, and only read"
        return Fault(Reason.UNKNOWN_KIND, f"{told}; {_DECLARED_BY.get(name, _DECLARING)}", ("kind",))
    if known is None or (group != known.group and not group.endswith("istio.io")):
        return _unknown_kind(name, version, group)
    if version not in known.api_versions:
        message = f"{shown(version)} does not serve {name}; write {', '.join(known.api_versions)}"
        return Fault(Reason.INVALID_VALUE, message, ("apiVersion",))
    return known


def _unknown_kind(name: str, version: str, group: str) -> Fault:
    if name in NOT_YET and group == NOT_YET[name]:
        return Fault(Reason.NOT_SUPPORTED, f"{name} is not supported yet", ("kind",))
    told = f"{shown(name)[1:-1]} ({shown(version)[1:-1]})"
    if group.endswith("istio.io") or name in NOT_YET:
        hint = similar(name, (*KINDS, *NOT_YET)) or f"; the kinds are {', '.join(KINDS)}"
        return Fault(Reason.UNKNOWN_KIND, f"unknown kind {told}{hint}", ("kind",))
    if group == "gateway.networking.k8s.io":
        message = (
            f"{told} is of the Kubernetes Gateway API; here {NETWORKING}/v1 has Gateway and VirtualService"
        )
        return Fault(Reason.UNKNOWN_KIND, message, ("kind",))
    if name in KINDS:
        message = f"{told} is not ours; ours is {KINDS[name].preferred}"
        return Fault(Reason.UNKNOWN_KIND, message, ("apiVersion",))
    if group in ("", "apps", "batch", "autoscaling", "policy") or group.endswith(".k8s.io"):
        instead = "; outside of a cluster a ServiceEntry declares a service" if name == "Service" else ""
        message = f"{told} is an object of Kubernetes; apply it there with kubectl{instead}"
        return Fault(Reason.UNKNOWN_KIND, message, ("kind",))
    hint = similar(name, KINDS) or f"; the kinds are {', '.join(KINDS)}"
    return Fault(Reason.UNKNOWN_KIND, f"unknown kind {told}{hint}", ("kind",))


def _status_faults(status: Any) -> Iterator[Fault]:
    if status is None:
        return
    if not isinstance(status, Mapping):
        yield wrong_type(status, "a map", ("status",))
        return
    for name in status:
        if name not in _STATUS:
            message = "is not a status that servers write; take it out"
            yield Fault(Reason.UNKNOWN_FIELD, message, ("status", str(name)[:63]))


def _scope_faults(made: AnyObject) -> Iterator[Fault]:
    """Rules that need both the spec and the envelope."""
    own = made.metadata.namespace
    exported = getattr(made.spec, "export_to", ())
    if "." in exported and own in exported:
        path: Path = ("spec", "exportTo", exported.index(own))
        yield Fault(Reason.INVALID_VALUE, f"{own!r} and '.' are the same namespace; write one of them", path)
    if isinstance(made.spec, DestinationRule | HealthCheck) and made.spec.workload_selector is not None:
        what = "rule" if isinstance(made.spec, DestinationRule) else "check"
        for index, name in enumerate(exported):
            if name not in (".", own):
                message = (
                    f"{name!r} is not this namespace, and a {what} with workloadSelector stays in its own"
                )
                yield Fault(Reason.INVALID_VALUE, message, ("spec", "exportTo", index))
    said = made.metadata.annotations.get(DRY_RUN)
    if isinstance(made.spec, AuthorizationPolicy) and dry_run(said) is None:
        at: Path = ("metadata", "annotations", Key(DRY_RUN))
        yield Fault(Reason.INVALID_VALUE, f"{shown(said)} is neither true nor false", at)
    if isinstance(made.spec, Gateway) and not is_label(made.metadata.name):
        message = f"{shown(made.metadata.name)} holds a dot or is too long; a Gateway's name is one label"
        yield Fault(Reason.INVALID_VALUE, message, ("metadata", "name"))


class _Metadata:
    """Reads metadata; what it cannot read is in ``faults``."""

    def __init__(self, value: Any, default_namespace: str) -> None:
        self.faults: list[Fault] = []
        self._value: Mapping[Any, Any] = {}
        self._default = default_namespace
        if value is None:
            self.faults.append(Fault(Reason.MISSING_FIELD, "is missing; name the object", ("metadata",)))
        elif not isinstance(value, Mapping):
            self.faults.append(wrong_type(value, "a map", ("metadata",)))
        else:
            self._value = value
            self.faults += self._field_faults()
            self.faults += self._name_faults()

    def read(self) -> Metadata:
        """The metadata; meaningless if there are faults."""
        value = self._value
        return Metadata(
            namespace=value.get("namespace") or self._default,
            name=value.get("name") or "",
            labels=dict(value.get("labels") or {}),
            annotations=dict(value.get("annotations") or {}),
            resource_version=value.get("resourceVersion") or "",
            generation=value.get("generation") or 0,
            creation_timestamp=value.get("creationTimestamp") or "",
            uid=value.get("uid") or "",
        )

    def _field_faults(self) -> Iterator[Fault]:
        for name, value in self._value.items():
            path: Path = ("metadata", name if isinstance(name, str) else str(name))
            if name in _REFUSED:
                message = "has no effect here; take it out"
                if name == "generateName":
                    message = "names are not made up here; write metadata.name"
                yield Fault(Reason.NOT_SUPPORTED, message, path)
            elif name in _MAPS:
                yield from self._map_faults(value, path)
            elif name == "creationTimestamp":
                yield from _timestamp_faults(value, path)
            elif name in _KEPT or name in _DROPPED:
                yield from _type_faults(value, _KEPT.get(name) or _DROPPED[name], path)
            else:
                yield unknown_field(
                    shown(name)[1:-1] if isinstance(name, str) else str(name), _METADATA, path[:1]
                )

    def _name_faults(self) -> Iterator[Fault]:
        name, namespace = self._value.get("name"), self._value.get("namespace")
        if name is None or name == "":
            if "generateName" not in self._value:
                yield Fault(Reason.MISSING_FIELD, "is missing; name the object", ("metadata", "name"))
        elif isinstance(name, str) and (len(name) > 253 or not _NAME.fullmatch(name)):
            message = (
                f"{shown(name)} is no name: write small letters, digits, inner hyphens and dots, 253 at most"
            )
            yield Fault(Reason.INVALID_VALUE, message, ("metadata", "name"))
        if (
            isinstance(namespace, str)
            and namespace
            and not (is_label(namespace) and namespace == namespace.lower())
        ):
            message = (
                f"{shown(namespace)} is no namespace: write small letters, digits, inner hyphens, 63 at most"
            )
            yield Fault(Reason.INVALID_VALUE, message, ("metadata", "namespace"))

    def _map_faults(self, value: Any, path: Path) -> Iterator[Fault]:
        if value is None:
            return
        if not isinstance(value, Mapping):
            yield wrong_type(value, "a map", path)
            return
        for key, each in value.items():
            here = (*path, Key(key))
            if not isinstance(key, str):
                yield Fault(Reason.WRONG_TYPE, f"{shown(key)} is no text; put the key in quotes", path)
                continue
            if not isinstance(each, str):
                yield wrong_type(each, "text", here)
                continue
            fault = label_key_fault(key) or (label_value_fault(each) if path[-1] == "labels" else None)
            if fault:
                yield Fault(Reason.INVALID_VALUE, fault, here)
        size = sum(len(str(key)) + len(str(each)) for key, each in value.items())
        if path[-1] == "annotations" and size > _ANNOTATION_BYTES:
            message = f"hold {size} characters, which is above {_ANNOTATION_BYTES}"
            yield Fault(Reason.TOO_LARGE, message, path)


def _timestamp_faults(value: Any, path: Path) -> Iterator[Fault]:
    if value is None or value == "":
        return
    if not isinstance(value, str):
        yield wrong_type(value, "text", path)
    elif not _TIMESTAMP.fullmatch(value):
        yield Fault(Reason.INVALID_VALUE, f"{shown(value)} is no time such as 2026-01-31T12:00:00Z", path)


def _type_faults(value: Any, wanted: type, path: Path) -> Iterator[Fault]:
    if value is None and path[-1] != "name":
        return
    if value is not None and (not isinstance(value, wanted) or isinstance(value, bool)):
        yield wrong_type(value, _WORDS[wanted], path)
    elif isinstance(value, int) and not 0 <= value < 2**63:
        yield Fault(Reason.OUT_OF_RANGE, f"{shown(value)} is no count", path)
