"""A server with TLS ports: its CA, its tokens, and clients that prove who they are."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import grpc
import structlog

from storage.memory import MemoryStore
from tests.server.hand import HandMesh
from xdsd.ca.authority import Authority, Credential
from xdsd.ca.proving import Identifier, identity_of_server
from xdsd.ca.registers import Tokens
from xdsd.ca.revoked import Revocations
from xdsd.ca.sealing import Sealer
from xdsd.ca.stored import StoredRoots
from xdsd.ca.tokens import JoinToken
from xdsd.model.identity import SpiffeID
from xdsd.model.key_type import KeyType
from xdsd.protocol.observer import Observer
from xdsd.secrets.keeper import Keeper
from xdsd.server import ServerSettings, XdsServer
from xdsd.server.certificates import SERVER_NAME, ServerCertificates
from xdsd.server.gate import Gate
from xdsd.throttle import Throttle

DOMAIN = "cluster.local"
A = SpiffeID(DOMAIN, "default", "a")
B = SpiffeID(DOMAIN, "default", "b")


@dataclass
class Clock:
    """The time of day, which a test may set ahead."""

    ahead: timedelta = field(default_factory=timedelta)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@dataclass
class Secure:
    """What a test has of a server; ``refused`` are the reasons that were counted."""

    server: XdsServer
    authority: Authority
    tokens: Tokens
    revocations: Revocations
    gate: Gate
    certificates: ServerCertificates
    clock: Clock
    tls: int
    mtls: int
    refused: list[str]

    async def token(self, identity: SpiffeID = A, **more: object) -> str:
        """The text of a join token of an hour."""
        return (await self.made(identity, **more))[0]

    async def made(self, identity: SpiffeID = A, **more: object) -> tuple[str, JoinToken]:
        return await self.tokens.create(identity, self.clock(), timedelta(hours=1), **more)  # type: ignore[arg-type]

    @asynccontextmanager
    async def by_token(self, *, bundle: bytes | None = None) -> AsyncIterator[grpc.aio.Channel]:
        """A connection to the port for tokens."""
        trusted = grpc.ssl_channel_credentials(self.authority.bundle if bundle is None else bundle)
        async with connected(self.tls, trusted) as channel:
            yield channel

    @asynccontextmanager
    async def by_certificate(self, credential: Credential) -> AsyncIterator[grpc.aio.Channel]:
        """A connection to the port for certificates."""
        async with connected(self.mtls, certified(self.authority.bundle, credential)) as channel:
            yield channel


def certified(bundle: bytes, credential: Credential) -> grpc.ChannelCredentials:
    """Of a client that shows a certificate."""
    return grpc.ssl_channel_credentials(bundle, credential.key, credential.svid.chain)


@asynccontextmanager
async def connected(port: int, credentials: grpc.ChannelCredentials) -> AsyncIterator[grpc.aio.Channel]:
    """A connection of its own."""
    options = (("grpc.ssl_target_name_override", SERVER_NAME), ("grpc.use_local_subchannel_pool", 1))
    async with grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials, options) as channel:
        yield channel


@asynccontextmanager
async def secured(
    mesh: HandMesh,
    lifetime: timedelta = timedelta(hours=1),
    prepare: Callable[[Secure], None] = lambda _: None,
    settings: ServerSettings = ServerSettings(),  # noqa: B008 - immutable
    observer: Observer | None = None,
    off: timedelta = timedelta(),
    keep: Callable[[Authority], Keeper] | None = None,
) -> AsyncIterator[Secure]:
    """A server of ``mesh`` with both TLS ports; ``prepare`` is called before it starts. By so much its clock is ``off``.
    ``keep`` makes what gives secrets.
    """
    log, clock, refused = structlog.get_logger(), Clock(off), list[str]()
    store, now = MemoryStore(), Clock(off)
    source = StoredRoots(store, Sealer(b"k" * 32), DOMAIN, KeyType.ECDSA_P256, log, now)
    authority = Authority(source, DOMAIN, lifetime, now)
    tokens, revocations = Tokens(store, log), Revocations(store, log)
    throttle = Throttle(asyncio.get_running_loop().time, lambda _: asyncio.sleep(0))
    gate = Gate(Identifier(authority, tokens, revocations, throttle, clock), log, refused.append)
    keeper = keep(authority) if keep is not None else None
    server = XdsServer(mesh, log, observer, settings, gate=gate, secrets=keeper)
    mesh.tell = server.published
    certificates = ServerCertificates(authority, identity_of_server(DOMAIN, "istio-system"), log)
    changes = (lambda: tokens.next_change, lambda: revocations.next_change)
    runs = [
        authority.run(),
        tokens.run(),
        revocations.run(),
        certificates.run(),
        server.watch_proofs(*changes),
        *([keeper.run()] if keeper is not None else []),
    ]
    tasks = [asyncio.create_task(run) for run in runs]
    tls = server.listen_tls("127.0.0.1:0", certificates.credentials(demand=False))
    mtls = server.listen_tls("127.0.0.1:0", certificates.credentials(demand=True))
    made = Secure(server, authority, tokens, revocations, gate, certificates, clock, tls, mtls, refused)
    prepare(made)
    async with asyncio.timeout(60):
        await asyncio.gather(tokens.known(), revocations.known(), certificates.ready())
    await server.start()
    try:
        yield made
    finally:
        await server.stop(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await store.close()
