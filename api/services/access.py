"""Who may do what: Access."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import grpc

from api.access.caller import RIGHTS, Binding, Right, Role, current
from api.access.directory import Directory, NoSuchUserError, UserExistsError
from api.access.proving import LONGEST_PASSWORD
from api.access.users import InvalidUserError, Token, User, hash_password, new_token
from api.proto.xdsd.admin.v1 import admin_pb2 as pb

Context = grpc.aio.ServicerContext[object, object]

T = TypeVar("T")

SHORTEST_PASSWORD = 8
_DESCRIPTIONS = {
    Role.VIEWER: "Looks at everything but secrets.",
    Role.EDITOR: "Looks, and writes objects.",
    Role.ADMIN: "Does everything.",
}


class AccessService:
    """xdsd.admin.v1.Access."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    async def WhoAmI(self, _request: pb.WhoAmIRequest, _context: Context) -> pb.WhoAmIResponse:  # noqa: N802
        caller = current()
        return pb.WhoAmIResponse(
            name=caller.name,
            method=caller.method.value,
            origin=caller.origin,
            bindings=_bindings(caller.bindings),
        )

    async def ListUsers(  # noqa: N802
        self, _request: pb.ListUsersRequest, _context: Context
    ) -> pb.ListUsersResponse:
        current().require(Right.ACCESS)
        return pb.ListUsersResponse(users=[_user(user) for user in self._directory.users()])

    async def AddUser(self, request: pb.AddUserRequest, context: Context) -> pb.User:  # noqa: N802
        current().require(Right.ACCESS)

        async def work() -> User:
            user = User(
                request.name,
                tuple(_binding(each) for each in request.bindings),
                certificates=tuple(dict.fromkeys(request.certificates)),
                uids=tuple(dict.fromkeys(request.uids)),
                password=await _hashed(request.password),
            )
            return await self._directory.add(user, dry_run=request.dry_run)

        return _user(await _told(work, context))

    async def DeleteUser(  # noqa: N802
        self, request: pb.DeleteUserRequest, context: Context
    ) -> pb.DeleteUserResponse:
        current().require(Right.ACCESS)
        await _told(lambda: self._directory.remove(request.name, dry_run=request.dry_run), context)
        return pb.DeleteUserResponse()

    async def UpdateUser(self, request: pb.UpdateUserRequest, context: Context) -> pb.User:  # noqa: N802
        current().require(Right.ACCESS)

        async def work() -> User:
            password = await _hashed(request.password)

            def change(user: User) -> User:
                if request.set_certificates:
                    user = replace(user, certificates=tuple(dict.fromkeys(request.certificates)))
                if request.set_uids:
                    user = replace(user, uids=tuple(dict.fromkeys(request.uids)))
                if request.set_password:
                    user = replace(user, password=password)
                return replace(user, disabled=request.disabled) if request.set_disabled else user

            return await self._directory.change(request.name, change, dry_run=request.dry_run)

        return _user(await _told(work, context))

    async def IssueToken(  # noqa: N802
        self, request: pb.IssueTokenRequest, context: Context
    ) -> pb.IssueTokenResponse:
        current().require(Right.ACCESS)
        now = datetime.now(UTC).replace(microsecond=0)

        async def work() -> tuple[str, Token]:
            if not 0 <= request.ttl_seconds <= 10 * 366 * 86400:
                raise InvalidUserError(
                    "a token lives for at most ten years; write 0 for one that does not expire"
                )
            expires = now + timedelta(seconds=request.ttl_seconds) if request.ttl_seconds else None
            text, token = new_token(now, expires, request.description)
            while self._directory.by_token(token.id):
                text, token = new_token(now, expires, request.description)
            await self._directory.change(
                request.name, lambda user: replace(user, tokens=(*_living(user.tokens, now), token))
            )
            return text, token

        text, token = await _told(work, context)
        return pb.IssueTokenResponse(token=text, info=_token(token))

    async def RevokeToken(self, request: pb.RevokeTokenRequest, context: Context) -> pb.User:  # noqa: N802
        current().require(Right.ACCESS)

        def change(user: User) -> User:
            if request.id and request.id not in {token.id for token in user.tokens}:
                raise NoSuchUserError(f"the user {user.name} has no token {request.id}")
            kept = [token for token in user.tokens if request.id and token.id != request.id]
            return replace(user, tokens=tuple(kept))

        return await self._changed(request, change, context)

    async def ListRoles(  # noqa: N802
        self, _request: pb.ListRolesRequest, _context: Context
    ) -> pb.ListRolesResponse:
        roles = [
            pb.Role(
                name=role.value,
                description=_DESCRIPTIONS[role],
                may=[right.value for right in Right if right in RIGHTS[role]],
            )
            for role in Role
        ]
        return pb.ListRolesResponse(roles=roles)

    async def Grant(self, request: pb.GrantRequest, context: Context) -> pb.User:  # noqa: N802
        current().require(Right.ACCESS)
        return await self._changed(request, lambda user: _granted(user, _binding(request.binding)), context)

    async def Withdraw(self, request: pb.GrantRequest, context: Context) -> pb.User:  # noqa: N802
        current().require(Right.ACCESS)
        return await self._changed(request, lambda user: _withdrawn(user, _binding(request.binding)), context)

    async def _changed(
        self,
        request: pb.GrantRequest | pb.RevokeTokenRequest,
        change: Callable[[User], User],
        context: Context,
    ) -> pb.User:
        async def work() -> User:
            return await self._directory.change(request.name, change, dry_run=request.dry_run)

        return _user(await _told(work, context))


def _granted(user: User, wanted: Binding) -> User:
    """With a role in more namespaces than before, or in all."""
    same = [each for each in user.bindings if each.role is wanted.role]
    if wanted.namespaces and all(each.namespaces for each in same):
        wanted = replace(wanted, namespaces=wanted.namespaces.union(*(each.namespaces for each in same)))
    elif same:
        wanted = Binding(wanted.role)
    others = [each for each in user.bindings if each.role is not wanted.role]
    return replace(user, bindings=(*others, wanted))


def _withdrawn(user: User, unwanted: Binding) -> User:
    """Without a role, or without it in some namespaces. Raises InvalidUserError where the user has it not."""
    had = [each for each in user.bindings if each.role is unwanted.role]
    if not had:
        raise InvalidUserError(f"{user.name} is no {unwanted.role}")
    if unwanted.namespaces and not all(each.namespaces for each in had):
        raise InvalidUserError(
            f"{user.name} is {unwanted.role} in all namespaces; withdraw it whole, and grant it where it stays"
        )
    lacking = sorted(unwanted.namespaces.difference(*(each.namespaces for each in had)))
    if lacking:
        raise InvalidUserError(f"{user.name} is no {unwanted.role} in {', '.join(lacking)}")
    left = frozenset().union(*(each.namespaces for each in had)) - unwanted.namespaces
    others = tuple(each for each in user.bindings if each.role is not unwanted.role)
    if unwanted.namespaces and left:
        others = (*others, Binding(unwanted.role, left))
    return replace(user, bindings=others)


async def _told(work: Callable[[], Awaitable[T]], context: Context) -> T:
    """What the work gives; what is wrong with what was asked ends the call."""
    try:
        return await work()
    except UserExistsError as error:
        await context.abort(grpc.StatusCode.ALREADY_EXISTS, str(error))
    except NoSuchUserError as error:
        await context.abort(grpc.StatusCode.NOT_FOUND, str(error))
    except InvalidUserError as error:
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))


async def _hashed(password: str) -> str:
    if not password:
        return ""
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise InvalidUserError(
            f"a password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters, not {len(password)}"
        )
    return await asyncio.to_thread(hash_password, password)


def _living(tokens: Iterable[Token], now: datetime) -> Iterable[Token]:
    return (token for token in tokens if token.expires is None or token.expires > now)


def _binding(message: pb.Binding) -> Binding:
    try:
        role = Role(message.role)
    except ValueError:
        known = ", ".join(Role)
        raise InvalidUserError(f"{message.role!r} is no role; there are {known}") from None
    return Binding(role, frozenset(message.namespaces))


def _bindings(bindings: Iterable[Binding]) -> list[pb.Binding]:
    return [pb.Binding(role=each.role.value, namespaces=sorted(each.namespaces)) for each in bindings]


def _user(user: User) -> pb.User:
    return pb.User(
        name=user.name,
        bindings=_bindings(user.bindings),
        tokens=[_token(token) for token in user.tokens],
        has_password=bool(user.password),
        certificates=user.certificates,
        uids=user.uids,
        disabled=user.disabled,
    )


def _token(token: Token) -> pb.TokenInfo:
    message = pb.TokenInfo(id=token.id, description=token.description)
    message.created.FromDatetime(token.created)
    if token.expires:
        message.expires.FromDatetime(token.expires)
    return message
