"""What DestinationRules prefer, with requests through real Envoys at several places."""

from collections import Counter
from pathlib import Path

import pytest

from tests.e2e.town import Town, service, town
from tests.lab.eventually import eventually

pytestmark = pytest.mark.e2e

PLACES = {"here": "eu/a/1", "near": "eu/a/2", "close": "eu/b", "far": "us/a"}
QUICK = {
    "consecutive5xxErrors": 1,
    "interval": "50ms",
    "baseEjectionTime": "3s",
    "maxEjectionPercent": 100,
}


async def is_shared(made: Town, home: str, expected: dict[str, float], requests: int = 600) -> bool:
    """True if the sites get these parts of the requests, within five in a hundred."""
    found: Counter[str] = await made.ask(home, requests)
    assert {name: count / requests for name, count in found.items()} == pytest.approx(expected, abs=0.05)
    return True


async def test_requests_fail_over_and_come_back(tmp_path: Path) -> None:
    """Each place is served by its nearest site, when that fails by the next nearest, and by it again when it is well."""
    async with town(tmp_path, PLACES, ["eu/a/1", "us/a"]) as made:
        await made.reaches("eu/a/1", *PLACES, requests=40)
        assert await made.rule({"outlierDetection": QUICK}) == []
        await made.reaches("eu/a/1", "here")
        await made.reaches("us/a", "far")
        for ill, next_nearest in (("here", "near"), ("near", "close"), ("close", "far")):
            made.sites[ill].status = 503
            await made.reaches("eu/a/1", next_nearest)
        assert set(await made.ask("us/a", 12)) == {"far"}
        for well in ("here", "near", "close"):
            made.sites[well].status = 200
        await made.reaches("eu/a/1", "here")


async def test_a_site_that_is_gone_is_left_for_the_next(tmp_path: Path) -> None:
    """A region that is named to take over comes before the others; connections that are refused count as failures."""
    places = {"here": "eu/a", "far": "us/a", "farther": "asia/a"}
    async with town(tmp_path, places, ["eu/a"]) as made:
        over = {"localityLbSetting": {"failover": [{"from": "eu", "to": "asia"}]}}
        await made.rule({"outlierDetection": QUICK, "loadBalancer": over})
        await made.reaches("eu/a", "here")
        await made.sites["here"].stop()
        await made.reaches("eu/a", "farther")
        await made.sites["farther"].stop()
        await made.reaches("eu/a", "far")
        await made.sites["here"].start()
        await made.reaches("eu/a", "here")


async def test_localities_get_their_shares(tmp_path: Path) -> None:
    """Requests are divided as the entry for the caller's place says; another place has another entry, or none."""
    async with town(tmp_path, PLACES, ["eu/a/1", "us/a"]) as made:
        distribute = [
            {"from": "eu/a/*", "to": {"eu/a/1": 60, "eu/a/2": 10, "us/*": 30}},
            {"from": "us", "to": {"eu": 100}},
        ]
        balancer = {"simple": "ROUND_ROBIN", "localityLbSetting": {"distribute": distribute}}
        assert await made.rule({"loadBalancer": balancer}) == []
        shares = {"here": 0.6, "near": 0.1, "far": 0.3}
        await eventually(lambda: is_shared(made, "eu/a/1", shares), "shares of eu/a/1 hold")
        thirds = dict.fromkeys(("here", "near", "close"), 1 / 3)
        await eventually(lambda: is_shared(made, "us/a", thirds), "shares of us/a hold")


async def test_failover_without_outlier_detection_is_told(tmp_path: Path) -> None:
    """It is applied, and prefers what is near; the remark says what would make it leave a site that fails."""
    async with town(tmp_path, PLACES, ["eu/b"]) as made:
        (remark,) = await made.rule({"loadBalancer": {"localityLbSetting": {}}})
        assert remark.startswith(
            "spec.trafficPolicy.loadBalancer.localityLbSetting: fails over from endpoints"
        )
        assert "give outlierDetection too" in remark
        await made.reaches("eu/b", "close")


async def test_likeness_goes_before_distance(tmp_path: Path) -> None:
    """Sites that have the caller's label come first, wherever they are; a value in the rule takes its place."""
    labels = {"far": {"version": "v2"}, "close": {"version": "v2"}, "home-0": {"version": "v2"}}
    async with town(tmp_path, PLACES, ["eu/a/1"], labels=labels) as made:

        async def prefer(*entries: str) -> None:
            setting = {"failoverPriority": list(entries)}
            await made.rule({"outlierDetection": QUICK, "loadBalancer": {"localityLbSetting": setting}})

        await prefer("version")
        await made.reaches("eu/a/1", "close", "far")
        await prefer("version", "topology.kubernetes.io/region")
        await made.reaches("eu/a/1", "close")
        await prefer("topology.kubernetes.io/region=us")
        await made.reaches("eu/a/1", "far")
        made.sites["far"].status = 500
        await made.reaches("eu/a/1", "here", "near", "close")


async def test_zones_keep_what_they_can_carry(tmp_path: Path) -> None:
    """With sites for its callers a zone keeps its requests; with fewer the rest goes to the other zone, none far away."""
    places = {"a": "eu/a", "b": "eu/b", "b2": "eu/b", "b3": "eu/b", "far": "us/a"}
    async with town(tmp_path, places, ["eu/a", "eu/b"], zone_aware=True) as made:
        await made.rule(
            {"loadBalancer": {"simple": "ROUND_ROBIN", "zoneAwareLbSetting": {"minClusterSize": 1}}}
        )
        rest = dict.fromkeys(("b", "b2", "b3"), 0.5 / 3)
        await eventually(lambda: is_shared(made, "eu/a", {"a": 0.5, **rest}), "zone a keeps half")
        await made.reaches("eu/b", "b", "b2", "b3", requests=60)
        fewer = {"a": "eu/a", "b": "eu/b", "far": "us/a"}
        await made.apply(service(fewer, made.sites, {}))
        await made.reaches("eu/a", "a", requests=60)
        await made.rule({"loadBalancer": {"zoneAwareLbSetting": {"enabled": False}}})
        await made.reaches("eu/a", "a", "b", "far", requests=60)


async def test_proxies_that_do_not_know_their_like_are_told(tmp_path: Path) -> None:
    """Without --zone-aware a rule that balances zones has a remark; regions are ranked all the same."""
    async with town(tmp_path, {"a": "eu/a", "b": "eu/b", "far": "us/a"}, ["eu/a"]) as made:
        await made.rule({"loadBalancer": {"zoneAwareLbSetting": {"minClusterSize": 1}}})
        await made.reaches("eu/a", "a", "b", requests=40)
        told = await made.daemon.xdsctl("problems", check=False)
        assert "does not balance zones for some proxies of namespace default" in told
