"""What the store says, known here as it changes, so that a stream costs no read; and so the join tokens.

While the store is away what was known last holds: whoever was shut out stays so.
"""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from structlog.typing import FilteringBoundLogger

from storage.base import Compare, Delete, Op, Put, Store, Target
from xdsd.ca import tokens
from xdsd.ca.following import Held, follow
from xdsd.ca.tokens import InvalidToken, JoinToken, new_token
from xdsd.model.identity import SpiffeID

TOKENS = "/xdsd/ca/tokens/"
_KEPT = timedelta(days=7)
"""How long an expired token stays, to be told why it does not hold."""
_ATTEMPTS = 20


class Register:
    """One prefix of the store, followed. ``revision`` is that of its newest change."""

    def __init__(self, store: Store, prefix: str, logger: FilteringBoundLogger) -> None:
        self._store = store
        self._prefix = prefix
        self._logger = logger
        self._revisions: dict[str, int] = {}
        self._known = asyncio.Event()
        self._changed = asyncio.Event()
        self.revision = 0

    async def run(self) -> None:
        """Follows the store until cancelled."""
        await follow(self._store, self._prefix.encode(), self._read, self._away)

    async def known(self) -> None:
        """Returns once the store has said what there is."""
        await self._known.wait()

    @property
    def is_known(self) -> bool:
        return self._known.is_set()

    @property
    def next_change(self) -> asyncio.Event:
        """Is set at the next change; each change has an event of its own."""
        return self._changed

    def _read(self, changes: Mapping[bytes, Held], complete: bool) -> None:
        if complete:
            self._clear()
            self._revisions.clear()
        for key, held in changes.items():
            name = key.decode("utf-8", "replace").removeprefix(self._prefix)
            if held.revision >= self._revisions.get(name, 0):  # else older than what we wrote ourselves
                self._revisions[name] = held.revision
                self._put(name, held.value)
                self.revision = max(self.revision, held.revision)
        self._known.set()
        self._tell()

    def _take(self, name: str, value: bytes | None, revision: int) -> None:
        """What we wrote ourselves holds at once."""
        self._revisions[name] = revision
        self.revision = max(self.revision, revision)
        self._put(name, value)
        self._tell()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _away(self, why: str) -> None:
        self._logger.debug("tokens and revocations are as they were known last", why=why)

    def _clear(self) -> None:
        raise NotImplementedError

    def _put(self, name: str, value: bytes | None) -> None:
        raise NotImplementedError


class Tokens(Register):
    """The join tokens."""

    def __init__(self, store: Store, logger: FilteringBoundLogger) -> None:
        super().__init__(store, TOKENS, logger)
        self._tokens: dict[str, JoinToken] = {}

    def all(self) -> list[JoinToken]:
        """In the order of their making."""
        return sorted(self._tokens.values(), key=lambda token: (token.created, token.id))

    def get(self, identity: str) -> JoinToken | None:
        return self._tokens.get(identity)

    async def create(
        self,
        identity: SpiffeID,
        now: datetime,
        lifetime: timedelta,
        *,
        single_use: bool = False,
        networks: Sequence[str] = (),
        description: str = "",
        author: str = "",
        randomness: Callable[[int], bytes] = os.urandom,
    ) -> tuple[str, JoinToken]:
        """The text of a new token, and what is kept. Forgets those that expired long ago. Raises InvalidToken."""
        now = now.replace(microsecond=0)
        for _ in range(_ATTEMPTS):
            text, token = new_token(
                randomness(38),
                identity,
                now,
                now + lifetime,
                single_use=single_use,
                networks=networks,
                description=description,
                author=author,
            )
            key = (TOKENS + token.id).encode()
            value = tokens.encode(token)
            absent = Compare(key, Target.VERSION, Op.EQUAL, 0)
            result = await self._store.txn([absent], [Put(key, value)])
            if result.succeeded:
                self._take(token.id, value, result.revision)
                self._logger.info("a join token is made", token=token.id, identity=str(identity), who=author)
                await self._forget(now)
                return text, token
        raise InvalidToken("no free id was found for the token; try again")

    async def revoke(self, identity: str, author: str) -> JoinToken | None:
        """Forgets a token; None where there is none of that id."""
        token = self._tokens.get(identity)
        result = await self._store.txn([], [Delete((TOKENS + identity).encode())])
        self._take(identity, None, result.revision)
        if token is not None:
            self._logger.info(
                "a join token is revoked", token=identity, identity=str(token.identity), who=author
            )
        return token

    async def use(self, token: JoinToken, key: str, now: datetime) -> bool:
        """Uses a token for a certificate of a key; False where its single use was another's. Exactly one key wins."""
        if not token.single_use or token.used_by == key:
            return True
        place = (TOKENS + token.id).encode()
        kv = await self._store.get(place)
        if kv is None:
            return False
        kept = tokens.decode(token.id, kv.value)
        if kept.used_by:
            self._take(token.id, kv.value, kv.mod_revision)
            return kept.used_by == key
        value = tokens.encode(replace(kept, used_by=key, used_at=now.replace(microsecond=0)))
        same = Compare(place, Target.MOD, Op.EQUAL, kv.mod_revision)
        result = await self._store.txn([same], [Put(place, value)])
        if not result.succeeded:
            return await self.use(token, key, now)
        self._take(token.id, value, result.revision)
        return True

    async def _forget(self, now: datetime) -> None:
        for token in [each for each in self._tokens.values() if each.expires + _KEPT < now]:
            result = await self._store.txn([], [Delete((TOKENS + token.id).encode())])
            self._take(token.id, None, result.revision)

    def _clear(self) -> None:
        self._tokens.clear()

    def _put(self, name: str, value: bytes | None) -> None:
        """A token that cannot be read is none: nobody joins by mistake."""
        self._tokens.pop(name, None)
        if value is not None:
            try:
                self._tokens[name] = tokens.decode(name, value)
            except InvalidToken as error:
                self._logger.warning("a join token is refused", token=name, why=str(error))
