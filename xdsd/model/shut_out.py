"""Who is shut out of the mesh, as far as what proxies are told depends on it.

Envoy cannot end the connections of one caller: a workload's ways in are made anew, which ends all connections of its peers.
A *turn* says of whom connections had to end at some time, and which workloads were *spared* that, as their policies did not
let that identity in. That is decided once, when somebody is revoked, and kept: a policy that changes later ends nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True, order=True)
class Scope:
    """The workloads of a ``namespace`` (empty: of all) that have these labels among theirs."""

    namespace: str
    labels: tuple[tuple[str, str], ...] = ()

    def covers(self, namespace: str, labels: Labels) -> bool:
        """True for a workload of these."""
        return self.namespace in ("", namespace) and all(
            labels.get(name) == each for name, each in self.labels
        )

    def holds(self, other: "Scope") -> bool:
        """True where all workloads of the other are of this one too."""
        return self.covers(other.namespace, dict(other.labels))


@dataclass(frozen=True, slots=True)
class Spared:
    """Workloads that an identity could not reach: those ``denied`` to it, and of those ``closed`` to all but some others
    such as are not ``admitting`` it; but none whose policies are ``recent``, as they may have let it in before. By default
    these are none.
    """

    denied: tuple[Scope, ...] = ()
    closed: tuple[Scope, ...] = ()
    admitting: tuple[Scope, ...] = ()
    recent: tuple[Scope, ...] = ()

    def spares(self, namespace: str, labels: Labels) -> bool:
        """True for a workload whose connections need not end."""

        def one_of(scopes: Iterable[Scope]) -> bool:
            return any(each.covers(namespace, labels) for each in scopes)

        kept_out = one_of(self.denied) or (one_of(self.closed) and not one_of(self.admitting))
        return kept_out and not one_of(self.recent)


NONE_SPARED = Spared()


@dataclass(frozen=True, slots=True)
class Turn:
    """The last time that connections of somebody had to end; ``id`` is another each time."""

    id: str
    spared: Spared = NONE_SPARED


@dataclass(frozen=True, slots=True)
class ShutOut:
    """``identities`` are SPIFFE ids that nobody has to do with now. ``turns`` are of identities of which something was
    revoked, by SPIFFE id (empty: of everybody): what depends on one ends connections when it becomes another. They stay when
    a revocation is over, as its end is no reason to end connections.
    """

    identities: frozenset[str] = frozenset()
    turns: Mapping[str, Turn] = field(default_factory=dict)


NOBODY = ShutOut()


def by_all_names(identities: Iterable[str], domains: Sequence[str]) -> tuple[str, ...]:
    """These SPIFFE ids, and by the mesh's aliases those of its own trust domain, which is the first of ``domains``."""
    known = tuple(identities)
    own, *aliases = (f"spiffe://{domain}/" for domain in domains)
    also = (alias + each.removeprefix(own) for alias in aliases for each in known if each.startswith(own))
    return tuple(dict.fromkeys((*known, *also)))
