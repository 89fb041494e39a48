"""Asks Consul's HTTP API. Every way in which that fails is a ``ConsulError`` that says why, for people.

A *blocking query* names the index that is known, and is answered once there is a newer one or its time is over.
Consul's documentation says what clients owe it: an index that goes backwards is forgotten, one of 0 never waited on, the
wait is spread by chance, and answers are not asked for faster than somebody can use them.
"""

import contextlib
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from xdsd.answers import TooLarge, plainly, read_start, read_whole
from xdsd.registry.consul.options import Consistency, ConsulOptions

LARGEST = 128 << 20
"""Bytes of an answer that are read at most; what is larger is nobody's list of instances."""

_CONNECT_SECONDS = 5.0
_GRACE_SECONDS = 5.0
_ANSWER_SECONDS = 30.0
_SHOWN = 200


class ConsulError(Exception):
    """Consul did not answer as it should; says why."""


class Away(ConsulError):  # noqa: N818 - it says what Consul is
    """Consul cannot be reached, or does not work: it is worth asking again."""


class Late(Away):
    """No answer came in time. Where many come at once, one may be there that was not read yet."""


class Denied(ConsulError):  # noqa: N818 - it says what we are
    """Consul does not let us: a token is missing, wrong, or may not read this."""


class Unusable(ConsulError):  # noqa: N818 - it says what the answer is
    """Consul answers what cannot be used."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What Consul says as of an index, which is at least 1. ``believable``: by a server that has a leader, with what that
    one had ``age`` seconds ago. ``filtered``: some is hidden from our token.
    """

    body: bytes
    index: int
    believable: bool = True
    age: float = 0.0
    filtered: bool = False


def next_index(known: int, answered: int) -> int:
    """Where the next query waits: 0, which is not to wait, if the index went backwards."""
    return 0 if answered < known else answered


@contextlib.asynccontextmanager
async def open_client(url: str, options: ConsulOptions) -> AsyncIterator["ConsulClient"]:
    """A client of the Consul at ``url`` (``http``, ``https`` or ``unix``), whose connections end with the block."""
    path = url.removeprefix("unix://") if url.startswith("unix://") else ""
    # How many connections there are is decided by who asks.
    connector: aiohttp.BaseConnector = (
        aiohttp.UnixConnector(path, limit=0) if path else aiohttp.TCPConnector(limit=0)
    )
    async with aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
    ) as session:
        yield ConsulClient("http://consul" if path else url, options, session, path or urlsplit(url).netloc)


class ConsulClient:
    """Asks one Consul; see ``open_client``."""

    def __init__(self, url: str, options: ConsulOptions, session: aiohttp.ClientSession, where: str) -> None:
        self._url = url
        self._where = where
        self._options = options
        self._session = session
        self._token = _Watched(options.token_file)
        self._used: str | None = None
        self._tls = _Tls(options) if url.startswith("https://") else None

    async def ask(
        self,
        path: str,
        index: int = 0,
        wait: float = 0.0,
        *,
        sure: bool = False,
        within: float | None = None,
        **more: str,
    ) -> Answer:
        """The answer to a query, at once (``within`` so many seconds) or, with an ``index``, when it changed or ``wait``
        seconds are over.

        ``sure`` asks for consistency whatever the options say; ``more`` are parameters of the query. Raises ConsulError.
        """
        # Consul waits longer by up to a sixteenth of what it is told, so that not all queries end at once.
        seconds = wait * 17 / 16 + _GRACE_SECONDS if index else within or _ANSWER_SECONDS
        timeout = aiohttp.ClientTimeout(total=seconds, sock_connect=_CONNECT_SECONDS)
        try:
            async with self._session.get(
                self._url + path,
                params={**self._parameters(index, wait, sure), **more},
                headers=self._headers(),
                timeout=timeout,
                allow_redirects=False,
                ssl=self._tls.context() if self._tls else True,
            ) as response:
                if response.status != 200:
                    raise _refusal(response.status, await _start(response))
                return _answer(await _body(response), response.headers)
        except TimeoutError:
            raise Late(f"{self._where}: no answer to {path} within {seconds:.0f} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Away(_why(self._where, error)) from None

    def has_another_token(self) -> bool:
        """True once, when the token's file says another token than the one that was used."""
        try:
            token = self._token.text()
        except (OSError, ValueError):
            return False  # Whoever asks is told.
        before, self._used = self._used, token
        return before is not None and token != before

    def _parameters(self, index: int, wait: float, sure: bool) -> dict[str, str]:
        options = self._options
        found: dict[str, str] = {}
        if index:
            found |= {"index": str(index), "wait": f"{wait * 1000:.0f}ms"}
        if options.datacenter:
            found["dc"] = options.datacenter
        if options.namespace:
            found["ns"] = options.namespace
        mode = Consistency.CONSISTENT if sure else options.consistency
        if mode is not Consistency.DEFAULT:
            found[mode.value] = ""
        return found

    def _headers(self) -> dict[str, str]:
        token = self._token.text()
        if self._used is None:
            self._used = token
        return {"X-Consul-Token": token} if token else {}


class _Watched:
    """A file's text, read again when the file changed."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._text = ""

    def text(self) -> str:
        """Stripped; raises OSError, ValueError if it is no text."""
        if self._path is None:
            return ""
        status = self._path.stat()
        seen = (status.st_ino, status.st_mtime_ns, status.st_size)
        if seen != self._seen:
            self._text = self._path.read_text().strip()
            self._seen = seen
        return self._text


class _Tls:
    """What server and client are to each other, of files that may be replaced."""

    def __init__(self, options: ConsulOptions) -> None:
        self._options = options
        self._files = [each for each in (options.ca, options.cert, options.key) if each is not None]
        self._seen: list[tuple[int, int, int]] = []
        self._context: ssl.SSLContext | None = None

    def context(self) -> ssl.SSLContext:
        """Raises OSError (of which ssl.SSLError is one)."""
        statuses = [each.stat() for each in self._files]
        seen = [(each.st_ino, each.st_mtime_ns, each.st_size) for each in statuses]
        if self._context is None or seen != self._seen:
            options = self._options
            context = ssl.create_default_context(cafile=options.ca)
            if options.cert is not None:
                context.load_cert_chain(options.cert, options.key)
            self._context, self._seen = context, seen
        return self._context


async def _start(response: aiohttp.ClientResponse) -> str:
    start = await read_start(response, _SHOWN * 4)
    return " ".join(start.decode(errors="replace").split())[:_SHOWN]


async def _body(response: aiohttp.ClientResponse) -> bytes:
    try:
        return await read_whole(response, LARGEST)
    except TooLarge:
        raise Unusable(f"the answer has more than {LARGEST >> 20} MiB") from None


def _answer(body: bytes, headers: Mapping[str, str]) -> Answer:
    return Answer(
        body=body,
        index=max(_count(headers.get("X-Consul-Index", "")), 1),
        believable=headers.get("X-Consul-KnownLeader", "true").lower() == "true",
        age=_count(headers.get("X-Consul-LastContact", "")) / 1000,
        filtered=headers.get("X-Consul-Results-Filtered-By-ACLs", "").lower() == "true",
    )


def _count(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0


def _refusal(status: int, why: str) -> ConsulError:
    said = f"Consul answers {status}" + (f" ({why})" if why else "")
    if status in {401, 403}:
        return Denied(f"{said}: give a token that may read services and nodes in token-file")
    if status == 429:
        return Away(f"{said}: allow more by limits.http_max_conns_per_client, or set fewer connections")
    if status >= 500:
        return Away(said)
    return Unusable(said)


def _why(where: str, error: Exception) -> str:
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {(error.strerror or str(error)).lower()}"
    return f"{where}: {plainly(error)}"
