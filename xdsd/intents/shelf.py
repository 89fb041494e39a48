"""Stored objects as values, each decoded once: what did not change since is not decoded again."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from storage.base import Get, KeyValue, RangeResult, Store, prefix_end
from xdsd.intents.encoding import Undecodable, decode, stamped
from xdsd.intents.keys import Keys
from xdsd.intents.planning import Stored
from xdsd.model.intent import Kind
from xdsd.model.problem import ObjectRef, Problem, Reason

FEW = 20


class Contents(NamedTuple):
    """What is stored as of one revision, by key; problems of values under keys that no object has."""

    revision: int
    stored: Mapping[bytes, Stored]
    strays: Mapping[bytes, tuple[Problem, ...]]


class Shelf:
    """Reads objects from a store."""

    def __init__(self, store: Store, kinds: Mapping[str, Kind]) -> None:
        self.keys = Keys(kinds)
        self._store = store
        self._decoded: dict[bytes, Stored] = {}

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

    async def read(self, kvs: Sequence[KeyValue], revision: int) -> Contents:
        """What these keys hold."""
        # Decoding thousands of objects takes longer than the event loop may wait.
        read = self._read_all(kvs) if len(kvs) <= FEW else await asyncio.to_thread(self._read_all, kvs)
        stored = {key: value for key, value in read.items() if isinstance(value, Stored)}
        strays = {key: value for key, value in read.items() if not isinstance(value, Stored)}
        return Contents(revision, stored, strays)

    def _read_all(self, kvs: Sequence[KeyValue]) -> dict[bytes, Stored | tuple[Problem, ...]]:
        return {kv.key: self._read(kv) for kv in kvs}

    def _read(self, kv: KeyValue) -> Stored | tuple[Problem, ...]:
        known = self._decoded.get(kv.key)
        if known is not None and known.mod_revision == kv.mod_revision:
            return known
        ref = self.keys.ref(kv.key)
        if ref is None:
            message = f"{kv.key.decode('utf-8', 'replace')} is no key of an object; delete it from the store"
            return (Problem(Reason.UNKNOWN_KIND, message),)
        try:
            obj = decode(kv.value, ref)
        except Undecodable as error:
            return Stored(ref, kv.mod_revision, kv.create_revision, None, error.problems)
        obj = stamped(obj, kv.key, kv.create_revision, kv.mod_revision)
        return Stored(ref, kv.mod_revision, kv.create_revision, obj)
