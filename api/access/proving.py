"""Finding out who calls."""

import asyncio
import os
import pwd
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import grpc

from api.access.caller import Binding, Caller, Method, Role
from api.access.directory import Directory
from api.access.door import Peer
from api.access.throttle import Throttle, TooManyAttempts
from api.access.users import User, password_holds, token_id

Context = grpc.aio.ServicerContext[object, object]

SESSION = 300.0
"""Seconds without a call after which the token that a password gave is no longer taken, as in etcd."""
SESSIONS = 10_000


class Unproven(Exception):  # noqa: N818 - it is named after what is the matter
    """The caller did not prove who it is. ``reason`` is a word for counting; the message says what to do."""

    def __init__(self, reason: str, origin: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.origin = origin


@dataclass(slots=True)
class _Session:
    name: str
    used: float


class Prover:
    """Callers by what they prove. ``anonymous`` is what plaintext callers without credentials may do; None: nothing."""

    def __init__(
        self,
        directory: Directory,
        throttle: Throttle,
        clock: Callable[[], float],
        *,
        anonymous: Role | None,
        peer: Callable[[str], Peer | None] = lambda _: None,
    ) -> None:
        self.directory = directory
        self._throttle = throttle
        self._clock = clock
        self._anonymous = anonymous
        self.peer = peer
        self._sessions: dict[str, _Session] = {}

    def admits(self, peer: Peer) -> bool:
        """True for a process whose connection is taken: root's, the daemon's own user's, and users' by their uid."""
        return peer.uid in (0, os.geteuid()) or self.directory.by_uid(peer.uid) is not None

    async def caller(self, context: Context, *, must: bool = True) -> Caller:
        """Who calls. Raises Unproven; unless it must prove itself."""
        metadata = dict(context.invocation_metadata() or ())
        peer, origin = self.peer(context.peer()), self.origin(context)
        if bearer := _bearer(metadata):
            return await self._by_token(bearer, origin)
        if session := metadata.get("token"):
            return self._by_session(str(session), origin)
        if peer is not None:
            return self._by_peer(peer, origin)
        if subjects := _subjects(context.auth_context()):
            return self._by_certificate(subjects, origin)
        secure = b"ssl" in context.auth_context().get("transport_security_type", ())
        if self._anonymous is not None and not secure:
            return Caller("anonymous", Method.ANONYMOUS, origin, (Binding(self._anonymous),))
        if not must:
            return Caller("nobody", Method.ANONYMOUS, origin)
        raise Unproven(
            "no credentials",
            origin,
            "who calls is not known: give a token (--token-file, XDSCTL_TOKEN_FILE) or a client certificate "
            "(--cert, --key); an admin makes a token with xdsctl user token NAME",
        )

    def origin(self, context: Context) -> str:
        """Where a call comes from: an address, or a process on this machine."""
        name = context.peer()
        peer = self.peer(name)
        return f"unix {peer}" if peer else _address(name)

    @property
    def lets_anybody(self) -> bool:
        """Whether callers without credentials may do something."""
        return self._anonymous is not None

    async def authenticate(self, name: str, password: str, origin: str) -> str:
        """The token for a name and a password, as etcd's Authenticate gives it. Raises Unproven."""
        keys = _keys(origin, name)
        await self._pause(keys, origin)
        user = self.directory.user(name)
        hashed = user.password if user and not user.disabled else ""
        if not await asyncio.to_thread(password_holds, password, hashed):
            self._throttle.failed(keys)
            raise Unproven("wrong password", origin, "authentication failed, invalid user ID or password")
        self._throttle.succeeded(keys)
        self._forget_sessions()
        token = secrets.token_urlsafe(24)
        self._sessions[token] = _Session(name, self._clock())
        return token

    async def _by_token(self, text: str, origin: str) -> Caller:
        """A token that holds is never slowed, whatever others at the same address try."""
        identity = token_id(text)
        user = self.directory.by_token(identity)
        tokens = user.tokens if user else ()
        token = next((each for each in tokens if each.id == identity), None)
        now = datetime.now(UTC)
        if user is None or token is None or not token.holds(text, now):
            keys = _keys(origin, f"token {identity}" if identity else "")
            self._throttle.failed(keys)
            await self._pause(keys, origin)
            expired = token is not None and token.expires is not None and token.expires <= now
            why = "has expired" if expired else "is not known, or was revoked"
            reason = "expired token" if expired else "unknown token"
            raise Unproven(reason, origin, f"the token {why}; make another with xdsctl user token NAME")
        return _known(user, Method.TOKEN, origin)

    async def _pause(self, keys: Sequence[str], origin: str) -> None:
        try:
            await self._throttle.pause(keys)
        except TooManyAttempts as error:
            raise Unproven("too many attempts", origin, str(error)) from error

    def _by_session(self, token: str, origin: str) -> Caller:
        self._forget_sessions()
        session = self._sessions.get(token)
        user = self.directory.user(session.name) if session else None
        if session is None or user is None or user.disabled:
            raise Unproven("unknown session", origin, "etcdserver: invalid auth token")
        session.used = self._clock()
        return _known(user, Method.PASSWORD, origin)

    def _by_peer(self, peer: Peer, origin: str) -> Caller:
        user = self.directory.by_uid(peer.uid)
        if user is not None:
            return _known(user, Method.UNIX, origin)
        if peer.uid in (0, os.geteuid()):
            return Caller(_login(peer.uid), Method.UNIX, origin, (Binding(Role.ADMIN),))
        raise Unproven(
            "unknown uid", origin, f"uid {peer.uid} is no user; xdsctl user add NAME --uid {peer.uid}"
        )

    def _by_certificate(self, subjects: Sequence[str], origin: str) -> Caller:
        for subject in subjects:
            if (user := self.directory.by_certificate(subject)) is not None:
                return _known(user, Method.CERTIFICATE, origin)
        named = ", ".join(subjects)
        raise Unproven(
            "unknown certificate",
            origin,
            f"the certificate of {named} is of no user; an admin can say whose it is: "
            f"xdsctl user add NAME --certificate {subjects[0]}",
        )

    def _forget_sessions(self) -> None:
        now = self._clock()
        for token, session in list(self._sessions.items()):
            if now - session.used >= SESSION or len(self._sessions) >= SESSIONS:
                del self._sessions[token]


def _known(user: User, method: Method, origin: str) -> Caller:
    return Caller(user.name, method, origin, user.bindings)


def _bearer(metadata: Mapping[str, Any]) -> str:
    scheme, _, token = str(metadata.get("authorization", "")).partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _subjects(auth: Mapping[str, Iterable[bytes]]) -> tuple[str, ...]:
    """Whom a verified client certificate is of: URIs (SPIFFE), DNS names, then the common name."""
    names = (*auth.get("x509_subject_alternative_name", ()), *auth.get("x509_common_name", ()))
    return tuple(dict.fromkeys(name.decode("utf-8", "replace") for name in names))


def _address(peer: str) -> str:
    """The address in gRPC's name for a peer, without what changes with each connection."""
    kind, _, rest = peer.partition(":")
    return rest.rpartition(":")[0] if kind in ("ipv4", "ipv6") else peer


def _keys(origin: str, name: str) -> tuple[str, ...]:
    return (f"from {origin}", *((f"as {name}",) if name else ()))


def _login(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid:{uid}"
