"""Keys of the store under one prefix, followed: what they hold, then every change, over outages and compactions."""

import asyncio
from collections.abc import Callable, Mapping
from typing import NamedTuple

from storage.base import Compacted, EventType, StorageError, Store, prefix_end

_PAUSE = 1.0


class Held(NamedTuple):
    """What a key holds since a revision; None: nothing."""

    value: bytes | None
    revision: int


Take = Callable[[Mapping[bytes, Held], bool], None]
"""Told of keys and what they hold now; True says that there are no others."""


async def follow(store: Store, prefix: bytes, take: Take, away: Callable[[str], None]) -> None:
    """Until the store is closed; ``away`` is told why it cannot be asked."""
    following = True
    while following:
        try:
            await _follow(store, prefix, take)
            following = False
        except Compacted:
            continue
        except StorageError as error:
            away(str(error))
            await asyncio.sleep(_PAUSE)


async def _follow(store: Store, prefix: bytes, take: Take) -> None:
    found = await store.range(prefix, prefix_end(prefix))
    take({kv.key: Held(kv.value, kv.mod_revision) for kv in found.kvs}, True)
    watch = store.watch(prefix, prefix_end(prefix), start_revision=found.revision + 1)
    try:
        async for batch in watch:
            changes = {
                event.kv.key: Held(
                    None if event.type is EventType.DELETE else event.kv.value, event.kv.mod_revision
                )
                for event in batch.events
            }
            if changes:
                take(changes, False)
    finally:
        await watch.close()
