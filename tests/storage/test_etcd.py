"""The contract on a real etcd, of every release that is there."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from storage.base import Store
from storage.etcd import open_etcd
from tests.contracts.store import ALL, StoreMaker, WholeStoreContract, take
from tests.lab.etcd import EtcdServer, Release, release, releases
from tests.lab.eventually import eventually

pytestmark = pytest.mark.e2e


class TestEtcdStore(WholeStoreContract):
    @pytest.fixture(params=releases() or [None], ids=str)
    def version(self, request: pytest.FixtureRequest) -> Release:
        found: Release = request.param or release()
        return found

    @pytest.fixture
    async def maker(self, version: Release, tmp_path: Path) -> AsyncIterator[StoreMaker]:
        """An etcd for each test: the contract speaks of an empty store."""
        async with EtcdServer(tmp_path, version=version) as etcd:

            async def open_store() -> Store:
                return await open_etcd(etcd.settings())

            yield StoreMaker(open_store, asyncio.sleep)

    async def test_deletion_at_the_compaction(  # type: ignore[override]  # one fixture more
        self, store: Store, version: Release
    ) -> None:
        """A deletion at the compacted revision can still be watched, except in etcd 3.4, which forgets it soon."""
        if not version.version.startswith("3.4."):
            await super().test_deletion_at_the_compaction(store)
            return
        await store.put(b"a", b"1")
        deleted, _ = await store.delete(b"a")
        await store.compact(deleted)
        written = await store.put(b"b", b"1")

        async def forgotten() -> None:
            """It compacts when it gets round to it, a moment after it has answered."""
            watch = store.watch(ALL, ALL, start_revision=deleted)
            assert [batch.revision for batch in await take(watch, 1)] == [written]

        await eventually(forgotten, "the deletion is forgotten")
