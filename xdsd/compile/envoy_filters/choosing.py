"""Which patches a proxy gets, and in which order.

EnvoyFilters of the root namespace come before those of the proxy's own; in each, the lowest priority first, then the
oldest. The patches of one object stay in the order in which they stand there.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from xdsd.compile.envoy_filters.matching import proxy_matches
from xdsd.compile.envoy_filters.patches import PatchRef, ReadyPatch, operation_of
from xdsd.model.intent import (
    ApplyTo,
    EnvoyFilter,
    FilterClass,
    Object,
    PatchContext,
    PolicyTargetReference,
)
from xdsd.model.mesh import Proxy, Role
from xdsd.model.problem import ObjectRef

GATEWAY_NAME = "gateway.networking.k8s.io/gateway-name"
"""The label of proxies that run a Gateway of the Kubernetes Gateway API."""

CONTEXTS: Mapping[Role, tuple[PatchContext, ...]] = {
    Role.SIDECAR: (PatchContext.SIDECAR_OUTBOUND, PatchContext.SIDECAR_INBOUND),
    Role.ROUTER: (PatchContext.GATEWAY,),
}


@dataclass(frozen=True, slots=True)
class Outline:
    """What decides which proxies an EnvoyFilter is for. ``heads`` are its patches without their values."""

    ref: ObjectRef
    priority: int
    age: tuple[str, str, str]
    labels: Mapping[str, str]
    targets: tuple[PolicyTargetReference, ...]
    heads: tuple[ReadyPatch, ...]

    @property
    def order(self) -> tuple[int, tuple[str, str, str]]:
        return self.priority, self.age


def outline_of(obj: Object[EnvoyFilter]) -> Outline:
    """The outline of an object."""
    spec = obj.spec
    heads = tuple(
        ReadyPatch(
            PatchRef(obj.ref, place),
            patch.apply_to or ApplyTo.INVALID,
            operation_of(patch),
            patch.match,
            None,
            (patch.patch.filter_class if patch.patch else None) or FilterClass.UNSPECIFIED,
        )
        for place, patch in enumerate(spec.config_patches)
    )
    labels = spec.workload_selector.labels if spec.workload_selector else {}
    return Outline(obj.ref, spec.priority or 0, obj.age, labels, spec.target_refs, heads)


def selects(outline: Outline, proxy: Proxy) -> bool:
    """True if an EnvoyFilter is for this proxy, whatever its patches say."""
    if not outline.targets:
        return all(proxy.labels.get(key) == value for key, value in outline.labels.items())
    gateway = proxy.labels.get(GATEWAY_NAME)
    return (
        gateway is not None
        and outline.ref.namespace == proxy.namespace
        and any(
            each.kind == "Gateway" and each.group == "gateway.networking.k8s.io" and each.name == gateway
            for each in outline.targets
        )
    )


def chosen_patches(outlines: Iterable[Outline], proxy: Proxy, root: str) -> tuple[PatchRef, ...]:
    """The patches to what a proxy is served, in the order in which they are applied.

    ``outlines`` are of the EnvoyFilters of its own and of the root namespace.
    """
    return tuple(each.ref for each in _heads(outlines, proxy, root) if each.apply_to is not ApplyTo.BOOTSTRAP)


def bootstrap_patches(outlines: Iterable[Outline], proxy: Proxy, root: str) -> tuple[PatchRef, ...]:
    """The patches to what a proxy is started with, in the order in which they are applied; of outlines of any namespace."""
    seen = [each for each in outlines if each.ref.namespace in (root, proxy.namespace)]
    return tuple(each.ref for each in _heads(seen, proxy, root) if each.apply_to is ApplyTo.BOOTSTRAP)


def _heads(outlines: Iterable[Outline], proxy: Proxy, root: str) -> Iterator[ReadyPatch]:
    found = sorted(
        (each for each in outlines if selects(each, proxy)),
        key=lambda each: (each.ref.namespace != root, *each.order),
    )
    contexts = (PatchContext.ANY, *CONTEXTS[proxy.role])
    for outline in found:
        for head in outline.heads:
            wanted = head.match.proxy if head.match else None
            if head.context in contexts and proxy_matches(wanted, proxy.metadata):
                yield head
