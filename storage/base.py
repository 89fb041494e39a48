"""The contract of a revisioned key-value store, with etcd's semantics; it knows nothing of what it keeps.

Every write raises the store's *revision* by one (a transaction by one for all its writes). A key remembers
the revision that created it (``create_revision``), the one that wrote it last (``mod_revision``) and how
often it was written since (``version``). Ranges are half-open; ``range_end=None`` means the one key, and
``prefix_end`` makes the end of a prefix. Watches replay from any revision that is not compacted, without
gap or duplicate, then follow; all events of one revision arrive in one batch. Leases remove their keys when
they are not kept alive.
"""
# ruff: noqa: N818 - an error is named after what happened

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class StorageError(Exception):
    """The store could not do it; whose fault is told by the subclass."""


class Compacted(StorageError):
    """The revision asked for is no longer kept: resync from ``compact_revision`` or newer."""

    def __init__(self, compact_revision: int) -> None:
        super().__init__(
            f"revisions before {compact_revision} were compacted; read the keys again and watch from there"
        )
        self.compact_revision = compact_revision


class FutureRevision(StorageError):
    """The revision asked for has not happened yet."""


class LeaseNotFound(StorageError):
    """The lease never was, was revoked, or has expired."""


class InvalidRequest(StorageError):
    """The caller's mistake: an empty key, a key written twice in one transaction, a lease that exists already."""


class TooLarge(InvalidRequest):
    """A value, or a transaction, beyond what the store takes at once; the message names the limit and who sets it."""


class TooManyOperations(TooLarge):
    """A transaction with more operations than the store takes."""


class WrittenTwice(InvalidRequest):
    """A transaction that writes a key twice."""


class LeaseExists(InvalidRequest):
    """There is a lease of that id already."""


class KeyNotFound(InvalidRequest):
    """A Put that keeps what is there, where nothing is."""


class Unavailable(StorageError):
    """The store cannot be reached or written now; the same call may succeed later.

    A write that was refused so may have been done: whoever must know reads, or compares what it expects.
    """


class Full(Unavailable):
    """The store has no room for another write; what it holds can be read."""


class Denied(StorageError):
    """The store knows us not, or lets us not: wrong credentials, or rights that are missing."""


class Locked(StorageError):
    """Another process owns the store's files."""


class Corrupted(StorageError):
    """The store's files cannot be read; they were left as they are."""


@dataclass(frozen=True, slots=True)
class KeyValue:
    """A key at some revision. ``lease`` is 0 where none is attached."""

    key: bytes
    value: bytes
    create_revision: int
    mod_revision: int
    version: int
    lease: int = 0


class EventType(StrEnum):
    """What happened to a key."""

    PUT = "put"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Event:
    """A change. For a DELETE, ``kv`` holds the key and the deleting ``mod_revision``, all else empty.

    ``previous`` is what was there before, if the watch asked for it and it was not compacted since.
    """

    type: EventType
    kv: KeyValue
    previous: KeyValue | None = None


@dataclass(frozen=True, slots=True)
class WatchBatch:
    """All events of one revision that the watch asked for, in the order in which they were written.

    Without events it tells progress: all that happened up to ``revision`` was yielded.
    """

    revision: int
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class RangeResult:
    """``count`` is of all keys in the range, whatever the limit; ``more`` says that the limit cut it."""

    revision: int
    kvs: tuple[KeyValue, ...]
    count: int
    more: bool = False


class Target(StrEnum):
    """What of a key a comparison looks at; a missing key has 0 (VALUE: the comparison fails)."""

    VERSION = "version"
    CREATE = "create"
    MOD = "mod"
    VALUE = "value"
    LEASE = "lease"


class Op(StrEnum):
    """How a comparison compares."""

    EQUAL = "="
    NOT_EQUAL = "!="
    GREATER = ">"
    LESS = "<"


@dataclass(frozen=True, slots=True)
class Compare:
    """Holds if every key of the range compares so; an empty range compares as one missing key, as in etcd."""

    key: bytes
    target: Target
    op: Op
    operand: int | bytes
    range_end: bytes | None = None


@dataclass(frozen=True, slots=True)
class Put:
    """Write one key. ``lease`` 0 attaches none. To ignore the value or the lease is to keep what the key has of it."""

    key: bytes
    value: bytes
    lease: int = 0
    ignore_value: bool = False
    ignore_lease: bool = False


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove a key or a range."""

    key: bytes
    range_end: bytes | None = None


@dataclass(frozen=True, slots=True)
class Get:
    """Read inside a transaction; sees the writes before it. A ``revision`` reads the past, as ``Store.range`` does."""

    key: bytes
    range_end: bytes | None = None
    limit: int = 0
    revision: int = 0
    keys_only: bool = False
    count_only: bool = False


@dataclass(frozen=True, slots=True)
class Txn:
    """A transaction inside a transaction: part of the same revision.

    All comparisons, those of inner transactions too, look at what was there before anything is written.
    """

    compare: tuple[Compare, ...] = ()
    success: tuple["Operation", ...] = ()
    failure: tuple["Operation", ...] = ()


Operation = Put | Delete | Get | Txn


@dataclass(frozen=True, slots=True)
class TxnResult:
    """``responses``, one an operation of the branch that ran: what a Put or Delete replaced, a RangeResult, or the
    TxnResult of a Txn.
    """

    succeeded: bool
    revision: int
    responses: tuple["tuple[KeyValue, ...] | RangeResult | TxnResult", ...]


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease and the keys attached to it; ``granted`` and ``left`` are seconds."""

    id: int
    granted: int
    left: int
    keys: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """What a store is: its ``kind`` (memory, embedded, etcd), the ``version`` of the program behind it, its ``size`` in
    bytes, of which ``used`` hold something. ``members`` are addresses, ``leader`` the one of them that leads; both are
    empty where there is but one process. What a store does not tell our user is empty or 0.
    """

    kind: str
    version: str
    revision: int
    compacted: int
    size: int
    used: int
    cluster: int = 1
    member: int = 1
    term: int = 1
    leader: str = ""
    members: tuple[str, ...] = ()
    alarms: tuple[str, ...] = ()


def prefix_end(prefix: bytes) -> bytes:
    """The end of the range of all keys that begin with ``prefix``; ``b"\\0"`` is the end of the key space."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes((stripped[-1] + 1,)) if stripped else b"\0"


class Watch(Protocol):
    """Batches of events until closed. Iterating raises ``Compacted`` where its revision fell out of reach."""

    def __aiter__(self) -> AsyncIterator[WatchBatch]: ...

    async def request_progress(self) -> None:
        """Lets the iteration yield a batch without events once all that has happened by now was yielded."""

    async def close(self) -> None:
        """Ends the iteration; safe to call twice."""


class Store(Protocol):
    """A store that is open. Every call may raise ``Unavailable`` and ``Denied``."""

    async def revision(self) -> int:
        """The newest revision; an empty store has 1, as etcd has."""

    async def get(self, key: bytes, *, revision: int = 0) -> KeyValue | None:
        """One key, now or at a revision. Raises Compacted, FutureRevision."""

    async def range(
        self,
        key: bytes,
        range_end: bytes | None = None,
        *,
        limit: int = 0,
        revision: int = 0,
        keys_only: bool = False,
        count_only: bool = False,
    ) -> RangeResult:
        """Keys in byte order, all as of one revision. Raises Compacted, FutureRevision."""

    async def put(self, key: bytes, value: bytes, *, lease: int = 0) -> int:
        """Writes durably and returns the revision. Raises LeaseNotFound, InvalidRequest."""

    async def delete(self, key: bytes, range_end: bytes | None = None) -> tuple[int, tuple[KeyValue, ...]]:
        """Removes a key or range; the revision (unchanged if nothing was there) and what was removed."""

    async def txn(
        self,
        compare: Sequence[Compare],
        success: Sequence[Operation],
        failure: Sequence[Operation] = (),
    ) -> TxnResult:
        """All of ``success`` if every comparison holds, else all of ``failure``, as one revision.

        Raises LeaseNotFound, InvalidRequest, KeyNotFound, TooLarge, Compacted, FutureRevision; nothing was done then.
        """

    def watch(
        self, key: bytes, range_end: bytes | None = None, *, start_revision: int = 0, previous: bool = False
    ) -> Watch:
        """Follows a key or range from ``start_revision`` (0: from now on, everything after this call)."""

    async def grant(self, ttl: int, lease: int = 0) -> int:
        """A lease of ``ttl`` seconds; ``lease`` asks for that id (0: any)."""

    async def keep_alive(self, lease: int) -> int:
        """Starts the lease's time again; its ttl. Raises LeaseNotFound."""

    async def revoke(self, lease: int) -> None:
        """Ends the lease and removes its keys in one revision. Raises LeaseNotFound."""

    async def time_to_live(self, lease: int) -> Lease:
        """A lease, with its keys. Raises LeaseNotFound."""

    async def leases(self) -> tuple[int, ...]:
        """The ids of all leases, in order."""

    async def status(self) -> StoreStatus:
        """What the store is and how full."""

    async def compact(self, revision: int) -> None:
        """Forgets history before ``revision``. Raises Compacted (again), FutureRevision."""

    async def close(self) -> None:
        """Ends watches and releases what the store holds; safe to call twice."""
