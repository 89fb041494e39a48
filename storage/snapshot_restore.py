"""A store made of a snapshot: the file of a new embedded one, or keys put into one that runs.

A new file keeps revisions and versions. A store that runs counts its own: there the keys are written anew. Leases begin
their time again in both.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Final

from storage.base import (
    Compare,
    Delete,
    Event,
    EventType,
    InvalidRequest,
    KeyValue,
    Op,
    Put,
    Store,
    Target,
)
from storage.embedded import make_embedded
from storage.ledger import Ledger
from storage.snapshot_file import Snapshot
from storage.sqlite import SHIFT

_OPERATIONS: Final = 100
"""In a transaction; etcd takes 128 unless it is told otherwise."""
_BYTES: Final = 1_000_000
"""Written by a transaction, if it writes more than one key; etcd takes 1.5 MiB unless it is told otherwise."""

_NEWEST: Final = (1 << 62 - SHIFT) - 1
"""The last revision that may be restored: half of what an embedded store counts."""
_WRITTEN: Final = attrgetter("mod_revision")


def seed(path: Path, snapshot: Snapshot) -> None:
    """Makes the file of a new embedded store; it blocks. Raises InvalidRequest where there is one, Locked, Unavailable."""
    if snapshot.revision > _NEWEST:
        raise InvalidRequest(
            f"{path} cannot count to revision {snapshot.revision}; the newest that may be restored is {_NEWEST}"
        )
    make_embedded(path, partial(_record, snapshot))


def _record(snapshot: Snapshot, ledger: Ledger) -> None:
    for revision, kvs in groupby(sorted(snapshot.kvs, key=_WRITTEN), _WRITTEN):
        ledger.record(revision, [Event(EventType.PUT, kv) for kv in kvs])
    if snapshot.revision > ledger.revision:
        # What was written last was a deletion. It is one of no key that anybody can see.
        ledger.record(
            snapshot.revision, [Event(EventType.DELETE, KeyValue(b"", b"", 0, snapshot.revision, 0))]
        )
    if snapshot.revision > 1:
        ledger.compact(snapshot.revision)
    for lease in snapshot.leases:
        ledger.add_lease(lease.id, lease.granted)


async def load(
    snapshot: Snapshot,
    store: Store,
    *,
    overwrite: bool = False,
    remove: Sequence[bytes] = (),
    apart: Callable[[bytes], bytes] = lambda _key: b"",
    progress: Callable[[int], None] = lambda _done: None,
) -> None:
    """Puts a snapshot's keys and leases into a store that runs, in several transactions, and removes ``remove`` at last.

    Keys are put in the order in which they were written, those of one revision in one transaction unless they are too
    many. Keys of different revisions for which ``apart`` gives the same, not empty, are not put in one, so that their order
    can still be told. ``progress`` is told how many keys were put. Raises InvalidRequest for a key that is there, unless it
    may be overwritten, and what the store raises; what was done by then stays.
    """
    done = 0
    there = set(await store.leases()) if snapshot.leases else set()
    for batch in _batches([kv for kv in snapshot.kvs if not kv.lease], apart):
        done += await _put(store, batch, overwrite=overwrite)
        progress(done)
    for lease in snapshot.leases:
        if lease.id not in there:
            await store.grant(lease.granted, lease.id)
    for batch in _batches([kv for kv in snapshot.kvs if kv.lease], apart):
        done += await _put(store, batch, overwrite=overwrite)
        progress(done)
    for start in range(0, len(remove), _OPERATIONS):
        await store.txn((), [Delete(key) for key in remove[start : start + _OPERATIONS]])


async def _put(store: Store, batch: Sequence[KeyValue], *, overwrite: bool) -> int:
    absent = () if overwrite else [Compare(kv.key, Target.CREATE, Op.EQUAL, 0) for kv in batch]
    result = await store.txn(absent, [Put(kv.key, kv.value, kv.lease) for kv in batch])
    if not result.succeeded:
        raise InvalidRequest(f"one of the keys {batch[0].key!r} to {batch[-1].key!r} is there already")
    return len(batch)


def _batches(kvs: Iterable[KeyValue], apart: Callable[[bytes], bytes]) -> Iterator[Sequence[KeyValue]]:
    batch: list[KeyValue] = []
    families: set[bytes] = set()
    for _, group in groupby(sorted(kvs, key=_WRITTEN), _WRITTEN):
        together = list(group)
        theirs = {apart(kv.key) for kv in together} - {b""}
        if batch and (families & theirs or not _fits([*batch, *together])):
            yield batch
            batch, families = [], set()
        for kv in together:
            if batch and not _fits([*batch, kv]):
                yield batch
                batch, families = [], set()
            batch.append(kv)
        families |= theirs
    if batch:
        yield batch


def _fits(kvs: Sequence[KeyValue]) -> bool:
    return len(kvs) <= _OPERATIONS and sum(len(kv.key) + len(kv.value) for kv in kvs) <= _BYTES
