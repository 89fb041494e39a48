"""Stored objects as values, each decoded once: what did not change since is not decoded again."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple, TypeVar

from storage.base import Get, KeyValue, RangeResult, Store, prefix_end
from xdsd.intents.encoding import Undecodable, decode, stamped
from xdsd.intents.keys import Keys
from xdsd.intents.planning import Stored
from xdsd.manifest import AnyObject
from xdsd.model.intent import Kind
from xdsd.model.problem import ObjectRef, Problem, Reason

T = TypeVar("T")

FEW = 20
"""Objects that are looked at on the event loop."""


_RULES = 10
_BYTES = 4096
"""What an object of common size has, in one list or stored."""


class Contents(NamedTuple):
    """What is stored as of one revision, by key; problems of values under keys that no object has."""

    revision: int
    stored: Mapping[bytes, Stored]
    strays: Mapping[bytes, tuple[Problem, ...]]


def weight(objects: Iterable[AnyObject]) -> int:
    """How many objects of common size these are worth: one may have thousands of rules."""
    lists = ([len(value) for value in vars(obj.spec).values() if isinstance(value, tuple)] for obj in objects)
    return sum(1 + sum(lengths) // _RULES for lengths in lists)


async def aside(count: int, work: Callable[[], T]) -> T:
    """What the work on so many objects gives; on many in a thread, since it takes longer than the event loop may wait."""
    return work() if count <= FEW else await asyncio.to_thread(work)


class Shelf:
    """Reads objects from a store."""

    def __init__(self, store: Store, kinds: Mapping[str, Kind]) -> None:
        self.keys = Keys(kinds)
        self._store = store
        self._decoded: dict[bytes, Stored] = {}
        self._expected: dict[bytes, tuple[bytes, AnyObject]] = {}

    async def everything(self) -> Contents:
        """All objects."""
        contents = await self.below(self.keys.prefix())
        self._decoded = dict(contents.stored)
        return contents

    async def below(self, prefix: bytes, revision: int = 0) -> Contents:
        """The objects whose keys begin so, now or at a revision. Raises Compacted."""
        found = await self._store.range(prefix, prefix_end(prefix), revision=revision)
        contents = await self.read(found.kvs, revision or found.revision)
        if not revision:
            self._decoded.update(contents.stored)
        return contents

    async def some(self, keys: Sequence[bytes]) -> Contents:
        """These objects, as of one revision."""
        answer = await self._store.txn((), [Get(key) for key in keys])
        found = [kv for each in answer.responses if isinstance(each, RangeResult) for kv in each.kvs]
        contents = await self.read(found, answer.revision)
        self._decoded.update(contents.stored)
        return contents

    async def one(self, ref: ObjectRef) -> Stored | None:
        """One object."""
        key = self.keys.of(ref)
        kv = await self._store.get(key)
        return (await self.read([kv], kv.mod_revision)).stored.get(key) if kv else None

    def known(self, keys: Sequence[bytes]) -> Contents:
        """These objects as they were read last, or heard of; as of no revision in particular."""
        found = {key: stored for key in keys if (stored := self._decoded.get(key)) is not None}
        return Contents(0, found, {})

    @contextmanager
    def expecting(self, values: Mapping[bytes, tuple[bytes, AnyObject]]) -> Iterator[None]:
        """Knows, while it lasts, what values that are about to be written say, so that whoever reads them first need not
        decode them.
        """
        self._expected.update(values)
        try:
            yield
        finally:
            for key, expected in values.items():
                if self._expected.get(key) is expected:
                    del self._expected[key]

    def put(self, key: bytes, stored: Stored) -> None:
        """Takes in what an object is known to be now."""
        before = self._decoded.get(key)
        if before is None or before.mod_revision < stored.mod_revision:
            self._decoded[key] = stored

    def drop(self, key: bytes) -> None:
        """Takes in that an object is no more."""
        self._decoded.pop(key, None)

    async def read(self, kvs: Sequence[KeyValue], revision: int) -> Contents:
        """What these keys hold."""
        many = len(kvs) + sum(len(kv.value) for kv in kvs) // _BYTES
        read = await aside(many, lambda: self._read_all(kvs))
        stored = {key: value for key, value in read.items() if isinstance(value, Stored)}
        strays = {key: value for key, value in read.items() if not isinstance(value, Stored)}
        return Contents(revision, stored, strays)

    def _read_all(self, kvs: Sequence[KeyValue]) -> dict[bytes, Stored | tuple[Problem, ...]]:
        return {kv.key: self._read(kv) for kv in kvs}

    def _read(self, kv: KeyValue) -> Stored | tuple[Problem, ...]:
        known = self._decoded.get(kv.key)
        fingerprint = hash(kv.value)
        if known is not None and (known.mod_revision, known.fingerprint) == (kv.mod_revision, fingerprint):
            return known
        ref = self.keys.ref(kv.key)
        if ref is None:
            message = f"{kv.key.decode('utf-8', 'replace')} is no key of an object; delete it from the store"
            return (Problem(Reason.UNKNOWN_KIND, message),)
        value, obj = self._expected.get(kv.key, (None, None))
        if obj is None or value != kv.value:
            try:
                obj = decode(kv.value, ref)
            except Undecodable as error:
                return Stored(ref, kv.mod_revision, kv.create_revision, None, error.problems, fingerprint)
        obj = stamped(obj, kv.key, kv.create_revision, kv.mod_revision)
        return Stored(ref, kv.mod_revision, kv.create_revision, obj, (), fingerprint)
