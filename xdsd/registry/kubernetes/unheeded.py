"""What a Service asks for that the mesh does not do. Pure.

Requests in the mesh go from proxy to endpoint, past what the cluster's own proxies do for a Service. Where that changes what
was asked for, it is said, with what does the same in the mesh. What is asked of the cluster's edge, such as
``externalTrafficPolicy``, is for traffic that the mesh does not carry, and is done as ever.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from xdsd.model.problem import Reason, Severity
from xdsd.registry.kubernetes.facts import Remark
from xdsd.registry.kubernetes.spread import ANNOTATION, FIELD, KNOWN, annotation_of, is_known


def unheeded(spec: Mapping[str, Any], metadata: Mapping[str, Any]) -> Iterator[Remark]:
    """A warning for each."""
    if not spec.get("ports"):
        yield _warning(
            "spec.ports", "there are none, so proxies lead nobody to it; programs reach it as ever"
        )
    if spec.get("sessionAffinity") == "ClientIP":
        yield _warning(
            "spec.sessionAffinity",
            "ClientIP does not hold in the mesh; a DestinationRule with loadBalancer.consistentHash.useSourceIp keeps a"
            " client at one endpoint",
        )
    if spec.get("externalIPs"):
        yield _warning(
            "spec.externalIPs",
            "who calls these addresses is not led by the mesh; a ServiceEntry with them in spec.addresses would be",
        )
    yield from _unknown_spread(spec, metadata)


def _unknown_spread(spec: Mapping[str, Any], metadata: Mapping[str, Any]) -> Iterator[Remark]:
    said, annotated = str(spec.get(FIELD) or ""), annotation_of(metadata)
    known = ", ".join(KNOWN)
    if said and said not in KNOWN:
        yield _warning(
            f"spec.{FIELD}", f"{said!r} is not known here, so no endpoint is preferred; known are {known}"
        )
    if annotated and not is_known(annotated):
        path = f"metadata.annotations[{ANNOTATION}]"
        yield _warning(path, f"{annotated!r} is not known, so it prefers no endpoint; known are {known}")


def _warning(path: str, message: str) -> Remark:
    return Remark(path, message, Reason.NOT_SUPPORTED, Severity.WARNING)
