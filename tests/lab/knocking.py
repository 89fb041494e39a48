"""Clients that come all the time, and count how it went.

``python -m tests.lab.knocking TARGET CLIENTS`` does it as a program, which suits another network namespace, until it is
told to end; again and again, and at the end, it prints what came of it so far as a line of JSON.
"""

import asyncio
import json
import signal
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

import aiohttp
import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

_CHECK = "/grpc.health.v1.Health/Check"
_PATIENCE = 120  # seconds: a daemon may take long to start on a busy machine
# An HTTP/2 client's first words: its preface and empty settings.
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"


Visit = Callable[[], Awaitable[None]]


class Knocking:
    """``async with Knocking("127.0.0.1:15010")``: each of ``clients`` connects, is served, leaves, and begins again.

    Half of them make a call, half only wait for the first frame; for a URL, each asks for it on a connection of its own.
    ``served`` counts those that got what they came for, ``failed`` the errors of the others by their text, ``longest`` is
    the longest that one took, in seconds.
    """

    def __init__(self, target: str, clients: int = 6) -> None:
        self.served = 0
        self.failed: Counter[str] = Counter()
        self.longest = 0.0
        self._target = target
        self._visits: list[Visit] = [self._get] if "://" in target else [self._call, self._greet]
        self._clients = clients
        self._over = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        kinds = self._visits
        self._tasks = [
            asyncio.create_task(self._knock(kinds[number % len(kinds)])) for number in range(self._clients)
        ]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        await asyncio.gather(*self._tasks)

    async def _knock(self, visit: Visit) -> None:
        while not self._over.is_set():
            started = time.monotonic()
            try:
                async with asyncio.timeout(_PATIENCE):
                    await visit()
            except (grpc.aio.AioRpcError, aiohttp.ClientError, OSError, EOFError) as failure:
                self.failed[repr(failure)] += 1
                await asyncio.sleep(0.01)  # so that a closed door is not hammered
            else:
                self.served += 1
            self.longest = max(self.longest, time.monotonic() - started)

    async def _call(self) -> None:
        options = (
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.enable_retries", 0),
            ("grpc.min_reconnect_backoff_ms", 1000 * _PATIENCE),  # how long it waits to be greeted, too
        )
        async with grpc.aio.insecure_channel(self._target, options=options) as channel:
            call = channel.unary_unary(
                _CHECK, HealthCheckRequest.SerializeToString, HealthCheckResponse.FromString
            )
            await call(HealthCheckRequest())

    async def _greet(self) -> None:
        host, _, port = self._target.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            writer.write(_PREFACE)
            await reader.readexactly(9)
        finally:
            writer.close()

    async def _get(self) -> None:
        async with (
            aiohttp.ClientSession(raise_for_status=True) as session,
            session.get(self._target) as answer,
        ):
            await answer.read()


async def main(target: str, clients: int) -> None:
    """Knocks until SIGTERM."""
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    async with Knocking(target, clients) as knocking:
        while not told.is_set():
            _tell(knocking)
            with suppress(TimeoutError):
                async with asyncio.timeout(0.1):
                    await told.wait()
    _tell(knocking)


def _tell(knocking: Knocking) -> None:
    found = {"served": knocking.served, "failed": knocking.failed, "longest": knocking.longest}
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
