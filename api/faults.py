"""What callers hear when the daemon cannot: the store's errors in gRPC's words, and everything unforeseen logged.

A store that is out of order is told apart from a daemon that is gone by the trailing metadata ``xdsd-fault``.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import grpc
from structlog.typing import FilteringBoundLogger

from api.access.caller import Refused
from api.access.proving import Unproven
from api.wire import FAULT

Words = Sequence[tuple[type[Exception], grpc.StatusCode]]
Handler = Any  # gRPC's handlers are untyped tuples
Context = grpc.aio.ServicerContext[object, object]


class Faults(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]  # generic in the stubs alone
    """Stands around every call. ``words`` says how errors that are foreseen are told; the first that fits."""

    def __init__(self, words: Words, logger: FilteringBoundLogger) -> None:
        self._words = words
        self._logger = logger

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        """The handler, guarded."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or method.startswith("/grpc.reflection"):
            return handler
        codecs = {
            "request_deserializer": handler.request_deserializer,
            "response_serializer": handler.response_serializer,
        }
        if handler.unary_unary is not None:
            guarded = self._unary(handler.unary_unary, method)
            return grpc.unary_unary_rpc_method_handler(guarded, **codecs)
        if handler.unary_stream is not None:
            guarded = self._stream(handler.unary_stream, method)
            return grpc.unary_stream_rpc_method_handler(guarded, **codecs)
        if handler.stream_stream is not None:
            guarded = self._stream(handler.stream_stream, method)
            return grpc.stream_stream_rpc_method_handler(guarded, **codecs)
        return handler

    def _unary(self, call: Callable[[Any, Context], Awaitable[Any]], method: str) -> Callable[..., Any]:
        async def guarded(request: Any, context: Context) -> Any:
            try:
                return await call(request, context)
            except (grpc.aio.AbortError, Refused, Unproven):
                raise
            except Exception as error:
                await self._tell(error, method, context)

        return guarded

    def _stream(self, call: Callable[[Any, Context], AsyncIterator[Any]], method: str) -> Callable[..., Any]:
        async def guarded(request: Any, context: Context) -> AsyncIterator[Any]:
            try:
                async for response in call(request, context):
                    yield response
            except (grpc.aio.AbortError, Refused, Unproven):
                raise
            except Exception as error:
                await self._tell(error, method, context)

        return guarded

    async def _tell(self, error: Exception, method: str, context: Context) -> None:
        for kind, code in self._words:
            if isinstance(error, kind):
                await context.abort(code, f"the store: {error}", ((FAULT, "store"),))
        self._logger.error("a call failed", method=method, exc_info=error)
        await context.abort(
            grpc.StatusCode.INTERNAL, f"{type(error).__name__} in the daemon; its log has the details"
        )
