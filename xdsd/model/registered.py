"""What the annotations of a WorkloadEntry say of a machine that registered itself. The published ones keep their names."""

from collections.abc import Mapping
from enum import StrEnum

GROUP = "istio.io/autoRegistrationGroup"
"""The WorkloadGroup of its namespace; an entry without it is an operator's."""

CONTROLLER = "istio.io/workloadController"
"""The daemon that wrote it."""

CONNECTED_AT = "istio.io/connectedAt"
DISCONNECTED_AT = "istio.io/disconnectedAt"
"""RFC 3339; the second stands there while no daemon has the machine's stream."""

NODE = "registration.xdsd.io/node"
IDENTITY = "registration.xdsd.io/identity"
CREDENTIAL = "registration.xdsd.io/credential"
"""What proved the identity: a token's id or a certificate's serial, and never what proves it again."""

TURN = "registration.xdsd.io/turn"
"""Counts the connections of the machine, over all daemons: the highest is the newest."""

HEALTH = "registration.xdsd.io/health"
"""What the group's probe found last; of a group without one, only that nobody listens where somebody did."""


class ProbeResult(StrEnum):
    """What a probe may find; unknown is a machine whose Envoy has reported nothing yet. A machine is deaf if it listened
    on the ports of its services, and does not any more.
    """

    UNKNOWN = "unknown"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    DEAF = "deaf"


def is_unwell(annotations: Mapping[str, str]) -> bool:
    """True for a machine that its probe did not find well."""
    return GROUP in annotations and annotations.get(HEALTH, ProbeResult.HEALTHY) != ProbeResult.HEALTHY


def is_away(annotations: Mapping[str, str]) -> bool:
    """True for a machine that no daemon has heard of for a moment."""
    return GROUP in annotations and DISCONNECTED_AT in annotations
