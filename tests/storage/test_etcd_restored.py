"""An etcd that is restored from a snapshot: its revision goes back, and what followed it has to notice."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from storage.base import Compacted
from storage.etcd import EtcdSettings, EtcdStore, open_etcd
from tests.contracts.store import take
from tests.intents.objects import NOW, apply, entry, refs
from tests.lab.daemon import Daemon
from tests.lab.etcd import EtcdServer, Release, release, releases
from tests.lab.eventually import eventually
from tests.lab.relay import Relay
from xdsd.intents import IntentChange, Intents

pytestmark = pytest.mark.e2e

KEY = b"/key"


@pytest.fixture
async def etcd(tmp_path: Path) -> AsyncIterator[EtcdServer]:
    async with EtcdServer(tmp_path) as etcd:
        yield etcd


@pytest.fixture
async def store(etcd: EtcdServer) -> AsyncIterator[EtcdStore]:
    """As patient as a restore takes."""
    async with etcd.store(patience=60.0) as store:
        yield store


async def saved(etcd: EtcdServer, folder: Path) -> Path:
    """A snapshot."""
    path = folder / "snapshot"
    await etcd.etcdctl("snapshot", "save", str(path))
    return path


async def test_watch_of_a_restored_etcd(etcd: EtcdServer, store: EtcdStore, tmp_path: Path) -> None:
    """A watch that has followed beyond the snapshot is told to resync, and does not wait for revisions that are gone."""
    kept = await store.put(KEY, b"kept")
    snapshot = await saved(etcd, tmp_path)
    for number in range(10):
        lost = await store.put(KEY, b"%d" % number)
    watch = store.watch(KEY, start_revision=lost)
    assert [batch.revision for batch in await take(watch, 1)] == [lost]
    await etcd.restore(snapshot)
    with pytest.raises(Compacted) as caught:
        await take(watch, 1)
    assert caught.value.compact_revision == kept
    await watch.close()
    resumed = store.watch(KEY, start_revision=kept + 1)
    written = await store.put(KEY, b"after")
    assert [batch.revision for batch in await take(resumed, 1)] == [written]
    await resumed.close()


async def followed(changes: AsyncIterator[IntentChange], count: int) -> Sequence[IntentChange]:
    """So many changes that are not empty."""
    found: list[IntentChange] = []
    async with asyncio.timeout(60):
        while len(found) < count:
            change = await anext(changes)
            found += [change] if change else []
    return found


async def test_intents_of_a_restored_etcd(etcd: EtcdServer, store: EtcdStore, tmp_path: Path) -> None:
    """Whoever follows what is declared is told what the restore undid, and what it did not touch is not told again."""
    intents = Intents(store)
    await apply(intents, entry("same"), entry("changed", port=80))
    snapshot = await saved(etcd, tmp_path)
    await apply(intents, entry("changed", port=81), entry("new"))
    why: list[str] = []
    async with aclosing(intents.follow(unavailable=why.append)) as changes:
        (first,) = await followed(changes, 1)
        assert first.complete
        await etcd.restore(snapshot)
        (undone,) = await followed(changes, 1)
        assert refs(undone.upserts) == [entry("changed").ref]
        assert undone.upserts[0].spec.ports[0].number == 80
        assert undone.removed == (entry("new").ref,)
        await apply(intents, entry("later"))
        (later,) = await followed(changes, 1)
        assert refs(later.upserts) == [entry("later").ref]
    assert why == []


async def test_a_restore_that_changes_no_object(etcd: EtcdServer, store: EtcdStore, tmp_path: Path) -> None:
    """Whoever follows is told that the revision is a lower one, though nothing that is declared differs."""
    intents = Intents(store)
    applied = await apply(intents, entry("same"))
    snapshot = await saved(etcd, tmp_path)
    async with aclosing(intents.follow(unavailable=lambda _: None)) as changes:
        await followed(changes, 1)
        await apply(intents, entry("fleeting"))
        await intents.delete([entry("fleeting").ref], now=NOW)
        (_, removed) = await followed(changes, 2)
        assert removed.revision > applied.revision
        await etcd.restore(snapshot)
        async with asyncio.timeout(60):
            change = await anext(changes)
    assert change == IntentChange(applied.revision)


async def test_a_daemon_of_a_restored_etcd(etcd: EtcdServer, store: EtcdStore, tmp_path: Path) -> None:
    """What it has compiled is of the revision that etcd went back to; what is written then is waited for in earnest."""
    async with Daemon(tmp_path, {"store": f"etcd://{etcd.host}:{etcd.port}"}) as daemon:

        async def status() -> Any:
            return json.loads(await daemon.xdsctl("status", "-o", "json", check=False))

        await apply(Intents(store), entry("kept"))
        snapshot = await saved(etcd, tmp_path)
        lost = await apply(Intents(store), *(entry(f"lost-{number}") for number in range(3)))
        for number in range(20):
            lost = await apply(Intents(store), entry("kept", port=1000 + number))
        await daemon.xdsctl("wait", "--for=synced")
        assert (await status())["compiledRevision"] >= lost.revision
        await etcd.restore(snapshot)

        async def gone_back() -> None:
            try:
                found = await status()
                compiled, stored = found["compiledRevision"], found["store"]["revision"]
            except (ValueError, KeyError) as error:  # the store is not reached again yet
                raise AssertionError(f"there is no status: {error!r}") from error
            assert 0 < compiled <= stored < lost.revision

        await eventually(gone_back, "status tells the lower revision")
        (line,) = daemon.events("the store went back in time")
        assert line["compiled_revision"] >= lost.revision > line["revision"]
        await daemon.xdsctl("wait", "--for=synced")
        ahead = str(lost.revision)
        said = await daemon.xdsctl(
            "wait", "--for=synced", "--revision", ahead, "--timeout", "1s", check=False
        )
        assert f"not in sync with revision {ahead}" in said


async def test_revisions_that_mean_something_else(etcd: EtcdServer, store: EtcdStore, tmp_path: Path) -> None:
    """What is written after a restore, at the revision of a write that is undone, is told as what it is."""
    await apply(Intents(store), entry("changed", port=80))
    snapshot = await saved(etcd, tmp_path)
    undone = await apply(Intents(store), entry("changed", port=81))
    why: list[str] = []
    async with Relay(etcd.port) as relay:
        following = await open_etcd(EtcdSettings((("127.0.0.1", relay.port),), patience=0.5, deadline=0.5))
        async with aclosing(Intents(following).follow(unavailable=why.append, retry=0.1)) as changes:
            (first,) = await followed(changes, 1)
            assert first.upserts[0].spec.ports[0].number == 81
            told = asyncio.create_task(followed(changes, 1))
            why.clear()
            await relay.cut()
            await eventually(lambda: why, "the outage is told")
            await etcd.restore(snapshot)
            other = await apply(Intents(store), entry("changed", port=82))
            assert other.revision == undone.revision
            await relay.mend()
            (change,) = await told
        await following.close()
        assert [obj.spec.ports[0].number for obj in change.upserts] == [82]


@pytest.mark.parametrize("version", releases() or [None], ids=str)
async def test_a_restore_of_each_release(version: Release | None, tmp_path: Path) -> None:
    """A watch is told to resync by each release, also where a restore leaps ahead and marks what was before as compacted."""
    version = version or release()
    # It can be asked of those before too, but not of all of them.
    leaps = not version.version.startswith(("3.4.", "3.5."))
    flags = ("--bump-revision", "1000000", "--mark-compacted") if leaps else ()
    async with EtcdServer(tmp_path, version=version) as etcd, etcd.store(patience=60.0) as store:
        kept = await store.put(KEY, b"kept")
        snapshot = await saved(etcd, tmp_path)
        lost = await store.put(KEY, b"lost")
        watch = store.watch(KEY, start_revision=lost)
        assert [batch.revision for batch in await take(watch, 1)] == [lost]
        await etcd.restore(snapshot, *flags)
        with pytest.raises(Compacted) as caught:
            await take(watch, 1)
        await watch.close()
        assert caught.value.compact_revision >= (1_000_000 if leaps else kept)
        found = await store.get(KEY)
        assert found is not None
        assert found.value == b"kept"
        resumed = store.watch(KEY, start_revision=await store.revision() + 1)
        written = await store.put(KEY, b"after")
        assert [batch.revision for batch in await take(resumed, 1)] == [written]
        await resumed.close()
