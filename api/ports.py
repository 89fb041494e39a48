"""What the admin API asks of the rest of the daemon; the composition root passes it in."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Protocol

from storage.base import StoreStatus, Txn
from xdsd.compile.layers.traffic import Way
from xdsd.health import Check
from xdsd.intents import (
    Applied,
    Author,
    Deleted,
    Differences,
    HistoryPage,
    IntentChange,
    Listing,
    Transacted,
    Wanted,
)
from xdsd.intents.world import Observed
from xdsd.manifest import AnyObject
from xdsd.model.catalog import ServiceKey
from xdsd.model.mesh import MeshSettings
from xdsd.model.problem import ObjectRef, Problem
from xdsd.model.secret import SecretStatus
from xdsd.model.shut_out import ShutOut
from xdsd.registry.catalog import Catalog
from xdsd.server.status import ProxyStatus
from xdsd.snapshot import Snapshot


class Intents(Protocol):
    """The objects in the store; ``xdsd.intents.Intents`` says what each call does and raises."""

    async def list(self, kind: str | None = None, namespace: str | None = None) -> Listing: ...

    async def get(self, ref: ObjectRef) -> AnyObject | None: ...

    async def apply(
        self, objects: Sequence[AnyObject], *, now: str, dry_run: bool = False, author: Author = ...
    ) -> Applied: ...

    async def delete(
        self,
        refs: Sequence[ObjectRef],
        *,
        now: str,
        dry_run: bool = False,
        ignore_missing: bool = False,
        author: Author = ...,
    ) -> Deleted: ...

    async def transact(self, txn: Txn, *, now: str, author: Author = ...) -> Transacted: ...

    async def history(self, wanted: Wanted, limit: int = 0) -> HistoryPage: ...

    async def rollback(
        self, ref: ObjectRef, revision: int, *, now: str, dry_run: bool = False, author: Author = ...
    ) -> Applied: ...

    async def between(self, from_revision: int, to_revision: int, wanted: Wanted) -> Differences: ...

    def watch(self, from_revision: int = 0) -> AsyncIterator[IntentChange]: ...


class Proxies(Protocol):
    """The xDS server, as far as operators look at it."""

    def status(self) -> Sequence[ProxyStatus]:
        """One a stream; a proxy that does not aggregate its types has several."""

    def secrets(self, key: str) -> Sequence[SecretStatus]:
        """What may be known of the secrets that the streams of a node (``Node.key``) were given."""


class Source(Protocol):
    """A source of the catalog, as ``xdsd.reconcile.SourceStatus`` says it."""

    @property
    def name(self) -> str: ...

    @property
    def kind(self) -> str: ...

    @property
    def state(self) -> str: ...

    @property
    def synced(self) -> bool: ...

    @property
    def stale(self) -> str: ...

    @property
    def services(self) -> int: ...

    @property
    def workloads(self) -> int: ...

    @property
    def endpoints(self) -> int: ...

    @property
    def problems(self) -> int: ...

    @property
    def outages(self) -> int: ...

    @property
    def last_error(self) -> str: ...

    @property
    def since(self) -> datetime | None: ...

    @property
    def last_sync(self) -> datetime | None: ...

    @property
    def last_change(self) -> datetime | None: ...


class Foreign(Protocol):
    """An object and who declares it, as ``xdsd.reconcile.declared.Holding`` says it."""

    @property
    def source(self) -> str: ...

    @property
    def object(self) -> AnyObject: ...


class Mesh(Protocol):
    """The reconciling loop, as far as operators look at it."""

    @property
    def snapshot(self) -> Snapshot: ...

    @property
    def revision(self) -> int:
        """The newest revision of the store whose objects are in the snapshot."""

    @property
    def settings(self) -> MeshSettings:
        """What the whole mesh agrees on."""

    @property
    def catalog(self) -> Catalog:
        """Services and their endpoints."""

    @property
    def shut_out(self) -> ShutOut:
        """Who is revoked."""

    @property
    def foreign_domains(self) -> Sequence[str]:
        """Trust domains whose peers are let in, beside those that objects declare."""

    def observed(self) -> Observed:
        """What sources other than the store report, and which proxies are served."""

    def given_addresses(self, namespace: str, host: str) -> Sequence[str]:
        """The addresses that the mesh gives to a host of a namespace, if it needs any."""

    def traffic(self, key: ServiceKey, namespace: str, locality: str) -> Sequence[Way]:
        """Where traffic for a service would go now from clients of a namespace at a locality, the preferred first."""

    def sources(self) -> Sequence[Source]: ...

    def foreign(self) -> Sequence[Foreign]:
        """The objects that other sources than the store declare."""

    def foreigner(self, ref: ObjectRef) -> Foreign | None:
        """The same for one object; None where the store or nobody declares it."""

    def problems(self) -> Sequence[Problem]: ...


class Member(Protocol):
    """A daemon among those that share the store, as ``xdsd.fleet`` knows it."""

    @property
    def id(self) -> int: ...

    @property
    def name(self) -> str: ...

    @property
    def admin(self) -> str:
        """Where its admin port listens."""

    @property
    def xds(self) -> str:
        """Where its xDS port listens."""


class Members(Protocol):
    """The daemons that share the store."""

    @property
    def me(self) -> Member: ...

    async def list(self) -> Sequence[Member]:
        """In the order of their ids, this one always among them."""


class Health(Protocol):
    """What the daemon knows of itself."""

    @property
    def version(self) -> str: ...

    @property
    def name(self) -> str:
        """Of this daemon among those that share the store."""

    @property
    def started(self) -> datetime:
        """An aware time."""

    async def store(self) -> StoreStatus:
        """The store's own word. Raises StorageError where it cannot be asked."""

    def singletons(self) -> Sequence[str]:
        """Work that one daemon does for all; those that this one does."""

    def checks(self) -> Sequence[Check]: ...
