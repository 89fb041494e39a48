"""Certificates on request, on the TLS ports of xDS, in the words of the API that Istio published: CreateCertificate.

A workload makes its key where it runs and sends a request that the key signed. Whose the certificate is, says what the
caller proved: a join token, or the certificate that it has and renews.
"""

from datetime import timedelta
from hashlib import sha256
from typing import Any

import grpc
from structlog.typing import FilteringBoundLogger

from api.proto.istio.v1.auth import ca_pb2 as pb
from storage.base import StorageError
from xdsd.ca.authority import Authority
from xdsd.ca.issuer import CannotIssue, bundle
from xdsd.ca.keys import public_der
from xdsd.ca.reading import Unreadable, read_certificates, read_request
from xdsd.ca.registers import Tokens
from xdsd.ca.tokens import JoinToken
from xdsd.model.identity import Proof, StreamIdentity
from xdsd.server.gate import Gate
from xdsd.server.turns import Turns

SERVICE = pb.DESCRIPTOR.services_by_name["IstioCertificateService"].full_name


class CertificatesService:
    """istio.v1.auth.IstioCertificateService. ``turns`` are those of identities."""

    def __init__(
        self,
        gate: Gate,
        authority: Authority,
        tokens: Tokens,
        logger: FilteringBoundLogger,
        turns: Turns,
    ) -> None:
        self._turns = turns
        self._gate = gate
        self._authority = authority
        self._tokens = tokens
        self._logger = logger

    def handler(self) -> "grpc.GenericRpcHandler[Any, Any]":
        """To be served."""
        method = grpc.unary_unary_rpc_method_handler(
            self.CreateCertificate,
            pb.IstioCertificateRequest.FromString,
            pb.IstioCertificateResponse.SerializeToString,
        )
        return grpc.method_handlers_generic_handler(SERVICE, {"CreateCertificate": method})

    async def CreateCertificate(  # noqa: N802
        self, request: pb.IstioCertificateRequest, context: Any
    ) -> pb.IstioCertificateResponse:
        caller = await self._gate.admit(context)
        await self._in_turn(caller, context)
        csr = request.csr.encode()
        try:
            key = read_request(csr)
            lifetime = _lifetime(request.validity_duration)
        except Unreadable as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        try:
            name = sha256(public_der(key)).hexdigest()
            await self._unused(caller, name, context)
            svid = await self._authority.issue(key, caller.identity, lambda: csr, lifetime)
            await self._use(caller, name, context)
        except CannotIssue as error:
            await context.abort(grpc.StatusCode.UNAVAILABLE, f"no certificate can be issued now: {error}")
        except StorageError as error:
            await context.abort(grpc.StatusCode.UNAVAILABLE, f"the store: {error}")
        self._logger.info(
            "a certificate is issued",
            identity=str(caller.identity),
            by=f"{caller.proof} {caller.credential}",
            serial=f"{svid.certificate.serial_number:x}",
            expires=svid.expires.isoformat(),
        )
        chain = read_certificates(svid.chain, "the chain")
        told = [bundle([each]).decode() for each in chain]
        return pb.IstioCertificateResponse(cert_chain=[*told, self._authority.bundle.decode()])

    async def _in_turn(self, caller: StreamIdentity, context: Any) -> None:
        """Ends the call of an identity that asks too often, before anything is looked at."""
        if why := self._turns.refusal(str(caller.identity)):
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, why)

    async def _unused(self, caller: StreamIdentity, key: str, context: Any) -> None:
        """Ends the call of whoever shows a token for a single use that another key had, as far as that is known here."""
        token = self._single(caller)
        if token is not None and token.used_by not in ("", key):
            await self._used(token, context)

    async def _use(self, caller: StreamIdentity, key: str, context: Any) -> None:
        """A token for a single use is used up by the first key that has a certificate: nobody else is given theirs."""
        token = self._single(caller)
        if token is not None and not await self._tokens.use(token, key, self._authority.now()):
            await self._used(token, context)

    def _single(self, caller: StreamIdentity) -> JoinToken | None:
        token = self._tokens.get(caller.credential) if caller.proof is Proof.TOKEN else None
        return token if token is not None and token.single_use else None

    async def _used(self, token: JoinToken, context: Any) -> None:
        await context.abort(
            grpc.StatusCode.PERMISSION_DENIED,
            f"the join token {token.id} is for a single use, and was used; make another with xdsctl token create",
        )


def _lifetime(seconds: int) -> timedelta | None:
    """None for what the daemon gives anybody. Raises Unreadable."""
    if seconds < 0 or 0 < seconds < 60:
        raise Unreadable("a certificate lives for a minute at least")
    return timedelta(seconds=min(seconds, 10 * 366 * 86400)) if seconds else None
