"""etcdserverpb.KV."""

import asyncio
from collections.abc import Sequence
from typing import Any

from aetcd import rpc
from aetcd.rpc import rpc_pb2_grpc as services

from api.access.caller import Right, current
from api.ports import Intents
from api.services.etcd.errors import Context, told
from api.services.etcd.headers import Headers
from api.services.etcd.policy import KeyPolicy
from api.services.etcd.reading import Reading
from api.services.etcd.writing import (
    delete,
    delete_response,
    put,
    put_response,
    reads,
    txn,
    txn_response,
    writes,
)
from api.services.objects import author, now
from api.wire import WARNING
from storage.base import Store, TxnResult
from storage.base import Txn as Steps
from storage.spans import Span
from xdsd.model.problem import Problem

Message = Any  # aetcd's generated messages carry no type information

MANY = 1000
"""Keys above which an answer is made in a thread."""


class KvService(services.KVServicer):  # type: ignore[misc]  # generated without types
    """Keys and values; objects among them pass admission."""

    def __init__(self, store: Store, intents: Intents, policy: KeyPolicy, headers: Headers) -> None:
        self._store = store
        self._intents = intents
        self._policy = policy
        self._headers = headers

    async def Range(self, request: Message, context: Context) -> Message:  # noqa: N802
        async with told(context):
            reading = Reading(request)
            get = reading.get
            self._policy.check_read(current(), Span.of(get.key, get.range_end))
            found = await self._store.range(
                get.key,
                get.range_end,
                limit=get.limit,
                revision=get.revision,
                keys_only=get.keys_only,
                count_only=get.count_only,
            )
            header = await self._headers.of(found.revision)
            if len(found.kvs) > MANY:
                return await asyncio.to_thread(reading.response, found, header)
            return reading.response(found, header)

    async def Put(self, request: Message, context: Context) -> Message:  # noqa: N802
        async with told(context):
            result = await self._write(Steps((), (put(request),)), context)
            return put_response(request, _kvs(result), await self._headers.of(result.revision))

    async def DeleteRange(self, request: Message, context: Context) -> Message:  # noqa: N802
        async with told(context):
            result = await self._write(Steps((), (delete(request),)), context)
            return delete_response(request, _kvs(result), await self._headers.of(result.revision))

    async def Txn(self, request: Message, context: Context) -> Message:  # noqa: N802
        async with told(context):
            result = await self._write(txn(request), context)
            return txn_response(request, result, await self._headers.of(result.revision))

    async def Compact(self, request: Message, context: Context) -> Message:  # noqa: N802
        current().require(Right.STORE)
        async with told(context):
            await self._store.compact(request.revision)
            return rpc.CompactionResponse(header=await self._headers.now())

    async def _write(self, steps: Steps, context: Context) -> TxnResult:
        caller = current()
        for span in reads(steps):
            self._policy.check_read(caller, span)
        for span, removal in writes(steps):
            self._policy.check_write(caller, span, removal=removal)
        done = await self._intents.transact(steps, now=now(), author=author())
        _warn(done.problems, context)
        return done.result


def _kvs(result: TxnResult) -> Any:  # Any: a Put's and a Delete's response are pairs of keys
    (response,) = result.responses
    return response


def _warn(problems: Sequence[Problem], context: Context) -> None:
    if problems:
        context.set_trailing_metadata(tuple((WARNING, str(problem).encode()) for problem in problems))
