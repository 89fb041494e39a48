"""Whatever is done to both, the embedded store answers what the store in memory answers."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from storage.base import (
    Compare,
    Delete,
    Get,
    Op,
    Put,
    StorageError,
    Store,
    Target,
    WatchBatch,
)
from storage.embedded import EmbeddedStore, Keeping, open_embedded
from storage.memory import MemoryStore
from tests.contracts.store import ALL, take_through

T = TypeVar("T")

KEYS = st.sampled_from([b"a", b"a\0", b"b", b"b/1", b"b/2", b"c", b"\xff"])
ENDS = st.none() | KEYS | st.just(ALL)
VALUES = st.binary(max_size=3)
LEASES = st.sampled_from([0, 0, 0, 1, 2])
NUMBERS = st.integers(0, 6)
PUTS = st.builds(Put, KEYS, VALUES, LEASES)
DELETES = st.builds(Delete, KEYS, ENDS)
OPERATIONS = st.lists(PUTS | DELETES | st.builds(Get, KEYS, ENDS, NUMBERS), max_size=4)
NUMBER_TARGETS = st.sampled_from([Target.VERSION, Target.CREATE, Target.MOD, Target.LEASE])
COMPARES = st.lists(
    st.builds(Compare, KEYS, NUMBER_TARGETS, st.sampled_from(Op), NUMBERS, ENDS)
    | st.builds(Compare, KEYS, st.just(Target.VALUE), st.sampled_from(Op), VALUES, ENDS),
    max_size=2,
)


class EqualStores(RuleBasedStateMachine):
    """Does the same to both stores, and asks both the same."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.loop = asyncio.new_event_loop()
        self.memory = self.loop.run_until_complete(_open_memory())
        self.embedded = self.loop.run_until_complete(self.open())
        self.compacted = 0

    async def open(self) -> EmbeddedStore:
        return await open_embedded(Path(self.folder.name) / "store.db", keep=Keeping(revisions=0))

    def both(self, call: Callable[[Store], Awaitable[T]]) -> T | str:
        """What both stores answer to a call: a value, or the name of an error."""
        answers = [
            self.loop.run_until_complete(_answer(call, store)) for store in (self.memory, self.embedded)
        ]
        assert answers[0] == answers[1]
        return answers[0]

    @rule(put=PUTS)
    def put(self, put: Put) -> None:
        self.both(lambda store: store.put(put.key, put.value, lease=put.lease))

    @rule(key=KEYS, end=ENDS)
    def delete(self, key: bytes, end: bytes | None) -> None:
        self.both(lambda store: store.delete(key, end))

    @rule(compare=COMPARES, success=OPERATIONS, failure=OPERATIONS)
    def txn(
        self, compare: list[Compare], success: list[Put | Delete | Get], failure: list[Put | Delete | Get]
    ) -> None:
        self.both(lambda store: store.txn(compare, success, failure))

    @rule(key=KEYS, end=ENDS, back=st.integers(-1, 12), limit=NUMBERS, keys_only=st.booleans())
    def range(self, key: bytes, end: bytes | None, back: int, limit: int, *, keys_only: bool) -> None:
        newest = self.newest()
        self.both(
            lambda store: store.range(
                key, end, limit=limit, revision=max(newest - back, 0), keys_only=keys_only
            )
        )
        self.both(lambda store: store.get(key, revision=max(newest - back, 0)))

    @rule(lease=st.sampled_from([1, 2]))
    def grant(self, lease: int) -> None:
        self.both(lambda store: store.grant(3600, lease))

    @rule(lease=st.sampled_from([1, 2]))
    def revoke(self, lease: int) -> None:
        self.both(lambda store: _attached(store, lease))
        self.both(lambda store: store.revoke(lease))

    @rule(back=st.integers(-1, 12))
    def compact(self, back: int) -> None:
        revision = self.newest() - back
        if self.both(lambda store: store.compact(revision)) is None:
            self.compacted = revision

    @rule()
    def restart(self) -> None:
        self.loop.run_until_complete(self.embedded.close())
        self.embedded = self.loop.run_until_complete(self.open())

    @precondition(lambda self: self.newest() > max(self.compacted, 1))
    @rule(back=st.integers(0, 12), previous=st.booleans())
    def watch(self, back: int, *, previous: bool) -> None:
        newest = self.newest()
        start = newest - back

        async def replay(store: Store) -> list[WatchBatch]:
            watch = store.watch(ALL, ALL, start_revision=max(start, 1), previous=previous)
            batches = await take_through(watch, newest)
            await watch.close()
            return batches

        self.both(replay)

    @invariant()
    def hold_the_same(self) -> None:
        self.both(lambda store: store.range(ALL, ALL))

    def newest(self) -> int:
        return self.loop.run_until_complete(self.memory.revision())

    def teardown(self) -> None:
        self.loop.run_until_complete(self.memory.close())
        self.loop.run_until_complete(self.embedded.close())
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()
        self.folder.cleanup()


async def _open_memory() -> MemoryStore:
    return MemoryStore()


async def _attached(store: Store, lease: int) -> tuple[bytes, ...]:
    return tuple(sorted((await store.time_to_live(lease)).keys))


async def _answer(call: Callable[[Store], Awaitable[T]], store: Store) -> T | str:
    try:
        return await call(store)
    except StorageError as error:
        return f"{type(error).__name__}: {error}"


EqualStores.TestCase.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)


TestEqualStores = EqualStores.TestCase
