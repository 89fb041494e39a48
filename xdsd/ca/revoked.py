"""Revocations in the store, known here as they change, so that a stream costs no read."""

import os
from collections.abc import Callable, Mapping
from datetime import datetime

from structlog.typing import FilteringBoundLogger

from storage.base import Compare, Delete, Op, Operation, Put, Store, Target
from xdsd.ca import revocations, turns
from xdsd.ca.registers import Register
from xdsd.ca.revocations import InvalidRevocation, Revocation, joined, unreadable
from xdsd.model.identity import SpiffeID
from xdsd.model.shut_out import NONE_SPARED, Spared, Turn

REVOKED = "/xdsd/ca/revoked/"
TURN = "turn/"
"""What the keys of turns begin with, below those of revocations: so they are known together."""
MOST_TURNS = 100
"""That many are kept; a transaction has to hold them all."""


class Revocations(Register):
    """What is revoked, and when connections of whom had to end for it (their **turns**).

    To forget a turn is to end the connections that it ended, as proxies are told all turns that concern them. So turns stay
    until there are many; then all are forgotten together, for one that is of everybody.
    """

    def __init__(
        self, store: Store, logger: FilteringBoundLogger, randomness: Callable[[int], bytes] = os.urandom
    ) -> None:
        super().__init__(store, REVOKED, logger)
        self._randomness = randomness
        self._found: dict[str, Revocation] = {}
        self._serials: dict[int, Revocation] = {}
        self._identities: dict[SpiffeID, Revocation] = {}
        self._turns: dict[str, Turn] = {}

    @property
    def turns(self) -> Mapping[str, Turn]:
        """By principal; that of the empty one is of everybody."""
        return self._turns

    def all(self) -> list[Revocation]:
        return sorted(self._found.values(), key=lambda each: (each.since, each.name))

    def of(self, identity: SpiffeID, serial: int, now: datetime) -> Revocation | None:
        """What shuts out a certificate, or its identity; ``serial`` 0 asks for the identity alone."""
        for found in (self._identities.get(identity), self._serials.get(serial) if serial else None):
            if found is not None and now < found.until:
                return found
        return None

    async def kept(self, key: str) -> Revocation | None:
        """What the store itself has at this moment."""
        kv = await self._store.get((REVOKED + key).encode())
        return _read(key, kv.value) if kv is not None else None

    async def spared(self, identity: SpiffeID) -> Spared:
        """Whom the last turn of somebody spared, as the store itself has it."""
        kv = await self._store.get((REVOKED + TURN + identity.principal).encode())
        return turns.decode(kv.value).spared if kv is not None else NONE_SPARED

    async def add(
        self,
        revocation: Revocation,
        *,
        ends: SpiffeID | None = None,
        keep: bool = False,
        spared: Spared = NONE_SPARED,
    ) -> Revocation:
        """Keeps it, joined with what is revoked already. Connections end of ``ends`` (None: of nobody) where nobody is
        ``spared`` that, unless they are to ``keep`` on.
        """
        ended = ends.principal if ends is not None and not keep else None
        turn = Turn(self._randomness(6).hex(), spared)
        ending = self._ending(ended, turn) if ended is not None else {}
        place = (REVOKED + revocation.key).encode()
        while True:
            kv = await self._store.get(place)
            held = _read(revocation.key, kv.value) if kv is not None else None
            made = joined(held, revocation)
            value = revocations.encode(made)
            kept: dict[str, bytes | None] = {} if made == held else {revocation.key: value}
            writes = kept | ending
            if not writes:
                return made
            same = Compare(place, Target.MOD, Op.EQUAL, kv.mod_revision if kv is not None else 0)
            result = await self._store.txn([same], [_write(name, each) for name, each in writes.items()])
            if result.succeeded:
                break
        for name, each in writes.items():
            self._take(name, each, result.revision)
        self._logger.info("revoked", what=made.name, until=str(made.until), who=revocation.author)
        await self._forget(revocation.since)
        return made

    async def restore(self, key: str, author: str) -> Revocation | None:
        """Takes a revocation back; None where there is none."""
        held = self._found.get(key)
        result = await self._store.txn([], [Delete((REVOKED + key).encode())])
        self._take(key, None, result.revision)
        if held is not None:
            self._logger.info("no longer revoked", what=held.name, who=author)
        return held

    def _ending(self, principal: str, turn: Turn) -> dict[str, bytes | None]:
        """What is written for connections to end; where there are many turns, one of everybody takes their place."""
        found: dict[str, bytes | None] = {}
        if principal not in self._turns and len(self._turns) >= MOST_TURNS:
            found = {TURN + each: None for each in list(self._turns)[:MOST_TURNS]}
            found[TURN] = turns.encode(Turn(turn.id))
        return {**found, TURN + principal: turns.encode(turn)}

    async def _forget(self, now: datetime) -> None:
        for key in [key for key, each in self._found.items() if each.until < now]:
            result = await self._store.txn([], [Delete((REVOKED + key).encode())])
            self._take(key, None, result.revision)

    def _clear(self) -> None:
        for known in (self._found, self._turns, self._serials, self._identities):
            known.clear()

    def _put(self, name: str, value: bytes | None) -> None:
        if name.startswith(TURN):
            self._turns.pop(name.removeprefix(TURN), None)
            if value is not None:
                self._turns[name.removeprefix(TURN)] = turns.decode(value)
            return
        gone = self._found.pop(name, None)
        if gone is not None and gone.identity is not None:
            self._identities.pop(gone.identity, None)
        elif gone is not None:
            self._serials.pop(gone.serial, None)
        found = self._understood(name, value) if value is not None else None
        if found is None:
            return
        self._found[name] = found
        if found.identity is not None:
            self._identities[found.identity] = found
        else:
            self._serials[found.serial] = found

    def _understood(self, name: str, value: bytes) -> Revocation | None:
        """What is kept; whoever a key names is shut out, whatever else stands there."""
        try:
            return revocations.decode(value)
        except InvalidRevocation as error:
            found = unreadable(name)
            event = (
                "a revocation is not understood"
                if found is None
                else "a revocation that is not understood holds"
            )
            self._logger.warning(event, key=name, why=str(error))
            return found


def _write(name: str, value: bytes | None) -> Operation:
    key = (REVOKED + name).encode()
    return Delete(key) if value is None else Put(key, value)


def _read(name: str, value: bytes) -> Revocation | None:
    try:
        return revocations.decode(value)
    except InvalidRevocation:
        return unreadable(name)
