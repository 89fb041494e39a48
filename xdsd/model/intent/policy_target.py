"""References by which policies are attached to gateways instead of workloads."""

from collections.abc import Iterator, Sequence

from xdsd.model.intent.base import Finding, Message, Str, absent, needed, shown, wrong
from xdsd.model.problem import Reason

GROUP = "networking.istio.io"
KUBERNETES = "gateway.networking.k8s.io"
"""The group of the Kubernetes Gateway API; its gateways are known by a label of their proxies."""


GATEWAY_NAME = "gateway.networking.k8s.io/gateway-name"
"""That label."""


class PolicyTargetReference(Message):
    """Another object by its name, in the same namespace."""

    group: Str | None = absent("Group of the object.", max_length=253)
    kind: Str = needed("Kind of the object.", min_length=1, max_length=63)
    name: Str = needed("Name of the object.", min_length=1, max_length=253)
    namespace: Str | None = absent("Namespace of the object; only the own one, so leave it out.")

    def findings(self) -> Iterator[Finding]:
        if self.namespace:
            yield wrong("an object of another namespace cannot be referred to; leave it out", "namespace")


def target_findings(
    one: PolicyTargetReference | None, several: Sequence[PolicyTargetReference]
) -> Iterator[Finding]:
    """Targets that nothing here can be attached to."""
    places: list[tuple[PolicyTargetReference, tuple[str | int, ...]]] = [
        (target, ("targetRefs", index)) for index, target in enumerate(several)
    ]
    if one is not None:
        places.append((one, ("targetRef",)))
    for target, path in places:
        if target.kind != "Gateway" or target.group not in (GROUP, KUBERNETES):
            told = f"{target.group or 'core'}/{target.kind}"
            message = f"{shown(told)} takes no policies here; write kind Gateway of {GROUP} or {KUBERNETES}, or a selector"
            yield wrong(message, *path, "kind", reason=Reason.NOT_SUPPORTED)
    seen: set[str] = set()
    for index, target in enumerate(several):
        if target.name in seen:
            yield wrong(f"{target.kind} {target.name} is listed twice", "targetRefs", index)
        seen.add(target.name)
