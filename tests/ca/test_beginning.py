"""A new CA where the sealing key of the old one is lost."""

import asyncio
from datetime import timedelta

import pytest
import structlog

from storage.base import Store
from tests.ca.making import DOMAIN, NOW
from xdsd.ca.authority import Authority, CaError
from xdsd.ca.beginning import ASIDE, CannotBegin, Loss, begin_anew, loss
from xdsd.ca.sealing import Sealer
from xdsd.ca.stored import ROOTS, StoredRoots
from xdsd.model.key_type import KeyType

KEPT, NEW = Sealer(b"k" * 32), Sealer(b"n" * 32)


async def started(store: Store, sealer: Sealer) -> str:
    """The id of the root of a daemon that starts."""
    source = StoredRoots(store, sealer, DOMAIN, KeyType.ECDSA_P256, structlog.get_logger(), lambda: NOW)
    authority = Authority(source, DOMAIN, timedelta(hours=1), lambda: NOW)
    task = asyncio.create_task(authority.run())
    known = asyncio.create_task(authority.known())
    try:
        async with asyncio.timeout(60):
            await asyncio.wait({task, known}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
        return authority.root_ids[0]
    finally:
        for each in (task, known):
            each.cancel()
        await asyncio.gather(task, known, return_exceptions=True)


async def test_a_lost_key_is_said_and_a_new_ca_begun_where_that_is_meant(any_store: Store) -> None:
    """A daemon without the key does not start and says what to do; what was is put aside, and counts again with the key."""
    with pytest.raises(CannotBegin, match="has no CA"):
        await loss(any_store, NEW)
    old = await started(any_store, KEPT)
    with pytest.raises(CaError, match=r"needs the sealing key .* if that key is lost, .*: xdsd new-ca"):
        await started(any_store, NEW)
    found = await loss(any_store, NEW)
    assert [root.id for root in found.sealed] == [old]
    assert "needs the sealing key" in found.why
    kept = await any_store.get(ROOTS)
    aside = await begin_anew(any_store, found, NOW)
    assert aside == f"{ASIDE}20261121T120000Z"
    put = await any_store.get(aside.encode())
    assert kept is not None
    assert put is not None
    assert put.value == kept.value
    new = await started(any_store, NEW)
    assert new != old
    assert (await loss(any_store, NEW)).sealed == ()


async def test_a_ca_that_can_be_used_is_not_thrown_away(any_store: Store) -> None:
    """Whatever is said; one that is of no form can be."""
    await started(any_store, KEPT)
    found = await loss(any_store, KEPT)
    assert (len(found.opened), found.sealed) == (1, ())
    with pytest.raises(CannotBegin, match="xdsctl ca rotate"):
        await begin_anew(any_store, found, NOW)
    assert await any_store.get(ROOTS) is not None
    await any_store.put(ROOTS, b"?")
    found = await loss(any_store, KEPT)
    assert not found.is_readable
    await begin_anew(any_store, found, NOW)
    with pytest.raises(CannotBegin, match="no CA any more"):
        await begin_anew(any_store, Loss(is_readable=False), NOW)
