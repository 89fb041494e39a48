"""What a RateLimit says in vain: targets that are not there, and properties of requests that nobody proves yet.

Such an object is valid and applied. Its author should know whom it does not limit.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from xdsd.model.intent import Object, RateLimit, RateLimitDescriptor, TargetKind
from xdsd.model.problem import ObjectRef, Problem, Reason, Severity

Find = Callable[[ObjectRef], Object[Any] | None]
"""Looks an object up; Any: the reference says the kind."""

_CERTIFICATES = (
    "counts requests whose client proved an identity by a certificate, and gateways ask for none unless an EnvoyFilter"
    " makes them; others are not limited"
)


def vain_limits(spec: RateLimit, ref: ObjectRef, find: Find) -> Iterator[Problem]:
    """Warnings about an object, in the order of its fields."""
    yield from _targets(spec, ref, find)
    at_gateways = any(target.kind is TargetKind.GATEWAY for target in spec.target_refs)
    for index, local in enumerate(spec.local):
        yield from _unproven(local.descriptors, f"spec.local[{index}].descriptors", ref, at_gateways)
    for index, limit in enumerate(spec.global_.limits if spec.global_ else ()):
        yield from _unproven(limit.descriptors, f"spec.global.limits[{index}].descriptors", ref, at_gateways)


def _targets(spec: RateLimit, ref: ObjectRef, find: Find) -> Iterator[Problem]:
    for index, target in enumerate(spec.target_refs):
        obj = find(ObjectRef(target.kind.value, ref.namespace, target.name))
        place = f"spec.targetRefs[{index}]"
        if obj is None:
            message = f"there is no {target.kind} {ref.namespace}/{target.name}, so nothing is limited by it"
            yield _warning(Reason.BROKEN_REFERENCE, message, ref, f"{place}.name")
        elif target.section_name is not None:
            names = sorted({rule.name for rule in obj.spec.http if rule.name})
            if target.section_name not in names:
                known = f"; there are {', '.join(names)}" if names else ""
                message = f"no rule of {target.kind} {target.name} is named {target.section_name!r}{known}"
                yield _warning(Reason.BROKEN_REFERENCE, message, ref, f"{place}.sectionName")


def _unproven(
    descriptors: Sequence[RateLimitDescriptor], place: str, ref: ObjectRef, at_gateways: bool
) -> Iterator[Problem]:
    for index, descriptor in enumerate(descriptors):
        if descriptor.source is not None and at_gateways:
            yield _warning(Reason.NOT_SUPPORTED, _CERTIFICATES, ref, f"{place}[{index}].source")


def _warning(reason: Reason, message: str, ref: ObjectRef, path: str) -> Problem:
    return Problem(reason, message, ref, path, severity=Severity.WARNING)
