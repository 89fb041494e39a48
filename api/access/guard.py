"""Before every call: who calls is found out, may enter or not, and every refusal is counted and logged.

A caller proves itself by what the kernel says of a Unix socket's peer, by a bearer token, by the token that etcd's
Authenticate gave for a password, or by a client certificate. Nothing that proves it is ever logged.

A stream ends when its caller is no longer who it was: at once when a user changes, within ``proving.RECHECK`` seconds when
a token expires. It is asked as the stream waits; one that is being written to ends when that is done.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NoReturn

import grpc
from structlog.typing import FilteringBoundLogger

from api.access.caller import Caller, Refused, current, enter
from api.access.proving import Prover, Unproven, UsersUnknown
from api.wire import FAULT

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
            caller = await self._admit(method, context)
            responses = call(request, context)
            lapse = _Lapse(lambda: self._prover.lapsed(context, caller))
            try:
                async for response in lapse.until(responses):
                    yield response
            except Refused as refused:
                await self._refuse(refused, method, context)
            except Unproven as unproven:
                await self._turn_away(unproven, method, context)
            finally:
                await lapse.forget()
            if lapse.why:
                await self._turn_away(Unproven("lapsed", caller.origin, lapse.why), method, context)

        return guarded

    async def _admit(self, method: str, context: Context) -> Caller:
        try:
            caller = await self._prover.caller(context, must=method not in OPEN)
        except Unproven as unproven:
            await self._turn_away(unproven, method, context)
        except UsersUnknown as unknown:
            await context.abort(grpc.StatusCode.UNAVAILABLE, f"the store: {unknown}", ((FAULT, "store"),))
        enter(caller, lambda refused: self._hear(refused, method))
        return caller

    async def _turn_away(self, unproven: Unproven, method: str, context: Context) -> NoReturn:
        self._count(unproven.reason)
        self._logger.warning(
            "a caller is refused", method=method, origin=unproven.origin, why=unproven.reason
        )
        await context.abort(grpc.StatusCode.UNAUTHENTICATED, str(unproven))

    async def _refuse(self, refused: Refused, method: str, context: Context) -> None:
        self._hear(refused, method)
        await context.abort(grpc.StatusCode.PERMISSION_DENIED, str(refused))

    def _hear(self, refused: Refused, method: str) -> None:
        caller: Caller = current()
        self._count("rights")
        self._logger.warning(
            "a call is refused", method=method, who=caller.name, origin=caller.origin, why=str(refused)
        )


class _Lapse:
    """Watches, beside a stream, whether its caller still is who it was; ``why`` is empty while it is.

    Made and used in the task that serves the stream, whose waiting it ends.
    """

    def __init__(self, wait: Callable[[], Awaitable[str]]) -> None:
        self.why = ""
        self._wait = wait
        self._waiting: asyncio.Timeout | None = None
        self._watcher = asyncio.create_task(self._watch(), name="caller of a stream")

    async def until(self, responses: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """The responses, as long as it is."""
        going = True
        while going:
            try:
                async with asyncio.timeout(None) as self._waiting:
                    response = await anext(responses)
            except StopAsyncIteration:
                return
            except TimeoutError:
                if not self.why:
                    raise
                return
            finally:
                self._waiting = None
            yield response
            going = not self.why

    async def forget(self) -> None:
        """Stops to watch."""
        self._watcher.cancel()
        await asyncio.gather(self._watcher, return_exceptions=True)

    async def _watch(self) -> None:
        self.why = await self._wait()
        if self._waiting is not None:
            self._waiting.reschedule(asyncio.get_running_loop().time())
