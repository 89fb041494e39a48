"""Authorities for tests: real ones, whose root is made here."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from cryptography import x509

from xdsd.ca.authority import Asked, Authority, LocalSigner, Signer, Trust
from xdsd.ca.issuer import CannotIssue, Svid, fingerprint, make_root
from xdsd.ca.keys import new_key

TRUST_DOMAIN = "cluster.local"


class Roots:
    """A source that a test changes; ``broken`` lets it sign nothing, and it signs when ``signs`` is set."""

    def __init__(self) -> None:
        self.broken = ""
        self.signed = 0
        self._take: Callable[[Trust], None] | None = None
        self._ca = make_root(new_key(), TRUST_DOMAIN, timedelta(days=1), datetime.now(UTC), 1)
        self._old = self._ca
        self._others: tuple[x509.Certificate, ...] = ()
        self.signs = asyncio.Event()
        self.signs.set()

    async def run(self, take: Callable[[Trust], None]) -> None:
        self._take = take
        self._tell()
        await asyncio.Event().wait()

    def change(self) -> None:
        """Another root signs from now on, and both are trusted."""
        self._old = self._ca
        self._ca = make_root(new_key(), TRUST_DOMAIN, timedelta(days=1), datetime.now(UTC), 2)
        self._tell()

    def trust(self) -> None:
        """Another root is trusted from now on, and the same signs."""
        self._others += (
            make_root(new_key(), TRUST_DOMAIN, timedelta(days=1), datetime.now(UTC), 3).certificate,
        )
        self._tell()

    def _tell(self) -> None:
        if self._take is not None:
            roots = tuple(dict.fromkeys((self._old.certificate, self._ca.certificate, *self._others)))
            signer = self._signer(LocalSigner(self._ca, lambda: datetime.now(UTC)))
            self._take(Trust(roots, signer, issuer=fingerprint(self._ca.certificate)))

    def _signer(self, signer: Signer) -> Signer:
        roots = self

        class Breakable:
            async def sign(self, asked: Asked) -> Svid:
                roots.signed += 1
                await roots.signs.wait()
                if roots.broken:
                    raise CannotIssue(roots.broken)
                return await signer.sign(asked)

        return Breakable()


def authority(roots: Roots, lifetime: timedelta = timedelta(hours=1)) -> Authority:
    """An authority over a source; its ``run`` is the test's to start."""
    return Authority(roots, TRUST_DOMAIN, lifetime)
