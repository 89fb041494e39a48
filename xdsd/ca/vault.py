"""A signer elsewhere that speaks Vault's PKI HTTP API: OpenBao does too. What it signs is checked before it is handed on.

The role must take names that we ask for rather than those of requests (``use_csr_sans=false``), as requests are made by
proxies: ``vault write pki/roles/xdsd require_cn=false use_csr_sans=false use_csr_common_name=false
allowed_uri_sans="spiffe://TRUST-DOMAIN/*" allow_any_name=true key_type=any max_ttl=24h``.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from ssl import SSLContext, create_default_context
from typing import Any

import aiohttp
from cryptography import x509
from structlog.typing import FilteringBoundLogger

from xdsd.answers import TooLarge, read_whole
from xdsd.ca.authority import Asked, CaError, Trust
from xdsd.ca.checking import NotProven, check_issued
from xdsd.ca.issuer import CannotIssue, Svid, fingerprint
from xdsd.ca.keys import public_der
from xdsd.ca.reading import LARGEST_FILE, Unreadable, read_certificates

_TIMEOUT = 10.0
_EVERY = 60.0
_PAUSE = 2.0
_LONGEST_TOKEN = 8192
_AT_ONCE = 16
_SHOWN = 200


@dataclass(frozen=True, slots=True)
class VaultSettings:
    """``url`` without a path; ``mount`` and ``role`` of the PKI secrets engine; ``token`` is a file that an agent may renew.

    ``ca`` are the authorities (PEM) of Vault's own certificate, None: the system's. ``roots`` are what the mesh trusts;
    None: the end of the mount's chain.
    """

    url: str
    mount: str
    role: str
    token: Path
    ca: Path | None = None
    roots: Path | None = None
    namespace: str = ""


class VaultCa:
    """The source of a CA that Vault has."""

    def __init__(
        self,
        settings: VaultSettings,
        logger: FilteringBoundLogger,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        every: float = _EVERY,
        report: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._report = report
        self._settings = settings
        self._logger = logger
        self._now = now
        self._every = every
        self._at_once = asyncio.Semaphore(_AT_ONCE)

    async def run(self, take: Callable[[Trust], None]) -> None:
        """Raises CaError where its own files cannot be read; while Vault is away it is asked again."""
        context = self._tls()
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT)
        connector = aiohttp.TCPConnector(ssl=context) if context is not None else aiohttp.TCPConnector()
        async with aiohttp.ClientSession(timeout=timeout, connector=connector, trust_env=False) as session:
            known: tuple[x509.Certificate, ...] = ()
            lists: tuple[bytes, ...] = ()
            away = ""
            while True:
                try:
                    roots = await self._roots(session)
                except CannotIssue as error:
                    if str(error) != away:
                        away = str(error)
                        self._logger.warning("Vault's roots are not known anew", why=away)
                        self._report(f"Vault's roots are not known anew: {away}")
                    await asyncio.sleep(min(_PAUSE, self._every))
                    continue
                if away:
                    self._report("")
                issuers, found = await self._lists(session, lists)
                if (roots, found) != (known, lists) or away:
                    known, lists, away = roots, found, ""
                    take(
                        Trust(
                            roots,
                            _Signer(self, session, roots),
                            issuer=" ".join(map(fingerprint, roots)),
                            issuers=issuers,
                            lists=lists,
                            revoke=partial(self._revoke, session),
                        )
                    )
                await asyncio.sleep(self._every)

    async def sign(
        self, session: aiohttp.ClientSession, roots: tuple[x509.Certificate, ...], asked: Asked
    ) -> Svid:
        """What Vault signs, if it is what was asked for. Raises CannotIssue."""
        wanted = {
            "csr": asked.request().decode(),
            "uri_sans": str(asked.identity),
            "alt_names": ",".join(asked.names),
            "ip_sans": ",".join(map(str, asked.addresses)),
            "ttl": f"{int(asked.lifetime.total_seconds())}s",
            "format": "pem",
            "exclude_cn_from_sans": True,
        }
        async with self._at_once:
            answer = await self._call(session, "POST", f"sign/{self._settings.role}", wanted)
        try:
            data = json.loads(answer)["data"]
            chain = [data["certificate"], *(data.get("ca_chain") or [data["issuing_ca"]])]
            certificates = read_certificates("\n".join(chain).encode(), "Vault's answer")
            return check_issued(
                certificates,
                roots,
                public_der(asked.public_key),
                asked.identity,
                self._now(),
                (asked.names, asked.addresses),
            )
        except (ValueError, KeyError, TypeError) as error:
            told = (
                str(error)
                if isinstance(error, Unreadable)
                else "it lacks data.certificate or data.issuing_ca"
            )
            raise CannotIssue(f"Vault's answer cannot be used: {told}") from None
        except NotProven as error:
            raise CannotIssue(
                f"Vault did not sign what was asked for: {error}; see the role {self._settings.role}: it needs "
                "use_csr_sans=false, require_cn=false and allowed_uri_sans"
            ) from error

    async def _roots(self, session: aiohttp.ClientSession) -> tuple[x509.Certificate, ...]:
        given = self._settings.roots
        try:
            if given is not None:
                return read_certificates(
                    await asyncio.to_thread(_read, given, LARGEST_FILE), f"ca-root {given}"
                )
            answer = await self._call(session, "GET", "ca_chain", None)
            if not answer.strip():  # a mount whose CA is a root has no chain
                answer = await self._call(session, "GET", "ca/pem", None)
            chain = read_certificates(answer, "Vault's chain")
        except Unreadable as error:
            raise CannotIssue(str(error)) from error
        roots = tuple(each for each in chain if each.subject == each.issuer)
        if not roots:
            raise CannotIssue("Vault's chain does not hold its root; set ca-root to a file that does")
        return roots

    async def _lists(
        self, session: aiohttp.ClientSession, known: tuple[bytes, ...]
    ) -> tuple[tuple[x509.Certificate, ...], tuple[bytes, ...]]:
        """Who signs, and its list of revoked certificates; the one that was ``known`` where there is no other."""
        try:
            issuers = read_certificates(await self._call(session, "GET", "ca/pem", None), "Vault's CA")[:1]
        except (CannotIssue, Unreadable):
            issuers = ()
        try:
            found = await self._call(session, "GET", "crl/pem", None)
        except CannotIssue as error:
            self._logger.debug("Vault's list of revoked certificates is as it was", why=str(error))
            return issuers, known
        return issuers, (found,) if found.strip() else ()

    async def _revoke(self, session: aiohttp.ClientSession, serial: int) -> None:
        """Raises CannotIssue."""
        digits = f"{serial:x}"
        digits = digits.zfill(len(digits) + len(digits) % 2)
        told = ":".join(digits[place : place + 2] for place in range(0, len(digits), 2))
        await self._call(session, "POST", "revoke", {"serial_number": told})

    async def _call(
        self, session: aiohttp.ClientSession, method: str, path: str, body: Mapping[str, Any] | None
    ) -> bytes:
        """Raises CannotIssue, without what was sent."""
        settings = self._settings
        headers = {"X-Vault-Request": "true"}
        if settings.namespace:
            headers["X-Vault-Namespace"] = settings.namespace
        if body is not None:
            headers["X-Vault-Token"] = await self._token()
        url = f"{settings.url}/v1/{settings.mount}/{path}"
        try:
            async with session.request(
                method, url, json=body, headers=headers, allow_redirects=False
            ) as answer:
                content = await read_whole(answer, LARGEST_FILE)
                if answer.status not in (200, 204):
                    raise CannotIssue(f"Vault answered {answer.status} at {path}: {_errors(content)}")
                return content
        except TimeoutError:
            raise CannotIssue(
                f"Vault at {settings.url} did not answer within {_TIMEOUT:.0f} seconds"
            ) from None
        except TooLarge:
            raise CannotIssue(f"Vault's answer at {path} has more than {LARGEST_FILE} bytes") from None
        except aiohttp.ClientError as error:
            raise CannotIssue(f"Vault at {settings.url} cannot be asked: {error}") from None

    async def _token(self) -> str:
        """Read each time: an agent replaces it before it expires."""
        try:
            token = (
                (await asyncio.to_thread(_read, self._settings.token, _LONGEST_TOKEN)).decode("ascii").strip()
            )
        except UnicodeDecodeError:
            token = ""
        if not token.isprintable() or not token or " " in token:
            raise CannotIssue(f"vault-token-file {self._settings.token} does not hold a token")
        return token

    def _tls(self) -> SSLContext | None:
        if not self._settings.url.startswith("https:"):
            return None
        try:
            return create_default_context(cafile=self._settings.ca)
        except OSError as error:
            raise CaError(
                f"vault-ca {self._settings.ca} cannot be used: {error.strerror or error}"
            ) from error


class _Signer:
    def __init__(
        self, vault: VaultCa, session: aiohttp.ClientSession, roots: tuple[x509.Certificate, ...]
    ) -> None:
        self._vault = vault
        self._session = session
        self._roots = roots

    async def sign(self, asked: Asked) -> Svid:
        return await self._vault.sign(self._session, self._roots, asked)


def _read(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(most + 1)
    except OSError as error:
        raise CannotIssue(f"{path} cannot be read: {(error.strerror or str(error)).lower()}") from error


def _errors(content: bytes) -> str:
    """Vault's own sentences, cut down."""
    try:
        errors = json.loads(content)["errors"]
        said = "; ".join(str(each) for each in errors)
    except (ValueError, KeyError, TypeError):
        said = ""
    return said[:_SHOWN] or "no reason was given"
