"""What becomes of calls and watches when etcd loses members, its leader, its network, its quorum or its past."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from tests.lab.etcd import EtcdCluster, EtcdServer
from tests.lab.eventually import eventually
from tests.lab.netns import Machine
from tests.lab.switch import Switch, switched
from tests.storage.numbered import PREFIX, Numbered, numbered

pytestmark = pytest.mark.e2e

BOUND = 12.0
"""Seconds that no call takes longer than, whatever happens: twice the deadline, and some for a busy machine."""


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[EtcdCluster]:
    async with EtcdCluster(tmp_path) as cluster:
        yield cluster


@pytest.fixture
def switch() -> Iterator[Switch]:
    with switched(3) as switch:
        yield switch


@pytest.fixture
async def wired(tmp_path: Path, switch: Switch) -> AsyncIterator[EtcdCluster]:
    """A cluster on machines of its own."""
    async with EtcdCluster(tmp_path, machines=switch.machines) as cluster:
        yield cluster


Trouble = Callable[[EtcdCluster, EtcdServer, Numbered], Awaitable[None]]


async def killed(cluster: EtcdCluster, member: EtcdServer, traffic: Numbered) -> None:
    """Killed, missed, and started again."""
    await member.kill()
    await traffic.goes_on()
    await member.start()


async def paused(cluster: EtcdCluster, member: EtcdServer, traffic: Numbered) -> None:
    """Stopped, so that connections stay and nobody answers, and let go on."""
    member.pause()
    await traffic.goes_on()
    member.resume()


@pytest.mark.parametrize("trouble", [killed, paused])
@pytest.mark.parametrize("leads", [True, False], ids=["leader", "follower"])
async def test_one_of_three_in_trouble(cluster: EtcdCluster, trouble: Trouble, leads: bool) -> None:
    """With one of three killed or hanging, be it the leader or the one we talk to, writes and the watch go on elsewhere."""
    leader = await cluster.leader()
    member = leader if leads else cluster.but(leader)[0]
    async with (
        cluster.store(first=member) as store,
        cluster.store(first=member) as watching,
        numbered(store, watching) as traffic,
    ):
        await trouble(cluster, member, traffic)
        await traffic.goes_on()
    assert traffic.slowest < BOUND


async def test_quorum_lost(cluster: EtcdCluster) -> None:
    """With two of three gone every call ends in Unavailable in time; once they are back nothing is lost."""
    async with (
        cluster.store(first=cluster.members[0]) as store,
        cluster.store(first=cluster.members[0]) as watching,
        numbered(store, watching) as traffic,
    ):
        for member in cluster.members[1:]:
            await member.kill()
        refused = traffic.refused
        await eventually(lambda: traffic.refused > refused + 2, "writes are refused", timeout=30)
        for member in cluster.members[1:]:
            await member.start(wait=False)
        await traffic.goes_on()
    assert traffic.slowest < BOUND


def machine_of(cluster: EtcdCluster, switch: Switch, member: EtcdServer) -> Machine:
    """Where a member runs."""
    return switch.machines[cluster.members.index(member)]


@pytest.mark.parametrize("leads", [True, False], ids=["leader", "follower"])
async def test_network_cut(wired: EtcdCluster, switch: Switch, leads: bool) -> None:
    """When the network to a member falls silent, writes and the watch go on at another; and so when it is back."""
    leader = await wired.leader()
    member = leader if leads else wired.but(leader)[0]
    async with (
        wired.store(first=member) as store,
        wired.store(first=member) as watching,
        numbered(store, watching) as traffic,
    ):
        switch.cut(machine_of(wired, switch, member))
        await traffic.goes_on()
        switch.heal()
        await traffic.goes_on()
    assert traffic.slowest < BOUND


async def test_partitioned_member(wired: EtcdCluster, switch: Switch) -> None:
    """A member that we reach, but that lost touch with the others, ends the watch, which goes on elsewhere; so do calls."""
    leader = await wired.leader()
    member = wired.but(leader)[0]
    async with (
        wired.store(first=member) as store,
        wired.store(first=member) as watching,
        wired.store(first=leader) as steady,
        numbered(steady, watching) as traffic,
    ):
        others = [machine_of(wired, switch, other) for other in wired.but(member)]
        switch.cut_between(machine_of(wired, switch, member), others)
        await traffic.goes_on()
        began = asyncio.get_running_loop().time()
        assert await store.get(PREFIX + b"%08d" % 1)
        await store.put(b"/other", b"1")
        assert asyncio.get_running_loop().time() - began < BOUND
        switch.heal()
        await traffic.goes_on()
    assert traffic.refused == 0
