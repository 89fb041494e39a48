"""An external authorizer for tests that speaks Envoy's protocol over gRPC; it decides as the test last said."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from envoy.service.auth.v3 import external_auth_pb2, external_auth_pb2_grpc

_OK, _PERMISSION_DENIED = 0, 7


@dataclass
class Authorizer:
    """``verdict`` is ``allow``, ``deny`` or ``hang``. ``asked`` are paths of requests, and ``tcp`` for connections."""

    server: grpc.aio.Server
    verdict: str = "deny"
    asked: list[str] = field(default_factory=list)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def leaves(self) -> None:
        """Serves no more."""
        self.ended.set()
        await self.server.stop(0)

    async def Check(self, request: Any, _: Any) -> Any:  # noqa: N802 - the name of the method on the wire
        """Decides."""
        self.asked.append(request.attributes.request.http.path or "tcp")
        if self.verdict == "hang":
            await self.ended.wait()
        answer: Any = external_auth_pb2.CheckResponse()
        answer.status.code = _OK if self.verdict == "allow" else _PERMISSION_DENIED
        if self.verdict == "deny":
            answer.denied_response.status.code = 418
            answer.denied_response.body = "the authorizer says no"
        else:
            answer.ok_response.headers.add(header={"key": "x-judged", "value": "well"})
        return answer


@asynccontextmanager
async def authorizer(address: str, port: int) -> AsyncIterator[Authorizer]:
    """Serves while it lasts; calls that hang end with it."""
    server = grpc.aio.server()
    made = Authorizer(server)
    external_auth_pb2_grpc.add_AuthorizationServicer_to_server(made, server)
    server.add_insecure_port(f"{address}:{port}")
    await server.start()
    try:
        yield made
    finally:
        await made.leaves()
