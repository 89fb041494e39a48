"""Clients that connect all the time, and count how it went."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

_CHECK = "/grpc.health.v1.Health/Check"
# An HTTP/2 client's first words: its preface and empty settings.
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"


class Knocking:
    """``async with Knocking("127.0.0.1:15010")``: each of ``clients`` connects, is served, leaves, and begins again.

    Half of them make a call, half only wait for the first frame. ``served`` counts those that got it,
    ``failed`` the errors of the others by their text, ``longest`` is the longest that one took, in seconds.
    """

    def __init__(self, address: str, clients: int = 6) -> None:
        self.served = 0
        self.failed: Counter[str] = Counter()
        self.longest = 0.0
        self._address = address
        self._clients = clients
        self._over = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        each = (self._call, self._greet)
        self._tasks = [asyncio.create_task(self._knock(each[n % 2])) for n in range(self._clients)]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        await asyncio.gather(*self._tasks)

    async def _knock(self, visit: Callable[[], Awaitable[None]]) -> None:
        while not self._over.is_set():
            started = time.monotonic()
            try:
                async with asyncio.timeout(30):
                    await visit()
            except (grpc.aio.AioRpcError, OSError, EOFError, TimeoutError) as failure:
                self.failed[repr(failure)] += 1
                await asyncio.sleep(0.01)  # so that a closed door is not hammered
            else:
                self.served += 1
            self.longest = max(self.longest, time.monotonic() - started)

    async def _call(self) -> None:
        options = (("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0))
        async with grpc.aio.insecure_channel(self._address, options=options) as channel:
            call = channel.unary_unary(
                _CHECK, HealthCheckRequest.SerializeToString, HealthCheckResponse.FromString
            )
            await call(HealthCheckRequest())

    async def _greet(self) -> None:
        host, _, port = self._address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            writer.write(_PREFACE)
            await reader.readexactly(9)
        finally:
            writer.close()
