"""How near endpoints are to a proxy: what a DestinationRule prefers, as seen from one place.

Endpoints are *ranked*: a lower rank becomes an earlier priority of Envoy, which leaves it only as far as its endpoints
are unhealthy or ejected. Or localities get *shares* of the traffic from a place. Ranks as published: the same
sub-zone, zone, region, another region that is named to take over, any other. With ``failoverPriority`` the labels that
endpoints have in common with the proxy come first: each is compared only if those before it are equal.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import Any, NamedTuple

from xdsd.compile.load_balancing import is_passthrough
from xdsd.compile.policy import Policy
from xdsd.model.catalog import Endpoint, Spread, network_of
from xdsd.model.intent import (
    DestinationRule,
    Failover,
    LoadBalancerSettings,
    LocalityLoadBalancerSetting,
    MeshConfig,
    ZoneAwareLoadBalancerSetting,
)

REGION = "topology.kubernetes.io/region"
ZONE = "topology.kubernetes.io/zone"
SUB_ZONE = "topology.istio.io/subzone"
NETWORK = "topology.istio.io/network"
CLUSTER_ID = "topology.istio.io/cluster"
TOPOLOGY = (REGION, ZONE, SUB_ZONE)

SHARE_UNIT = 10_000
"""Weight of one percent: so much that shares divided between localities are not distorted by rounding."""


class Tiers(IntEnum):
    """By what endpoints are ranked, and how many ranks that makes."""

    NONE = 1
    REGION = 3
    ZONE = 4
    LOCALITY = 5


class Place(NamedTuple):
    """Where a proxy is: ``region/zone/subzone``, and those of its labels that some rule compares.

    ``network`` is its network, where networks have gateways, and ``mutual`` whether these let it through: it has a
    certificate to show to those behind them. ``node`` is the machine that it runs on, where that is known and matters.
    """

    locality: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    network: str = ""
    mutual: bool = False
    node: str = ""


NOWHERE = Place()

Shares = tuple[tuple[str, int], ...]
"""Percent by pattern of localities."""


@dataclass(frozen=True, slots=True)
class Nearness:
    """What one cluster prefers. ``shares`` are by the pattern of the sender's locality, ``failover`` from region to region.

    ``labels`` are compared in order, with the value if one is given, else with the proxy's own. What is on another network
    comes last where ``own_network`` is wanted, and what is on the proxy's node first where ``own_node`` is.
    """

    shares: tuple[tuple[str, Shares], ...] = ()
    tiers: Tiers = Tiers.NONE
    failover: tuple[tuple[str, str], ...] = ()
    labels: tuple[tuple[str, str | None], ...] = ()
    own_network: bool = False
    own_node: bool = False

    @property
    def needs_locality(self) -> bool:
        """True if proxies of different localities may see endpoints differently."""
        return bool(self.shares) or self.tiers is not Tiers.NONE

    @property
    def compared_labels(self) -> frozenset[str]:
        """The labels of the proxy that matter."""
        return frozenset(key for key, value in self.labels if value is None)

    def seen_from(self, place: Place) -> Place:
        """As much of a place as matters: proxies that have this in common see the same."""
        labels = tuple(pair for pair in place.labels if pair[0] in self.compared_labels)
        node = place.node if self.own_node else ""
        if self.tiers in _PARTS and not self.shares:
            parts = split(place.locality)[: _PARTS[self.tiers]]
            return Place("/".join(parts).rstrip("/"), labels, node=node)
        return Place(place.locality if self.needs_locality else "", labels, node=node)


BY_LOCALITY = Nearness(tiers=Tiers.LOCALITY)
"""The published default of clusters that detect outliers."""

BY_REGION = Nearness(tiers=Tiers.REGION)
"""The default of services that are one in several regions by their platform's word."""

BY_SPREAD: Mapping[Spread, Nearness] = MappingProxyType(
    {
        Spread.SAME_ZONE: Nearness(tiers=Tiers.ZONE, own_network=True),
        Spread.SAME_NODE: Nearness(tiers=Tiers.LOCALITY, own_network=True, own_node=True),
    }
)
"""What services prefer whose platform says so."""

_PARTS: Mapping[Tiers, int] = MappingProxyType({Tiers.REGION: 1, Tiers.ZONE: 2})
"""How much of a proxy's locality matters."""


def nearness_of(policy: Policy, *, regional: bool = False) -> Nearness | None:
    """What a policy prefers; None if all endpoints are alike.

    Without settings the nearest endpoints are preferred where outliers are detected, and those of the own region where the
    service is ``regional``. With settings they are in any case: endpoints that the platform calls unhealthy are left then
    too.
    """
    balancer = policy.load_balancer
    if is_passthrough(balancer):
        return None
    if balancer is not None and balancer.zone_aware_lb_setting is not None:
        return _zone_aware(balancer.zone_aware_lb_setting)
    if balancer is not None and balancer.locality_lb_setting is not None:
        return _by_locality(balancer.locality_lb_setting)
    if policy.outlier_detection is not None:
        return BY_LOCALITY
    return BY_REGION if regional else None


def _by_locality(setting: LocalityLoadBalancerSetting) -> Nearness | None:
    if setting.enabled is False:
        return None
    if setting.distribute:
        shares = ((each.from_ or "", tuple(sorted(each.to.items()))) for each in setting.distribute)
        return Nearness(shares=tuple(shares))
    ranked = bool(setting.failover) or not setting.failover_priority
    return Nearness(
        tiers=Tiers.LOCALITY if ranked else Tiers.NONE,
        failover=_regions(setting.failover),
        labels=_labels(setting.failover_priority),
    )


def _zone_aware(setting: ZoneAwareLoadBalancerSetting) -> Nearness | None:
    if setting.enabled is False:
        return None
    return Nearness(
        tiers=Tiers.REGION, failover=_regions(setting.failover), labels=_labels(setting.failover_priority)
    )


def speaks_of_places(policy: Policy) -> bool:
    """True if a policy itself says which endpoints are preferred, or that none are."""
    balancer = policy.load_balancer
    return balancer is not None and (
        is_passthrough(balancer)
        or balancer.locality_lb_setting is not None
        or balancer.zone_aware_lb_setting is not None
    )


def compared_labels(rule: DestinationRule) -> frozenset[str]:
    """The labels of proxies that a rule compares with those of endpoints."""
    found = [nearness_of(Policy(load_balancer=balancer)) for balancer in _balancers(rule)]
    return frozenset(key for nearness in found if nearness for key in nearness.compared_labels)


def default_labels(mesh: MeshConfig) -> frozenset[str]:
    """The labels of proxies that a mesh's defaults compare with those of endpoints."""
    settings = (mesh.locality_lb_setting, mesh.zone_aware_lb_setting)
    priority = (label for setting in settings if setting for label in setting.failover_priority)
    return frozenset(key for key, value in _labels(priority) if value is None)


def is_zone_aware(rule: DestinationRule) -> bool:
    """True if a rule leaves it to Envoy to balance zones."""
    found = (balancer.zone_aware_lb_setting for balancer in _balancers(rule) if balancer)
    return any(setting is not None and setting.enabled is not False for setting in found)


def _balancers(rule: DestinationRule) -> Iterator[LoadBalancerSettings | None]:
    for policy in (rule.traffic_policy, *(subset.traffic_policy for subset in rule.subsets)):
        if policy is not None:
            yield policy.load_balancer
            yield from (each.load_balancer for each in policy.port_level_settings)


def _regions(failover: Iterable[Failover]) -> tuple[tuple[str, str], ...]:
    return tuple((each.from_ or "", each.to or "") for each in failover)


def _labels(priority: Iterable[str]) -> tuple[tuple[str, str | None], ...]:
    return tuple(
        (key, value if equals else None) for key, equals, value in (each.partition("=") for each in priority)
    )


def ranking(nearness: Nearness, place: Place) -> Callable[[Endpoint], int] | None:
    """The rank of each endpoint as seen from a place, lower is preferred; None if all have the same."""
    rank = _ranking(nearness, place)
    if rank is not None and nearness.own_network and place.network:
        rank = _network_first(rank, nearness.tiers, frozenset({"", place.network}))
    if rank is not None and nearness.own_node and place.node:
        rank = _node_first(rank, place.node)
    return rank


def _network_first(
    rank: Callable[[Endpoint], int], ranks: int, near: frozenset[str]
) -> Callable[[Endpoint], int]:
    return lambda endpoint: rank(endpoint) + (0 if network_of(endpoint) in near else ranks)


def _node_first(rank: Callable[[Endpoint], int], node: str) -> Callable[[Endpoint], int]:
    return lambda endpoint: 0 if endpoint.node == node else 1 + rank(endpoint)


def _ranking(nearness: Nearness, place: Place) -> Callable[[Endpoint], int] | None:
    by_label = _label_ranking(nearness.labels, dict(place.labels)) if nearness.labels else None
    by_tier = _tier_ranking(nearness, place.locality) if nearness.tiers is not Tiers.NONE else None
    if by_label is None or by_tier is None:
        return by_label or by_tier
    return lambda endpoint: by_label(endpoint) * nearness.tiers + by_tier(endpoint)


def _tier_ranking(nearness: Nearness, locality: str) -> Callable[[Endpoint], int]:
    own = split(locality)
    taking_over = next((to for from_, to in nearness.failover if from_ == own[0]), None)
    last = nearness.tiers - 1
    ranks: dict[str, int] = {}

    def rank(endpoint: Endpoint) -> int:
        known = ranks.get(endpoint.locality)
        if known is None:
            parts = split(endpoint.locality)
            if parts[0] != own[0]:
                known = last - 1 if parts[0] == taking_over else last
            else:
                known = _distance(own, parts, nearness.tiers)
            ranks[endpoint.locality] = known
        return known

    return rank


def _distance(one: tuple[str, str, str], other: tuple[str, str, str], tiers: Tiers) -> int:
    """Within a region: by sub-zone and zone, 0 in the same sub-zone, 1 in the same zone, else 2; by zone 0 or 1."""
    if tiers is Tiers.REGION:
        return 0
    if one[1] != other[1]:
        return tiers - 3
    return 0 if one[2] == other[2] or tiers is Tiers.ZONE else 1


def _label_ranking(
    labels: tuple[tuple[str, str | None], ...], own: Mapping[str, str]
) -> Callable[[Endpoint], int]:
    """By the first label that differs. If the network comes first, all of another network come after all of the own."""
    wanted = [(key, own.get(key, "") if value is None else value) for key, value in labels]
    by_network = wanted[0][0] == NETWORK

    def rank(endpoint: Endpoint) -> int:
        behind = 0
        for index, (key, value) in enumerate(wanted):
            if endpoint_label(endpoint, key) != value:
                if index == 0 and by_network:
                    behind = len(wanted)
                    continue
                return behind + len(wanted) - index
        return behind

    return rank


def endpoint_label(endpoint: Endpoint, key: str) -> str:
    """A label of an endpoint; where it runs counts as labels too."""
    if key in TOPOLOGY:
        derived = split(endpoint.locality)[TOPOLOGY.index(key)]
    else:
        derived = endpoint.network if key == NETWORK else ""
    return derived or endpoint.labels.get(key, "")


def shares_from(nearness: Nearness, locality: str) -> Shares | None:
    """The shares of the first pattern that is for senders in a locality; None if there is none."""
    own = split(locality)
    return next((shares for pattern, shares in nearness.shares if _matches(pattern, own)), None)


def weights(shares: Shares, totals: Mapping[str, int]) -> dict[str, int]:
    """What localities weigh, by what their endpoints weigh together; those that no pattern covers are missing.

    Localities that one pattern covers divide its share by what their endpoints weigh.
    """
    found: dict[str, int] = {}
    for pattern, percent in shares:
        covered = [each for each in totals if each not in found and _matches(pattern, split(each))]
        whole = sum(totals[each] for each in covered)
        for each in covered:
            found[each] = max(1, round(percent * SHARE_UNIT * totals[each] / whole))
    return found


def _matches(pattern: str, locality: tuple[str, str, str]) -> bool:
    return all(part in ("", "*") or part == own for part, own in zip(split(pattern), locality, strict=True))


def split(locality: str) -> tuple[str, str, str]:
    """Region, zone and sub-zone; empty where they are not said."""
    region, _, rest = locality.partition("/")
    zone, _, sub_zone = rest.partition("/")
    return region, zone, sub_zone


def apply_locality(cluster: Any, policy: Policy) -> None:
    """Sets what of the preference is the cluster's own: that localities have weights, or that zones balance.

    A cluster whose balancing policy is an extension has it there. Zones are Envoy's to balance: it knows how many of
    its like there are in each, if its bootstrap has it ask.
    """
    if cluster.HasField("load_balancing_policy"):
        return
    balancer = policy.load_balancer
    zone_aware = balancer.zone_aware_lb_setting if balancer else None
    nearness = nearness_of(policy)
    if nearness is not None and nearness.shares:
        cluster.common_lb_config.locality_weighted_lb_config.SetInParent()
    elif zone_aware is not None:
        config = cluster.common_lb_config.zone_aware_lb_config
        config.SetInParent()
        if zone_aware.enabled is False:
            config.routing_enabled.value = 0
        if zone_aware.min_cluster_size is not None:
            config.min_cluster_size.value = zone_aware.min_cluster_size
