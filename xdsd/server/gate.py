"""The gate of the TLS ports: nobody passes who has not proven an identity, and nobody stays when that no longer holds.

gRPC for Python (1.85) either demands a client's certificate or does not ask for one: its C core could ask and not demand,
but nothing of Python reaches that. So there are two ports, one for those with tokens and one for those with certificates,
and what a client shows is looked at in the same way on both.
"""

from collections.abc import Awaitable, Callable, Set
from contextvars import ContextVar
from typing import Any
from urllib.parse import unquote

import grpc

from xdsd.ca.proving import Identifier, Shown, Unproven
from xdsd.model.identity import SpiffeID, StreamIdentity
from xdsd.server.house import Logger

UNKNOWN_YET = frozenset({"accounts unknown", "tokens unknown"})
"""Reasons to try again rather than to mend something."""


_PROVEN: ContextVar[StreamIdentity | None] = ContextVar("proven", default=None)
"""Who calls, within a call that a ``Guard`` let through."""


def calling() -> SpiffeID | None:
    """What who calls now proved to be; None on ports where nobody proves anything."""
    proven = _PROVEN.get()
    return proven.identity if proven is not None else None


class Gate:
    """``count`` is told the reason of each refusal."""

    def __init__(self, identifier: Identifier, log: Logger, count: Callable[[str], None]) -> None:
        self._identifier = identifier
        self._log = log
        self._count = count

    async def admit(self, context: Any, *, lasting: bool = False) -> StreamIdentity:
        """Who calls; ends the call of whoever proves nothing. A ``lasting`` call needs what holds more than once.

        ``context`` is a grpc.aio.ServicerContext.
        """
        shown = shown_by(context)
        try:
            return await self._identifier.identify(shown, lasting=lasting)
        except Unproven as unproven:
            self._count(unproven.reason)
            known = {"identity": unproven.identity, "credential": unproven.credential}
            told = {name: each for name, each in known.items() if each}
            self._log.warning("a proxy is refused", origin=shown.address, why=unproven.reason, **told)
            code = grpc.StatusCode.UNAUTHENTICATED
            if unproven.reason in UNKNOWN_YET:
                code = grpc.StatusCode.UNAVAILABLE
            await context.abort(code, str(unproven))
            raise AssertionError("an aborted call goes no further") from unproven

    def lapsed(self, identity: StreamIdentity) -> str:
        """Why a stream has to end; empty while it may go on."""
        why = self._identifier.lapsed(identity)
        if why:
            self._count("lapsed")
            self._log.info("a proxy's stream ends", identity=str(identity), why=why)
        return why


def shown_by(context: Any) -> Shown:
    """What the client of a call shows; the transport has verified the certificate if there is one."""
    metadata = dict(context.invocation_metadata() or ())
    certificates = tuple(context.auth_context().get("x509_pem_cert", ()))
    authorization = metadata.get("authorization")
    return Shown(
        peer_address(str(context.peer())),
        authorization if isinstance(authorization, str) else None,
        certificates[0] if certificates else None,
    )


class Guard(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]  # generic in the stubs alone
    """Stands before every service of the TLS ports but those that ask the gate themselves (``themselves``)."""

    def __init__(self, gate: Gate, themselves: Set[str]) -> None:
        self._gate = gate
        self._themselves = themselves

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        details: grpc.HandlerCallDetails,
    ) -> Any:
        """The handler, guarded."""
        handler = await continuation(details)
        service = str(details.method).rpartition("/")[0].removeprefix("/")
        if handler is None or service in self._themselves:
            return handler
        if handler.unary_unary is None:
            return grpc.unary_unary_rpc_method_handler(_not_here)

        async def guarded(request: Any, context: Any) -> Any:
            _PROVEN.set(await self._gate.admit(context))
            return await handler.unary_unary(request, context)

        return grpc.unary_unary_rpc_method_handler(
            guarded, handler.request_deserializer, handler.response_serializer
        )


async def _not_here(_: Any, context: Any) -> None:
    await context.abort(grpc.StatusCode.UNIMPLEMENTED, "this is not served over TLS")


def peer_address(peer: str) -> str:
    """The address in gRPC's name for a peer, without what changes with each connection."""
    kind, _, rest = peer.partition(":")
    return unquote(rest.rpartition(":")[0]).strip("[]") if kind in ("ipv4", "ipv6") else peer
