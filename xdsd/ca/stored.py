"""Roots in the store: made by the first daemon, known to all that share it, their keys sealed."""

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from structlog.typing import FilteringBoundLogger

from storage.base import Compare, Op, Put, StorageError, Store, Target
from xdsd.ca.authority import CaError, LocalSigner, Trust
from xdsd.ca.checking import faults
from xdsd.ca.following import Held, follow
from xdsd.ca.issuer import CLOCK_SKEW, Ca, make_root, serial_of
from xdsd.ca.keys import new_key, private_pem
from xdsd.ca.reading import Unreadable, read_key
from xdsd.ca.roots import InvalidRoots, Root, RootSet, RootState, decode, encode, place_of
from xdsd.ca.sealing import Sealer, SealingError
from xdsd.model.key_type import KeyType

ROOTS = b"/xdsd/ca/roots"
LIFETIME = timedelta(days=3650)
LOST = "if that key is lost, so is the CA with all that it issued: xdsd new-ca says what that means, and begins another"
_PAUSE = 1.0


class StoredRoots:
    """The source of a CA that the store keeps."""

    def __init__(
        self,
        store: Store,
        sealer: Sealer,
        trust_domain: str,
        kind: KeyType,
        logger: FilteringBoundLogger,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._sealer = sealer
        self._trust_domain = trust_domain
        self._kind = kind
        self._logger = logger
        self._now = now
        self._begun = False
        self._taken: tuple[tuple[Root, ...], int] = ((), -1)

    async def run(self, take: Callable[[Trust], None]) -> None:
        """Follows the store until it is closed; makes the first root where there is none."""
        await self._begin()
        await follow(self._store, ROOTS, lambda *what: self._read(take, *what), self._away)

    async def root(self) -> tuple[Ca, Root]:
        """A new root and how it is kept; not stored yet."""
        key = await asyncio.to_thread(new_key, self._kind)
        ca = make_root(key, self._trust_domain, LIFETIME, self._now(), serial_of(os.urandom(20)))
        sealed = self._sealer.seal(private_pem(key), place_of(ca.certificate))
        return ca, Root(ca.certificate, RootState.TRUSTED, sealed)

    async def _begin(self) -> None:
        """Returns when the store has roots: ours, unless another daemon was faster."""
        while True:
            try:
                if await self._store.get(ROOTS) is None:
                    await self._found()
            except StorageError as error:
                self._away(str(error))
                await asyncio.sleep(_PAUSE)
            else:
                return

    async def _found(self) -> None:
        ca, root = await self.root()
        issuing = RootSet((replace(root, state=RootState.ISSUING),))
        absent = Compare(ROOTS, Target.VERSION, Op.EQUAL, 0)
        result = await self._store.txn([absent], [Put(ROOTS, encode(issuing))])
        if result.succeeded:
            expires = ca.certificate.not_valid_after_utc.date().isoformat()
            self._logger.info("a CA is made", trust_domain=self._trust_domain, root=root.id, expires=expires)

    def _read(self, take: Callable[[Trust], None], changes: Mapping[bytes, Held], complete: bool) -> None:
        if ROOTS not in changes and not complete:
            return
        kept = changes[ROOTS].value if ROOTS in changes else None
        if kept is None:
            self._logger.warning("the roots are gone from the store; those that were known hold")
            return
        try:
            roots = decode(kept)
            if self._begun and (roots.roots, roots.turn) == self._taken:
                return  # an operator's word within a step changes nothing for anybody
            trust = self._trust(roots)
            self._taken = roots.roots, roots.turn
        except (InvalidRoots, SealingError, Unreadable) as error:
            if not self._begun:
                advice = f"; {LOST}" if isinstance(error, SealingError) else ""
                raise CaError(f"the CA cannot be used: {error}{advice}") from error
            self._logger.warning("the roots are as they were known last", why=str(error))
            return
        self._begun = True
        take(trust)

    def _trust(self, roots: RootSet) -> Trust:
        """Raises SealingError, Unreadable, InvalidRoots."""
        opened = {root.id: self._opened(root) for root in roots.trusted}
        cas = tuple(opened.values())
        for ca in cas:
            # Its beginning is looked at: that a root has expired is said to who asks it.
            made = ca.certificate.not_valid_before_utc + CLOCK_SKEW
            wrong = list(faults(ca, ca.chain, self._trust_domain, made))
            if wrong:
                raise InvalidRoots(f"a root in the store: {'; '.join(wrong)}")
        issuing, server = (LocalSigner(opened[root.id], self._now) for root in (roots.issuing, roots.server))
        return Trust(roots.certificates, issuing, cas, roots.issuing.id, server, roots.turn)

    def _opened(self, root: Root) -> Ca:
        key = read_key(self._sealer.open(root.sealed, root.place), "the store")
        return Ca((root.certificate,), key)

    def _away(self, why: str) -> None:
        self._logger.info("the CA is as it was known last", why=why)
