"""Who may join the mesh, whom it trusts, and who is shut out: Joining."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NoReturn, TypeVar

import grpc

from api.access.caller import Right, current
from api.proto.xdsd.admin.v1 import admin_pb2 as pb
from xdsd.ca.authority import Authority
from xdsd.ca.ledger import Ledger
from xdsd.ca.registers import Revocations, Tokens
from xdsd.ca.revocations import InvalidRevocation, Revocation, parse_serial
from xdsd.ca.tokens import InvalidToken, JoinToken
from xdsd.model.identity import InvalidIdentity, SpiffeID, parse_identity

Context = grpc.aio.ServicerContext[object, object]
T = TypeVar("T")

LONGEST_TOKEN = timedelta(days=366)
LONGEST_REVOCATION = timedelta(days=3660)
_OFF = "this daemon serves no identities: set xds-tls-address or xds-mtls-address"


@dataclass(frozen=True, slots=True)
class Joined:
    """What the daemon has for it. ``server`` is its own identity, which nobody else gets."""

    authority: Authority
    tokens: Tokens
    revocations: Revocations
    issued: Ledger
    server: SpiffeID
    tls_address: str = ""
    mtls_address: str = ""


class _NotThere(Exception):  # noqa: N818 - it is named after what is the matter
    """There is none of that name."""


class JoiningService:
    """xdsd.admin.v1.Joining. ``joined`` is None where the daemon serves no identities."""

    def __init__(
        self, joined: Joined | None, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._joined = joined
        self._now = now

    async def CreateToken(  # noqa: N802
        self, request: pb.CreateJoinTokenRequest, context: Context
    ) -> pb.CreateJoinTokenResponse:
        joined = await self._on(context)
        current().require(Right.ACCESS, request.namespace)

        async def work() -> tuple[str, JoinToken]:
            lifetime = _span(request.ttl_seconds, LONGEST_TOKEN, "a join token")
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
        return pb.CreateJoinTokenResponse(token=text, info=_token(token))

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
        if not joined.authority.is_known:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the CA is not known yet; try again")
        return pb.Trust(
            trust_domain=joined.authority.trust_domain,
            bundle=joined.authority.bundle,
            server_identity=str(joined.server),
            tls_address=joined.tls_address,
            mtls_address=joined.mtls_address,
        )

    async def Revoke(self, request: pb.RevokeRequest, context: Context) -> pb.Revocation:  # noqa: N802
        joined = await self._on(context)
        current().require(Right.ACCESS, _namespace(request.identity))

        async def work() -> Revocation:
            serial, identity = _of(request)
            if identity == joined.server:
                raise InvalidRevocation(f"{identity} is the daemon's own; without it nobody is served")
            asked = _span(request.ttl_seconds, LONGEST_REVOCATION, "a revocation")
            lifetime = asked or joined.authority.lifetime + timedelta(minutes=1)
            since = self._now().replace(microsecond=0)
            serials = await joined.issued.of(identity) if identity is not None else ()
            made = Revocation(
                since, since + lifetime, serial, identity, request.reason, current().name, serials
            )
            return await joined.revocations.add(made)

        return _revocation(await _told(work, context))

    async def ListRevocations(  # noqa: N802
        self, _request: pb.ListRevocationsRequest, context: Context
    ) -> pb.ListRevocationsResponse:
        joined = await self._on(context)
        current().require(Right.OBSERVE)
        found = [each for each in joined.revocations.all() if self._now() < each.until]
        return pb.ListRevocationsResponse(revocations=[_revocation(each) for each in found])

    async def Restore(self, request: pb.RestoreRequest, context: Context) -> pb.Revocation:  # noqa: N802
        joined = await self._on(context)
        current().require(Right.ACCESS, _namespace(request.identity))

        async def work() -> Revocation:
            serial, identity = _of(request)
            key = f"identity/{identity.principal}" if identity is not None else f"serial/{serial:x}"
            restored = await joined.revocations.restore(key, current().name)
            if restored is None:
                raise _NotThere(
                    f"{request.identity or request.serial} is not revoked; xdsctl cert revocations tells what is"
                )
            return restored

        return _revocation(await _told(work, context))

    async def _on(self, context: Context) -> Joined:
        if self._joined is None:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, _OFF)
        return self._joined


def _of(request: pb.RevokeRequest | pb.RestoreRequest) -> tuple[int, SpiffeID | None]:
    """The serial, or the identity. Raises InvalidRevocation, InvalidIdentity."""
    if bool(request.identity) == bool(request.serial):
        raise InvalidRevocation("name one SPIFFE id or one serial")
    if request.identity:
        return 0, parse_identity(request.identity)
    return parse_serial(request.serial), None


def _namespace(identity: str) -> str:
    """Of an identity; a serial, and what is no identity, is of none."""
    try:
        return parse_identity(identity).namespace if identity else ""
    except InvalidIdentity:
        return ""


def _span(seconds: int, longest: timedelta, what: str) -> timedelta:
    if not 0 <= seconds <= longest.total_seconds():
        raise InvalidToken(f"{what} lasts for at most {longest.days} days")
    return timedelta(seconds=seconds)


async def _told(work: Callable[[], Awaitable[T]], context: Context) -> T:
    """What the work gives; what is wrong with what was asked ends the call."""
    try:
        return await work()
    except (InvalidIdentity, InvalidToken, InvalidRevocation) as error:
        await _end(context, grpc.StatusCode.INVALID_ARGUMENT, str(error))
    except _NotThere as error:
        await _end(context, grpc.StatusCode.NOT_FOUND, str(error))


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


def _revocation(revocation: Revocation) -> pb.Revocation:
    made = pb.Revocation(
        identity=str(revocation.identity or ""),
        serial=f"{revocation.serial:x}" if revocation.serial else "",
        reason=revocation.reason,
        author=revocation.author,
    )
    made.since.FromDatetime(revocation.since)
    made.until.FromDatetime(revocation.until)
    return made
