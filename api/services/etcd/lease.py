"""etcdserverpb.Lease."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
from aetcd import rpc
from aetcd.rpc import rpc_pb2_grpc as services

from api.access.caller import Right, current, require_somewhere
from api.services.etcd.errors import BadRequest, told
from api.services.etcd.headers import Headers
from api.services.etcd.policy import KeyPolicy
from storage.base import LeaseNotFound, Store
from storage.spans import Span

Message = Any  # aetcd's generated messages carry no type information
Context = grpc.aio.ServicerContext[object, object]

LONGEST = 9_000_000_000
"""Seconds of a lease, as etcd bounds it."""
GONE = -1
"""The TTL of a lease that is not there."""


class LeaseService(services.LeaseServicer):  # type: ignore[misc]  # generated without types
    """Leases."""

    def __init__(self, store: Store, policy: KeyPolicy, headers: Headers) -> None:
        self._store = store
        self._policy = policy
        self._headers = headers

    async def LeaseGrant(self, request: Message, context: Context) -> Message:  # noqa: N802
        current().require(Right.WRITE)
        async with told(context):
            if request.TTL > LONGEST:
                raise BadRequest("etcdserver: too large lease TTL")
            lease = await self._store.grant(request.TTL, request.ID)
            granted = (await self._store.time_to_live(lease)).granted
            return rpc.LeaseGrantResponse(header=await self._headers.now(), ID=lease, TTL=granted)

    async def LeaseRevoke(self, request: Message, context: Context) -> Message:  # noqa: N802
        """Whoever revokes a lease may delete every key that goes with it."""
        caller = current()
        caller.require(Right.WRITE)
        async with told(context):
            for key in (await self._store.time_to_live(request.ID)).keys:
                self._policy.check_write(caller, Span.of(key, None), removal=True)
            await self._store.revoke(request.ID)
            return rpc.LeaseRevokeResponse(header=await self._headers.now())

    async def LeaseKeepAlive(  # noqa: N802
        self, requests: AsyncIterator[Message], _context: Context
    ) -> AsyncIterator[Message]:
        current().require(Right.WRITE)
        async for request in requests:
            try:
                ttl = await self._store.keep_alive(request.ID)
            except LeaseNotFound:
                ttl = 0
            yield rpc.LeaseKeepAliveResponse(header=await self._headers.now(), ID=request.ID, TTL=ttl)

    async def LeaseTimeToLive(self, request: Message, _context: Context) -> Message:  # noqa: N802
        require_somewhere(Right.OBSERVE)
        header = await self._headers.now()
        try:
            found = await self._store.time_to_live(request.ID)
        except LeaseNotFound:
            return rpc.LeaseTimeToLiveResponse(header=header, ID=request.ID, TTL=GONE)
        return rpc.LeaseTimeToLiveResponse(
            header=header,
            ID=found.id,
            TTL=found.left,
            grantedTTL=found.granted,
            keys=found.keys if request.keys else (),
        )

    async def LeaseLeases(self, _request: Message, _context: Context) -> Message:  # noqa: N802
        require_somewhere(Right.OBSERVE)
        leases = [rpc.LeaseStatus(ID=each) for each in await self._store.leases()]
        return rpc.LeaseLeasesResponse(header=await self._headers.now(), leases=leases)
