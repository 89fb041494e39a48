"""Ports of PeerAuthentications at which nobody is served: most often those of services, where workloads listen at others."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from xdsd.model.intent import PeerAuthentication
from xdsd.model.problem import ObjectRef, Problem, Reason, Severity


class ServedAt(NamedTuple):
    """A workload is served at ``target`` for the port ``number`` of a service."""

    host: str
    number: int
    target: int


def vain_ports(
    spec: PeerAuthentication, ref: ObjectRef, served: Iterable[ServedAt], only: int = 0
) -> Iterator[Problem]:
    """A warning for each port, or for the ``only`` one, where none of the workloads is served that a policy is for.
    ``served`` is all that is known of them; where nothing is, nothing is said.
    """
    known = sorted(set(served))
    targets = sorted({each.target for each in known})
    for text in spec.port_level_mtls if known else ():
        number = int(text)
        if number in targets or (only and number != only):
            continue
        meant = [each for each in known if each.number == number]
        if meant:
            first = meant[0]
            why = f"{number} is a port of the service {first.host}, whose workloads are served at {first.target}; write that"
        else:
            why = f"no workload that it selects is served at {number}; they are at {', '.join(map(str, targets))}"
        yield Problem(
            Reason.BROKEN_REFERENCE,
            f"has no effect: {why}",
            ref,
            f"spec.portLevelMtls.{text}",
            severity=Severity.WARNING,
        )
