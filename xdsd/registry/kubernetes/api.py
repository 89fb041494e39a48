"""Calls of one API server: lists in chunks, watches as batches of events, and merges into what is there. Knows HTTP and
nothing of what objects mean.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import aiohttp

from xdsd.answers import TooLarge, plainly, read_start, read_whole
from xdsd.registry.kubernetes.facts import Json
from xdsd.registry.kubernetes.login import CannotLogin, Login

LONGEST_EVENT = 4 << 20
"""An etcd takes objects of 1.5 MiB; what is longer is a mistake, and parsing it would hold everything up."""
LARGEST_PAGE = 64 << 20
BATCH = 16 << 10
"""Bytes of events that are parsed and taken in at once; that takes about a millisecond."""
_CONNECT = 10.0
_SILENCE = 30.0
_NAMED = re.compile(
    rb'"metadata":\s*\{\s*"name":\s*"([^"]{1,253})"(?:,\s*"(?:generateName|namespace)":\s*"([^"]{1,253})")?'
)


class Unreachable(Exception):  # noqa: N818 - it is named after what is the matter
    """Nothing answered, or not to the end; the message says why."""


class Away(Unreachable):
    """The server as a whole, whatever it was asked for."""


class Refused(Exception):  # noqa: N818 - it is named after what is the matter
    """The server answered with an error. ``wait`` is how many seconds it asks to wait, None if it does not say."""

    def __init__(self, status: int, message: str, wait: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.wait = wait


class Event(NamedTuple):
    """One word of a watch. ``type`` is ADDED, MODIFIED, DELETED, BOOKMARK or TOO_LARGE, whose object has a name alone."""

    type: str
    object: Json


class Page(NamedTuple):
    """A chunk of a list, and the revision that the whole list is of; of ``giants`` there is nothing but the name."""

    items: list[Json]
    giants: list[Json]
    revision: str


class Api:
    """One server. ``login`` is asked for again and again, since tokens are renewed and files replaced."""

    def __init__(self, login: Callable[[], Awaitable[Login]]) -> None:
        self._ask = login
        self._login: Login | None = None
        self._session: aiohttp.ClientSession | None = None
        self._renewing = asyncio.Lock()

    async def close(self) -> None:
        """Ends all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def renew(self) -> None:
        """Finds out again where the server is and who we are, once for all who want to know. Raises Unreachable."""
        known = self._login
        async with self._renewing:
            if self._login is known:
                try:
                    await self._connect(await self._ask())
                except CannotLogin as error:
                    raise Unreachable(str(error)) from error

    async def _connect(self, login: Login) -> None:
        if self._session is None or self._login is None or login.connection != self._login.connection:
            context = login.tls()
            await self.close()
            connector = aiohttp.TCPConnector(ssl=context or True, limit=0, ttl_dns_cache=10)
            self._session = aiohttp.ClientSession(connector=connector)
        self._login = login

    async def get(self, path: str, parameters: Mapping[str, str] | None = None) -> Json:
        """One answer. Raises Unreachable, Refused."""
        return _object(await self._get(path, parameters or {}))

    async def _get(self, path: str, parameters: Mapping[str, str]) -> bytes:
        timeout = aiohttp.ClientTimeout(sock_connect=_CONNECT, sock_read=_SILENCE)
        async with self._call(path, parameters, timeout) as response:
            return await _bounded(response)

    async def patch(self, path: str, body: Json) -> Json:
        """Merges ``body`` into what stands there (RFC 7386). Raises Unreachable, Refused."""
        timeout = aiohttp.ClientTimeout(sock_connect=_CONNECT, sock_read=_SILENCE)
        async with self._call(path, {}, timeout, body) as response:
            return _object(await _bounded(response))

    async def pages(self, path: str, limit: int) -> AsyncIterator[Page]:
        """All objects of a collection, as of one revision. Raises Unreachable, Refused (410 if it took too long)."""
        more = ""
        while True:
            parameters = {"limit": str(limit), **({"continue": more} if more else {})}
            data = await self._get(path, parameters)
            answer = _object(data)
            metadata, items = answer.get("metadata"), answer.get("items") or []
            if not isinstance(metadata, dict) or not isinstance(items, list):
                raise Unreachable(f"what it answers for {path} is no list")
            parted: tuple[list[Json], list[Json]] = ([], [])
            for item in items:
                if isinstance(item, dict):
                    parted[len(data) > LONGEST_EVENT and _is_giant(item)].append(item)
            yield Page(*parted, str(metadata.get("resourceVersion") or ""))
            more = str(metadata.get("continue") or "")
            if not more:
                return

    @asynccontextmanager
    async def watch(
        self, path: str, revision: str, seconds: int
    ) -> AsyncIterator[AsyncIterator[list[Event]]]:
        """What happens to a collection after ``revision``, for about so many seconds: what is there at a time is one
        batch, or several if it is much. Raises Unreachable, Refused (410 if the revision is gone).
        """
        parameters = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": revision,
            "timeoutSeconds": str(seconds),
        }
        timeout = aiohttp.ClientTimeout(total=seconds + _SILENCE, sock_connect=_CONNECT)
        async with self._call(path, parameters, timeout) as response:
            yield _events(response)

    @asynccontextmanager
    async def _call(
        self,
        path: str,
        parameters: Mapping[str, str],
        timeout: aiohttp.ClientTimeout,
        merged: Json | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        if self._session is None or self._login is None:
            await self.renew()
        session, login = self._session, self._login
        if session is None or login is None or session.closed:
            raise Unreachable("the connections are being made anew")
        call = session.request(
            "GET" if merged is None else "PATCH",
            login.url.rstrip("/") + path,
            params=parameters,
            headers={
                "Accept": "application/json",
                **({"Authorization": login.token} if login.token else {}),
                **({"Content-Type": "application/merge-patch+json"} if merged is not None else {}),
            },
            data=None if merged is None else json.dumps(merged).encode(),
            timeout=timeout,
            allow_redirects=False,
            server_hostname=login.server_name or None,
            proxy=login.proxy or None,
        )
        try:
            async with call as response:
                if response.status != 200:
                    raise await _refusal(response)
                yield response
        except TimeoutError as error:
            raise Away(f"{urlsplit(login.url).netloc}: it does not answer in time") from error
        except (aiohttp.ClientError, OSError) as error:
            raise Away(f"{urlsplit(login.url).netloc}: {plainly(error)}") from error


async def _events(response: aiohttp.ClientResponse) -> AsyncIterator[list[Event]]:
    rest, giant = bytearray(), b""
    async for data in response.content.iter_any():
        rest += data
        batch: list[Event] = []
        *lines, last = rest.split(b"\n")
        rest = bytearray(last)
        parsed = 0
        for line in lines:
            if giant or len(line) > LONGEST_EVENT:
                batch.append(_giant(giant or bytes(line[:4096])))
                giant = b""
            elif line:
                batch.append(_event(bytes(line)))
            parsed += len(line)
            if parsed >= BATCH:
                yield batch
                batch, parsed = [], 0
        if len(rest) > LONGEST_EVENT or giant:
            giant = giant or bytes(rest[:4096])
            rest.clear()
        if batch:
            yield batch
    if rest or giant:
        raise Unreachable("the watch was cut off in the middle of an object")


def _event(line: bytes) -> Event:
    word = _object(line)
    found = word.get("object")
    if not isinstance(word.get("type"), str) or not isinstance(found, dict):
        raise Unreachable("the watch says something that is no event")
    if word["type"] == "ERROR":
        raise Refused(_code(found), str(found.get("message") or "the watch failed"))
    return Event(word["type"], found)


def _is_giant(obj: Json) -> bool:
    return len(json.dumps(obj, separators=(",", ":"), ensure_ascii=False)) > LONGEST_EVENT


def _giant(beginning: bytes) -> Event:
    found = _NAMED.search(beginning)
    name, namespace = (found[1].decode(), (found[2] or b"").decode()) if found else ("?", "")
    return Event("TOO_LARGE", {"metadata": {"name": name, "namespace": namespace}})


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    try:
        return await read_whole(response, LARGEST_PAGE)
    except TooLarge:
        raise Refused(413, f"an answer has more than {LARGEST_PAGE >> 20} MiB") from None


async def _refusal(response: aiohttp.ClientResponse) -> Refused:
    try:
        text = (await read_start(response, 64 << 10)).decode(errors="replace")
    except aiohttp.ClientError:
        text = ""
    said = text.strip()
    try:
        status = json.loads(text)
        said = str(status.get("message") or said) if isinstance(status, dict) else said
    except ValueError:
        pass
    after = response.headers.get("Retry-After", "")
    return Refused(
        response.status, said[:500] or str(response.reason), float(after) if after.isdigit() else None
    )


def _object(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Unreachable("what it answers is not JSON") from error
    if not isinstance(found, dict):
        raise Unreachable("what it answers is no object")
    return found


def _code(status: Json) -> int:
    code = status.get("code")
    return code if isinstance(code, int) else 500
