"""What becomes of calls and watches when etcd loses members, its leader, its network, its quorum or its past."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from storage.base import Compacted, FutureRevision, LeaseNotFound, Store, Unavailable
from storage.etcd import EtcdSettings, open_etcd
from tests.contracts.store import take
from tests.lab.etcd import EtcdCluster, EtcdServer, store_on
from tests.lab.eventually import eventually
from tests.lab.netns import Machine
from tests.lab.switch import Switch, switched
from tests.storage.numbered import PREFIX, Numbered, numbered
from tests.storage.test_election import KEY as ELECTED
from tests.storage.test_election import Candidates, standing

pytestmark = pytest.mark.e2e

KEY = b"/key"
DEADLINE = 5.0
"""Seconds that a call may take while there is trouble."""
BOUND = 8.0
"""Seconds that no call takes longer than, whatever happens: the deadline, and some to hear of it."""


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
        cluster.store(first=member, deadline=DEADLINE) as store,
        cluster.store(first=member) as watching,
        numbered(store, watching) as traffic,
    ):
        await trouble(cluster, member, traffic)
        await traffic.goes_on()
    assert traffic.slowest < BOUND


@pytest.mark.parametrize("hangs", [False, True], ids=["killed", "paused"])
async def test_the_only_one(tmp_path: Path, hangs: bool) -> None:
    """An etcd that is alone, and is killed and started again or hangs for a while, loses nothing that it acknowledged."""
    async with (
        EtcdServer(tmp_path) as etcd,
        etcd.store(deadline=1.0) as store,
        etcd.store(patience=1.0) as watching,
        numbered(store, watching) as traffic,
    ):
        if hangs:
            etcd.pause()
        else:
            await etcd.kill()
        refused = traffic.refused
        await eventually(lambda: traffic.refused > refused + 1, "writes are refused")
        if hangs:
            etcd.resume()
        else:
            await etcd.start(wait=False)
        await traffic.goes_on()
    assert traffic.slowest < BOUND


async def test_quorum_lost(cluster: EtcdCluster) -> None:
    """With two of three gone every call ends in Unavailable in time; once they are back nothing is lost."""
    async with (
        cluster.store(first=cluster.members[0], deadline=2.0) as store,
        cluster.store(first=cluster.members[0], patience=2.0) as watching,
        numbered(store, watching) as traffic,
    ):
        for member in cluster.members[1:]:
            await member.kill()
        refused = traffic.refused
        await eventually(lambda: traffic.refused > refused + 2, "writes are refused")
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
        wired.store(first=member, deadline=DEADLINE) as store,
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
        wired.store(first=member, deadline=DEADLINE) as store,
        wired.store(first=member) as watching,
        wired.store(first=leader) as steady,
        numbered(steady, watching) as traffic,
    ):
        term = (await steady.status()).term
        others = [machine_of(wired, switch, other) for other in wired.but(member)]
        switch.cut_between(machine_of(wired, switch, member), others)
        await traffic.goes_on()
        assert await store.get(PREFIX + b"%08d" % 1)
        await store.put(b"/other", b"1")
        # Over an election, which a member that stood still calls, a write may be lost; as when the other comes back.
        assert traffic.refused == 0 or (await steady.status()).term != term
        switch.heal()
        await traffic.goes_on()


async def test_silent_watch_of_a_silent_member(wired: EtcdCluster, switch: Switch) -> None:
    """A watch without events finds out too that its member is cut off, and tells what happens elsewhere since."""
    leader = await wired.leader()
    member = wired.but(leader)[0]
    async with wired.store(first=member) as watching, wired.store(first=leader) as store:
        watch = watching.watch(KEY, start_revision=await store.put(KEY, b"0"))
        assert len(await take(watch, 1)) == 1
        told = asyncio.create_task(take(watch, 1))
        switch.cut(machine_of(wired, switch, member))
        revision = await store.put(KEY, b"1")
        assert [batch.revision for batch in await told] == [revision]
        await watch.close()


async def test_compaction_under_a_watch(cluster: EtcdCluster) -> None:
    """A watch whose revision was compacted while its member was away is told so, and which revision is kept."""
    leader = await cluster.leader()
    member = cluster.but(leader)[0]
    async with cluster.store(first=leader) as store, member.store(patience=60.0) as watching:
        first = await store.put(KEY, b"0")
        watch = watching.watch(KEY, start_revision=first)
        assert [batch.revision for batch in await take(watch, 1)] == [first]
        await member.kill()
        for number in range(1, 20):
            newest = await store.put(KEY, b"%d" % number)
        await store.compact(newest - 5)
        await member.start()
        with pytest.raises(Compacted) as caught:
            await take(watch, 1)
        assert caught.value.compact_revision == newest - 5
        resumed = watching.watch(KEY, start_revision=caught.value.compact_revision)
        revisions = [batch.revision for batch in await take(resumed, 6)]
        assert revisions == list(range(newest - 5, newest + 1))
        await watch.close()
        await resumed.close()


async def test_calls_beyond_history(tmp_path: Path) -> None:
    """What was compacted is Compacted with the oldest revision that is kept; what is yet to come is FutureRevision, and a
    watch waits for it.
    """
    async with EtcdServer(tmp_path) as etcd, etcd.store() as store:
        revisions = [await store.put(KEY, b"%d" % number) for number in range(10)]
        await store.compact(revisions[4])
        with pytest.raises(Compacted) as caught:
            await store.get(KEY, revision=revisions[2])
        assert caught.value.compact_revision == revisions[4]
        with pytest.raises(FutureRevision):
            await store.get(KEY, revision=revisions[-1] + 5)
        watch = store.watch(KEY, start_revision=revisions[-1] + 3)
        told = asyncio.create_task(take(watch, 1))
        for number in range(4):
            newest = await store.put(KEY, b"%d" % number)
        assert [batch.revision for batch in await told] == [newest - 1]
        await watch.close()


async def test_leases_over_an_absence(tmp_path: Path) -> None:
    """A lease outlives an etcd that is gone for longer than it lasts: its time begins again, and ends as ever."""
    async with EtcdServer(tmp_path) as etcd, etcd.store(deadline=DEADLINE) as store:
        kept, left = await store.grant(5), await store.grant(5)
        await store.put(b"/kept", b"1", lease=kept)
        await store.put(b"/left", b"1", lease=left)
        gone = asyncio.get_running_loop().time()
        await etcd.kill()
        with pytest.raises(Unavailable):
            await store.keep_alive(kept)
        await eventually(lambda: asyncio.get_running_loop().time() > gone + 6)
        await etcd.start()
        found = await store.range(b"/", b"0")
        assert [kv.key for kv in found.kvs] == [b"/kept", b"/left"]

        async def ended() -> bool:
            assert await store.keep_alive(kept) == 5
            return await store.get(b"/left") is None

        await eventually(ended, "the lease that nobody kept ends", every=0.3)
        assert await store.get(b"/kept") is not None
        with pytest.raises(LeaseNotFound):
            await store.keep_alive(left)


async def reads(store: Store, key: bytes, value: bytes) -> bool:
    """Whether a store can be reached, and has this value."""
    try:
        found = await store.get(key)
    except Unavailable:
        return False
    return found is not None and found.value == value


@pytest.mark.parametrize("holds", ["follower", "leader"])
async def test_a_holder_that_is_partitioned(wired: EtcdCluster, switch: Switch, holds: str) -> None:
    """Who holds a key through a member that lost the others stops before another holds it, and never do two hold it."""
    ttl = 4
    leader = await wired.leader()
    member = leader if holds == "leader" else wired.but(leader)[0]
    others = wired.but(member)
    candidates = Candidates()
    async with (
        member.store(deadline=1.0) as cut_off,
        store_on(others) as majority,
        standing(cut_off, "cut off", candidates, ttl),
    ):
        await eventually(lambda: candidates.working == ["cut off"])
        async with standing(majority, "majority", candidates, ttl):
            switch.cut_between(
                machine_of(wired, switch, member), [machine_of(wired, switch, each) for each in others]
            )
            await eventually(lambda: candidates.working == ["majority"])
            assert candidates.most == 1
            switch.heal()

            async def agreed() -> bool:
                # A member that comes back may call an election, over which the lease of who works now may run out.
                return len(candidates.working) == 1 and await reads(
                    cut_off, ELECTED, candidates.working[0].encode()
                )

            await eventually(agreed, "the member that was cut off knows who works")
        await eventually(lambda: candidates.working == ["cut off"])
    assert candidates.most == 1


@asynccontextmanager
async def far_away(port: int, seconds: float) -> AsyncIterator[int]:
    """The port of a way to a local port on which everything arrives so much later, in both directions."""
    loop = asyncio.get_running_loop()
    writers: list[asyncio.StreamWriter] = []

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            loop.call_later(seconds, writer.write, data)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", port)
        writers.extend((writer, back))
        async with asyncio.TaskGroup() as ways:
            ways.create_task(carry(reader, back))
            ways.create_task(carry(there, writer))

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in writers:
            writer.close()


async def test_an_etcd_that_is_far_away(tmp_path: Path) -> None:
    """An etcd whose answers take more than a second, as from a machine that is busy, is reached, and watched."""
    async with EtcdServer(tmp_path) as etcd, far_away(etcd.port, 0.6) as port:
        store = await open_etcd(EtcdSettings((("127.0.0.1", port),)))
        revision = await store.put(KEY, b"1")
        watch = store.watch(KEY, start_revision=revision)
        assert [batch.revision for batch in await take(watch, 1)] == [revision]
        await watch.close()
        await store.close()
