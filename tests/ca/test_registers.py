"""Tokens and revocations in stores that daemons share."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import structlog
from structlog.testing import capture_logs

from storage.base import Store
from tests.ca.making import NOW, REVIEWS
from tests.lab.eventually import eventually
from xdsd.ca.registers import REVOKED, TOKENS, Revocations, Tokens
from xdsd.ca.revocations import Revocation

HOUR = timedelta(hours=1)


@asynccontextmanager
async def registers(store: Store) -> AsyncIterator[tuple[Tokens, Revocations]]:
    """Those of one daemon, which know what there is."""
    tokens, revocations = Tokens(store, structlog.get_logger()), Revocations(store, structlog.get_logger())
    tasks = [asyncio.create_task(each.run()) for each in (tokens, revocations)]
    try:
        async with asyncio.timeout(20):
            await asyncio.gather(tokens.known(), revocations.known())
        yield tokens, revocations
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_token_is_known_to_every_daemon(any_store: Store) -> None:
    """Made at one daemon, it is known at all, also to one that starts later; revoked, it is known to none."""
    async with registers(any_store) as (one, _), registers(any_store) as (other, _):
        text, token = await one.create(REVIEWS, NOW, HOUR, author="root")
        assert one.get(token.id) == token
        await eventually(lambda: other.get(token.id) == token, "the other knows it")
        async with registers(any_store) as (late, _):
            assert late.all() == [token]
        assert await other.revoke(token.id, "root") == token
        await eventually(lambda: one.get(token.id) is None, "forgotten")
        found = await any_store.range(b"\0", b"\0")
        assert not any(text.rpartition("_")[2].encode() in kv.value for kv in found.kvs)


async def test_of_many_keys_one_uses_a_token_up(any_store: Store) -> None:
    """However many ask at once at two daemons, one key has the single use; it may ask again, and nobody else."""
    async with registers(any_store) as (one, _), registers(any_store) as (other, _):
        _, token = await one.create(REVIEWS, NOW, HOUR, single_use=True)
        await eventually(lambda: other.get(token.id) is not None, "the other knows it")
        uses = [each.use(token, f"key {number}", NOW) for number, each in enumerate((one, other) * 4)]
        held = await asyncio.gather(*uses)
        assert held.count(True) == 1
        winner = f"key {held.index(True)}"
        assert await other.use(token, winner, NOW)
        assert not await one.use(token, "another", NOW)
        await eventually(lambda: (found := one.get(token.id)) is not None and found.used_by == winner, "told")


async def test_tokens_for_many_uses_are_not_written_to(store: Store) -> None:
    """A token that holds for many uses costs no write."""
    async with registers(store) as (tokens, _):
        _, token = await tokens.create(REVIEWS, NOW, HOUR)
        before = await store.revision()
        assert await tokens.use(token, "a", NOW)
        assert await tokens.use(token, "b", NOW)
        assert await store.revision() == before


async def test_expired_tokens_are_forgotten_in_the_end(store: Store) -> None:
    """What expired a week ago goes when another token is made."""
    async with registers(store) as (tokens, _):
        _, old = await tokens.create(REVIEWS, NOW, HOUR)
        _, new = await tokens.create(REVIEWS, NOW + timedelta(days=9), HOUR)
        assert tokens.all() == [new]
        assert await store.get(f"{TOKENS}{old.id}".encode()) is None


async def test_what_cannot_be_read_lets_nobody_in(store: Store) -> None:
    """A record that is no token is none; the log says which, and not what stands in it."""
    with capture_logs() as logs:
        async with registers(store) as (tokens, _):
            await store.put(f"{TOKENS}abcdefabcdef".encode(), b'{"hash":"hidden"}')
            await eventually(lambda: any("refused" in str(each["event"]) for each in logs), "told")
            assert tokens.get("abcdefabcdef") is None
    assert "hidden" not in str(logs)


async def test_a_revocation_is_known_to_every_daemon(any_store: Store) -> None:
    """Made at one daemon it shuts out at all until it ends or is taken back."""
    async with registers(any_store) as (_, one), registers(any_store) as (_, other):
        await one.add(Revocation(NOW, NOW + HOUR, serial=5))
        await one.add(Revocation(NOW, NOW + HOUR, identity=REVIEWS))
        await eventually(lambda: len(other.all()) == 2, "the other knows both")
        stranger = type(REVIEWS)(REVIEWS.trust_domain, "default", "other")
        for each in (one, other):
            assert each.of(stranger, 5, NOW) is not None
            assert each.of(stranger, 6, NOW) is None
            assert each.of(REVIEWS, 0, NOW) is not None
            assert each.of(REVIEWS, 0, NOW + HOUR) is None
        await other.restore(f"identity/{REVIEWS.principal}", "root")
        await eventually(lambda: one.of(REVIEWS, 0, NOW) is None, "taken back")
        assert one.of(stranger, 5, NOW) is not None


async def test_a_shorter_revocation_does_not_end_a_longer_one(store: Store) -> None:
    """What is revoked for long stays so, whatever is said later for less."""
    async with registers(store) as (_, revocations):
        long = await revocations.add(Revocation(NOW, NOW + 9 * HOUR, serial=5))
        assert await revocations.add(Revocation(NOW, NOW + HOUR, serial=5)) == long
        assert revocations.all() == [long]


async def test_a_revocation_that_is_not_understood_harms_no_other(store: Store) -> None:
    """It is told in the log, and the others hold."""
    with capture_logs() as logs:
        async with registers(store) as (_, revocations):
            await store.put(f"{REVOKED}serial/6".encode(), b"?")
            await eventually(lambda: any("not understood" in str(each["event"]) for each in logs), "told")
            await revocations.add(Revocation(NOW, NOW + HOUR, serial=5))
            assert [each.serial for each in revocations.all()] == [5]


async def test_a_change_is_told(store: Store) -> None:
    """Whoever waits for the next change hears of it at once."""
    async with registers(store) as (tokens, revocations):
        for register, change in ((tokens, tokens.next_change), (revocations, revocations.next_change)):
            if register is tokens:
                await tokens.create(REVIEWS, NOW, HOUR)
            else:
                await revocations.add(Revocation(NOW, NOW + HOUR, serial=5))
            assert change.is_set()
            assert not register.next_change.is_set()
