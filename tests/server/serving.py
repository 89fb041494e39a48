"""A server of a mesh made by hand."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from tests.server.hand import HandMesh
from xdsd.protocol.observer import Observer
from xdsd.server import ServerSettings, XdsServer


@asynccontextmanager
async def serving(
    mesh: HandMesh, settings: ServerSettings | None = None, observer: Observer | None = None
) -> AsyncIterator[tuple[XdsServer, int]]:
    """A server of ``mesh`` and its port."""
    server = XdsServer(mesh, structlog.get_logger(), observer, settings or ServerSettings())
    mesh.tell = server.published
    port = server.listen("127.0.0.1:0")
    await server.start()
    try:
        yield server, port
    finally:
        await server.stop(0)
