"""A store that is an etcd, 3.4 to 3.6, on ``aetcd``'s messages and stubs.

``aetcd.Client`` itself is not used: it speaks plaintext to one host, and its watcher does not tell revisions apart. Reads
are linearizable. A transaction of more operations than etcd takes is sent as transactions inside one, which are one
revision all the same.
"""

import asyncio
import sys
from collections.abc import Callable, Sequence
from typing import Any

import grpc
from aetcd import rpc

from storage.base import (
    Compacted,
    Compare,
    Delete,
    Get,
    InvalidRequest,
    KeyValue,
    Lease,
    LeaseNotFound,
    Operation,
    Put,
    RangeResult,
    StoreStatus,
    TxnResult,
    Unavailable,
)
from storage.etcd_credentials import EtcdTls, EtcdTlsFiles
from storage.etcd_endpoints import Endpoints, EtcdSettings, Member, Metadata
from storage.etcd_watch import EtcdWatch, History
from storage.etcd_wire import (
    delete_request,
    flattened,
    key_value,
    nested,
    put_request,
    range_request,
    range_result,
    txn_request,
    txn_result,
)
from storage.limits import Limits, check_request

__all__ = ["EtcdSettings", "EtcdStore", "EtcdTls", "EtcdTlsFiles", "open_etcd"]

Message = Any  # aetcd's generated messages carry no type information

_UNLIMITED = Limits(key=sys.maxsize, value=sys.maxsize, transaction=sys.maxsize, operations=sys.maxsize)
"""How much etcd takes is etcd's affair; what no store takes is refused here, since old ones let some of it pass."""

OPERATIONS = 128
"""The most operations that etcd takes in a transaction unless it is told otherwise (--max-txn-ops)."""


async def open_etcd(
    settings: EtcdSettings, unavailable: Callable[[str], None] = lambda _: None
) -> "EtcdStore":
    """The store; an etcd that cannot be reached now is asked again with each call, and ``unavailable`` told why as soon as
    each member was asked once. Raises Denied, for files too that are not what they should be.
    """
    store = EtcdStore(settings)
    try:
        await store.probe()
    except Unavailable as error:
        unavailable(str(error))
        return store
    except BaseException:
        await store.close()
        raise
    return store


class EtcdStore:
    """``storage.base.Store``; made by ``open_etcd``."""

    def __init__(self, settings: EtcdSettings) -> None:
        self._settings = settings
        self._endpoints = Endpoints(settings)
        self._history = History()
        self._watches: set[EtcdWatch] = set()

    async def revision(self) -> int:
        return (await self.range(self._settings.probe, count_only=True)).revision

    async def probe(self) -> None:
        """Asks each member once, until one answers. Raises Unavailable, Denied."""
        await self._kv(
            "Range", range_request(Get(self._settings.probe, count_only=True)), reads=True, once=True
        )

    async def get(self, key: bytes, *, revision: int = 0) -> KeyValue | None:
        found = await self.range(key, revision=revision)
        return found.kvs[0] if found.kvs else None

    async def range(
        self,
        key: bytes,
        range_end: bytes | None = None,
        *,
        limit: int = 0,
        revision: int = 0,
        keys_only: bool = False,
        count_only: bool = False,
    ) -> RangeResult:
        request = range_request(Get(key, range_end, limit, revision, keys_only, count_only))
        answer = await self._kv("Range", request, reads=True)
        return range_result(answer, answer.header.revision)

    async def put(self, key: bytes, value: bytes, *, lease: int = 0) -> int:
        answer = await self._kv("Put", put_request(Put(key, value, lease)))
        revision: int = answer.header.revision
        return revision

    async def delete(self, key: bytes, range_end: bytes | None = None) -> tuple[int, tuple[KeyValue, ...]]:
        answer = await self._kv("DeleteRange", delete_request(Delete(key, range_end)))
        return answer.header.revision, tuple(map(key_value, answer.prev_kvs))

    async def txn(
        self,
        compare: Sequence[Compare],
        success: Sequence[Operation],
        failure: Sequence[Operation] = (),
    ) -> TxnResult:
        check_request(compare, (success, failure), _UNLIMITED)
        inner, levels = nested(success, OPERATIONS)
        other, other_levels = nested(failure, OPERATIONS)
        reads = all(isinstance(each, Get) for each in (*success, *failure))
        answer = await self._kv("Txn", txn_request(compare, inner, other), reads=reads)
        result = txn_result(answer, answer.header.revision)
        return flattened(result, levels if result.succeeded else other_levels)

    def watch(
        self, key: bytes, range_end: bytes | None = None, *, start_revision: int = 0, previous: bool = False
    ) -> EtcdWatch:
        return EtcdWatch(
            self._endpoints,
            self._history,
            self.revision,
            (key, range_end),
            start_revision,
            previous=previous,
            patience=self._settings.patience,
        )

    async def grant(self, ttl: int, lease: int = 0) -> int:
        if ttl < 1 or lease < 0:
            raise InvalidRequest(
                f"a lease needs a ttl of at least 1 second and an id above 0, not {ttl} and {lease}"
            )
        answer = await self._lease("LeaseGrant", rpc.LeaseGrantRequest(TTL=ttl, ID=lease))
        granted: int = answer.ID
        return granted

    async def keep_alive(self, lease: int) -> int:
        async def ask(member: Member, metadata: Metadata, seconds: float) -> Message:
            stream = member.lease.LeaseKeepAlive(metadata=metadata, timeout=seconds)
            try:
                await stream.write(rpc.LeaseKeepAliveRequest(ID=lease))
                return await stream.read()
            finally:
                stream.cancel()

        answer = await self._endpoints.call(ask, reads=True)
        if answer is grpc.aio.EOF:  # type: ignore[attr-defined]  # missing in the stubs alone
            raise Unavailable("etcd ended the stream that keeps a lease alive")
        if answer.TTL <= 0:
            raise _no_lease(lease)
        ttl: int = answer.TTL
        return ttl

    async def revoke(self, lease: int) -> None:
        await self._lease("LeaseRevoke", rpc.LeaseRevokeRequest(ID=lease))

    async def time_to_live(self, lease: int) -> Lease:
        answer = await self._lease(
            "LeaseTimeToLive", rpc.LeaseTimeToLiveRequest(ID=lease, keys=True), reads=True
        )
        if answer.TTL < 0:
            raise _no_lease(lease)
        return Lease(lease, answer.grantedTTL, answer.TTL, tuple(sorted(answer.keys)))

    async def leases(self) -> tuple[int, ...]:
        answer = await self._lease("LeaseLeases", rpc.LeaseLeasesRequest(), reads=True)
        return tuple(sorted(each.ID for each in answer.leases))

    async def compact(self, revision: int) -> None:
        await self._kv("Compact", rpc.CompactionRequest(revision=revision))

    async def status(self) -> StoreStatus:
        async def ask(member: Member, metadata: Metadata, seconds: float) -> Message:
            status, cluster, alarms = await asyncio.gather(
                _status(member, metadata, seconds),
                member.cluster.MemberList(rpc.MemberListRequest(), metadata=metadata, timeout=seconds),
                member.maintenance.Alarm(rpc.AlarmRequest(), metadata=metadata, timeout=seconds),
            )
            return status, cluster, alarms

        status, cluster, alarms = await self._endpoints.call(ask, reads=True)
        revision = await self.revision()  # a member's own may lag
        header = status.header if status.version else cluster.header
        urls = {member.ID: ",".join(member.clientURLs) for member in cluster.members}
        return StoreStatus(
            kind="etcd",
            version=status.version,
            revision=revision,
            compacted=0,
            size=status.dbSize,
            used=status.dbSizeInUse or status.dbSize,
            cluster=header.cluster_id,
            member=header.member_id,
            term=status.raftTerm or header.raft_term,
            leader=urls.get(status.leader, ""),
            members=tuple(urls[number] for number in sorted(urls)),
            alarms=tuple(rpc.AlarmType.Name(each.alarm) for each in alarms.alarms),
        )

    async def close(self) -> None:
        await self._endpoints.close()

    async def _kv(self, method: str, request: Message, *, reads: bool = False, once: bool = False) -> Message:
        async def ask(member: Member, metadata: Metadata, seconds: float) -> Message:
            return await getattr(member.kv, method)(request, metadata=metadata, timeout=seconds)

        asked = self._history.known
        try:
            answer = await self._endpoints.call(ask, reads=reads, once=once)
        except Compacted:
            raise Compacted(await self._compacted()) from None
        self._history.note(answer.header, asked)
        return answer

    async def _lease(self, method: str, request: Message, *, reads: bool = False) -> Message:
        async def ask(member: Member, metadata: Metadata, seconds: float) -> Message:
            return await getattr(member.lease, method)(request, metadata=metadata, timeout=seconds)

        return await self._endpoints.call(ask, reads=reads)

    async def _compacted(self) -> int:
        """The oldest revision that is kept; etcd tells it to watches alone."""
        watch = self.watch(self._settings.probe, start_revision=1)
        try:
            async with asyncio.timeout(self._settings.deadline):
                async for _ in watch:
                    return 0
        except Compacted as found:
            return found.compact_revision
        except TimeoutError:
            return 0
        finally:
            await watch.close()
        return 0


async def _status(member: Member, metadata: Metadata, seconds: float) -> Message:
    """A member's own word; an empty one where our user may not hear it, as newer etcds tell root alone."""
    try:
        return await member.maintenance.Status(rpc.StatusRequest(), metadata=metadata, timeout=seconds)
    except grpc.aio.AioRpcError as error:
        if error.code() is grpc.StatusCode.PERMISSION_DENIED:
            return rpc.StatusResponse()
        raise


def _no_lease(lease: int) -> LeaseNotFound:
    return LeaseNotFound(f"lease {lease} never was, was revoked, or has expired")
