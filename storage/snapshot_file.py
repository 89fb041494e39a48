"""A store's keys and leases as of one revision, and etcd's snapshot file of them.

The file is a bbolt database (``storage.bolt``) followed by the SHA-256 of all of it, as ``etcdctl snapshot save`` writes it.
The bucket ``key`` has a value for each write, by revision; ``lease`` the leases; ``meta`` the revision up to which history
was compacted. A snapshot of ours has only the newest write of each key, and says that all before it was compacted, so that
revisions and versions survive. The rest that etcd keeps in such a file (members, alarms, users) is left out.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from struct import Struct
from typing import Final, NamedTuple

from aetcd import rpc
from google.protobuf.message import DecodeError

from storage.base import Compacted, KeyValue, LeaseNotFound, StorageError, Store, prefix_end
from storage.bolt_reader import BoltError, BoltReader
from storage.bolt_writer import bolt_file
from storage.etcd_wire import key_value, key_value_message

_PAGE: Final = 1000
"""Keys read at first."""
_PAGE_BYTES: Final = 16_000_000
"""What is read at once after that, as far as the size of what is to come can be told from what came."""
_TRIES: Final = 5
"""How often it begins anew because its revision was compacted meanwhile."""
_HASH: Final = hashlib.sha256().digest_size
_SECTOR: Final = 512
"""What a file without the hash is a multiple of, as etcd has it."""

_REVISION: Final = Struct(">qcq")
_LEASE: Final = Struct(">q")
_LEASE_MESSAGE: Final = rpc.LeaseCheckpoint
"""Stands for the message that etcd has for the file alone: an id and seconds, in the same fields."""
_TOMBSTONE: Final = b"t"
_COMPACTED: Final = (b"scheduledCompactRev", b"finishedCompactRev")
_BUCKETS: Final = (
    b"alarm",
    b"auth",
    b"authRoles",
    b"authUsers",
    b"cluster",
    b"key",
    b"lease",
    b"members",
    b"members_removed",
    b"meta",
)
"""Those that etcd makes; its tools expect to find some of them."""


class SnapshotError(StorageError):
    """The bytes are no snapshot, or a damaged one; the message says which, without naming the file."""


class SnapshotLease(NamedTuple):
    """A lease; ``granted`` is seconds. What was left of them is not kept."""

    id: int
    granted: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a store held at ``revision``: its keys in byte order, and its leases in the order of their ids.

    A key is attached to none but these leases.
    """

    revision: int
    kvs: tuple[KeyValue, ...] = ()
    leases: tuple[SnapshotLease, ...] = ()

    def only(self, wanted: Callable[[bytes], bool]) -> "Snapshot":
        """The keys that are wanted, without leases to which only others are attached."""
        kvs = tuple(kv for kv in self.kvs if wanted(kv.key))
        lost = {kv.lease for kv in self.kvs} - {kv.lease for kv in kvs}
        leases = tuple(lease for lease in self.leases if lease.id not in lost)
        return Snapshot(self.revision, kvs, leases)


def decode(data: bytes | memoryview) -> Snapshot:
    """The newest state in a file that etcd 3.4 or newer, or ``encode``, has made. Raises SnapshotError."""
    database = _verified(memoryview(data))
    try:
        return _read(BoltReader(database))
    except (BoltError, DecodeError) as error:
        raise SnapshotError(f"it is damaged: {error}") from error


async def take(store: Store, *prefixes: bytes) -> Snapshot:
    """All that a store holds now, or what is below ``prefixes`` with the leases attached to it, as of one revision.

    A key whose lease runs out meanwhile is left out. Raises what the store raises.
    """
    for _ in range(_TRIES):
        with suppress(Compacted):
            return await _taken(store, prefixes)
    return await _taken(store, prefixes)


async def _taken(store: Store, prefixes: Sequence[bytes]) -> Snapshot:
    revision, found = 0, dict[bytes, KeyValue]()
    for prefix in prefixes or (b"",):
        start, end, limit, more = prefix or b"\0", prefix_end(prefix), _PAGE, True
        while more:
            page = await store.range(start, end, limit=limit, revision=revision)
            revision = revision or page.revision
            found |= {kv.key: kv for kv in page.kvs}
            if more := page.more:
                start = page.kvs[-1].key + b"\0"
                limit = max(_PAGE_BYTES // _average(page.kvs), 1)
    wanted = {kv.lease for kv in found.values() if kv.lease} | set(() if prefixes else await store.leases())
    leases = []
    for lease in sorted(wanted):
        with suppress(LeaseNotFound):
            leases.append(SnapshotLease(lease, (await store.time_to_live(lease)).granted))
    known = {0, *(lease.id for lease in leases)}
    kvs = (kv for _, kv in sorted(found.items()) if kv.lease in known)
    return Snapshot(revision, tuple(kvs), tuple(leases))


def _average(kvs: Sequence[KeyValue]) -> int:
    return sum(len(kv.key) + len(kv.value) for kv in kvs) // len(kvs) + 1


def encode(snapshot: Snapshot) -> bytes:
    """The file; etcd 3.4 and newer restore it with its revisions, and without history before its revision."""
    revision, kvs = snapshot.revision, sorted(snapshot.kvs, key=lambda kv: kv.mod_revision)
    writes = [
        (_REVISION.pack(kv.mod_revision, b"_", place), key_value_message(kv).SerializeToString())
        for place, kv in enumerate(kvs)
    ]
    if revision > max((kv.mod_revision for kv in kvs), default=1):
        # What was written last was a deletion. It is one of no key that anybody can see.
        marker = _REVISION.pack(revision, b"_", 0) + _TOMBSTONE
        writes.append((marker, rpc.KeyValue(mod_revision=revision).SerializeToString()))
    database = bolt_file(
        {**dict.fromkeys(_BUCKETS, ()), b"key": writes, b"meta": _meta(revision), b"lease": _leases(snapshot)}
    )
    return database + hashlib.sha256(database).digest()


def _verified(data: memoryview) -> memoryview:
    if not data:
        raise SnapshotError("it is empty")
    if len(data) % _SECTOR != _HASH:
        raise SnapshotError("it is no snapshot, or was cut short: it does not end with a SHA-256 of the rest")
    database = data[:-_HASH]
    if hashlib.sha256(database).digest() != data[-_HASH:]:
        raise SnapshotError("it is no snapshot, or is damaged: its SHA-256 is not the one at its end")
    return database


def _read(reader: BoltReader) -> Snapshot:
    revision, live = 1, dict[bytes, KeyValue]()
    for key, value in reader.items(b"key"):
        revision = _revision(key)
        kv = key_value(rpc.KeyValue.FromString(value))
        if key.endswith(_TOMBSTONE) and len(key) > _REVISION.size:
            live.pop(kv.key, None)
        elif kv.key:
            if kv.mod_revision != revision:
                raise BoltError(
                    f"the key {kv.key!r} of revision {revision} says that it is of {kv.mod_revision}"
                )
            live[kv.key] = kv
    meta = dict(reader.items(b"meta"))
    compacted = [_revision(meta[name]) for name in _COMPACTED if name in meta]
    leases = tuple(sorted(map(_lease, (value for _, value in reader.items(b"lease")))))
    known = {lease.id for lease in leases}
    kvs = (_attached(kv, known) for _, kv in sorted(live.items()))
    return Snapshot(max(revision, *compacted, 1), tuple(kvs), leases)


def _meta(revision: int) -> Iterator[tuple[bytes, bytes]]:
    if revision > 1:
        for name in sorted(_COMPACTED):
            yield name, _REVISION.pack(revision, b"_", 0)


def _leases(snapshot: Snapshot) -> Iterator[tuple[bytes, bytes]]:
    for lease in snapshot.leases:
        message = _LEASE_MESSAGE(ID=lease.id, remaining_TTL=lease.granted)
        yield _LEASE.pack(lease.id), message.SerializeToString()


def _revision(key: bytes) -> int:
    if len(key) - _REVISION.size not in (0, 1):
        raise BoltError("a revision does not have its length")
    revision, separator, _ = _REVISION.unpack_from(key)
    if separator != b"_":
        raise BoltError("a revision does not have its form")
    found: int = revision
    return found


def _attached(kv: KeyValue, known: set[int]) -> KeyValue:
    if not kv.lease or kv.lease in known:
        return kv
    return KeyValue(kv.key, kv.value, kv.create_revision, kv.mod_revision, kv.version)


def _lease(value: bytes) -> SnapshotLease:
    message = _LEASE_MESSAGE.FromString(value)
    return SnapshotLease(message.ID, message.remaining_TTL)
