"""The floor: a bare grpc.aio server that pushes given bytes to whoever connected and reads what they say.

It knows nothing of subscriptions: to the first request it answers with the first bytes, to the third (the second is an
ACK) with the second ones, and a flip goes to everybody.
"""

import asyncio
import json
import sys
import time
from typing import Any

import grpc

from tests.bench import material
from tests.bench.control import Order, obey, prepare, settle, usage
from xdsd.compile.endpoints import load_assignment
from xdsd.compile.layers.base import resource
from xdsd.protocol import wire
from xdsd.server.settings import ServerSettings
from xdsd.snapshot import CLUSTER, ENDPOINT, Resource

METHOD = "DeltaAggregatedResources"
SERVICE = "envoy.service.discovery.v3.AggregatedDiscoveryService"


def response(type_url: str, resources: list[Resource]) -> bytes:
    return b"".join([wire.delta_head(type_url), *(each.encoded for each in resources), wire.nonce_field("1")])


def flipped(turn: int) -> Resource:
    """What one changed endpoint makes of the first service's assignment."""
    name = material.name(0)
    return resource(ENDPOINT, name, load_assignment(name, material.PORT, material.endpoints(0, turn)))


class Floor:
    """``answers`` to the first, third, … request."""

    def __init__(self, answers: list[bytes]) -> None:
        self._answers = answers
        self._calls: set[Any] = set()
        self.read = 0

    async def serve(self, _: Any, context: Any) -> None:
        self._calls.add(context)
        mine = 0
        try:
            while (await context.read()) is not grpc.aio.EOF:  # type: ignore[attr-defined]  # the stubs lack it
                self.read += 1
                mine += 1
                if mine % 2 and mine // 2 < len(self._answers):
                    await context.write(self._answers[mine // 2])
        finally:
            self._calls.discard(context)

    async def flip(self, data: bytes) -> None:
        tasks = [asyncio.ensure_future(context.write(data)) for context in self._calls]
        await asyncio.gather(*tasks)


async def main(options: dict[str, Any]) -> None:
    prepare(options["core"])
    found = material.compiled(options["services"])
    answers = [
        response(url, [*found[url].values()])
        for url in ((CLUSTER, ENDPOINT) if options["clusters"] else (ENDPOINT,))
    ]
    floor = Floor(answers)
    server = grpc.aio.server(options=ServerSettings().channel_options())
    handler = grpc.stream_stream_rpc_method_handler(floor.serve)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {METHOD: handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()

    async def perform(order: Order) -> Any:
        match order["order"]:
            case "port":
                return port
            case "settle":
                settle()
                return None
            case "usage":
                return {**usage(), "read": floor.read, "joins": 0, "encodings": 0, "resources": 0}
            case "flip":
                data = response(ENDPOINT, [flipped(order["turn"])])
                at = time.monotonic()
                await floor.flip(data)
                return at
            case other:
                raise ValueError(other)

    await obey(perform)


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
