"""The users of a store, under ``/xdsd/access/users/``, known here as they change, so that a call costs no read."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from structlog.typing import FilteringBoundLogger

from api.access.caller import current
from api.access.users import InvalidUserError, User, check_name, check_user, decode, encode, summary
from storage.base import (
    Compacted,
    Compare,
    Delete,
    EventType,
    Op,
    Put,
    StorageError,
    Store,
    Target,
    prefix_end,
)

Proof = TypeVar("Proof", str, int)

PREFIX = "/xdsd/access/users/"
_PAUSE = 1.0
_ATTEMPTS = 20


class NoSuchUserError(InvalidUserError):
    """There is no user of that name."""


class UserExistsError(InvalidUserError):
    """There is a user of that name already."""


class Directory:
    """Users by what they prove themselves with. While the store is away the last that was known holds."""

    def __init__(self, store: Store, logger: FilteringBoundLogger) -> None:
        self._store = store
        self._logger = logger
        self._users: dict[str, User] = {}
        self._revisions: dict[str, int] = {}
        self._by_token: Mapping[str, User] = {}
        self._by_certificate: Mapping[str, User] = {}
        self._by_uid: Mapping[int, User] = {}
        self._synced = asyncio.Event()
        self._changed = asyncio.Event()
        self._away = False

    async def run(self) -> None:
        """Follows the store until cancelled."""
        following = True
        while following:
            try:
                await self._follow()
                following = False  # the store was closed
            except Compacted:
                continue
            except StorageError as error:
                if not self._away:  # whoever follows the objects warns of the outage
                    self._logger.info("users are as they were known last", why=str(error))
                self._away = True
                await asyncio.sleep(_PAUSE)

    async def synced(self) -> None:
        """Returns once the users are known."""
        await self._synced.wait()

    @property
    def known(self) -> bool:
        """True once the users are known."""
        return self._synced.is_set()

    @property
    def next_change(self) -> asyncio.Event:
        """Is set when some user changes; each change has an event of its own."""
        return self._changed

    def users(self) -> list[User]:
        return [self._users[name] for name in sorted(self._users)]

    def user(self, name: str) -> User | None:
        return self._users.get(name)

    def by_token(self, identity: str) -> User | None:
        return self._by_token.get(identity)

    def by_certificate(self, subject: str) -> User | None:
        return self._by_certificate.get(subject)

    def by_uid(self, uid: int) -> User | None:
        return self._by_uid.get(uid)

    def disabled_by(self, proof: str | int) -> User | None:
        """The disabled user who has a token's id, a certificate's name or a uid; asked of those who are let in no more."""
        return next((user for user in self._users.values() if user.disabled and _has(user, proof)), None)

    async def add(self, user: User, *, dry_run: bool = False) -> User:
        """Keeps a new user. Raises UserExistsError, InvalidUserError."""
        check_name(user.name)
        check_user(user)
        self._check_unique(user)
        key = _key(user.name)
        absent = Compare(key, Target.VERSION, Op.EQUAL, 0)
        write = [] if dry_run else [Put(key, encode(user))]
        result = await self._store.txn([absent], write)
        if not result.succeeded:
            raise UserExistsError(f"there is a user {user.name} already")
        if not dry_run:
            self._take(user.name, user, result.revision)
            self._record("a user is added", user.name, after=summary(user))
        return user

    async def change(self, name: str, change: Callable[[User], User], *, dry_run: bool = False) -> User:
        """Keeps a user as ``change`` makes it. Raises NoSuchUserError, InvalidUserError."""
        check_name(name)
        key = _key(name)
        for _ in range(_ATTEMPTS):
            kv = await self._store.get(key)
            if kv is None:
                raise NoSuchUserError(f"there is no user {name}; xdsctl user list tells who there is")
            before = decode(name, kv.value)
            changed = change(before)
            check_user(changed)
            self._check_unique(changed)
            if dry_run:
                return changed
            same = Compare(key, Target.MOD, Op.EQUAL, kv.mod_revision)
            result = await self._store.txn([same], [Put(key, encode(changed))])
            if result.succeeded:
                self._take(name, changed, result.revision)
                told = {"before": summary(before), "after": summary(changed)}
                password = changed.password != before.password
                self._record("a user is changed", name, **told, **({"password": "new"} if password else {}))
                return changed
        raise InvalidUserError(f"others changed the user {name} all the time; try again")

    async def remove(self, name: str, *, dry_run: bool = False) -> None:
        """Forgets a user. Raises NoSuchUserError."""
        check_name(name)
        there = Compare(_key(name), Target.VERSION, Op.GREATER, 0)
        result = await self._store.txn([there], [] if dry_run else [Delete(_key(name))])
        if not result.succeeded:
            raise NoSuchUserError(f"there is no user {name}; xdsctl user list tells who there is")
        if not dry_run:
            self._take(name, None, result.revision)
            self._record("a user is deleted", name)

    async def _follow(self) -> None:
        found = await self._store.range(PREFIX.encode(), prefix_end(PREFIX.encode()))
        self._users, self._revisions = {}, {}
        for kv in found.kvs:
            self._read(kv.key, kv.value, kv.mod_revision)
        self._index()
        self._away = False
        self._synced.set()
        watch = self._store.watch(
            PREFIX.encode(), prefix_end(PREFIX.encode()), start_revision=found.revision + 1
        )
        try:
            async for batch in watch:
                for event in batch.events:
                    value = None if event.type is EventType.DELETE else event.kv.value
                    self._read(event.kv.key, value, event.kv.mod_revision)
                self._index()
        finally:
            await watch.close()

    def _read(self, key: bytes, value: bytes | None, revision: int) -> None:
        """A user who cannot be read is none: nobody is let in by mistake."""
        name = key.decode("utf-8", "replace").removeprefix(PREFIX)
        if revision < self._revisions.get(name, 0):
            return  # older than what we wrote ourselves: what was revoked since would hold again for a moment
        self._revisions[name] = revision
        self._users.pop(name, None)
        if value is not None:
            try:
                check_name(name)
                self._users[name] = decode(name, value)
            except InvalidUserError as error:
                self._logger.warning("a user is refused", user=name, why=str(error))

    def _take(self, name: str, user: User | None, revision: int) -> None:
        """What we wrote ourselves holds at once."""
        self._revisions[name] = revision
        self._users.pop(name, None)
        if user is not None:
            self._users[name] = user
        self._index()

    def _record(self, event: str, name: str, **what: object) -> None:
        """Says in the log who changed a user, and from where."""
        caller = current()
        self._logger.info(event, user=name, who=caller.name, origin=caller.origin, **what)

    def _index(self) -> None:
        users = [user for user in self._users.values() if not user.disabled]
        self._by_token = self._owners((token.id, user) for user in users for token in user.tokens)
        self._by_certificate = self._owners((each, user) for user in users for each in user.certificates)
        self._by_uid = self._owners((uid, user) for user in users for uid in user.uids)
        self._changed.set()
        self._changed = asyncio.Event()

    def _owners(self, proofs: Iterable[tuple[Proof, User]]) -> Mapping[Proof, User]:
        """Who is known by what. What two users have, as two daemons may write at once, proves nothing."""
        owners: dict[Proof, User] = {}
        shared: set[Proof] = set()
        for proof, user in proofs:
            if owners.setdefault(proof, user) is not user:
                shared.add(proof)
        for proof in shared:
            del owners[proof]
            names = sorted(user.name for user in self._users.values() if _has(user, proof))
            self._logger.warning("what several users have lets in none of them", users=names)
        return owners

    def _check_unique(self, user: User) -> None:
        """What proves who somebody is proves it of one."""
        for other in self._users.values():
            if other.name != user.name:
                if shared := {*map(str, other.uids)} & {*map(str, user.uids)}:
                    raise InvalidUserError(f"uid {shared.pop()} is the user {other.name} already")
                if both := {*other.certificates} & {*user.certificates}:
                    raise InvalidUserError(f"certificates of {both.pop()} are the user {other.name} already")


def _has(user: User, proof: str | int) -> bool:
    return proof in user.uids or proof in user.certificates or proof in {token.id for token in user.tokens}


def _key(name: str) -> bytes:
    return f"{PREFIX}{name}".encode()
