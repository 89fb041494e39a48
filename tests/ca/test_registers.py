"""Tokens and revocations in stores that daemons share."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import structlog
from structlog.testing import capture_logs

from storage.base import Store
from tests.ca.making import NOW, REVIEWS
from tests.lab.eventually import eventually
from xdsd.ca.following import Held
from xdsd.ca.registers import TOKENS, Tokens
from xdsd.ca.revocations import Revocation, encode
from xdsd.ca.revoked import MOST_TURNS, REVOKED, Revocations
from xdsd.model.identity import SpiffeID
from xdsd.model.shut_out import Scope, Spared

HOUR = timedelta(hours=1)
RATINGS = SpiffeID(REVIEWS.trust_domain, "default", "ratings")


@asynccontextmanager
async def registers(store: Store) -> AsyncIterator[tuple[Tokens, Revocations]]:
    """Those of one daemon, which know what there is."""
    tokens, revocations = Tokens(store, structlog.get_logger()), Revocations(store, structlog.get_logger())
    tasks = [asyncio.create_task(each.run()) for each in (tokens, revocations)]
    try:
        async with asyncio.timeout(60):
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
        assert not any(text[-43:].encode() in kv.value for kv in found.kvs)


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


async def test_turns_are_known_to_every_daemon_and_stay(any_store: Store) -> None:
    """Each revocation has a turn of its own, of whom it is, unless connections are kept or it is not known whose they would
    be; taking it back changes none.
    """
    async with registers(any_store) as (_, one), registers(any_store) as (_, other):
        revocation = Revocation(NOW, NOW + HOUR, identity=REVIEWS)
        await one.add(revocation, ends=REVIEWS)
        first = one.turns[REVIEWS.principal]
        await one.add(revocation, ends=REVIEWS)
        second = one.turns[REVIEWS.principal]
        assert second != first
        await one.add(Revocation(NOW, NOW + HOUR, serial=7), ends=REVIEWS, keep=True)
        assert one.turns == {REVIEWS.principal: second}
        await one.add(Revocation(NOW, NOW + HOUR, serial=8))
        await one.restore(f"identity/{REVIEWS.principal}", "root")
        await eventually(lambda: len(other.all()) == 2, "the other knows")
        assert dict(other.turns) == dict(one.turns) == {REVIEWS.principal: second}
        spared = Spared(closed=(Scope("default", (("app", "web"),)),), admitting=(Scope(""),))
        await one.add(revocation, ends=REVIEWS, spared=spared)
        await eventually(lambda: other.turns[REVIEWS.principal].spared == spared, "and whom it spares")


async def test_what_is_not_understood_shuts_out_whom_its_key_names(store: Store) -> None:
    """It is told in the log, is not written over, and holds until it is taken back; a key that names nobody harms nobody."""
    with capture_logs() as logs:
        async with registers(store) as (_, revocations):
            for name in ("serial/6", f"identity/{REVIEWS.principal}", "newer/x"):
                await store.put(f"{REVOKED}{name}".encode(), b"?")
            await eventually(
                lambda: [each for each in logs if "not understood" in str(each["event"])][2:], "told"
            )
            await revocations.add(Revocation(NOW, NOW + HOUR, serial=5))
            await revocations.add(Revocation(NOW, NOW + HOUR, identity=REVIEWS))
            assert {each.serial for each in revocations.all()} == {0, 5, 6}
            assert revocations.of(REVIEWS, 0, NOW + 9999 * HOUR) is not None
            assert revocations.of(RATINGS, 6, NOW + 9999 * HOUR) is not None
            await revocations.restore(f"identity/{REVIEWS.principal}", "root")
            assert revocations.of(REVIEWS, 0, NOW) is None


async def test_many_turns_give_way_to_one_of_everybody(any_store: Store) -> None:
    """However often connections end, what is kept of it is bounded, and no daemon takes a forgotten turn for none."""
    async with registers(any_store) as (_, one), registers(any_store) as (_, other):
        for number in range(MOST_TURNS + 5):
            who = SpiffeID(REVIEWS.trust_domain, "default", f"a{number}")
            await one.add(Revocation(NOW, NOW + HOUR, identity=who), ends=who)
        expected = {"", *(f"{REVIEWS.trust_domain}/ns/default/sa/a{MOST_TURNS + last}" for last in range(5))}
        assert set(one.turns) == expected
        await eventually(lambda: dict(other.turns) == dict(one.turns), "the other knows")
        assert len(one.all()) == MOST_TURNS + 5


async def test_daemons_that_revoke_at_once_lose_nothing(any_store: Store) -> None:
    """What each adds to one revocation is there in the end."""
    async with registers(any_store) as (_, one), registers(any_store) as (_, other):
        made = [Revocation(NOW, NOW + HOUR, identity=REVIEWS, serials=(number,)) for number in range(1, 9)]
        await asyncio.gather(*(each.add(what) for each, what in zip((one, other) * 4, made, strict=True)))
        await eventually(lambda: all(len(each.all()[0].serials) == 8 for each in (one, other)), "joined")


async def test_many_revocations_are_read_at_once(store: Store) -> None:
    """Each costs as much as the first."""
    async with registers(store) as (_, revocations):
        until = NOW + HOUR
        found = {
            f"{REVOKED}serial/{number:x}".encode(): Held(encode(Revocation(NOW, until, serial=number)), 10**6)
            for number in range(1, 20_001)
        }
        began = time.process_time()
        revocations._read(found, complete=True)
        assert time.process_time() - began < 5
        assert revocations.of(REVIEWS, 20_000, NOW) is not None


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
