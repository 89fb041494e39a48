"""Who may join the mesh, whom it trusts, and who is shut out: Joining."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import NoReturn, TypeVar

import grpc

from api.access.caller import Right, current, require_somewhere
from api.proto.xdsd.admin.v1 import admin_pb2 as pb
from api.services.ending import Endings, Judge, nobody_spared
from api.services.joined import Joined
from api.services.revoker import Revoker
from api.services.revoking import named, span
from api.services.rotating import rotate, shown
from api.wire import FAULT
from xdsd.ca.issuer import CannotIssue, bundle
from xdsd.ca.revocations import InvalidRevocation, Revocation
from xdsd.ca.rotating import Rotations
from xdsd.ca.rotation import CannotRotate
from xdsd.ca.tokens import InvalidToken, JoinToken
from xdsd.model.identity import InvalidIdentity, SpiffeID, parse_identity

Context = grpc.aio.ServicerContext[object, object]
T = TypeVar("T")

LONGEST_TOKEN = timedelta(days=366)
PATIENCE = 10.0
"""Seconds in which a daemon that has just begun comes to know its CA, where nothing is wrong."""
_NOT_OURS = (
    "the roots are not the daemon's to make: they come from ca-cert, ca-root or Vault; replace them there, in the order of "
    "the page on root rotation"
)
_OFF = "this daemon serves no identities: set xds-tls-address or xds-mtls-address"


class _NotThere(Exception):  # noqa: N818 - it is named after what is the matter
    """There is none of that name."""


class JoiningService:
    """xdsd.admin.v1.Joining. ``joined`` is None where the daemon serves no identities; ``judge`` says at which workloads
    connections need not end.
    """

    def __init__(
        self,
        joined: Joined | None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        judge: Judge = nobody_spared,
    ) -> None:
        self._joined = joined
        self._now = now
        self._judge = judge
        self._endings = Endings()

    async def CreateToken(  # noqa: N802
        self, request: pb.CreateJoinTokenRequest, context: Context
    ) -> pb.CreateJoinTokenResponse:
        joined = await self._on(context)
        current().require(Right.ACCESS, request.namespace)

        async def work() -> tuple[str, JoinToken]:
            lifetime = span(request.ttl_seconds, LONGEST_TOKEN, "a join token")
            if not lifetime:
                raise InvalidToken("a join token lives for a second at least")
            identity = SpiffeID(joined.authority.trust_domain, request.namespace, request.service_account)
            if identity == joined.server:
                raise InvalidToken(f"{identity} is the daemon's own; nobody else joins as it")
            return await joined.tokens.create(
                identity,
                self._now(),
                lifetime,
                single_use=request.single_use,
                networks=tuple(request.networks),
                description=request.description,
                author=current().name,
            )

        text, token = await _told(work, context)
        warnings = [
            f"{token.identity} is revoked until {revoked.until.isoformat()}, so nobody joins by this token before then; "
            "xdsctl cert restore takes that back"
            for revoked in [joined.revocations.of(token.identity, 0, self._now())]
            if revoked is not None
        ]
        return pb.CreateJoinTokenResponse(token=text, info=_token(token), warnings=warnings)

    async def ListTokens(  # noqa: N802
        self, _request: pb.ListJoinTokensRequest, context: Context
    ) -> pb.ListJoinTokensResponse:
        joined = await self._on(context)
        if not current().somewhere(Right.ACCESS):
            current().require(Right.ACCESS)
        found = [each for each in joined.tokens.all() if current().may(Right.ACCESS, each.identity.namespace)]
        return pb.ListJoinTokensResponse(tokens=[_token(each) for each in found])

    async def RevokeToken(self, request: pb.RevokeJoinTokenRequest, context: Context) -> pb.JoinToken:  # noqa: N802
        joined = await self._on(context)
        token = joined.tokens.get(request.id)
        current().require(Right.ACCESS, token.identity.namespace if token is not None else "")
        if token is None:
            await context.abort(
                grpc.StatusCode.NOT_FOUND,
                f"there is no join token {request.id}; xdsctl token list tells which are",
            )
        await joined.tokens.revoke(token.id, current().name)
        return _token(token)

    async def GetTrust(self, _request: pb.GetTrustRequest, context: Context) -> pb.Trust:  # noqa: N802
        joined = await self._on(context)
        if not current().somewhere(Right.OBSERVE):
            current().require(Right.OBSERVE)
        try:
            async with asyncio.timeout(PATIENCE):
                await joined.authority.known()
        except TimeoutError:
            why = "the CA is not known yet: xdsctl problems tells what it waits for"
            await context.abort(grpc.StatusCode.UNAVAILABLE, why, ((FAULT, "ca"),))
        return pb.Trust(
            trust_domain=joined.authority.trust_domain,
            bundle=joined.authority.bundle,
            server_identity=str(joined.server),
            tls_address=joined.tls_address,
            mtls_address=joined.mtls_address,
            issuers=bundle(each for each in joined.authority.issuers if each not in joined.authority.roots),
            mesh_domain=joined.mesh_domain,
        )

    async def Revoke(self, request: pb.RevokeRequest, context: Context) -> pb.Revocation:  # noqa: N802
        joined = await self._on(context)
        current().require(Right.ACCESS, _namespace(request.identity, joined))
        if request.everywhere:
            current().require(Right.ACCESS)
        revoker = Revoker(joined, self._judge, self._endings)

        async def work() -> pb.Revocation:
            return _revocation(*await revoker.revoke(request, self._now()))

        return await _told(work, context)

    async def ListRevocations(  # noqa: N802
        self, _request: pb.ListRevocationsRequest, context: Context
    ) -> pb.ListRevocationsResponse:
        joined = await self._on(context)
        require_somewhere(Right.OBSERVE)
        found = [
            each
            for each in joined.revocations.all()
            if self._now() < each.until
            and current().may(Right.OBSERVE, _namespace(str(each.identity or ""), joined))
        ]
        return pb.ListRevocationsResponse(revocations=[_revocation(each) for each in found])

    async def ListIssued(self, request: pb.ListIssuedRequest, context: Context) -> pb.ListIssuedResponse:  # noqa: N802
        joined = await self._on(context)
        current().require(Right.OBSERVE, _namespace(request.identity, joined))

        async def work() -> pb.ListIssuedResponse:
            found, now = await joined.issued.of(parse_identity(request.identity)), self._now()
            made = pb.ListIssuedResponse()
            for each in found:
                revoked = joined.revocations.of(each.identity, each.serial, now) is not None
                made.certificates.add(serial=f"{each.serial:x}", revoked=revoked).expires.FromDatetime(
                    each.expires
                )
            return made

        return await _told(work, context)

    async def Restore(self, request: pb.RestoreRequest, context: Context) -> pb.Revocation:  # noqa: N802
        joined = await self._on(context)
        current().require(Right.ACCESS, _namespace(request.identity, joined))

        async def work() -> Revocation:
            serial, identity = named(request)
            key = f"identity/{identity.principal}" if identity is not None else f"serial/{serial:x}"
            restored = await joined.revocations.restore(key, current().name)
            if restored is None:
                raise _NotThere(
                    f"{request.identity or request.serial} is not revoked; xdsctl cert revocations tells what is"
                )
            return restored

        return _revocation(await _told(work, context))

    async def GetRotation(self, _request: pb.GetRotationRequest, context: Context) -> pb.Rotation:  # noqa: N802
        rotations = await self._rotations(context)
        current().require(Right.OBSERVE)
        return await self._progress(rotations, context)

    async def Rotate(self, request: pb.RotateRequest, context: Context) -> pb.Rotation:  # noqa: N802
        rotations = await self._rotations(context)
        current().require(Right.ACCESS)
        try:
            await rotate(rotations, request, current().name)
        except CannotRotate as error:
            await _end(context, grpc.StatusCode.FAILED_PRECONDITION, str(error))
        return await self._progress(rotations, context)

    async def _progress(self, rotations: Rotations, context: Context) -> pb.Rotation:
        try:
            return shown(await rotations.progress())
        except CannotRotate as error:
            await _end(context, grpc.StatusCode.FAILED_PRECONDITION, str(error))

    async def _rotations(self, context: Context) -> Rotations:
        joined = await self._on(context)
        if joined.rotations is None:
            await _end(context, grpc.StatusCode.FAILED_PRECONDITION, _NOT_OURS)
        return joined.rotations

    async def _on(self, context: Context) -> Joined:
        if self._joined is None:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, _OFF)
        return self._joined


def _namespace(identity: str, joined: Joined) -> str:
    """Of an identity; a serial, what is no identity, and who is of another trust domain, are of none."""
    try:
        found = parse_identity(identity) if identity else None
    except InvalidIdentity:
        return ""
    return (
        found.namespace if found is not None and found.trust_domain == joined.authority.trust_domain else ""
    )


async def _told(work: Callable[[], Awaitable[T]], context: Context) -> T:
    """What the work gives; what is wrong with what was asked ends the call."""
    try:
        return await work()
    except (InvalidIdentity, InvalidToken, InvalidRevocation) as error:
        await _end(context, grpc.StatusCode.INVALID_ARGUMENT, str(error))
    except _NotThere as error:
        await _end(context, grpc.StatusCode.NOT_FOUND, str(error))
    except CannotIssue as error:
        message = f"revoked here, but not where certificates are signed, so that proxies have no list of it: {error}"
        await _end(context, grpc.StatusCode.FAILED_PRECONDITION, message)


async def _end(context: Context, code: grpc.StatusCode, message: str) -> NoReturn:
    await context.abort(code, message)


def _token(token: JoinToken) -> pb.JoinToken:
    made = pb.JoinToken(
        id=token.id,
        namespace=token.identity.namespace,
        service_account=token.identity.service_account,
        single_use=token.single_use,
        networks=token.networks,
        description=token.description,
        author=token.author,
    )
    made.created.FromDatetime(token.created)
    made.expires.FromDatetime(token.expires)
    if token.used_at is not None:
        made.used.FromDatetime(token.used_at)
    return made


def _revocation(revocation: Revocation, warnings: Iterable[str] = ()) -> pb.Revocation:
    made = pb.Revocation(
        identity=str(revocation.identity or ""),
        serial=f"{revocation.serial:x}" if revocation.serial else "",
        reason=revocation.reason,
        author=revocation.author,
        warnings=warnings,
    )
    made.since.FromDatetime(revocation.since)
    made.until.FromDatetime(revocation.until)
    return made
