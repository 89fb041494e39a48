"""A blocking client of etcd's API, which the admin port speaks beside its own; over the same channel, as the same caller.

``with connection.client() as client: EtcdClient(client).range(rpc.RangeRequest(key=b"a"))``

Messages are etcd's own (``aetcd.rpc``). What keeps the daemon from answering raises ``api.client.ApiError``.
"""

import queue
from collections.abc import Callable, Generator, Iterator
from typing import Any

import grpc
from aetcd import rpc
from aetcd.rpc import rpc_pb2_grpc as services

from api.client import Client
from api.wire import WARNING

Message = Any  # etcd's generated messages carry no types

_DEADLINE_SECONDS = 30.0


class EtcdClient:
    """The calls of etcd's API, as many as ``xdsctl`` makes; each takes and gives etcd's messages.

    ``warn`` is told, a sentence each, what admission remarks of a write.
    """

    def __init__(
        self,
        client: Client,
        *,
        deadline: float = _DEADLINE_SECONDS,
        warn: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._client = client
        self._deadline = deadline
        self._warn = warn
        self._kv = services.KVStub(client.channel)
        self._watch = services.WatchStub(client.channel)
        self._lease = services.LeaseStub(client.channel)
        self._cluster = services.ClusterStub(client.channel)
        self._maintenance = services.MaintenanceStub(client.channel)

    def range(self, request: Message) -> Message:
        return self._call(self._kv.Range, request)

    def put(self, request: Message) -> Message:
        return self._call(self._kv.Put, request, told_by="xdsctl kv get")

    def delete(self, request: Message) -> Message:
        return self._call(self._kv.DeleteRange, request, told_by="xdsctl kv get")

    def txn(self, request: Message) -> Message:
        """A transaction; one that only looks may be sent again if no answer comes."""
        writes = any(
            step.WhichOneof("request") != "request_range" for step in (*request.success, *request.failure)
        )
        return self._call(self._kv.Txn, request, told_by="xdsctl kv get" if writes else "")

    def compact(self, request: Message) -> Message:
        return self._call(self._kv.Compact, request, told_by="xdsctl kv get --rev")

    def grant(self, ttl: int, lease: int = 0) -> Message:
        return self._call(
            self._lease.LeaseGrant, rpc.LeaseGrantRequest(TTL=ttl, ID=lease), told_by="xdsctl lease list"
        )

    def revoke(self, lease: int) -> Message:
        return self._call(
            self._lease.LeaseRevoke, rpc.LeaseRevokeRequest(ID=lease), told_by="xdsctl lease list"
        )

    def time_to_live(self, lease: int, *, keys: bool = False) -> Message:
        """What is left of a lease; a TTL of -1 says that there is none."""
        return self._call(self._lease.LeaseTimeToLive, rpc.LeaseTimeToLiveRequest(ID=lease, keys=keys))

    def leases(self) -> Message:
        return self._call(self._lease.LeaseLeases, rpc.LeaseLeasesRequest())

    def members(self) -> Message:
        return self._call(self._cluster.MemberList, rpc.MemberListRequest())

    def watch(self, create: Message) -> Generator[Message, None, None]:
        """Responses of one watch until the caller stops or the server cancels it; the last says so then."""
        requests = _Requests(rpc.WatchRequest(create_request=create))
        yield from self._stream(self._watch.Watch(iter(requests)), "the watch", requests)

    def keep_alive(self, lease: int) -> Generator[Message, None, None]:
        """Begins the lease's time again whenever the next response is asked for. A TTL of 0 says that there is none."""
        requests = _Requests()
        responses = self._stream(self._lease.LeaseKeepAlive(iter(requests)), "the lease's upkeep", requests)
        try:
            while True:
                requests.send(rpc.LeaseKeepAliveRequest(ID=lease))
                yield next(responses)
        except StopIteration:
            return
        finally:
            responses.close()

    def snapshot(self) -> Generator[Message, None, None]:
        """The store in one file, in pieces; each says how many bytes remain."""
        yield from self._stream(self._maintenance.Snapshot(rpc.SnapshotRequest()), "the snapshot")

    def _call(self, method: Callable[..., Any], request: Message, *, told_by: str = "") -> Message:
        try:
            answer, call = method.with_call(request, timeout=self._deadline)  # type: ignore[attr-defined]
        except grpc.RpcError as error:
            raise self._client.translated(error, told_by=told_by) from error
        for name, value in call.trailing_metadata() or ():
            if name == WARNING:
                self._warn(value.decode("utf-8", "replace"))
        return answer

    def _stream(
        self, call: Any, what: str, requests: "_Requests | None" = None
    ) -> Generator[Message, None, None]:
        try:
            yield from call
        except grpc.RpcError as error:
            raise self._client.translated(error, stream=what) from error
        finally:
            if requests is not None:
                requests.close()
            call.cancel()


class _Requests:
    """What is sent on a stream: some now, some later, until closed."""

    def __init__(self, *first: Message) -> None:
        self._queue: queue.SimpleQueue[Message] = queue.SimpleQueue()
        for request in first:
            self._queue.put(request)

    def send(self, request: Message) -> None:
        self._queue.put(request)

    def close(self) -> None:
        self._queue.put(None)

    def __iter__(self) -> Iterator[Message]:
        while (request := self._queue.get()) is not None:
            yield request
