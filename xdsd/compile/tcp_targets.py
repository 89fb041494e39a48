"""Where connections that are carried unread belong: values, one a filter chain."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import product

from xdsd.compile.l4_matches import canonical_names, canonical_networks
from xdsd.compile.tcp_proxies import DEFAULT_OPTIONS, TcpOptions, WeightedCluster
from xdsd.model.problem import ObjectRef


@dataclass(frozen=True, slots=True)
class Origin:
    """The rule that made a target: ``place`` is its path below the object's spec (``tcp[0].match[1]``)."""

    owner: ObjectRef
    place: str

    def __str__(self) -> str:
        return f"{self.owner.namespace}/{self.owner.name}:{self.place}"


@dataclass(frozen=True, slots=True)
class TcpTarget:
    """Connections that belong to ``cluster``: those to one of ``addresses`` (IPs or CIDRs) asking for one
    of ``sni`` and coming from one of ``sources``.

    An empty side matches everything, so a target with none takes whatever no other target takes. ``sni``
    may hold ``*.example.com``; ``*`` is the same as none. ``only_tls`` keeps out connections that do not
    begin with TLS. With ``weighted`` they are shared by those clusters, and ``cluster`` only names their
    statistics.
    """

    cluster: str
    addresses: tuple[str, ...] = ()
    sni: tuple[str, ...] = ()
    options: TcpOptions = DEFAULT_OPTIONS
    sources: tuple[str, ...] = ()
    weighted: tuple[WeightedCluster, ...] = ()
    only_tls: bool = False
    origin: Origin | None = None

    @property
    def name(self) -> str:
        """What its filter chain is called: the rule that made it, else its cluster."""
        return str(self.origin) if self.origin else self.cluster

    @property
    def takes_everything(self) -> bool:
        """True if it leaves nothing to other targets of the same listener."""
        return not (self.addresses or self.sni or self.sources or self.only_tls)


def distinct(targets: Iterable[TcpTarget]) -> tuple[tuple[TcpTarget, ...], tuple[TcpTarget, ...]]:
    """The targets cut down to what no earlier one matches, and those of which nothing is left.

    Envoy refuses a whole listener in which two filter chains match the same, so the first claim wins.
    """
    claimed: set[_Claim] = set()
    kept: list[TcpTarget] = []
    shadowed: list[TcpTarget] = []
    for target in targets:
        free = _unclaimed(target, claimed)
        if free is None:
            shadowed.append(target)
        else:
            claimed |= _claims(free)
            kept.append(free)
    return tuple(kept), tuple(shadowed)


_Claim = tuple[str, ...]


def _unclaimed(target: TcpTarget, claimed: set[_Claim]) -> TcpTarget | None:
    """The target in canonical form, without what is claimed; None if nothing is left."""
    own = replace(
        target,
        addresses=canonical_networks(target.addresses),
        sni=canonical_names(target.sni),
        sources=canonical_networks(target.sources),
    )
    if claimed.isdisjoint(_claims(own)):
        return own
    free = [replace(own, addresses=(one,)) for one in own.addresses]
    addresses = tuple(one.addresses[0] for one in free if claimed.isdisjoint(_claims(one)))
    if addresses:
        return replace(own, addresses=addresses)
    names = tuple(one for one in own.sni if claimed.isdisjoint(_claims(replace(own, sni=(one,)))))
    return replace(own, sni=names) if names else None


def _claims(target: TcpTarget) -> set[_Claim]:
    transport = ("tls",) if target.only_tls and not target.sni else ("",)
    return set(product(target.addresses or ("",), target.sni or ("",), target.sources or ("",), transport))
