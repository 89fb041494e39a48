"""Many streams that ask for their secrets over TLS, and accept whatever they are given."""

import asyncio
import json
import sys
import time
from typing import Any

import grpc

from tests.bench.control import Order, obey, prepare
from tests.server.client import DELTA, Call
from tests.server.secure import connected
from xdsd.snapshot import SECRET

_STREAMS_A_CONNECTION = 100


class Proxies:
    """``certificates`` counts those that came to each."""

    def __init__(self) -> None:
        self.certificates: list[int] = []
        self._came = asyncio.Event()

    async def connect(self, count: int, port: int, token: str, roots: str) -> None:
        """Opens so many streams and returns once each has its first secrets."""
        trusted = grpc.ssl_channel_credentials(roots.encode())
        self.certificates = [0] * count
        self._tasks = [
            asyncio.ensure_future(self._hold(numbers, port, token, trusted))
            for numbers in _slices(count, _STREAMS_A_CONNECTION)
        ]
        await self.until(1)

    async def until(self, times: int) -> None:
        """Returns once each was given a certificate so many times."""
        while min(self.certificates) < times:
            self._came.clear()
            await self._came.wait()

    async def _hold(self, numbers: range, port: int, token: str, trusted: grpc.ChannelCredentials) -> None:
        async with connected(port, trusted) as channel:
            await asyncio.gather(*(self._listen(number, channel, token) for number in numbers))

    async def _listen(self, number: int, channel: grpc.aio.Channel, token: str) -> None:
        node = f"sidecar~10.0.0.1~a-{number}.default~default.svc.cluster.local"
        call = Call(channel, DELTA, node, metadata=(("authorization", f"Bearer {token}"),))
        await call.asks(SECRET, "default", "ROOTCA")
        while True:
            heard = await call.hears(timeout=3600)
            self.certificates[number] += any(each.name == "default" for each in heard.resources)
            self._came.set()
            await call.acks(heard)


def _slices(count: int, size: int) -> list[range]:
    return [range(start, min(start + size, count)) for start in range(0, count, size)]


async def main(options: dict[str, Any]) -> None:
    prepare(options["core"])
    proxies = Proxies()

    async def perform(order: Order) -> Any:
        begun = time.perf_counter()
        match order["order"]:
            case "connect":
                await proxies.connect(order["count"], order["port"], order["token"], order["roots"])
            case "until":
                await proxies.until(order["times"])
            case other:
                raise ValueError(other)
        return time.perf_counter() - begun

    await obey(perform)


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
