"""Several daemons on one etcd, while members of it and daemons are killed under traffic and writes."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

import pytest
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest

from tests.e2e.asking import accepted, ask, cluster_of, encoded, service
from tests.e2e.fleet import running_fleet
from tests.e2e.subscriber import Subscriber
from tests.lab.daemon import Daemon
from tests.lab.etcd import EtcdCluster, EtcdServer
from tests.lab.eventually import eventually
from xdsd.snapshot import CLUSTER, ENDPOINT

pytestmark = pytest.mark.e2e

KILLS = 50


async def test_an_etcd_that_loses_its_quorum_costs_no_request(tmp_path: Path) -> None:
    """It loses its leader, then its quorum, then gets both back: no request fails, no acknowledged write is lost, and every
    proxy has the last one.
    """
    async with (
        EtcdCluster(tmp_path) as cluster,
        running_fleet(tmp_path, cluster.address, 2) as fleet,
    ):
        async with fleet.writer.writing():
            await fleet.writer.more(20)
            leader = await cluster.leader()
            await leader.kill()
            await fleet.writer.more(20)
            second, third = cluster.but(leader)
            await second.kill()
            await fleet.writer.refused()
            await fleet.traffic(100)
            await second.start(wait=False)
            await fleet.writer.more(20)
            await leader.start()
            await fleet.writer.more(20)
            await third.kill()
            await fleet.writer.more(20)
            await third.start()
            await fleet.traffic(100)
        await fleet.converged()
        assert fleet.failures() == []


async def test_daemons_that_are_killed_in_turn_cost_no_request(tmp_path: Path) -> None:
    """Fifty times one of two is killed while the other serves: no request fails, no acknowledged write is lost, and every
    proxy has the last one.
    """
    async with (
        EtcdServer(tmp_path) as etcd,
        running_fleet(tmp_path, f"etcd://127.0.0.1:{etcd.port}", 2) as fleet,
    ):
        async with fleet.writer.writing():
            for turn in range(KILLS):
                victim = fleet.daemons[turn % 2]
                await victim.kill()
                await fleet.writer.more(3)
                await victim.start()
                await fleet.traffic(20)
        await fleet.converged()
        assert fleet.failures() == []


async def test_a_proxy_that_moves_is_sent_nothing_again(tmp_path: Path) -> None:
    """Another daemon has the same versions: it answers what a proxy already has with nothing, and goes on from there."""
    async with EtcdServer(tmp_path) as etcd:
        store = {"store": f"etcd://127.0.0.1:{etcd.port}"}
        (one, two) = (Daemon(tmp_path / name, store) for name in ("one", "two"))
        async with one, two:
            await put(one, *(f"s{number}" for number in range(50)))
            async with Subscriber(two.xds_address, "witness") as witness:
                await eventually(lambda: len(witness.resources[ENDPOINT]) == 50, "all endpoints elsewhere")
            async with Subscriber(one.xds_address, "mover") as before:
                await eventually(lambda: len(before.resources[ENDPOINT]) == 50, "all endpoints")
            async with Resumed(two.xds_address, "mover", before) as after:
                await put(two, "later")
                await eventually(lambda: cluster_of("later") in after.resources[CLUSTER], "what is new")
            assert after.fresh == {cluster_of("later")}
            assert before.resources[CLUSTER].items() <= after.resources[CLUSTER].items()


async def put(daemon: Daemon, *names: str) -> None:
    """Declares services."""
    objects = encoded([service(name) for name in names])
    accepted(await ask(daemon, lambda client: client.apply(objects)))


class Resumed(Subscriber):
    """A proxy that comes with what it has; ``fresh`` are the clusters and endpoints that it was sent."""

    def __init__(self, address: str, name: str, before: Subscriber) -> None:
        super().__init__(address, name)
        self.resources = {url: dict(has) for url, has in before.resources.items()}
        self.fresh: set[str] = set()

    async def asks(self, type_url: str, names: Iterable[str] = ()) -> None:
        """With its first request of a type it tells the versions that it has, and subscribes to them."""
        if names:
            await super().asks(type_url, names)
            return
        has = self.resources[type_url]
        request = DeltaDiscoveryRequest(type_url=type_url, initial_resource_versions=has)
        request.resource_names_subscribe.extend(has if type_url == ENDPOINT else ())
        await self.sends(request)

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        await self.asks(ENDPOINT)
        return self

    async def _take(self, response: Any) -> None:
        self.fresh |= {each.name for each in response.resources}
        await super()._take(response)
