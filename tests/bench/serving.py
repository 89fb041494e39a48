"""The server under test: the real one, before the real loop and compiler."""

import asyncio
import json
import sys
from typing import Any

import structlog

from tests.bench import material
from tests.bench.control import Order, obey, prepare, settle, usage
from xdsd.compile.compiler import Compiler
from xdsd.model.mesh import MeshSettings
from xdsd.protocol.observer import Unobserved
from xdsd.reconcile import STORE, Reconciler, Settling, SourceStatus
from xdsd.server import XdsServer
from xdsd.snapshot import SnapshotChange


class Counts(Unobserved):
    """Counts what the benchmark needs to know is over, for the streams and for the loop."""

    def __init__(self) -> None:
        self.accepts = 0
        self.resources = 0
        self.encodings = 0

    def accepted(self, type_url: str, seconds: float | None) -> None:
        self.accepts += 1

    def pushed(self, type_url: str, size: int, resources: int) -> None:
        self.resources += resources

    def compiled(self, seconds: float) -> None: ...

    def encoded(self, type_url: str, count: int) -> None:
        self.encodings += count

    def published(self, change: SnapshotChange) -> None: ...

    def source(self, status: SourceStatus) -> None: ...


async def main(options: dict[str, Any]) -> None:
    prepare(options["core"])
    loop = asyncio.get_running_loop()
    counts, log = Counts(), structlog.get_logger()
    # What settles is left out: it is a setting, not a cost.
    settling = Settling(quiet=0, longest=0, linger=600)
    mesh = Reconciler(Compiler(MeshSettings()), "cluster.local", counts, log, loop.time, settling)
    server = XdsServer(mesh, log, counts)
    store = mesh.expect(STORE)
    store.change(material.declared(options["services"]))
    store.synced()
    running = asyncio.ensure_future(mesh.run(server.published))
    port = server.listen(f"127.0.0.1:{options.get('port', 0)}")
    await server.start()

    async def perform(order: Order) -> Any:
        match order["order"]:
            case "port":
                return port
            case "settle":
                settle()
                return None
            case "usage":
                return {
                    **usage(),
                    "read": counts.accepts,
                    "joins": server.exchange.joins,
                    "encodings": counts.encodings,
                    "resources": counts.resources,
                }
            case "flip":
                at = loop.time()
                store.change(material.flip(order["turn"]))
                return at
            case other:
                raise ValueError(other)

    await obey(perform)
    running.cancel()


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
