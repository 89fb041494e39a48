"""Finding out who calls."""

import asyncio
import os
import pwd
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from ipaddress import IPv6Address, IPv6Network
from typing import Any
from urllib.parse import unquote

import grpc

from api.access.caller import Binding, Caller, Method, Role
from api.access.directory import Directory
from api.access.door import Peer
from api.access.sessions import Sessions
from api.access.users import User, is_name, password_holds, token_id
from xdsd.throttle import Throttle, TooManyAttempts

Context = grpc.aio.ServicerContext[object, object]

LONGEST_PASSWORD = 1024
HASHED_AT_ONCE = 2
"""Passwords; each takes a core and 16 MiB for a while, and others need the threads too."""
STARTING = 3.0
"""Seconds that a call waits for the users to be known, while the daemon starts."""
RECHECK = 10.0
"""Seconds after which a stream's caller is asked about again, for what no change of users tells: that a token expired."""


class Unproven(Exception):  # noqa: N818 - it is named after what is the matter
    """The caller did not prove who it is. ``reason`` is a word for counting; the message says what to do.

    ``tried`` is the key, for the throttle, of what was guessed at; None where nothing was.
    """

    def __init__(self, reason: str, origin: str, message: str, *, tried: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.origin = origin
        self.tried = tried


class UsersUnknown(Exception):  # noqa: N818 - it is named after what is the matter
    """The store has not said yet who the users are."""

    def __init__(self) -> None:
        super().__init__(
            "the users are not known yet, as it did not answer since the daemon started; try again"
        )


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
        self._anonymous = anonymous
        self.peer = peer
        self._sessions = Sessions(clock)
        self._hashing = asyncio.Semaphore(HASHED_AT_ONCE)

    async def admits(self, peer: Peer) -> bool:
        """True for a process whose connection is taken: root's, the daemon's own user's, and users' by their uid."""
        if _is_ours(peer):
            return True
        with suppress(UsersUnknown):
            await self._known()
        return self.directory.by_uid(peer.uid) is not None

    async def caller(self, context: Context, *, must: bool = True) -> Caller:
        """Who calls. Raises UsersUnknown, and Unproven; the latter not for want of credentials, unless ``must``.

        What holds is never slowed, whatever others at the same address try; what does not takes its turn.
        """
        if self._needs_users(context):
            await self._known()
        try:
            return self._prove(context, must=must)
        except Unproven as unproven:
            if unproven.tried is not None:
                await self._turn(_keys(unproven.origin, unproven.tried), unproven.origin)
            raise

    async def lapsed(self, context: Context, caller: Caller) -> str:
        """Returns once the call's credentials no longer make its caller who it was; says why."""
        while True:
            change = self.directory.next_change
            try:
                now = self._prove(context, must=True)
            except Unproven as unproven:
                return str(unproven)
            if (now.name, now.bindings) != (caller.name, caller.bindings):
                return f"what {caller.name} may do has changed; call again"
            with suppress(TimeoutError):
                await asyncio.wait_for(change.wait(), RECHECK)

    async def authenticate(self, name: str, password: str, origin: str) -> str:
        """The token for a name and a password, as etcd's Authenticate gives it. Raises Unproven, UsersUnknown."""
        await self._known()
        tried = f"as {name}" if is_name(name) else ""
        keys = _keys(origin, "" if self._throttle.trusts(tried, origin) else tried)
        await self._turn(keys, origin)
        user = self.directory.user(name)
        hashed = user.password if user and not user.disabled else ""
        fits = len(password) <= LONGEST_PASSWORD
        async with self._hashing:
            holds = await asyncio.to_thread(password_holds, password if fits else "", hashed)
        if not holds or not fits:
            raise Unproven("wrong password", origin, "authentication failed, invalid user ID or password")
        self._throttle.held(tried, origin, keys)
        return self._sessions.begin(name, hashed)

    def origin(self, context: Context) -> str:
        """Where a call comes from: an address, or a process on this machine."""
        name = context.peer()
        peer = self.peer(name)
        return f"unix {peer}" if peer else _address(name)

    @property
    def lets_anybody(self) -> bool:
        """Whether callers without credentials may do something."""
        return self._anonymous is not None

    def _prove(self, context: Context, *, must: bool) -> Caller:
        metadata = dict(context.invocation_metadata() or ())
        peer, origin = self.peer(context.peer()), self.origin(context)
        if "authorization" in metadata:
            return self._by_token(_bearer(metadata, origin), origin)
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
        raise Unproven("no credentials", origin, _wanted(context.auth_context(), secure=secure))

    def _needs_users(self, context: Context) -> bool:
        """False for who is let in without: whoever runs the daemon can look at it while its store is away."""
        if not {"authorization", "token"}.isdisjoint(dict(context.invocation_metadata() or ())):
            return True
        peer = self.peer(context.peer())
        return not _is_ours(peer) if peer else bool(_subjects(context.auth_context()))

    async def _known(self) -> None:
        if not self.directory.known:
            try:
                await asyncio.wait_for(self.directory.synced(), STARTING)
            except TimeoutError as error:
                raise UsersUnknown from error

    def _by_token(self, text: str, origin: str) -> Caller:
        identity = token_id(text)
        user = self.directory.by_token(identity) or self.directory.disabled_by(identity)
        token = next((each for each in user.tokens if each.id == identity), None) if user else None
        now = datetime.now(UTC)
        if user is not None and token is not None:
            if token.holds(text, now):
                if user.disabled:
                    raise _shut_out(user, origin)
                return _known(user, Method.TOKEN, origin)
            if token.is_of(text):
                message = f"the token has expired; make another with xdsctl user token {user.name}"
                raise Unproven("expired token", origin, message, tried="")
        message = "the token is not known, or was revoked; make another with xdsctl user token NAME"
        raise Unproven("unknown token", origin, message, tried=f"token {identity}" if token else "")

    async def _turn(self, keys: Sequence[str], origin: str) -> None:
        try:
            await self._throttle.attempt(keys)
        except TooManyAttempts as error:
            raise Unproven("too many attempts", origin, str(error)) from error

    def _by_session(self, token: str, origin: str) -> Caller:
        name, password = self._sessions.find(token) or ("", "")
        user = self.directory.user(name)
        if user is None or user.disabled or user.password != password:
            raise Unproven("unknown session", origin, "etcdserver: invalid auth token", tried="")
        return _known(user, Method.PASSWORD, origin)

    def _by_peer(self, peer: Peer, origin: str) -> Caller:
        """Root and the daemon's own user may do everything, whatever users there are: they can change the store anyway,
        and there is always somebody who can mend what was said of users.
        """
        user = self.directory.by_uid(peer.uid)
        if _is_ours(peer):
            name = user.name if user else _login(peer.uid)
            return Caller(name, Method.UNIX, origin, (Binding(Role.ADMIN),))
        if user is not None:
            return _known(user, Method.UNIX, origin)
        if (disabled := self.directory.disabled_by(peer.uid)) is not None:
            raise _shut_out(disabled, origin)
        raise Unproven(
            "unknown uid", origin, f"uid {peer.uid} is no user; xdsctl user add NAME --uid {peer.uid}"
        )

    def _by_certificate(self, subjects: Sequence[str], origin: str) -> Caller:
        for subject in subjects:
            if (user := self.directory.by_certificate(subject)) is not None:
                return _known(user, Method.CERTIFICATE, origin)
        for subject in subjects:
            if (disabled := self.directory.disabled_by(subject)) is not None:
                raise _shut_out(disabled, origin)
        named = ", ".join(subjects)
        raise Unproven(
            "unknown certificate",
            origin,
            f"the certificate of {named} is of no user; an admin can say whose it is: "
            f"xdsctl user add NAME --certificate {subjects[0]}",
        )


def _shut_out(user: User, origin: str) -> Unproven:
    """What a user hears who proved who it is, and was disabled."""
    message = (
        f"the user {user.name} is disabled; an admin can let it in again: xdsctl user enable {user.name}"
    )
    return Unproven("disabled user", origin, message, tried="")


def _known(user: User, method: Method, origin: str) -> Caller:
    return Caller(user.name, method, origin, user.bindings)


def _wanted(auth: Mapping[str, Iterable[bytes]], *, secure: bool) -> str:
    """What a caller without credentials is told. Over TLS one without a certificate was asked for none."""
    give = "give a token (--token-file, XDSCTL_TOKEN_FILE)"
    maker = "an admin makes a token with xdsctl user token NAME"
    if not secure:
        return f"who calls is not known: {give} or a client certificate (--cert, --key); {maker}"
    if "x509_pem_cert" in auth:
        return f"who calls is not known: the client certificate has no name; {give}; {maker}"
    return (
        f"who calls is not known: {give}; {maker}. Client certificates are not taken, as this daemon's "
        "admin-client-ca is not set"
    )


def _bearer(metadata: Mapping[str, Any], origin: str) -> str:
    """The token. Raises Unproven: whoever gives credentials that are none is not taken for somebody else."""
    scheme, _, token = str(metadata["authorization"]).partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unproven(
            "malformed credentials", origin, "the authorization metadata is not Bearer and a token", tried=""
        )
    return token.strip()


def _subjects(auth: Mapping[str, Iterable[bytes]]) -> tuple[str, ...]:
    """Whom a verified client certificate is of: URIs (SPIFFE), DNS names, then the common name."""
    names = (*auth.get("x509_subject_alternative_name", ()), *auth.get("x509_common_name", ()))
    return tuple(dict.fromkeys(name.decode("utf-8", "replace") for name in names))


def _is_ours(peer: Peer) -> bool:
    """True for root's processes and for those of the daemon's own user."""
    return peer.uid in (0, os.geteuid())


def _address(peer: str) -> str:
    """The address in gRPC's name for a peer, without what changes with each connection."""
    kind, _, rest = peer.partition(":")
    return unquote(rest.rpartition(":")[0]).strip("[]") if kind in ("ipv4", "ipv6") else peer


def _network(origin: str) -> str:
    """Of an IPv6 address the network, as whoever has one address has them all."""
    try:
        address = IPv6Address(origin.partition("%")[0])
    except ValueError:
        return origin
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(IPv6Network((address, 64), strict=False))


def _keys(origin: str, tried: str) -> tuple[str, ...]:
    """For the throttle: where an attempt comes from, and what it is for, if there is such a thing."""
    return (f"from {_network(origin)}", *((tried,) if tried else ()))


def _login(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid:{uid}"
