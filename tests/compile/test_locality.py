"""What is near: ranks and shares as one place sees them."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xdsd.compile.endpoints import load_assignment
from xdsd.compile.locality import (
    BY_LOCALITY,
    BY_SPREAD,
    Nearness,
    Place,
    Tiers,
    compared_labels,
    nearness_of,
    ranking,
    weights,
)
from xdsd.compile.policy import policy_of
from xdsd.model.catalog import Endpoint, Port, Protocol, Spread
from xdsd.model.intent import DestinationRule, TrafficPolicy

PORT = Port(80, "http", Protocol.HTTP, 8080)
HERE = "eu/a/1"


def nearness(policy: Mapping[str, Any]) -> Nearness | None:
    """What a trafficPolicy, as published, prefers."""
    return nearness_of(policy_of(TrafficPolicy.model_validate(policy)))


def by_locality(**setting: Any) -> Nearness:
    found = nearness({"loadBalancer": {"localityLbSetting": setting}})
    assert found is not None
    return found


def assigned(
    preference: Nearness | None, place: Place, *endpoints: Endpoint
) -> list[tuple[int, str, int, list[str]]]:
    """Priority, locality, weight and addresses of each group of an assignment."""
    made = load_assignment("a", PORT, endpoints, None, preference, place)
    return [
        (
            group.priority,
            "/".join(filter(None, (group.locality.region, group.locality.zone, group.locality.sub_zone))),
            group.load_balancing_weight.value,
            [item.endpoint.address.socket_address.address for item in group.lb_endpoints],
        )
        for group in made.endpoints
    ]


def at(address: str, locality: str, **more: Any) -> Endpoint:
    return Endpoint(address, locality=locality, **more)


EVERYWHERE = (
    at("10.0.0.1", "eu/a/1"),
    at("10.0.0.2", "eu/a/2"),
    at("10.0.0.3", "eu/b"),
    at("10.0.0.4", "us/a/1"),
    at("10.0.0.5", "asia"),
)


class TestPreference:
    def test_all_endpoints_are_alike_without_settings(self) -> None:
        """Without a policy nothing is nearer than anything else."""
        assert nearness({"connectionPool": {"tcp": {"maxConnections": 1}}}) is None
        assert {row[0] for row in assigned(None, Place(HERE), *EVERYWHERE)} == {0}

    def test_who_detects_outliers_prefers_what_is_near(self) -> None:
        """The published default: localities are ranked where outliers are detected, unless that is switched off."""
        outliers = {"outlierDetection": {"interval": "1s"}}
        assert nearness(outliers) == BY_LOCALITY
        off = {"loadBalancer": {"localityLbSetting": {"enabled": False}}}
        assert nearness({**outliers, **off}) is None
        assert nearness({**outliers, "loadBalancer": {"simple": "PASSTHROUGH"}}) is None

    def test_settings_rank_without_outlier_detection(self) -> None:
        """Whoever asks for failover gets it, on the health that the platform reports."""
        assert by_locality(enabled=True) == BY_LOCALITY
        assert by_locality(failover=[{"from": "eu", "to": "us"}]).tiers is Tiers.LOCALITY

    def test_labels_take_the_place_of_localities(self) -> None:
        """Localities are ranked beside labels only if regions fail over too."""
        assert by_locality(failoverPriority=["a"]).tiers is Tiers.NONE
        assert (
            by_locality(failoverPriority=["a"], failover=[{"from": "eu", "to": "us"}]).tiers is Tiers.LOCALITY
        )

    def test_a_place_is_seen_as_far_as_it_matters(self) -> None:
        """Proxies share what is equal to them: the locality or labels that nothing compares are left out."""
        place = Place(HERE, (("app", "a"), ("version", "v1")))
        assert by_locality(failoverPriority=["version", "app=b"]).seen_from(place) == Place(
            "", (("version", "v1"),)
        )
        assert BY_LOCALITY.seen_from(place) == Place(HERE)
        assert by_locality(failoverPriority=["app=b"]).seen_from(place) == Place()

    def test_the_labels_that_a_rule_compares_are_known(self) -> None:
        """Those of every subset and port count, but not those with values of their own."""
        balancer = {"localityLbSetting": {"failoverPriority": ["a", "b=1"]}}
        port = {"port": {"number": 80}, "loadBalancer": {"zoneAwareLbSetting": {"failoverPriority": ["c"]}}}
        rule = DestinationRule.model_validate(
            {
                "host": "a",
                "trafficPolicy": {"loadBalancer": balancer},
                "subsets": [{"name": "v1", "trafficPolicy": {"portLevelSettings": [port]}}],
            }
        )
        assert compared_labels(rule) == {"a", "c"}


class TestFailover:
    def test_the_nearest_come_first(self) -> None:
        """Same sub-zone, same zone, same region, then all others together; priorities have no gaps."""
        assert assigned(BY_LOCALITY, Place(HERE), *EVERYWHERE) == [
            (0, "eu/a/1", 1, ["10.0.0.1"]),
            (1, "eu/a/2", 1, ["10.0.0.2"]),
            (2, "eu/b", 1, ["10.0.0.3"]),
            (3, "asia", 1, ["10.0.0.5"]),
            (3, "us/a/1", 1, ["10.0.0.4"]),
        ]
        assert [row[0] for row in assigned(BY_LOCALITY, Place("us/b"), *EVERYWHERE)] == [0, 1, 1, 1, 1]

    def test_a_region_may_have_one_that_takes_over(self) -> None:
        """That region comes before all others, for senders of the named region alone."""
        failover = by_locality(failover=[{"from": "eu", "to": "us"}])
        assert [row[:2] for row in assigned(failover, Place(HERE), *EVERYWHERE)][-2:] == [
            (3, "us/a/1"),
            (4, "asia"),
        ]
        assert [row[0] for row in assigned(failover, Place("africa"), *EVERYWHERE)] == [0] * 5

    def test_zone_awareness_ranks_regions_alone(self) -> None:
        """Within the own region Envoy itself balances zones."""
        zones = nearness({"loadBalancer": {"zoneAwareLbSetting": {"failover": [{"from": "eu", "to": "us"}]}}})
        assert [row[:2] for row in assigned(zones, Place(HERE), *EVERYWHERE)] == [
            (0, "eu/a/1"),
            (0, "eu/a/2"),
            (0, "eu/b"),
            (1, "us/a/1"),
            (2, "asia"),
        ]
        assert nearness({"loadBalancer": {"zoneAwareLbSetting": {"enabled": False}}}) is None


class TestFailoverPriority:
    ENDPOINTS = (
        at("10.0.0.1", "eu", labels={"app": "a", "version": "v1"}),
        at("10.0.0.2", "eu", labels={"app": "a", "version": "v2"}),
        at("10.0.0.3", "us", labels={"app": "b", "version": "v1"}),
    )

    def test_labels_count_in_order(self) -> None:
        """A label counts only where those before it are equal; one locality may have several priorities."""
        preference = by_locality(failoverPriority=["app", "version"])
        place = Place("", (("app", "a"), ("version", "v1")))
        assert assigned(preference, place, *self.ENDPOINTS) == [
            (0, "eu", 1, ["10.0.0.1"]),
            (1, "eu", 1, ["10.0.0.2"]),
            (2, "us", 1, ["10.0.0.3"]),
        ]

    def test_a_value_takes_the_place_of_the_proxys(self) -> None:
        """With a value the proxy does not matter."""
        preference = by_locality(failoverPriority=["version=v2"])
        for place in (Place(), Place("eu", (("version", "v1"),))):
            assert [row[3] for row in assigned(preference, place, *self.ENDPOINTS)] == [
                ["10.0.0.2"],
                ["10.0.0.1"],
                ["10.0.0.3"],
            ]

    def test_where_something_runs_counts_as_labels(self) -> None:
        """Region, zone, sub-zone and network are compared as labels are."""
        keys = [
            "topology.kubernetes.io/region",
            "topology.kubernetes.io/zone",
            "topology.istio.io/subzone",
        ]
        place = Place("", tuple(zip(keys, ("eu", "a", "1"), strict=True)))
        preference = by_locality(failoverPriority=keys)
        assert [row[:2] for row in assigned(preference, place, *EVERYWHERE)] == [
            (0, "eu/a/1"),
            (1, "eu/a/2"),
            (2, "eu/b"),
            (3, "asia"),
            (3, "us/a/1"),
        ]

    def test_another_network_is_always_farther(self) -> None:
        """If the network is compared first, the other labels order each network, the own one before."""
        endpoints = (
            at("10.0.0.1", "", network="n1", labels={"app": "b"}),
            at("10.0.0.2", "", network="n2", labels={"app": "a"}),
            at("10.0.0.3", "", network="n1", labels={"app": "a"}),
            at("10.0.0.4", "", network="n2", labels={"app": "b"}),
        )
        preference = by_locality(failoverPriority=["topology.istio.io/network", "app"])
        place = Place("", (("app", "a"), ("topology.istio.io/network", "n1")))
        found = [row[3] for row in assigned(preference, place, *endpoints)]
        assert found == [["10.0.0.3"], ["10.0.0.1"], ["10.0.0.2"], ["10.0.0.4"]]

    def test_regions_order_what_labels_leave_equal(self) -> None:
        """With failover the tiers of localities stand within each rank of labels."""
        preference = by_locality(failoverPriority=["version"], failover=[{"from": "eu", "to": "us"}])
        place = Place("eu", (("version", "v1"),))
        found = [row[3] for row in assigned(preference, place, *self.ENDPOINTS)]
        assert found == [["10.0.0.1"], ["10.0.0.3"], ["10.0.0.2"]]


class TestDistribute:
    def test_localities_get_their_shares(self) -> None:
        """A share is divided by what endpoints weigh; localities that are not named get nothing."""
        preference = by_locality(
            distribute=[{"from": "eu/a/*", "to": {"eu/a/1": 70, "eu/a/2": 20, "us/*": 10}}]
        )
        endpoints = (*EVERYWHERE, at("10.0.0.6", "us/b", weight=3))
        assert assigned(preference, Place(HERE), *endpoints) == [
            (0, "eu/a/1", 700_000, ["10.0.0.1"]),
            (0, "eu/a/2", 200_000, ["10.0.0.2"]),
            (0, "us/a/1", 25_000, ["10.0.0.4"]),
            (0, "us/b", 75_000, ["10.0.0.6"]),
        ]

    def test_senders_that_are_not_named_see_all_alike(self) -> None:
        """Without an entry for the sender localities weigh what their endpoints weigh."""
        preference = by_locality(distribute=[{"from": "us", "to": {"us": 100}}])
        assert len(assigned(preference, Place(HERE), *EVERYWHERE)) == 5

    def test_the_first_entry_for_a_sender_counts(self) -> None:
        """An entry for everybody may stand last."""
        entries = [{"from": "eu/a", "to": {"us": 100}}, {"from": "*", "to": {"asia": 100}}]
        preference = by_locality(distribute=entries)
        assert [row[1] for row in assigned(preference, Place(HERE), *EVERYWHERE)] == ["us/a/1"]
        assert [row[1] for row in assigned(preference, Place("eu/b"), *EVERYWHERE)] == ["asia"]

    @given(
        st.dictionaries(st.sampled_from(["eu/a", "eu/b", "us/a", "asia"]), st.integers(1, 2**32 - 1)),
        st.integers(1, 99),
    )
    def test_shares_are_kept_whatever_endpoints_weigh(self, totals: dict[str, int], share: int) -> None:
        """What localities of one pattern weigh together is the share of that pattern, but for rounding."""
        found = weights((("eu/*", share), ("us", 100 - share)), totals)
        assert "asia" not in found
        for region, percent in (("eu", share), ("us", 100 - share)):
            members = [weight for place, weight in found.items() if place.startswith(region)]
            if members:
                assert sum(members) == pytest.approx(percent * 10_000, abs=len(members))


LOCALITIES = st.sampled_from(["", "eu", "eu/a", "eu/a/1", "eu/a/2", "eu/b", "us", "us/a", "asia/a/1"])


@given(LOCALITIES, LOCALITIES, LOCALITIES)
def test_nearer_is_never_behind(place: str, one: str, other: str) -> None:
    """An endpoint that has more of the proxy's locality in common has the lower rank, or the same."""
    rank = ranking(BY_LOCALITY, Place(place))
    assert rank is not None

    def common(locality: str) -> int:
        pairs = zip(f"{place}//".split("/")[:3], f"{locality}//".split("/")[:3], strict=True)
        count = 0
        for left, right in pairs:
            if left != right:
                break
            count += 1
        return count

    if common(one) > common(other):
        assert rank(at("10.0.0.1", one)) < rank(at("10.0.0.2", other))
    elif common(one) == common(other):
        assert rank(at("10.0.0.1", one)) == rank(at("10.0.0.2", other))


def test_what_services_prefer_themselves_is_of_their_own_network_first() -> None:
    """Then by zone and region, or by node, sub-zone, zone and region; where a network is not known, all are of the own."""
    endpoints = (
        at("10.0.0.1", "eu/a/1", network="west"),
        at("10.0.0.2", "us/a", network="east"),
        at("10.0.0.3", "eu/b"),
        at("10.0.0.4", "eu/a/2", network="east"),
        at("10.0.0.5", "eu/a/1", network="east", node="n"),
    )

    def order(spread: Spread, place: Place) -> list[int]:
        rank = ranking(BY_SPREAD[spread], place)
        assert rank is not None
        return [rank(each) for each in endpoints]

    assert order(Spread.SAME_ZONE, Place("eu/a/1", network="east")) == [4, 3, 1, 0, 0]
    assert order(Spread.SAME_ZONE, Place("eu/a/1")) == [0, 3, 1, 0, 0]
    assert order(Spread.SAME_NODE, Place("eu/a/1", network="east", node="n")) == [6, 5, 3, 2, 0]
    assert order(Spread.SAME_NODE, Place("eu/a/1", network="east")) == [5, 4, 2, 1, 0]
    zone = BY_SPREAD[Spread.SAME_ZONE]
    assert zone.seen_from(Place("eu/a/1", (("app", "a"),), node="n")) == Place("eu/a")
    assert BY_SPREAD[Spread.SAME_NODE].seen_from(Place("eu/a/1", node="n")) == Place("eu/a/1", node="n")
