"""What of a snapshot is restored, and how that is done to a file and to an etcd; ``snapshot`` has the words for it.

Keys by which daemons say that they run are never restored: those daemons do not run there. An etcd counts revisions of its
own, so records of writes are put there one after another, and told from when on they are complete.
"""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from api.commands.output import counted
from storage.base import InvalidRequest, KeyValue, Store, prefix_end
from storage.snapshot_file import Snapshot
from storage.snapshot_restore import load, seed
from xdsd.fleet import members, singletons
from xdsd.intents.history import KEPT_SINCE
from xdsd.intents.keys import HISTORY
from xdsd.state_dir import STORE_FILE

OURS = b"/xdsd/"
_RUNNING = (members.PREFIX, singletons.PREFIX.encode())
_RECORDS = HISTORY.encode()


class Restorable(NamedTuple):
    """The part of a snapshot that is restored, and how many keys are not: by which daemons say that they run, and of
    others.
    """

    chosen: Snapshot
    running: int
    others: int


def restorable(snapshot: Snapshot, *, everything: bool) -> Restorable:
    """What is restored; ``everything`` leaves out no keys of others."""
    still = snapshot.only(lambda key: not key.startswith(_RUNNING))
    chosen = still if everything else still.only(lambda key: key.startswith(OURS))
    return Restorable(chosen, len(snapshot.kvs) - len(still.kvs), len(still.kvs) - len(chosen.kvs))


def restore_file(snapshot: Snapshot, state_dir: Path, *, dry_run: bool) -> Path:
    """Makes the store of a daemon that has none; where it is. Raises StorageError."""
    path = state_dir / STORE_FILE
    if not dry_run:
        seed(path, snapshot)
        _give(path)
    elif path.exists():
        raise InvalidRequest(f"{path} exists already")
    return path


async def restore_etcd(
    snapshot: Snapshot,
    store: Store,
    *,
    replacing: bool,
    dry_run: bool,
    progress: Callable[[int], None],
) -> int:
    """Makes the keys below /xdsd/ those of the snapshot, and puts its others; how many are removed for that.

    Raises StorageError, and where there are keys of either kind already, unless they may be replaced, InvalidRequest.
    """
    there = await _there(store, snapshot)
    extra = sorted(there - {kv.key for kv in snapshot.kvs})
    if there and not replacing:
        rest = len(there) - 1
        more = f" and {counted(rest, 'more key')} are" if rest else " is"
        raise InvalidRequest(
            f"{_readable(min(there))}{more} there already; nothing was restored. --replace makes the keys below "
            f"{OURS.decode()} those of the snapshot: it would overwrite {len(there) - len(extra)} and remove {len(extra)}"
        )
    if not dry_run:
        kvs = [_renumbered(kv, await store.revision() + 1) for kv in snapshot.kvs]
        renumbered = replace(snapshot, kvs=tuple(kvs))
        await load(renumbered, store, overwrite=replacing, remove=extra, apart=_object, progress=progress)
    return len(extra)


async def _there(store: Store, snapshot: Snapshot) -> set[bytes]:
    """Keys that are ours, and others of the snapshot, as far as the store has them."""
    found = await store.range(OURS, prefix_end(OURS), keys_only=True)
    there = {kv.key for kv in found.kvs if not kv.key.startswith(_RUNNING)}
    for kv in snapshot.kvs:
        if not kv.key.startswith(OURS) and (await store.range(kv.key, count_only=True)).count:
            there.add(kv.key)
    return there


def _object(key: bytes) -> bytes:
    """Whose record a key is."""
    return key.rpartition(b"/")[0] if key.startswith(_RECORDS) else b""


def _renumbered(kv: KeyValue, revision: int) -> KeyValue:
    """From when on records are complete is a revision, and that is another one in another store."""
    if kv.key != KEPT_SINCE:
        return kv
    return replace(kv, value=json.dumps({"revision": revision}, separators=(",", ":")).encode())


def _give(path: Path) -> None:
    """Root restores for the user that the daemon runs as: the owner of the folder."""
    owner = path.parent.stat()
    if os.geteuid() == 0 and owner.st_uid:
        for each in (path, path.with_name(path.name + ".lock")):
            os.chown(each, owner.st_uid, owner.st_gid, follow_symlinks=False)


def _readable(key: bytes) -> str:
    return key.decode("utf-8", "backslashreplace")
