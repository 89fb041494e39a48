"""What a RateLimit says in vain: targets that are not there, and properties of requests that nobody proves yet."""

from collections.abc import Iterator, Sequence

from xdsd.compile.graph import Graph
from xdsd.compile.route_references import Broken
from xdsd.compile.world import read_object
from xdsd.model.intent import RateLimit, RateLimitDescriptor
from xdsd.model.problem import ObjectRef, Reason

_CERTIFICATES = (
    "counts requests whose client proved an identity by a certificate, and no listener asks for one yet unless an"
    " EnvoyFilter makes it; others are not limited"
)
_TOKENS = (
    "counts requests with a token that was proven, and nothing proves tokens yet unless an EnvoyFilter makes it;"
    " others are not limited"
)


def rate_limit_references(graph: Graph, ref: ObjectRef, spec: RateLimit) -> Iterator[Broken]:
    """Everything that a RateLimit says in vain, in the order of its fields."""
    for index, target in enumerate(spec.target_refs):
        obj = read_object(graph, ObjectRef(target.kind.value, ref.namespace, target.name))
        place = f"spec.targetRefs[{index}]"
        if obj is None:
            message = f"there is no {target.kind} {ref.namespace}/{target.name}, so nothing is limited by it"
            yield Broken(f"{place}.name", message)
        elif target.section_name is not None:
            names = sorted({rule.name for rule in obj.spec.http if rule.name})
            if target.section_name not in names:
                known = f"; there are {', '.join(names)}" if names else ""
                message = f"no rule of {target.kind} {target.name} is named {target.section_name!r}{known}"
                yield Broken(f"{place}.sectionName", message)
    for index, local in enumerate(spec.local):
        yield from _unproven(local.descriptors, f"spec.local[{index}].descriptors")
    for index, limit in enumerate(spec.global_.limits if spec.global_ else ()):
        yield from _unproven(limit.descriptors, f"spec.global.limits[{index}].descriptors")


def _unproven(descriptors: Sequence[RateLimitDescriptor], place: str) -> Iterator[Broken]:
    for index, descriptor in enumerate(descriptors):
        if descriptor.source is not None:
            yield Broken(f"{place}[{index}].source", _CERTIFICATES, Reason.NOT_SUPPORTED)
        if descriptor.claim is not None:
            yield Broken(f"{place}[{index}].claim", _TOKENS, Reason.NOT_SUPPORTED)
