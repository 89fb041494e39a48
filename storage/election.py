"""Work that one of several processes does: whoever holds a leased key.

The holder steps down by its own clock before the lease can have run out at the store, so at no moment two of them work,
however the store is reached or not. The others wait for the key to go.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from storage.base import Compacted, Compare, EventType, LeaseNotFound, Op, Put, StorageError, Store, Target

_PAUSE = 0.5
SAFE = 2 / 3
"""The share of a lease's time after which a holder that could not renew it steps down."""


async def hold(
    store: Store, key: bytes, identity: bytes, ttl: int, while_held: Callable[[], Awaitable[None]]
) -> None:
    """Stands for ``key`` until cancelled; runs ``while_held`` whenever it is held, and cancels it when it no longer is.

    ``ttl`` is in seconds. Work that returns lets the key go, and stands again; an error of it is raised.
    """
    while True:
        try:
            await _term(store, key, identity, ttl, while_held)
        except StorageError:  # an outage, or the lease is gone: stand again
            await asyncio.sleep(_PAUSE)


async def _term(
    store: Store, key: bytes, identity: bytes, ttl: int, while_held: Callable[[], Awaitable[None]]
) -> None:
    """Waits until the key is ours, works while it is, and lets it go."""
    clock = asyncio.get_running_loop().time
    lease = 0
    try:
        while not lease:
            began = clock()
            lease = await store.grant(ttl)
            absent = Compare(key, Target.VERSION, Op.EQUAL, 0)
            taken = await store.txn([absent], [Put(key, identity, lease)])
            if not taken.succeeded:
                await _released(store, key, taken.revision, store.revoke(lease))
                lease = 0
        if clock() < began + SAFE * ttl:
            await _work(store, lease, began, ttl, while_held)
    finally:
        if lease:
            # Shielded, so that who is cancelled lets go all the same; it may end after nobody waits for it any more.
            leaving = asyncio.ensure_future(_let_go(store, lease))
            with suppress(TimeoutError):
                async with asyncio.timeout(_PAUSE):
                    await asyncio.shield(leaving)


async def _let_go(store: Store, lease: int) -> None:
    """Ends the lease, if the store can be asked; else it runs out by itself."""
    with suppress(StorageError):
        await store.revoke(lease)


async def _released(store: Store, key: bytes, revision: int, revoked: Awaitable[None]) -> None:
    """Returns once somebody else's key is gone."""
    await revoked
    watch = store.watch(key, start_revision=revision)
    try:
        if await store.get(key) is None:
            return
        async for batch in watch:
            if any(event.type is EventType.DELETE for event in batch.events):
                return
    except Compacted:
        return
    finally:
        await watch.close()


async def _work(
    store: Store, lease: int, began: float, ttl: int, while_held: Callable[[], Awaitable[None]]
) -> None:
    """Works while the lease is certainly ours."""

    async def run() -> None:
        await while_held()

    work = asyncio.create_task(run(), name="singleton")
    keeping = asyncio.create_task(_keep(store, lease, began, ttl), name="singleton's lease")
    try:
        await asyncio.wait({work, keeping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (work, keeping):
            task.cancel()
        await asyncio.gather(work, keeping, return_exceptions=True)
    if not work.cancelled():
        work.result()


async def _keep(store: Store, lease: int, began: float, ttl: int) -> None:
    """Renews the lease; returns once it may have run out."""
    clock = asyncio.get_running_loop().time
    renewed = began
    while (left := renewed + SAFE * ttl - clock()) > 0:
        asked = clock()
        try:
            async with asyncio.timeout(left):
                await store.keep_alive(lease)
            renewed = asked
            await asyncio.sleep(ttl / 3)
        except LeaseNotFound:
            return
        except (StorageError, TimeoutError):
            await asyncio.sleep(min(_PAUSE, ttl / 10))
