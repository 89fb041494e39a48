"""Before every call: who calls is found out, may enter or not, and every refusal is counted and logged.

A caller proves itself by what the kernel says of a Unix socket's peer, by a bearer token, by the token that etcd's
Authenticate gave for a password, or by a client certificate. Nothing that proves it is ever logged.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
from structlog.typing import FilteringBoundLogger

from api.access.caller import Caller, Refused, current, enter
from api.access.proving import Prover, Unproven

Handler = Any  # gRPC's handlers are untyped tuples
Context = grpc.aio.ServicerContext[object, object]
Count = Callable[[str], None]

OPEN = frozenset({"/etcdserverpb.Auth/Authenticate"})
"""Calls that everybody may make: they are how one proves who one is."""


class Guard(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]  # generic in the stubs alone
    """Stands around every call. ``count`` is told the reason of each refusal."""

    def __init__(self, prover: Prover, logger: FilteringBoundLogger, count: Count) -> None:
        self._prover = prover
        self._logger = logger
        self._count = count

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        """The handler, guarded."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return handler
        method = handler_call_details.method
        codecs = {
            "request_deserializer": handler.request_deserializer,
            "response_serializer": handler.response_serializer,
        }
        if handler.unary_unary is not None:
            return grpc.unary_unary_rpc_method_handler(self._unary(handler.unary_unary, method), **codecs)
        if handler.unary_stream is not None:
            return grpc.unary_stream_rpc_method_handler(self._stream(handler.unary_stream, method), **codecs)
        if handler.stream_unary is not None:
            return grpc.stream_unary_rpc_method_handler(self._unary(handler.stream_unary, method), **codecs)
        return grpc.stream_stream_rpc_method_handler(self._stream(handler.stream_stream, method), **codecs)

    def _unary(self, call: Callable[[Any, Context], Awaitable[Any]], method: str) -> Callable[..., Any]:
        async def guarded(request: Any, context: Context) -> Any:
            await self._admit(method, context)
            try:
                return await call(request, context)
            except Refused as refused:
                await self._refuse(refused, method, context)
            except Unproven as unproven:
                await self._turn_away(unproven, method, context)

        return guarded

    def _stream(self, call: Callable[[Any, Context], AsyncIterator[Any]], method: str) -> Callable[..., Any]:
        async def guarded(request: Any, context: Context) -> AsyncIterator[Any]:
            await self._admit(method, context)
            try:
                async for response in call(request, context):
                    yield response
            except Refused as refused:
                await self._refuse(refused, method, context)
            except Unproven as unproven:
                await self._turn_away(unproven, method, context)

        return guarded

    async def _admit(self, method: str, context: Context) -> None:
        try:
            enter(await self._prover.caller(context, must=method not in OPEN))
        except Unproven as unproven:
            await self._turn_away(unproven, method, context)

    async def _turn_away(self, unproven: Unproven, method: str, context: Context) -> None:
        self._count(unproven.reason)
        self._logger.warning(
            "a caller is refused", method=method, origin=unproven.origin, why=unproven.reason
        )
        await context.abort(grpc.StatusCode.UNAUTHENTICATED, str(unproven))

    async def _refuse(self, refused: Refused, method: str, context: Context) -> None:
        caller: Caller = current()
        self._count("rights")
        self._logger.warning(
            "a call is refused", method=method, who=caller.name, origin=caller.origin, why=str(refused)
        )
        await context.abort(grpc.StatusCode.PERMISSION_DENIED, str(refused))
