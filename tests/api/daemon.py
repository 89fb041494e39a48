"""An admin server in this process, on a loop of its own, with a real store and a real snapshot behind it.

It runs in a thread, because the client and the commands under test block.
"""

import asyncio
import io
import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from structlog.typing import FilteringBoundLogger

from api.access.caller import Role
from api.access.certificates import ServerTls
from api.access.directory import Directory
from api.access.proving import Prover
from api.client import Client
from api.credentials import Credentials
from api.server import admin_services, serve_admin
from api.services.etcd import Etcd
from api.services.etcd.policy import KeyPolicy
from api.services.joined import Joined
from storage.base import StorageError, Store, StoreStatus
from storage.memory import MemoryStore
from xdsd.ca.authority import Authority
from xdsd.ca.ledger import Ledger
from xdsd.ca.registers import Tokens
from xdsd.ca.revoked import Revocations
from xdsd.ca.rotating import Rotations
from xdsd.ca.sealing import Sealer
from xdsd.ca.stored import StoredRoots
from xdsd.compile.layers.traffic import Way
from xdsd.credentials.register import Credentials as Secrets
from xdsd.fleet.members import Member, Membership
from xdsd.health import Check
from xdsd.intents import Intents
from xdsd.intents.world import Observed
from xdsd.model.catalog import ServiceKey
from xdsd.model.identity import SpiffeID
from xdsd.model.key_type import KeyType
from xdsd.model.mesh import MeshSettings
from xdsd.model.problem import ObjectRef, Problem
from xdsd.model.secret import SecretStatus
from xdsd.model.shut_out import NOBODY, ShutOut
from xdsd.reconcile import SourceStatus
from xdsd.reconcile.declared import Holding
from xdsd.registry.catalog import Catalog
from xdsd.server import ProxyStatus
from xdsd.settings import Address, LogFormat, LogLevel, UnixAddress
from xdsd.snapshot import Snapshot
from xdsd.telemetry import make_logger
from xdsd.throttle import Throttle

NO_CREDENTIALS = Credentials()


@dataclass
class FakeMesh:
    """What the reconciling loop would say."""

    snapshot: Snapshot = field(default_factory=Snapshot)
    revision: int = 0
    found: list[Problem] = field(default_factory=list)
    registries: list[SourceStatus] = field(default_factory=list)
    given: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    settings: MeshSettings = field(default_factory=MeshSettings)
    catalog: Catalog = field(default_factory=Catalog)
    ways: dict[tuple[str, str], tuple[Way, ...]] = field(default_factory=dict)

    def traffic(self, key: ServiceKey, namespace: str, locality: str) -> Sequence[Way]:
        return self.ways.get((namespace, locality), ())

    others: dict[ObjectRef, Holding] = field(default_factory=dict)
    shut_out: ShutOut = NOBODY
    foreign_domains: tuple[str, ...] = ()
    seen: Observed = field(default_factory=Observed)

    def observed(self) -> Observed:
        return self.seen

    def foreign(self) -> Sequence[Holding]:
        return tuple(self.others.values())

    def foreigner(self, ref: ObjectRef) -> Holding | None:
        return self.others.get(ref)

    def given_addresses(self, namespace: str, host: str) -> Sequence[str]:
        return self.given.get((namespace, host), ())

    def sources(self) -> Sequence[SourceStatus]:
        return self.registries

    def problems(self) -> Sequence[Problem]:
        return self.found


@dataclass
class FakeProxies:
    """What the xDS server would say."""

    streams: list[ProxyStatus] = field(default_factory=list)
    given: dict[str, tuple[SecretStatus, ...]] = field(default_factory=dict)

    def secrets(self, key: str) -> Sequence[SecretStatus]:
        return self.given.get(key, ())

    def status(self) -> Sequence[ProxyStatus]:
        return self.streams


@dataclass
class FakeHealth:
    """What the composition root would say."""

    storage: Store
    version: str = "1.2.3"
    name: str = "one"
    started: datetime = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    parts: list[Check] = field(default_factory=lambda: [Check("store", ok=True)])
    held: tuple[str, ...] = ()
    outage: StorageError | None = None
    told: StoreStatus | None = None

    async def store(self) -> StoreStatus:
        if self.outage:
            raise self.outage
        return self.told or await self.storage.status()

    def singletons(self) -> Sequence[str]:
        return self.held

    def checks(self) -> Sequence[Check]:
        return self.parts


@dataclass
class Daemon:
    """A running admin server."""

    address: Address
    log: io.StringIO
    mesh: FakeMesh
    proxies: FakeProxies
    health: FakeHealth
    store: Store
    loop: asyncio.AbstractEventLoop
    refused: list[str]
    directory: Directory

    @property
    def endpoint(self) -> str:
        return str(self.address)

    def client(self, credentials: Credentials = NO_CREDENTIALS) -> Client:
        return Client(self.address, credentials)

    def told(self, event: str = "") -> list[dict[str, Any]]:
        """Its log lines as values, oldest first; those whose ``event`` contains ``event``."""
        lines = (json.loads(line) for line in self.log.getvalue().splitlines())
        return [line for line in lines if event in line["event"]]

    def run(self, call: Any) -> Any:
        """Runs a coroutine on the server's loop; Any, as it gives whatever the coroutine gives."""
        return asyncio.run_coroutine_threadsafe(call, self.loop).result(90)


async def _members() -> list[str]:
    return ["north"]


def _joined(store: Store, logger: FilteringBoundLogger, unlisted: str, tls_address: str) -> Joined:
    source = StoredRoots(store, Sealer(b"k" * 32), "cluster.local", KeyType.ECDSA_P256, logger)
    return Joined(
        Authority(source, "cluster.local", timedelta(hours=24)),
        Tokens(store, logger),
        Revocations(store, logger),
        Ledger(store, logger, asyncio.get_running_loop().time, lambda: datetime.now(UTC)),
        Rotations(store, source, _members, logger),
        SpiffeID("cluster.local", "istio-system", "xdsd"),
        Secrets(store, Sealer(b"k" * 32), logger),
        tls_address,
        unlisted=lambda: unlisted,
        mesh_domain="mesh.example",
    )


@contextmanager
def daemon(
    folder: Path,
    address: Address | None = None,
    tls: ServerTls | None = None,
    *,
    anonymous: Role | None = Role.ADMIN,
    joining: bool = False,
    unlisted: str = "",
    tls_address: str = "0.0.0.0:15012",
) -> Iterator[Daemon]:
    """A server on a socket in ``folder`` (or at ``address``) while it lasts; ``joining`` gives it a CA,
    ``unlisted`` says why proxies are given no lists of revoked certificates, and ``tls_address`` where it serves TLS.
    """
    running: list[Daemon] = []
    failures: list[Exception] = []
    started = threading.Event()
    stop: list[asyncio.Event] = []

    async def serve() -> None:
        stop.append(asyncio.Event())
        store = MemoryStore()
        mesh, proxies, health, log = FakeMesh(), FakeProxies(), FakeHealth(store), io.StringIO()
        logger = make_logger(LogFormat.JSON, LogLevel.INFO, log)
        directory, clock = Directory(store, logger), asyncio.get_running_loop().time
        following = [asyncio.create_task(directory.run())]
        prover = Prover(directory, Throttle(clock), clock, anonymous=anonymous)
        member = Member(7, "one", "1.2.3", "2026-01-02T03:04:05Z", "unix:/admin.sock", "127.0.0.1:15010")
        etcd = Etcd(store, Membership(store, member, logger), KeyPolicy((b"/app/",)))
        joined = _joined(store, logger, unlisted, tls_address) if joining else None
        if joined is not None:
            assert joined.credentials is not None
            runs = (
                joined.authority.run(),
                joined.tokens.run(),
                joined.revocations.run(),
                joined.credentials.run(),
            )
            following += [asyncio.create_task(run) for run in runs]
            await joined.authority.known()
            await joined.credentials.known()
        offered = admin_services(Intents(store), mesh, proxies, health, prover, etcd, joined)
        where = address or UnixAddress(folder / "admin.sock")
        refused: list[str] = []
        async with serve_admin(where, offered, prover, logger, tls=tls, refused=refused.append) as bound:
            loop = asyncio.get_running_loop()
            running.append(Daemon(bound, log, mesh, proxies, health, store, loop, refused, directory))
            started.set()
            await stop[0].wait()
        for task in following:
            task.cancel()
        await store.close()

    def work() -> None:
        try:
            asyncio.run(serve())
        except Exception as error:
            failures.append(error)
        finally:
            started.set()

    thread = threading.Thread(target=work)
    thread.start()
    assert started.wait(60), "the admin server did not start"
    if failures:
        thread.join()
        raise failures[0]
    try:
        yield running[0]
    finally:
        running[0].loop.call_soon_threadsafe(stop[0].set)
        thread.join(60)
        assert not thread.is_alive(), "the admin server did not stop"
        if failures:
            raise failures[0]
