"""Credentials in stores that daemons share, and who is given which."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import structlog
from structlog.testing import capture_logs

from storage.base import Put, Store
from storage.memory import MemoryStore
from tests.credentials.test_reading import AUTHORITY, CERT, NOW, PRIVATE
from tests.lab.eventually import eventually
from tests.lab.forgetting import holders
from xdsd.ca.sealing import Sealer
from xdsd.credentials.giving import Giver
from xdsd.credentials.kept import PREFIX
from xdsd.credentials.reading import CredentialKind, InvalidCredential
from xdsd.credentials.register import AlreadyThereError, Credentials
from xdsd.model.credential import CredentialName, CredentialParts
from xdsd.model.identity import SpiffeID

SHOP = CredentialName("edge", "shop")
FILES = {"tls.crt": CERT, "tls.key": PRIVATE, "ca.crt": AUTHORITY}
ONE, OTHER = Sealer(b"1" * 32), Sealer(b"2" * 32)


@asynccontextmanager
async def register(store: Store, sealer: Sealer | None = ONE) -> AsyncIterator[Credentials]:
    """That of one daemon, which knows what there is."""
    found = Credentials(store, sealer, structlog.get_logger())
    task = asyncio.create_task(found.run())
    try:
        async with asyncio.timeout(60):
            await found.known()
        yield found
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def keep(register: Credentials, name: CredentialName = SHOP, **more: object) -> None:
    await register.put(name, CredentialKind.TLS, FILES, NOW, author="root", **more)  # type: ignore[arg-type]


def account(name: str, namespace: str = "edge") -> SpiffeID:
    return SpiffeID("cluster.local", namespace, name)


async def test_a_credential_is_known_to_every_daemon_and_readable_in_no_store(any_store: Store) -> None:
    """Kept at one daemon it is known at all, by its parts; the store has neither key nor certificate in the clear, nor has
    the log.
    """
    with capture_logs() as logs:
        async with register(any_store) as one, register(any_store) as other:
            await keep(one)
            await eventually(lambda: other.parts() == {SHOP: CredentialParts(True, True)}, "known")
            held = other.get(SHOP)
            assert held is not None
            assert other.whole(held).material.key == PRIVATE
            found = await any_store.range(b"\0", b"\0")
            assert not any(b"BEGIN" in kv.value or b"LS0tLS1" in kv.value for kv in found.kvs)
            assert await other.delete(SHOP, "root") == held
            await eventually(lambda: one.get(SHOP) is None, "gone")
    assert "BEGIN" not in str(logs)
    assert [line["event"] for line in logs][:1] == ["a secret is created"]


async def test_one_takes_the_place_of_another_only_if_that_is_said() -> None:
    """A second one of a name is refused, unless it replaces the first; checking alone keeps nothing."""
    async with register(MemoryStore()) as here:
        await keep(here, dry_run=True)
        assert here.all() == []
        await keep(here)
        with pytest.raises(AlreadyThereError, match="--replace"):
            await keep(here)
        await keep(here, replace=True, accounts=("gateway",))
        assert here.parts() == {SHOP: CredentialParts(True, True, ("gateway",))}
        with pytest.raises(InvalidCredential, match="holds authorities alone"):
            await keep(here, CredentialName("edge", "a-cacert"))


async def test_of_two_daemons_one_creates_it(any_store: Store) -> None:
    """At once, or before the other knows; one that is deleted elsewhere is created again."""
    async with register(any_store) as one, register(any_store) as other:
        done = await asyncio.gather(keep(one), keep(other), return_exceptions=True)
        (refused,) = [each for each in done if each is not None]
        assert isinstance(refused, AlreadyThereError)
        await eventually(
            lambda: one.get(SHOP) is not None and one.revision == other.revision, "known to both"
        )
        await keep(one, replace=True)
        await eventually(lambda: one.revision == other.revision, "the newest is known")
        await keep(other, replace=True)
        await eventually(lambda: one.revision == other.revision, "the newest is known")
        await one.delete(SHOP, "root")
        await eventually(lambda: other.get(SHOP) is None, "gone")
        await keep(other)


async def test_one_that_replaces_another_is_for_the_same() -> None:
    """Unless it is said for whom else it is, or that all may have it."""
    async with register(MemoryStore()) as here:
        for given, held in (
            (("gateway",), ("gateway",)),
            (None, ("gateway",)),
            (("other",), ("other",)),
            ((), ()),
            (None, ()),
        ):
            await keep(here, replace=True, accounts=given)
            assert here.parts() == {SHOP: CredentialParts(True, True, held)}


async def test_what_cannot_be_opened_is_not_there() -> None:
    """Sealed with another key, moved to another name or damaged, a credential is none, and the log says so; without a key
    none is kept.
    """
    store = MemoryStore()
    async with register(store) as here:
        await keep(here)
        kv = await store.get(f"{PREFIX}edge/shop".encode())
        assert kv is not None
        with capture_logs() as logs:
            await store.txn([], [Put(f"{PREFIX}bank/shop".encode(), kv.value)])
            await store.txn([], [Put(f"{PREFIX}edge/odd".encode(), b"{}")])
            async with register(store, OTHER) as stranger:
                assert stranger.all() == []
            await eventually(lambda: len(logs) >= 4, "told")
        assert [each.name for each in here.all()] == [SHOP]
        assert {line["event"] for line in logs} == {"a secret cannot be used"}
    async with register(store, None) as bare:
        assert bare.all() == []
        with pytest.raises(InvalidCredential, match="has no sealing key"):
            await keep(bare)


async def test_what_cannot_be_opened_is_told_and_not_written_over() -> None:
    """As long as it is there it is a problem; another takes its place only if that is said, and for whom."""
    store = MemoryStore()
    async with register(store) as here:
        await keep(here, accounts=("gateway",))
        assert here.problems() == ()
    async with register(store, OTHER) as stranger:
        (problem,) = stranger.problems()
        assert "the secret edge/shop is given to nobody: what is sealed" in problem.message
        with pytest.raises(AlreadyThereError, match=r"cannot be used: .* --replace puts another"):
            await keep(stranger)
        with pytest.raises(InvalidCredential, match="--service-account, or --any-service-account"):
            await keep(stranger, replace=True)
        await keep(stranger, replace=True, accounts=("gateway",))
        assert stranger.problems() == ()
        assert stranger.parts() == {SHOP: CredentialParts(True, True, ("gateway",))}


async def test_credentials_are_given_to_those_who_may_have_them() -> None:
    """Gateways get those of their namespace, sidecars those that rules name, nobody those of others."""
    async with register(MemoryStore()) as here:
        giver = Giver(here.of)
        await keep(here)
        await keep(here, CredentialName("edge", "own"), accounts=("gateway",))

        def names(identity: SpiffeID, *, gateway: bool = True) -> set[str]:
            return {each.name.removeprefix("kubernetes://") for each in giver(identity, gateway)}

        assert names(account("gateway")) == {"shop", "shop-cacert", "own", "own-cacert"}
        assert names(account("other")) == {"shop", "shop-cacert"}
        assert names(account("gateway", "bank")) == set()
        assert names(account("gateway"), gateway=False) == set()
        assert giver.use(frozenset({SHOP})) == {"edge"}
        assert names(account("gateway"), gateway=False) == {"shop", "shop-cacert"}
        assert giver(account("other"), True)[0] is giver(account("other"), True)[0]


async def test_keys_are_in_the_clear_while_somebody_has_them() -> None:
    """Of a credential that is known its key stays sealed, until it is given to somebody; when nobody is left who could have
    it, nothing of it is kept.
    """
    body = PRIVATE.splitlines()[1]
    async with register(MemoryStore()) as here:
        giver = Giver(here.of, here.whole)
        await keep(here)
        await eventually(lambda: here.get(SHOP) is not None)
        assert [each.material.key for each in here.all()] == [b""]
        assert body in giver(account("gateway"), True)[0].encoded
        giver.release("bank")
        giver.release("edge", [(account("gateway"), True)])
        assert "xdsd.snapshot.Resource" in holders(body)
        giver.release("edge", [(account("gateway"), False)])
        assert "xdsd.snapshot.Resource" not in holders(body)
