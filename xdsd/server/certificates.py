"""The server's own certificate, of the mesh's CA, and whom it trusts: renewed while it serves, for each new handshake."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from ipaddress import IPv4Address, IPv6Address

import grpc

from xdsd.ca.authority import Authority, Credential
from xdsd.ca.issuer import CannotIssue, Request, issue, make_root, pem
from xdsd.ca.keys import new_key, private_pem
from xdsd.ca.proving import identity_of_server
from xdsd.model.identity import SpiffeID
from xdsd.server.house import Logger

SERVER_NAME = "xdsd"
"""The DNS name that every daemon's certificate has, for clients that check no SPIFFE id."""

_RENEWED_AT = 0.5
"""Of the lifetime."""
_PAUSE = 5.0
_SHORTEST = 1.0


class ServerCertificates:
    """``ready`` returns once there is one."""

    def __init__(
        self,
        authority: Authority,
        identity: SpiffeID,
        log: Logger,
        names: Sequence[str] = (),
        addresses: Sequence[IPv4Address | IPv6Address] = (),
    ) -> None:
        self._authority = authority
        self._identity = identity
        self._log = log
        self._names = tuple(dict.fromkeys((SERVER_NAME, *names)))
        self._addresses = tuple(addresses)
        self._current = _throwaway(authority)
        self._ready = asyncio.Event()

    async def ready(self) -> None:
        await self._ready.wait()

    async def run(self) -> None:
        """Keeps a certificate that holds, until cancelled."""
        await self._authority.known()
        while True:
            change = self._authority.next_change
            pause = await self._renew()
            try:
                async with asyncio.timeout(pause):
                    await change.wait()
            except TimeoutError:
                continue

    async def _renew(self) -> float:
        """The seconds until the next time."""
        try:
            credential = await self._authority.own_credential(self._identity, self._names, self._addresses)
        except CannotIssue as error:
            self._log.warning("the server's certificate is not renewed", why=str(error))
            if self._ready.is_set():  # the bundle may be new all the same
                self._current = (self._current[0], self._authority.bundle)
            return _PAUSE
        self._current = (credential, self._authority.bundle)
        self._ready.set()
        left = (credential.svid.expires - self._authority.now()).total_seconds()
        return max(left * _RENEWED_AT, _SHORTEST)

    @property
    def current(self) -> Credential | None:
        """The daemon's own certificate and key; None before there is one."""
        return self._current[0] if self._ready.is_set() else None

    def credentials(
        self, *, demand: bool, roots: Callable[[], bytes] | None = None
    ) -> grpc.ServerCredentials:
        """For one port; ``demand`` a client's certificate, of the mesh or of one of ``roots`` (PEM). Before it is ready
        nobody trusts the server.
        """

        def held() -> tuple[Credential, bytes]:
            credential, bundle = self._current
            return credential, (roots() or bundle) if roots is not None else bundle

        taken = [held()]

        def changed() -> grpc.ServerCertificateConfiguration | None:
            """Asked by gRPC, in a thread of its own, before each handshake."""
            now = held()
            if now[0] is taken[0][0] and now[1] == taken[0][1]:
                return None
            taken[0] = now
            return _configuration(now, demand=demand)

        return grpc.dynamic_ssl_server_credentials(
            _configuration(taken[0], demand=demand),
            changed,  # type: ignore[arg-type]  # None says that nothing changed
            require_client_authentication=demand,
        )


def _throwaway(authority: Authority) -> tuple[Credential, bytes]:
    """A certificate that nobody trusts, and whose key signs no client's: gRPC wants one before it listens."""
    now, minute, key = authority.now(), timedelta(minutes=1), new_key()
    ca = make_root(new_key(), authority.trust_domain, minute, now, 1)
    identity = identity_of_server(authority.trust_domain, "nobody")
    svid = issue(ca, Request(key.public_key(), identity, minute, now, 1))
    return Credential(svid, private_pem(key)), pem(ca.certificate)


def _configuration(held: tuple[Credential, bytes], *, demand: bool) -> grpc.ServerCertificateConfiguration:
    credential, bundle = held
    return grpc.ssl_server_certificate_configuration(
        [(credential.key, credential.svid.chain)], bundle if demand else None
    )
