"""What an etcd has no room for, and how it goes on."""

import asyncio
from pathlib import Path

import pytest

from storage.base import Full, Get, InvalidRequest, Put, RangeResult, TooLarge
from tests.contracts.store import take
from tests.lab.etcd import EtcdServer
from tests.lab.eventually import eventually

pytestmark = pytest.mark.e2e

KEY = b"/key"


async def test_a_request_that_is_too_large(tmp_path: Path) -> None:
    """What is beyond etcd's limit of a request is refused with its name, alone or in a transaction."""
    async with EtcdServer(tmp_path) as etcd, etcd.store() as store:
        watch = store.watch(KEY, start_revision=await store.put(KEY, b"1") + 1)
        for size in (1_600_000, 3_000_000, 20_000_000):
            with pytest.raises(TooLarge, match="--max-request-bytes"):
                await store.put(KEY, b"x" * size)
        with pytest.raises(TooLarge, match="--max-request-bytes"):
            await store.txn((), [Put(b"/%d" % number, b"x" * 100_000) for number in range(20)])
        written = await store.put(KEY, b"x" * 1_500_000)
        assert [batch.revision for batch in await take(watch, 1)] == [written]
        await watch.close()


async def test_a_transaction_of_more_than_etcd_was_told(tmp_path: Path) -> None:
    """Thousands of operations are one revision; an etcd that was told to take fewer says which of its settings that is."""
    async with EtcdServer(tmp_path) as etcd, etcd.store() as store:
        result = await store.txn((), [Put(b"/%05d" % number, b"%d" % number) for number in range(3000)])
        found = await store.range(b"/", b"0")
        assert {kv.mod_revision for kv in found.kvs} == {result.revision}
        read = await store.txn((), [Get(b"/%05d" % number) for number in range(1000)])
        values = [each.kvs[0].value for each in read.responses if isinstance(each, RangeResult)]
        assert values == [b"%d" % number for number in range(1000)]
    async with EtcdServer(tmp_path, name="few", flags=("--max-txn-ops", "10")) as etcd, etcd.store() as store:
        with pytest.raises(TooLarge, match="--max-txn-ops"):
            await store.txn((), [Put(b"/%d" % number, b"1") for number in range(20)])


async def test_odd_bytes(tmp_path: Path) -> None:
    """Keys and values of any bytes are kept, ranged and watched as they are; an empty key is refused."""
    odd = [b"\0", b"\0\0", b"/\xff", b"/\xff\xff", b"/\n\r\t", "/ä€𝄞".encode(), b"/ ", b"\xfe" * 300]
    async with EtcdServer(tmp_path) as etcd, etcd.store() as store:
        watch = store.watch(b"\0", b"\0", start_revision=2)
        for key in odd:
            await store.put(key, key)
        assert [kv.key for kv in (await store.range(b"\0", b"\0")).kvs] == sorted(odd)
        batches = await take(watch, len(odd))
        assert [event.kv.value for batch in batches for event in batch.events] == odd
        with pytest.raises(InvalidRequest, match="empty"):
            await store.put(b"", b"1")
        await watch.close()


async def test_a_full_etcd(tmp_path: Path) -> None:
    """An etcd that reached its quota refuses writes as Full; reads, watches and leases go on, and so do writes once its
    operator has made room and disarmed the alarm.
    """
    flags = ("--quota-backend-bytes", "4000000")
    async with EtcdServer(tmp_path, flags=flags) as etcd, etcd.store() as store:
        lease = await store.grant(60)
        first = await store.put(KEY, b"first", lease=lease)
        written: list[int] = []

        async def fill() -> None:
            while True:
                written.append(await store.put(b"/fill", b"x" * 500_000))

        with pytest.raises(Full, match="--quota-backend-bytes"):
            await asyncio.wait_for(fill(), 60)
        assert written
        with pytest.raises(Full):
            await store.put(KEY, b"small")
        with pytest.raises(Full):
            await store.grant(60)
        assert "NOSPACE" in (await store.status()).alarms
        found = await store.get(KEY)
        assert found is not None
        assert found.value == b"first"
        assert await store.keep_alive(lease) == 60
        watch = store.watch(KEY, start_revision=first)
        assert [batch.revision for batch in await take(watch, 1)] == [first]
        told = asyncio.create_task(take(watch, 1))
        assert (await store.delete(b"/fill"))[0] == written[-1] + 1
        await store.compact(written[-1] + 1)

        async def room() -> int:
            await etcd.etcdctl("defrag")
            await etcd.etcdctl("alarm", "disarm")
            try:
                return await store.put(KEY, b"second")
            except Full:
                return 0

        revision = await eventually(room, "writes go on")
        assert [batch.revision for batch in await told] == [revision]
        assert (await store.status()).alarms == ()
        await watch.close()
