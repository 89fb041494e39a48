"""Whether a workload's port takes plaintext, as PeerAuthentications say."""

from collections.abc import Iterable
from typing import NamedTuple

from xdsd.authorization.applying import Subject
from xdsd.model.intent import MutualTLS, MutualTLSMode, Object, PeerAuthentication

Policy = Object[PeerAuthentication]


class Taken(NamedTuple):
    """A mode and the policy that says so; None where nobody does."""

    mode: MutualTLSMode
    policy: Policy | None = None


def taken(policies: Iterable[Policy], subject: Subject, root: str, port: int) -> Taken:
    """What a port of a subject takes: the closest word counts, and the oldest of two equally close."""
    found = sorted(policies, key=lambda each: each.age)
    for policy in _closest_first(found, subject, root):
        spec = policy.spec
        for said in (spec.port_level_mtls.get(str(port)), spec.mtls):
            mode = _mode(said)
            if mode is not None:
                return Taken(mode, policy)
    return Taken(MutualTLSMode.PERMISSIVE)


def _closest_first(policies: list[Policy], subject: Subject, root: str) -> Iterable[Policy]:
    """One for the workload, one for its namespace, one for the mesh."""
    own = [each for each in policies if each.metadata.namespace == subject.namespace]
    yield from [each for each in own if not each.spec.is_wide and _selects(each, subject)][:1]
    yield from [each for each in own if each.spec.is_wide][:1]
    yield from [each for each in policies if each.metadata.namespace == root and each.spec.is_wide][:1]


def _selects(policy: Policy, subject: Subject) -> bool:
    selector = policy.spec.selector
    return selector is not None and selector.match_labels.items() <= dict(subject.labels).items()


def _mode(said: MutualTLS | None) -> MutualTLSMode | None:
    return said.mode if said is not None and said.mode is not MutualTLSMode.UNSET else None
