"""The bookshop as its visitors see it."""

import re
import time
from collections import Counter
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import aiohttp

from tests.lab.bookinfo import Bookinfo


@dataclass(frozen=True, slots=True)
class Page:
    """A page that was read, in ``seconds``: which reviews served it and the colour of their stars, empty without."""

    status: int
    text: str
    seconds: float

    @property
    def reviews(self) -> str:
        found = re.search(r"<code>(reviews-v\d)</code>", self.text)
        return found[1] if found else ""

    @property
    def stars(self) -> str:
        found = set(re.findall(r'class="stars" style="color: (\w+)"', self.text))
        assert len(found) < 2, f"stars of several colours: {found}"
        return found.pop() if found else ""


class Visitor:
    """A browser at the gateway, signed in under ``user`` if one is given."""

    def __init__(self, mesh: Bookinfo, user: str = "") -> None:
        self._mesh = mesh
        self._user = user
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        # unsafe: cookies of an address, not only of a host's name
        jar = aiohttp.CookieJar(unsafe=True)
        self._session = aiohttp.ClientSession(cookie_jar=jar, timeout=aiohttp.ClientTimeout(total=60))
        if self._user:
            form = {"username": self._user, "passwd": "any"}
            async with self._session.post(f"{self._mesh.url}/login", data=form) as response:
                assert response.status == 200, await response.text()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.session.close()

    @property
    def session(self) -> aiohttp.ClientSession:
        assert self._session is not None
        return self._session

    async def page(self, path: str = "/productpage") -> Page:
        """What a GET shows."""
        started = time.monotonic()
        async with self.session.get(f"{self._mesh.url}{path}") as response:
            text = await response.text()
        return Page(response.status, text, time.monotonic() - started)

    async def reviewers(self, visits: int) -> Counter[str]:
        """Which reviews served so many visits."""
        return Counter([(await self.page()).reviews for _ in range(visits)])


async def call(mesh: Bookinfo, caller: str, url: str, **headers: str) -> Page:
    """A call as an instance makes it, through the Envoy beside it; ``_`` in a header's name stands for ``-``."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    started = time.monotonic()
    timeout = aiohttp.ClientTimeout(total=60)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.get(url, headers=named, proxy=mesh.proxy_of(caller)) as response,
    ):
        text = await response.text()
    return Page(response.status, text, time.monotonic() - started)
