"""Keys of the store under one prefix, followed: what they hold, then every change, over outages and compactions."""

import asyncio
from collections.abc import Callable, Mapping

from storage.base import Compacted, EventType, KeyValue, StorageError, Store, prefix_end

_PAUSE = 1.0

Take = Callable[[Mapping[bytes, KeyValue | None], bool], None]
"""Told of keys and what they hold now (None: nothing); ``complete`` says that there are no others."""


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
    take({kv.key: kv for kv in found.kvs}, True)
    watch = store.watch(prefix, prefix_end(prefix), start_revision=found.revision + 1)
    try:
        async for batch in watch:
            changes = {
                event.kv.key: None if event.type is EventType.DELETE else event.kv for event in batch.events
            }
            if changes:
                take(changes, False)
    finally:
        await watch.close()
