"""Who wrote what, and what it was before: a record for each object of each write, kept beside the objects.

A record stands under ``/xdsd/history/<plural>.<group>/<namespace>/<name>/<id>`` and is written in the transaction of the
write that it tells of, so the revision that created it is that write's. Ids begin with the time in milliseconds. What was
dropped after its time is told by ``/xdsd/meta/history``.
"""

import json
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from storage.base import Compare, Delete, Get, KeyValue, Op, Put, RangeResult, Store, Target, prefix_end
from xdsd.intents.encoding import Undecodable, decode
from xdsd.intents.keys import Keys
from xdsd.intents.planning import Verdict
from xdsd.intents.shelf import aside
from xdsd.manifest import AnyObject, object_to_dict
from xdsd.model.problem import ObjectRef

KEPT_SINCE = b"/xdsd/meta/history"
AT_ONCE = 100
"""Records that are read or dropped in one transaction; below what etcd takes by default."""

Found = tuple[int, bytes, ObjectRef]
"""A record's revision, key and object."""

Place = tuple[int, ObjectRef]
"""A record among all: its revision and its object, of which a revision has one record."""


@dataclass(frozen=True, slots=True)
class Author:
    """Who writes, and from where: a user's name, and an address or a process."""

    who: str
    origin: str = ""


DAEMON = Author("xdsd")
"""Whoever did not say who it is: the daemon itself."""


@dataclass(frozen=True, slots=True)
class Record:
    """What became of an object in one write. ``time`` is RFC 3339; ``before`` or ``after`` is None where there was none,
    or where it could not be read. ``rolled_back_to``: the revision of which the object was made to be again, 0 for another
    write.
    """

    ref: ObjectRef
    verdict: Verdict
    time: str
    author: Author
    before: AnyObject | None
    after: AnyObject | None
    revision: int = 0
    rolled_back_to: int = 0


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Records, the newest first. ``more``: there are older ones; ``kept_since``: older ones than of this revision were
    dropped, 0 if none were. ``last`` is where the page ends; None if it is empty.
    """

    records: tuple[Record, ...]
    more: bool
    kept_since: int
    last: Place | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which records: of a kind, a namespace, a name (each None: of all), of revisions from ``since`` on and before
    ``before`` (0: no bound), of times from ``since_time`` on and before ``before_time``, of namespaces that ``readable``
    takes; with ``behind`` those that come behind this one, the newest being first.
    """

    kind: str | None = None
    namespace: str | None = None
    name: str | None = None
    since: int = 0
    before: int = 0
    since_time: datetime | None = None
    before_time: datetime | None = None
    readable: Callable[[str], bool] = lambda _: True
    behind: Place | None = None


class History:
    """The records of a store."""

    def __init__(self, store: Store, keys: Keys) -> None:
        self._store = store
        self._keys = keys

    def put(self, record: Record) -> Put:
        """What writes a record, in the transaction that it tells of."""
        identity = f"{_milliseconds(datetime.fromisoformat(record.time))}-{secrets.token_hex(5)}"
        return Put(self._keys.history(record.ref) + identity.encode(), _encoded(record))

    async def list(self, wanted: Wanted, limit: int = 0) -> HistoryPage:
        """The newest records that are wanted; ``limit`` 0: all. Raises KeyError for an unknown kind."""
        chosen = await self._found(wanted)
        shown = chosen[:limit] if limit else chosen
        last = (shown[-1][0], shown[-1][2]) if shown else None
        return HistoryPage(await self._read(shown), len(shown) < len(chosen), await self.kept_since(), last)

    async def ends(self, wanted: Wanted) -> tuple[Record, ...]:
        """Of each object the newest and the oldest of the records that are wanted, the newest first."""
        chosen = await self._found(wanted)
        newest = {ref: key for _, key, ref in reversed(chosen)}
        oldest = {ref: key for _, key, ref in chosen}
        kept = {*newest.values(), *oldest.values()}
        return await self._read([each for each in chosen if each[1] in kept])

    async def _found(self, wanted: Wanted) -> Sequence[Found]:
        prefix = self._keys.history_prefix(wanted.kind, wanted.namespace, wanted.name)
        found = await self._store.range(prefix, prefix_end(prefix), keys_only=True)
        return await aside(len(found.kvs), lambda: self._chosen(found.kvs, wanted))

    def _chosen(self, kvs: Iterable[KeyValue], wanted: Wanted) -> Sequence[Found]:
        chosen = [
            (kv.create_revision, kv.key, ref)
            for kv in kvs
            if (ref := self._keys.recorded(kv.key)) is not None and _is_wanted(wanted, ref, kv)
        ]
        chosen.sort(key=lambda each: (-each[0], each[1]))
        if wanted.behind is None:
            return chosen
        revision, ref = wanted.behind
        bound = (-revision, prefix_end(self._keys.history(ref)))
        return [each for each in chosen if (-each[0], each[1]) >= bound]

    async def kept_since(self) -> int:
        """The oldest revision of which no record was dropped; 0: none was."""
        kv = await self._store.get(KEPT_SINCE)
        return int(json.loads(kv.value)["revision"]) if kv else 0

    async def forget(self, before: datetime) -> int:
        """Drops records that are older; how many. Safe to do again, and by several."""
        oldest = _milliseconds(before).encode()
        prefix = self._keys.history_prefix()
        found = await self._store.range(prefix, prefix_end(prefix), keys_only=True)
        old = await aside(
            len(found.kvs), lambda: [kv for kv in found.kvs if kv.key.rpartition(b"/")[2] < oldest]
        )
        if not old:
            return 0
        await self._raise_kept_since(max(kv.create_revision for kv in old) + 1)
        for start in range(0, len(old), AT_ONCE):
            await self._store.txn((), [Delete(kv.key) for kv in old[start : start + AT_ONCE]])
        return len(old)

    async def _raise_kept_since(self, revision: int) -> None:
        while True:
            kv = await self._store.get(KEPT_SINCE)
            if kv is not None and int(json.loads(kv.value)["revision"]) >= revision:
                return
            unchanged = Compare(KEPT_SINCE, Target.MOD, Op.EQUAL, kv.mod_revision if kv else 0)
            value = json.dumps({"revision": revision}, separators=(",", ":")).encode()
            if (await self._store.txn([unchanged], [Put(KEPT_SINCE, value)])).succeeded:
                return

    async def _read(self, chosen: Sequence[Found]) -> tuple[Record, ...]:
        records: list[Record] = []
        for start in range(0, len(chosen), AT_ONCE):
            some = chosen[start : start + AT_ONCE]
            answer = await self._store.txn((), [Get(key) for _, key, _ in some])
            records += await aside(len(some), partial(_all_decoded, some, answer.responses))
        return tuple(records)


def told(record: Record) -> str:
    """A record as a sentence: ``alice changed it at 2026-01-31T12:00:00Z, from unix uid=1000 pid=42``."""
    done = {Verdict.CREATED: "created", Verdict.DELETED: "deleted"}.get(record.verdict, "changed")
    origin = f", from {record.author.origin}" if record.author.origin else ""
    return f"{record.author.who} {done} it at {record.time}{origin}"


def state_at(records: Iterable[Record], revision: int) -> AnyObject | None:
    """What an object was at a revision, from its records, the newest first.

    Raises LookupError where the records do not tell.
    """
    oldest = None
    for record in records:
        if record.revision <= revision:
            return _readable(record.after, missing=record.verdict is Verdict.DELETED)
        oldest = record
    if oldest is None:
        raise LookupError
    return _readable(oldest.before, missing=oldest.verdict is Verdict.CREATED)


def _readable(state: AnyObject | None, *, missing: bool) -> AnyObject | None:
    if state is None and not missing:
        raise LookupError
    return state


def changed_between(
    records: Iterable[Record],
) -> Mapping[ObjectRef, tuple[AnyObject | None, AnyObject | None]]:
    """What objects were before and after all these writes, which come the newest first; those that differ."""
    found: dict[ObjectRef, tuple[AnyObject | None, AnyObject | None]] = {}
    for record in records:
        after = found[record.ref][1] if record.ref in found else record.after
        found[record.ref] = (record.before, after)
    return {ref: pair for ref, pair in sorted(found.items()) if _said(pair[0]) != _said(pair[1])}


def _said(obj: AnyObject | None) -> Any:  # Any: JSON
    if obj is None:
        return None
    return object_to_dict(replace(obj, metadata=replace(obj.metadata, generation=0, creation_timestamp="")))


def _is_wanted(wanted: Wanted, ref: ObjectRef, kv: KeyValue) -> bool:
    identity = kv.key.rpartition(b"/")[2].decode("ascii", "replace")
    return (
        wanted.namespace in (None, ref.namespace)
        and wanted.name in (None, ref.name)
        and kv.create_revision >= wanted.since
        and (not wanted.before or kv.create_revision < wanted.before)
        and (wanted.since_time is None or identity >= _milliseconds(wanted.since_time))
        and (wanted.before_time is None or identity < _milliseconds(wanted.before_time))
        and wanted.readable(ref.namespace)
    )


def _milliseconds(moment: datetime) -> str:
    """Since 1970, in the width that sorts."""
    return f"{max(int(moment.timestamp() * 1000), 0):013d}"


def _encoded(record: Record) -> bytes:
    value = {
        "time": record.time,
        "who": record.author.who,
        "origin": record.author.origin,
        "verdict": record.verdict.value,
        "before": _bare(record.before),
        "after": _bare(record.after),
        **({"rolledBackTo": record.rolled_back_to} if record.rolled_back_to else {}),
    }
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _bare(obj: AnyObject | None) -> Any:  # Any: JSON
    if obj is None:
        return None
    return object_to_dict(replace(obj, metadata=replace(obj.metadata, resource_version="", uid="")))


def _all_decoded(some: Sequence[Found], responses: Sequence[object]) -> list[Record]:
    """Those that were not dropped meanwhile."""
    return [
        _decoded(response.kvs[0], ref)
        for (_, _, ref), response in zip(some, responses, strict=True)
        if isinstance(response, RangeResult) and response.kvs
    ]


def _decoded(kv: KeyValue, ref: ObjectRef) -> Record:
    """A record; what a newer or an older version wrote in another form is told as far as it is understood."""
    try:
        value = json.loads(kv.value)
        author = Author(str(value["who"]), str(value["origin"]))
        verdict, time = Verdict(value["verdict"]), str(value["time"])
        rolled_back_to = int(value.get("rolledBackTo", 0))
    except (ValueError, KeyError, TypeError):
        milliseconds = int(kv.key.rpartition(b"/")[2].partition(b"-")[0] or b"0")
        time = datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds")
        return Record(ref, Verdict.CONFIGURED, time, Author("unknown"), None, None, kv.create_revision)
    before, after = _object(value.get("before"), ref), _object(value.get("after"), ref)
    return Record(ref, verdict, time, author, before, after, kv.create_revision, rolled_back_to)


def _object(value: Any, ref: ObjectRef) -> AnyObject | None:  # Any: JSON
    if value is None:
        return None
    try:
        return decode(json.dumps(value).encode(), ref)
    except Undecodable:
        return None
