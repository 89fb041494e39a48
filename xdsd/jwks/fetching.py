"""Asking for keys over HTTP, and believing little of what comes back."""

import asyncio
import json
import ssl
from collections.abc import Callable
from typing import Any
from urllib.parse import urljoin, urlsplit

import aiohttp

from xdsd.answers import TooLarge, read_whole
from xdsd.jwks.addresses import GuardedResolver, Reach
from xdsd.model.intent.json_web_keys import MAX_JWKS, jwks_fault
from xdsd.model.key_source import KeySource

REDIRECTS = 5
_MOVED = frozenset({301, 302, 303, 307, 308})


class FetchError(Exception):
    """Keys could not be had; the message says why, for people."""


class Fetcher:
    """Fetches keys from where ``reach`` allows. ``tls`` is what servers are trusted by; the system's if left out.
    ``fault`` says what is wrong with what was fetched.
    """

    def __init__(
        self,
        reach: Reach,
        tls: ssl.SSLContext | None = None,
        fault: Callable[[str], str | None] = jwks_fault,
    ) -> None:
        self._fault = fault
        self._reach = reach
        self._tls = tls

    async def fetch(self, source: KeySource) -> str:
        """The keys of a source, valid. Raises FetchError."""
        try:
            async with asyncio.timeout(source.timeout):
                text = await self._keys(source)
        except TimeoutError:
            raise FetchError(f"did not answer in {source.timeout:g} seconds") from None
        fault = self._fault(text)
        if fault:
            raise FetchError(f"what it answers {fault}")
        return text

    async def _keys(self, source: KeySource) -> str:
        resolver = GuardedResolver(self._reach)
        connector = aiohttp.TCPConnector(resolver=resolver, ssl=self._tls or True, use_dns_cache=False)
        async with aiohttp.ClientSession(connector=connector, trust_env=False) as session:
            try:
                text = await self._get(session, source.url)
                return await self._get(session, _named(text, source.url)) if source.discover else text
            except (aiohttp.ClientError, OSError, ValueError) as error:
                raise FetchError(_told(error)) from None

    async def _get(self, session: aiohttp.ClientSession, url: str) -> str:
        for _ in range(REDIRECTS + 1):
            self._check(url)
            async with session.get(
                url, allow_redirects=False, headers={"Accept": "application/json"}
            ) as answer:
                if answer.status in _MOVED and "Location" in answer.headers:
                    url = _redirected(url, answer.headers["Location"])
                    continue
                if answer.status != 200:
                    raise FetchError(f"answers with {answer.status}")
                return await _read(answer)
        raise FetchError(f"leads elsewhere more than {REDIRECTS} times")

    def _check(self, url: str) -> None:
        """An address that is written in a URL is asked without a resolver."""
        host = urlsplit(url).hostname or ""
        try:
            self._reach.check(host, host)
        except OSError:
            raise
        except ValueError:
            return


async def _read(answer: aiohttp.ClientResponse) -> str:
    try:
        data = await read_whole(answer, MAX_JWKS)
    except TooLarge:
        raise FetchError(f"answers with more than {MAX_JWKS} bytes") from None
    return data.decode("utf-8", "replace")


def _redirected(url: str, location: str) -> str:
    target = urljoin(url, location)
    before, after = urlsplit(url), urlsplit(target)
    if after.scheme not in ("http", "https") or (before.scheme == "https" and after.scheme != "https"):
        raise FetchError(f"leads to {target[:200]}, which is not https")
    return target


def _named(text: str, url: str) -> str:
    """The address of the keys that a configuration names."""
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        raise FetchError("what it answers is no JSON") from None
    found = value.get("jwks_uri") if isinstance(value, dict) else None
    if not isinstance(found, str):
        raise FetchError("what it answers has no jwks_uri")
    return _redirected(url, found)


def _told(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"its certificate is not trusted: {error.certificate_error}"
    inner = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    return str(inner) or type(inner).__name__
