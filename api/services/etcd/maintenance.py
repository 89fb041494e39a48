"""etcdserverpb.Maintenance."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

import grpc
from aetcd import rpc
from aetcd.rpc import rpc_pb2_grpc as services

from api.access.caller import Right, current, require_somewhere
from api.ports import Health, Members
from api.services.etcd.errors import Context, told, unimplemented
from api.services.etcd.headers import Headers
from api.services.etcd.policy import KeyPolicy
from storage.base import KeyValue, Store, prefix_end
from storage.snapshot_file import encode, take

Message = Any  # aetcd's generated messages carry no type information

VERSION = "3.5.0"
"""The version of etcd's API that is spoken, where no etcd is behind."""
PIECE = 1 << 18
"""Bytes of a snapshot that are sent at once."""
_OPERATED = "the etcd behind is its operator's: do it there"


class MaintenanceService(services.MaintenanceServicer):  # type: ignore[misc]  # generated without types
    """What operators ask of a server."""

    def __init__(
        self, store: Store, policy: KeyPolicy, members: Members, health: Health, headers: Headers
    ) -> None:
        self._store = store
        self._policy = policy
        self._members = members
        self._health = health
        self._headers = headers

    async def Status(self, _request: Message, _context: Context) -> Message:  # noqa: N802
        """The leader is the daemon that does what is done once for all, as far as this one knows."""
        require_somewhere(Right.OBSERVE)
        status = await self._store.status()
        return rpc.StatusResponse(
            header=await self._headers.of(status.revision),
            version=status.version if status.kind == "etcd" else VERSION,
            dbSize=status.size,
            dbSizeInUse=status.used,
            leader=await self._leader(),
            raftIndex=status.revision,
            raftAppliedIndex=status.revision,
            raftTerm=status.term,
            errors=status.alarms,
        )

    async def Alarm(self, request: Message, context: Context) -> Message:  # noqa: N802
        require_somewhere(Right.OBSERVE)
        status = await self._store.status()
        alarms = [_alarm(each, self._members.me.id) for each in status.alarms]
        if request.action == rpc.AlarmRequest.ACTIVATE:
            await _refuse(context, "alarms are raised by what is wrong, not by callers")
        if request.action == rpc.AlarmRequest.DEACTIVATE:
            current().require(Right.STORE)
            if alarms:
                await _refuse(context, f"{', '.join(status.alarms)}: {_OPERATED}")
        return rpc.AlarmResponse(header=await self._headers.of(status.revision), alarms=alarms)

    async def Defragment(self, _request: Message, context: Context) -> Message:  # noqa: N802
        current().require(Right.STORE)
        status = await self._store.status()
        if status.kind == "etcd":
            await _refuse(context, _OPERATED)
        return rpc.DefragmentResponse(header=await self._headers.of(status.revision))

    async def Hash(self, _request: Message, context: Context) -> Message:  # noqa: N802
        require_somewhere(Right.OBSERVE)
        async with told(context):
            revision, digest = await self._hash(0)
            return rpc.HashResponse(header=await self._headers.of(revision), hash=digest)

    async def HashKV(self, request: Message, context: Context) -> Message:  # noqa: N802
        require_somewhere(Right.OBSERVE)
        async with told(context):
            revision, digest = await self._hash(request.revision)
            compacted = (await self._store.status()).compacted
            header = await self._headers.of(revision)
            return rpc.HashKVResponse(header=header, hash=digest, compact_revision=compacted)

    async def Snapshot(  # noqa: N802
        self, _request: Message, context: Context
    ) -> AsyncIterator[Message]:
        """The store in one file of etcd's; of an etcd that others share, what clients may see."""
        current().require(Right.STORE)
        current().require(Right.SECRETS)
        async with told(context):
            shared = () if self._policy.alone else self._policy.prefixes()
            snapshot = await take(self._store, *shared)
            header = await self._headers.of(snapshot.revision)
            content = await asyncio.to_thread(encode, snapshot)
        for start in range(0, len(content), PIECE):
            piece = content[start : start + PIECE]
            left = len(content) - start - len(piece)
            yield rpc.SnapshotResponse(header=header, remaining_bytes=left, blob=piece)

    MoveLeader = unimplemented("daemons agree by themselves on which of them works for all")
    Downgrade = unimplemented("there is no version of the cluster to go back to")

    async def _leader(self) -> int:
        if self._health.singletons():
            return self._members.me.id
        others = [each.id for each in await self._members.list() if each.id != self._members.me.id]
        return min(others, default=self._members.me.id)

    async def _hash(self, revision: int) -> tuple[int, int]:
        """The newest revision, and a checksum of all keys as of a revision; equal stores have equal ones."""
        digest, newest = 0, 0
        for prefix in self._policy.prefixes():
            found = await self._store.range(prefix, prefix_end(prefix), revision=revision)
            newest = max(newest, found.revision)
            digest = await asyncio.to_thread(_checksum, found.kvs, digest)
        return newest, digest


def _checksum(kvs: Sequence[KeyValue], digest: int) -> int:
    for kv in kvs:
        numbers = f"{len(kv.key)} {len(kv.value)} {kv.create_revision} {kv.mod_revision} {kv.version}"
        digest = zlib.crc32(kv.value, zlib.crc32(kv.key, zlib.crc32(numbers.encode(), digest)))
    return digest


def _alarm(name: str, member: int) -> Message:
    known = rpc.AlarmType.keys()
    return rpc.AlarmMember(memberID=member, alarm=rpc.AlarmType.Value(name) if name in known else 0)


async def _refuse(context: Context, sentence: str) -> None:
    await context.abort(grpc.StatusCode.FAILED_PRECONDITION, sentence)
