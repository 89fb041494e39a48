"""The users that a daemon knows are those of the store."""

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from api.access.directory import PREFIX, Directory, NoSuchUserError, UserExistsError
from api.access.users import InvalidUserError, User, encode, new_token
from storage.base import Unavailable
from storage.memory import MemoryStore
from tests.api.access.people import NOW, binding
from tests.lab.eventually import eventually
from xdsd.settings import LogFormat, LogLevel
from xdsd.telemetry import make_logger


@pytest.fixture
def log() -> io.StringIO:
    return io.StringIO()


@asynccontextmanager
async def following(store: MemoryStore, log: io.StringIO) -> AsyncIterator[Directory]:
    directory = Directory(store, make_logger(LogFormat.JSON, LogLevel.INFO, log))
    task = asyncio.create_task(directory.run())
    try:
        await asyncio.wait_for(directory.synced(), 60)
        yield directory
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def alice(**changes: object) -> User:
    token = new_token(NOW, None, "")[1]
    user = User("alice", (binding("viewer"),), (token,), "", ("CN",), (1000,))
    return replace(user, **changes)  # type: ignore[arg-type]  # the caller's fields


async def test_what_another_daemon_writes_arrives(log: io.StringIO) -> None:
    """Added, changed, disabled, removed: by all that proves who somebody is."""
    store = MemoryStore()
    async with following(store, log) as one, following(store, log) as other:
        user = await one.add(alice())
        await eventually(lambda: other.user("alice") == user)
        token = user.tokens[0].id
        assert (other.by_token(token), other.by_certificate("CN"), other.by_uid(1000)) == (user, user, user)
        await one.change("alice", lambda each: replace(each, uids=(1001,)))
        await eventually(lambda: other.by_uid(1001) is not None and other.by_uid(1000) is None)
        await one.change("alice", lambda each: replace(each, disabled=True))
        await eventually(lambda: other.by_token(token) is None)
        assert other.user("alice") is not None
        await one.remove("alice")
        await eventually(lambda: other.users() == [])


async def test_what_we_write_holds_at_once(log: io.StringIO) -> None:
    """Not only when the store tells it back; and whoever waits for a change is told."""
    async with following(MemoryStore(), log) as directory:
        changed = directory.next_change
        user = await directory.add(alice())
        assert directory.by_uid(1000) == user
        assert changed.is_set()
        assert not directory.next_change.is_set()
        await directory.remove("alice")
        assert directory.by_uid(1000) is None


async def test_what_is_older_than_our_write_does_not_undo_it(log: io.StringIO) -> None:
    """A token that we revoked does not hold again when the change before arrives late."""
    async with following(MemoryStore(), log) as directory:
        before = await directory.add(alice())
        kv = await directory._store.get(f"{PREFIX}alice".encode())
        assert kv is not None
        await directory.change("alice", lambda each: replace(each, tokens=()))
        directory._read(kv.key, encode(before), kv.mod_revision)
        directory._index()
        assert directory.by_token(before.tokens[0].id) is None
        await directory.remove("alice")
        directory._read(kv.key, encode(before), kv.mod_revision)
        directory._index()
        assert directory.users() == []


@pytest.mark.parametrize(
    "value", [b"", b"{}", b"\xff", encode(alice()).replace(b'"namespaces":[]', b'"namespaces":""')]
)
async def test_a_user_who_cannot_be_read_is_none(log: io.StringIO, value: bytes) -> None:
    """Nobody is let in by mistake, the others still are, and the log says whose is wrong."""
    store = MemoryStore()
    await store.put(f"{PREFIX}bob".encode(), encode(User("bob", uids=(7,))))
    async with following(store, log) as directory:
        await directory.add(alice())
        await store.put(f"{PREFIX}alice".encode(), value)
        await eventually(lambda: directory.user("alice") is None)
        assert directory.by_uid(1000) is None
        assert directory.by_uid(7) is not None
    assert '"user": "alice"' in log.getvalue()


async def test_what_proves_who_somebody_is_proves_it_of_one(log: io.StringIO) -> None:
    """A second user with the same uid or certificate is refused, and a name is had once."""
    async with following(MemoryStore(), log) as directory:
        await directory.add(alice())
        with pytest.raises(UserExistsError, match="there is a user alice already"):
            await directory.add(User("alice"))
        with pytest.raises(InvalidUserError, match="uid 1000 is the user alice already"):
            await directory.add(User("bob", uids=(1000,)))
        await directory.add(User("bob"))
        with pytest.raises(InvalidUserError, match="certificates of CN are the user alice already"):
            await directory.change("bob", lambda user: replace(user, certificates=("CN",)))


async def test_what_two_users_have_lets_in_neither(log: io.StringIO) -> None:
    """Two daemons may write at the same time what each of them found unique."""
    store = MemoryStore()
    async with following(store, log) as directory:
        await directory.add(alice())
        await store.put(f"{PREFIX}bob".encode(), encode(User("bob", uids=(1000,))))
        await eventually(lambda: directory.by_uid(1000) is None)
        assert directory.by_certificate("CN") is not None
    assert '"users": ["alice", "bob"]' in log.getvalue()


async def test_a_dry_run_checks_and_writes_nothing(log: io.StringIO) -> None:
    """It is refused as the write would be."""
    store = MemoryStore()
    async with following(store, log) as directory:
        await directory.add(alice(), dry_run=True)
        assert (await store.status()).revision == (await store.range(b"\0", b"\0")).revision
        assert directory.users() == []
        user = await directory.add(alice())
        with pytest.raises(UserExistsError):
            await directory.add(User("alice"), dry_run=True)
        await directory.change("alice", lambda each: replace(each, disabled=True), dry_run=True)
        await directory.remove("alice", dry_run=True)
        assert directory.users() == [user]
        with pytest.raises(NoSuchUserError):
            await directory.remove("bob", dry_run=True)
        with pytest.raises(NoSuchUserError):
            await directory.change("bob", lambda each: each)


async def test_the_last_that_was_known_holds_while_the_store_is_away(
    log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Users go on to be let in, and what changed meanwhile arrives when the store is back."""
    monkeypatch.setattr("api.access.directory._PAUSE", 0.05)
    store = MemoryStore()
    await store.put(f"{PREFIX}alice".encode(), encode(alice()))
    whole = store.range
    away = True

    async def failing(*arguments: object, **options: object) -> object:
        if away:
            raise Unavailable("cut off")
        return await whole(*arguments, **options)  # type: ignore[arg-type]  # passed on as they came

    directory = Directory(store, make_logger(LogFormat.JSON, LogLevel.INFO, log))
    monkeypatch.setattr(store, "range", failing)
    task = asyncio.create_task(directory.run())
    try:
        await eventually(lambda: "cut off" in log.getvalue())
        assert not directory.known
        away = False
        await asyncio.wait_for(directory.synced(), 60)
        assert directory.by_uid(1000) is not None
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_compaction_loses_no_user(log: io.StringIO) -> None:
    """Whoever follows after it reads all users again."""
    store = MemoryStore()
    async with following(store, log) as directory:
        for number in range(5):
            await store.put(f"{PREFIX}u{number}".encode(), encode(User(f"u{number}", uids=(number + 1,))))
        await store.compact((await store.status()).revision)
        await store.put(f"{PREFIX}last".encode(), encode(User("last", uids=(99,))))
        await eventually(lambda: directory.by_uid(99) is not None)
        assert len(directory.users()) == 6
