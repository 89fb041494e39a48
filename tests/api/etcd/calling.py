"""A client of etcd's API for tests, on etcd's own messages."""

import queue
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
from aetcd import rpc
from aetcd.rpc import rpc_pb2_grpc as services

from tests.api.daemon import Daemon

Message = Any
DEADLINE = 60


class Calling:
    """Stubs of every service on one channel."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.kv = services.KVStub(channel)
        self.watches = services.WatchStub(channel)
        self.lease = services.LeaseStub(channel)
        self.maintenance = services.MaintenanceStub(channel)
        self.cluster = services.ClusterStub(channel)
        self.auth = services.AuthStub(channel)

    def put(self, key: bytes, value: bytes = b"", **more: Any) -> Message:
        return self.kv.Put(rpc.PutRequest(key=key, value=value, **more), timeout=DEADLINE)

    def delete(self, key: bytes, **more: Any) -> Message:
        return self.kv.DeleteRange(rpc.DeleteRangeRequest(key=key, **more), timeout=DEADLINE)

    def range(self, key: bytes, **more: Any) -> Message:
        return self.kv.Range(rpc.RangeRequest(key=key, **more), timeout=DEADLINE)


@contextmanager
def calling(server: Daemon) -> Iterator[Calling]:
    """A client of a daemon."""
    with grpc.insecure_channel(
        server.endpoint, options=(("grpc.max_receive_message_length", -1),)
    ) as channel:
        yield Calling(channel)


class Watching:
    """A watch stream: requests sent as a test goes on, responses one by one."""

    def __init__(self, client: Calling) -> None:
        self._requests: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._call = client.watches.Watch(iter(self._requests.get, None), timeout=DEADLINE)

    def create(self, key: bytes, **more: Any) -> Message:
        """Asks for a watch; the answer."""
        self.ask(key, **more)
        return self.next()

    def ask(self, key: bytes, **more: Any) -> None:
        self._requests.put(rpc.WatchRequest(create_request=rpc.WatchCreateRequest(key=key, **more)))

    def cancel(self, number: int) -> None:
        self._requests.put(rpc.WatchRequest(cancel_request=rpc.WatchCancelRequest(watch_id=number)))

    def progress(self) -> None:
        self._requests.put(rpc.WatchRequest(progress_request=rpc.WatchProgressRequest()))

    def next(self) -> Message:
        """The next answer."""
        return next(self._call)

    def end(self) -> list[Message]:
        """Says no more; what is answered until the end."""
        self._requests.put(None)
        return list(self._call)

    def close(self) -> None:
        self._requests.put(None)
        self._call.cancel()


@contextmanager
def watching(client: Calling) -> Iterator[Watching]:
    """A stream that is closed at the end."""
    stream = Watching(client)
    try:
        yield stream
    finally:
        stream.close()
