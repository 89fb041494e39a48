"""Envoy's health discovery service, for machines that registered themselves: their Envoys are told what to check, and say
what they found. Everybody is told and says something of their own entries alone.
"""

import asyncio
from collections import Counter
from typing import Any

import grpc
from envoy.service.health.v3 import hds_pb2

from xdsd.model.identity import StreamIdentity
from xdsd.model.mesh import Interception
from xdsd.registration.conversation import Conversation
from xdsd.registration.registrar import Registrar
from xdsd.server.gate import Gate
from xdsd.server.quotas import Limit
from xdsd.server.turns import Turns

SERVICE = hds_pb2.DESCRIPTOR.services_by_name["HealthDiscoveryService"].full_name
AGAIN = 1.0
"""Seconds between two looks whether a machine is registered and has a probe."""

LONGEST_ID = 1024


class HealthService:
    """``most`` streams of one identity are open at once; ``turns`` are those of each machine's messages."""

    def __init__(self, gate: Gate, registrar: Registrar, most: int, turns: Turns) -> None:
        self._turns = turns
        self._gate = gate
        self._registrar = registrar
        self._most = most
        self._open: Counter[str] = Counter()
        self._made = 0

    def handler(self) -> "grpc.GenericRpcHandler[Any, Any]":
        """To be served over TLS."""
        method = grpc.stream_stream_rpc_method_handler(
            self._stream,
            hds_pb2.HealthCheckRequestOrEndpointHealthResponse.FromString,
            hds_pb2.HealthCheckSpecifier.SerializeToString,
        )
        return grpc.method_handlers_generic_handler(SERVICE, {"StreamHealthCheck": method})

    async def _stream(self, _: Any, context: Any) -> None:
        proof = await self._gate.admit(context, lasting=True)
        who = str(proof.identity)
        if self._open[who] >= self._most:
            message = (
                f"{who} has {self._most} streams of health open already; see {Limit.STREAMS_AN_IDENTITY}"
            )
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, message)
        self._open[who] += 1
        try:
            await self._serve(context, proof)
        finally:
            self._open[who] -= 1
            if not self._open[who]:
                del self._open[who]

    async def _serve(self, context: Any, proof: StreamIdentity) -> None:
        first = await context.read()
        if first is grpc.aio.EOF:  # type: ignore[attr-defined]  # the stubs lack it
            return
        node = first.health_check_request.node
        if not node.id or len(node.id) > LONGEST_ID:
            await context.abort(
                grpc.StatusCode.INVALID_ARGUMENT,
                "the first message is a HealthCheckRequest with the node's id",
            )
        explicit = node.metadata.fields["INTERCEPTION_MODE"].string_value == Interception.NONE
        identity, registrar = str(proof.identity), self._registrar
        conversation = Conversation(
            lambda: registrar.probe_of(node.id, identity),
            lambda result: registrar.reported(node.id, identity, result),
            self._next,
            explicit=explicit,
        )
        async with asyncio.TaskGroup() as tasks:
            telling = tasks.create_task(self._tell(context, conversation))
            end = await self._hear(context, conversation, proof, f"{identity} at {node.id}")
            telling.cancel()
        if end is not None:
            await context.abort(*end)

    async def _hear(
        self, context: Any, conversation: Conversation, proof: StreamIdentity, who: str
    ) -> tuple[grpc.StatusCode, str] | None:
        """How and why the stream has to end; None where its client has ended it."""
        while (message := await context.read()) is not grpc.aio.EOF:  # type: ignore[attr-defined]
            if why := self._gate.lapsed(proof):
                return grpc.StatusCode.UNAUTHENTICATED, why
            if why := self._turns.refusal(who):
                return grpc.StatusCode.RESOURCE_EXHAUSTED, why
            conversation.heard(message.endpoint_health_response, asyncio.get_running_loop().time())
        return None

    async def _tell(self, context: Any, conversation: Conversation) -> None:
        loop = asyncio.get_running_loop()
        while True:
            wanted = conversation.wanted(loop.time())
            if wanted is not None:
                try:
                    await context.write(wanted)
                except grpc.aio.BaseError:
                    return  # the call is over; its reader learns it too
            await asyncio.sleep(AGAIN)

    def _next(self) -> int:
        self._made = self._made % 999_999 + 1
        return self._made
