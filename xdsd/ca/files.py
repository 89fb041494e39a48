"""An intermediate CA from files, taken anew when they are replaced."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from structlog.typing import FilteringBoundLogger

from xdsd.ca.authority import CaError, LocalSigner, Trust
from xdsd.ca.checking import faults
from xdsd.ca.issuer import Ca, fingerprint
from xdsd.ca.reading import LARGEST_FILE, Unreadable, read_certificates, read_key

_EVERY = 2.0
"""Seconds between two looks at the files."""

_Signature = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class CaFiles:
    """PEM. ``chain``: the certificate that signs, then those above it; ``roots`` are trusted, None: the chain's last."""

    chain: Path
    key: Path
    roots: Path | None = None


class FileCa:
    """The source of a CA in files. While what they hold cannot be used, the last that could be holds.

    ``unready`` says why what they hold cannot follow what they held, as somebody is not ready for it; it is asked again.
    ``report`` hears why what they hold is not used, whenever that changes; empty: it is.
    """

    def __init__(
        self,
        files: CaFiles,
        trust_domain: str,
        logger: FilteringBoundLogger,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        every: float = _EVERY,
        unready: Callable[[Trust, Trust], Awaitable[str]] | None = None,
        report: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._unready = unready
        self._report = report
        self._told = ""
        self._files = files
        self._trust_domain = trust_domain
        self._logger = logger
        self._now = now
        self._every = every

    async def run(self, take: Callable[[Trust], None]) -> None:
        """Raises CaError where the files cannot be used from the start."""
        seen = await asyncio.to_thread(self._signature)
        trust = await asyncio.to_thread(self._trust)
        take(trust)
        coming: Trust | None = trust
        missed = False
        while True:
            await asyncio.sleep(self._every)
            try:
                now = await asyncio.to_thread(self._signature)
            except CaError as error:
                if missed:  # at the first look they may be half replaced
                    self._tell(f"the CA is as it was before its files went: {error}")
                missed = True
                continue
            if now != seen or (missed and coming is None):
                coming = await self._changed()
            seen, missed = now, False
            if coming is None or not await self._may_follow(trust, coming):
                continue
            self._tell("")
            if coming is not trust:
                trust = coming
                self._logger.info("the CA's files are new", issues=fingerprint(trust.cas[0].certificate)[:16])
                take(trust)

    async def _may_follow(self, trust: Trust, coming: Trust) -> bool:
        why = await self._unready(trust, coming) if self._unready and coming is not trust else ""
        if why:
            self._tell(f"the CA's new files wait: {why}")
        return not why

    async def _changed(self) -> Trust | None:
        """What the files hold now; None if that cannot be used."""
        try:
            return await asyncio.to_thread(self._trust)
        except CaError as error:
            self._tell(f"the CA is as it was before its files changed: {error}")
            return None

    def _tell(self, why: str) -> None:
        if why != self._told:
            self._told = why
            self._report(why)
            if why:
                self._logger.warning("the CA's files are not used", why=why)

    def _trust(self) -> Trust:
        files = self._files
        try:
            chain = read_certificates(_read(files.chain, "ca-cert"), f"ca-cert {files.chain}")
            key = read_key(_read(files.key, "ca-key"), f"ca-key {files.key}")
            roots = self._roots(chain)
        except Unreadable as error:
            raise CaError(str(error)) from error
        ca = Ca(chain, key)
        wrong = list(faults(ca, roots, self._trust_domain, self._now()))
        if wrong:
            raise CaError(f"the CA in {files.chain} and {files.key} cannot sign: {'; '.join(wrong)}")
        return Trust(roots, LocalSigner(ca, self._now), (ca,), fingerprint(ca.certificate), alone=True)

    def _roots(self, chain: tuple[x509.Certificate, ...]) -> tuple[x509.Certificate, ...]:
        if self._files.roots is not None:
            return read_certificates(_read(self._files.roots, "ca-root"), f"ca-root {self._files.roots}")
        last = chain[-1]
        if last.subject != last.issuer:
            raise CaError(
                f"ca-cert {self._files.chain} does not end with a root; add it there, or set ca-root to its file"
            )
        return (last,)

    def _signature(self) -> _Signature:
        """Differs when a file was written or replaced."""
        paths = [path for path in (self._files.chain, self._files.key, self._files.roots) if path is not None]
        try:
            found = [path.stat() for path in paths]
        except OSError as error:
            raise CaError(
                f"{error.filename} cannot be read: {_reason(error)}; see ca-cert, ca-key, ca-root"
            ) from error
        return tuple((each.st_mtime_ns, each.st_ino, each.st_size) for each in found)


def _read(path: Path, setting: str) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise CaError(f"{setting} {path} cannot be read: {_reason(error)}") from error


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
