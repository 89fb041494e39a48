"""TCP and TLS routes: the tcp and tls sections of a VirtualService, as one client sees them.

The first match wins, whatever Envoy finds closest (``xdsd.compile.l4_matches``); connections that no rule takes go where
the service's own do. Rules of ``tcp`` are for ports that are neither HTTP nor TLS, rules of ``tls`` for ports whose TLS
is passed through.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from xdsd.compile.l4_matches import Conditions, Region, canonical_names, canonical_networks, regions
from xdsd.compile.matches import Source, applies
from xdsd.compile.tcp_proxies import TcpOptions, WeightedCluster
from xdsd.compile.tcp_targets import Origin, TcpTarget
from xdsd.model.intent import (
    Destination,
    L4MatchAttributes,
    RouteDestination,
    TLSMatchAttributes,
    VirtualService,
)
from xdsd.model.problem import ObjectRef


class TcpDestinations(Protocol):
    """What the rest of the mesh knows of a destination named by an object in ``namespace``."""

    def cluster(self, destination: Destination, namespace: str, listener_port: int) -> str:
        """The cluster's name; connections to one that is unknown are closed."""

    def tcp_options(self, destination: Destination, namespace: str, listener_port: int) -> TcpOptions:
        """What the destination's policy asks of connections."""


@dataclass(frozen=True, slots=True)
class TcpRule:
    """One match of a rule, or a rule without any; ``only_tls`` for those of ``tls``."""

    conditions: Conditions
    route: tuple[RouteDestination, ...]
    origin: Origin
    only_tls: bool = False


def tcp_rules(spec: VirtualService, owner: ObjectRef, source: Source) -> list[TcpRule]:
    """The rules for opaque connections that concern a client, in order."""
    found: list[TcpRule] = []
    for index, rule in enumerate(spec.tcp):
        if not rule.match:
            found.append(TcpRule(Conditions(), rule.route, Origin(owner, f"tcp[{index}]")))
        for at, match in enumerate(rule.match):
            if applies(match, owner.namespace, source):
                origin = Origin(owner, f"tcp[{index}].match[{at}]")
                found.append(TcpRule(_conditions(match), rule.route, origin))
    return found


def tls_rules(spec: VirtualService, owner: ObjectRef, source: Source) -> list[TcpRule]:
    """The rules for connections whose TLS is passed through that concern a client, in order."""
    found: list[TcpRule] = []
    for index, rule in enumerate(spec.tls):
        for at, match in enumerate(rule.match):
            if applies(match, owner.namespace, source):
                origin = Origin(owner, f"tls[{index}].match[{at}]")
                found.append(TcpRule(_conditions(match), rule.route, origin, only_tls=True))
    return found


def crowded_sections(spec: VirtualService) -> Iterator[str]:
    """The sections whose rules overlap in more ways than proxies could hold."""
    for section, rules in (("tls", spec.tls), ("tcp", spec.tcp)):
        matches: list[L4MatchAttributes | TLSMatchAttributes] = [
            each for rule in rules for each in rule.match
        ]
        if regions([_conditions(match) for match in matches]) is None:
            yield section


def rule_targets(
    rules: Sequence[TcpRule], default: TcpTarget | None, port: int, destinations: TcpDestinations
) -> list[TcpTarget]:
    """Where connections belong that arrive at ``port``: to the first rule that matches, else to ``default``.

    A rule that names no addresses means those of ``default``; nothing comes after one that asks for nothing.
    """
    home = default.addresses if default else ()
    rules = rules[: next((at + 1 for at, rule in enumerate(rules) if not any(rule.conditions)), len(rules))]
    conditions = [rule.conditions._replace(addresses=rule.conditions.addresses or home) for rule in rules]
    if default is not None:
        conditions.append(Conditions(default.addresses, default.sni, default.sources))
    targets = [_target(rule, port, destinations) for rule in rules]
    targets += [default] if default is not None else []
    return [_narrowed(targets[region.rule], region) for region in _regions(conditions)]


def rule_regions(rules: Sequence[TcpRule]) -> tuple[Region, ...]:
    """Which connections belong to which of the rules, where no others come after them."""
    end = next((at + 1 for at, rule in enumerate(rules) if not any(rule.conditions)), len(rules))
    return tuple(_regions([rule.conditions for rule in rules[:end]]))


def region_targets(
    found: Sequence[Region], rules: Sequence[TcpRule], port: int, destinations: TcpDestinations
) -> list[TcpTarget]:
    """Where the connections of some regions belong that arrive at ``port``."""
    targets: dict[int, TcpTarget] = {}
    for region in found:
        if region.rule not in targets:
            targets[region.rule] = _target(rules[region.rule], port, destinations)
    return [_narrowed(targets[region.rule], region) for region in found]


def _conditions(match: L4MatchAttributes | TLSMatchAttributes) -> Conditions:
    addresses = canonical_networks(match.destination_subnets)
    if isinstance(match, TLSMatchAttributes):
        return Conditions(addresses, canonical_names(match.sni_hosts))
    return Conditions(
        addresses, (), canonical_networks((match.source_subnet,) if match.source_subnet else ())
    )


def _regions(conditions: Sequence[Conditions]) -> Iterator[Region]:
    found = regions(conditions)
    if found is not None:
        yield from found
    else:  # admission refuses such an object; what is stored all the same is served as Envoy finds it
        yield from (Region(each, index) for index, each in enumerate(conditions))


def _narrowed(target: TcpTarget, region: Region) -> TcpTarget:
    addresses, sni, sources = region.conditions
    return replace(target, addresses=addresses, sni=sni, sources=sources)


def _target(rule: TcpRule, port: int, destinations: TcpDestinations) -> TcpTarget:
    owner = rule.origin.owner
    chosen = rule.route if len(rule.route) == 1 else tuple(each for each in rule.route if each.weight)
    clusters = [destinations.cluster(each.destination, owner.namespace, port) for each in chosen]
    options = [destinations.tcp_options(each.destination, owner.namespace, port) for each in chosen]
    target = TcpTarget(clusters[0], options=options[0], only_tls=rule.only_tls, origin=rule.origin)
    if len(chosen) == 1:
        return target
    shares = tuple(
        WeightedCluster(cluster, each.weight or 0) for cluster, each in zip(clusters, chosen, strict=True)
    )
    hashed = any(each.hash_source_ip for each in options)
    looked_up = next((each.sni_port for each in options if each.sni_port), 0)
    named = any(each.pass_name for each in options)
    turn = " ".join(each.turn for each in options if each.turn)
    insists = any(each.insistent for each in options)
    return replace(
        target,
        cluster=f"{owner.name}.{owner.namespace}",
        weighted=shares,
        options=replace(
            options[0],
            hash_source_ip=hashed,
            sni_port=looked_up,
            pass_name=named,
            turn=turn,
            insistent=insists,
        ),
    )
