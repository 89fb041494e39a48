"""By what names platforms know a service of the mesh and what is behind it, as problems of theirs give them."""

from collections.abc import Callable, Collection, Mapping

from xdsd.model.catalog import ServiceKey
from xdsd.model.problem import ObjectRef


def is_of_service(ref: ObjectRef, key: ServiceKey, workloads: Collection[str], domain: str) -> bool:
    """True for the service itself, under its host or as its platform names it, for lists of its endpoints, and for what
    stands behind it under one of the names of ``workloads``.
    """
    judge = _KINDS.get(ref.kind)
    if judge is None or ref.namespace != key.namespace:
        return False
    if ref.kind in _BEHIND:
        return ref.name in workloads
    return any(judge(ref.name, known) for known in _names(key, domain))


def _names(key: ServiceKey, domain: str) -> Collection[str]:
    """The host, and what it is short for on a platform."""
    inside = f".{key.namespace}.svc.{domain}"
    short = [
        key.hostname.removesuffix(end) for end in (inside, ".service.consul") if key.hostname.endswith(end)
    ]
    return [key.hostname, *(each for each in short if "." not in each)]


def _equals(name: str, known: str) -> bool:
    return name.lower() == known


def _is_slice(name: str, known: str) -> bool:
    """Controllers name a slice after its service, with an end of their own."""
    head, _, end = name.rpartition("-")
    return name == known or (head == known and bool(end))


_BEHIND = frozenset({"Pod", "WorkloadEntry"})
_KINDS: Mapping[str, Callable[[str, str], bool]] = {
    "Service": _equals,
    "ConsulService": _equals,
    "ServiceEntry": _equals,
    "EndpointSlice": _is_slice,
    **dict.fromkeys(_BEHIND, _equals),
}
