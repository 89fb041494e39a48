"""Traffic that does not stop while something else is changed, and what became of every request."""

import asyncio
import ssl
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import aiohttp

from tests.lab.eventually import eventually

Judge = Callable[[int, str], str]


def ok(status: int, body: str) -> str:
    """What is wrong with an answer: anything but 200."""
    return "" if status == 200 else f"status {status}: {body[:200]}"


@dataclass(slots=True)
class Tally:
    """What became of the requests: reasons of failure with their counts, latencies in seconds."""

    requests: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)

    @property
    def failed(self) -> int:
        return self.failures.total()

    def latency(self, quantile: float) -> float:
        """Seconds within which this share of the requests was answered."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(quantile * len(ordered)))]

    def __str__(self) -> str:
        worst = ", ".join(f"{count} x {reason}" for reason, count in self.failures.most_common(5))
        return f"{self.requests} requests, {self.failed} failed{': ' if worst else ''}{worst}"


class Load:
    """``async with Load(url) as load`` sends GETs from ``concurrency`` clients at once.

    In all they send at most ``rate`` requests a second; without ``keep_alive`` each on a connection of its
    own. A request that has begun when the block ends is waited for, so that none is lost from the count.
    ``tls`` is for URLs of https, with the ``server_name`` that is asked for.
    ``judge`` says what is wrong with an answer, or nothing.
    """

    def __init__(
        self,
        url: str,
        *,
        concurrency: int = 4,
        rate: float = 100.0,
        headers: Mapping[str, str] | None = None,
        proxy: str | None = None,
        keep_alive: bool = True,
        judge: Judge = ok,
        timeout: float = 30.0,
        tls: ssl.SSLContext | None = None,
        server_name: str | None = None,
    ) -> None:
        self.tally = Tally()
        self._url = url
        self._headers = dict(headers or {})
        self._proxy = proxy
        self._judge = judge
        self._tls: ssl.SSLContext | bool = True if tls is None else tls
        self._server_name = server_name
        self._concurrency = concurrency
        self._pause = concurrency / rate
        self._keep_alive = keep_alive
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._stopping = asyncio.Event()
        self._workers: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._workers = [asyncio.create_task(self._work()) for _ in range(self._concurrency)]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        await asyncio.gather(*self._workers)

    async def more(self, requests: int, timeout: float = 60.0) -> None:
        """Waits until that many further requests were answered.

        Raises:
            AssertionError: they were not, within ``timeout`` seconds.
        """
        target = self.tally.requests + requests
        await eventually(lambda: self.tally.requests >= target, f"{target} requests", timeout=timeout)

    async def _work(self) -> None:
        connector = aiohttp.TCPConnector(force_close=not self._keep_alive)
        async with aiohttp.ClientSession(timeout=self._timeout, connector=connector) as session:
            while not self._stopping.is_set():
                started = time.monotonic()
                reason = await self._request(session)
                taken = time.monotonic() - started
                self.tally.requests += 1
                self.tally.latencies.append(taken)
                if reason:
                    self.tally.failures[reason] += 1
                await self._rest(self._pause - taken)

    async def _request(self, session: aiohttp.ClientSession) -> str:
        try:
            async with session.get(
                self._url,
                headers=self._headers,
                proxy=self._proxy,
                ssl=self._tls,
                server_hostname=self._server_name,
            ) as response:
                return self._judge(response.status, await response.text())
        except (aiohttp.ClientError, OSError) as error:
            return f"{type(error).__name__}: {error}"

    async def _rest(self, seconds: float) -> None:
        if seconds <= 0:
            return
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return
