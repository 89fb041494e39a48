"""Keys that are kept current, each source by a task of its own."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from structlog.typing import FilteringBoundLogger

from xdsd.jwks.fetching import FetchError
from xdsd.model.intent.json_web_keys import jwks_fault
from xdsd.model.key_source import FetchedKeys, KeySource
from xdsd.snapshot import content_version

REFRESH = 1200.0
"""Seconds between two looks at a source that answers."""

FIRST_RETRY, LONGEST_RETRY = 1.0, 60.0


class Fetches(Protocol):
    """What fetches keys."""

    async def fetch(self, source: KeySource) -> str:
        """The keys of a source. Raises FetchError."""


class KeyKeeper:
    """Keeps the keys of the sources that are wanted.

    ``folder`` holds what was seen last, for a start at which a source cannot be asked; ``fault`` says what is wrong with
    that. Everything is called from one event
    loop.
    """

    def __init__(
        self,
        fetcher: Fetches,
        folder: Path,
        logger: FilteringBoundLogger,
        refresh: float = REFRESH,
        fault: Callable[[str], str | None] = jwks_fault,
    ) -> None:
        self._fault = fault
        self._fetcher = fetcher
        self._folder = folder
        self._logger = logger
        self._refresh = refresh
        self._wanted: frozenset[KeySource] = frozenset()
        self._changed = asyncio.Event()

    def want(self, sources: Iterable[KeySource]) -> Mapping[str, FetchedKeys]:
        """These from now on, and no others. Returns what was seen of new ones before, by their addresses."""
        before, self._wanted = self._wanted, frozenset(sources)
        self._changed.set()
        kept = {source.url: self._read(source) for source in self._wanted - before}
        return {url: FetchedKeys(jwks) for url, jwks in kept.items() if jwks}

    async def run(self, found: Callable[[str, FetchedKeys], None]) -> None:
        """Works until cancelled; ``found`` is told what is known of each source whenever that changes."""
        tasks: dict[KeySource, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as group:
            while True:
                self._changed.clear()
                for source in tasks.keys() - self._wanted:
                    tasks.pop(source).cancel()
                    if all(source.url != other.url for other in self._wanted):
                        found(source.url, FetchedKeys())
                for source in self._wanted - tasks.keys():
                    tasks[source] = group.create_task(self._keep(source, found), name=f"keys of {source.url}")
                await self._changed.wait()

    async def _keep(self, source: KeySource, found: Callable[[str, FetchedKeys], None]) -> None:
        """Looks at one source again and again; ever more rarely while it does not answer."""
        known, retry = self._read(source), FIRST_RETRY
        while True:
            try:
                jwks = await self._fetcher.fetch(source)
            except FetchError as error:
                if retry == FIRST_RETRY:
                    self._logger.warning("keys cannot be fetched", url=source.url, why=str(error))
                found(source.url, FetchedKeys(known, str(error)))
                pause, retry = min(retry, self._refresh), min(retry * 2, LONGEST_RETRY)
            else:
                if jwks != known:
                    self._write(source, jwks)
                known, pause, retry = jwks, self._refresh, FIRST_RETRY
                found(source.url, FetchedKeys(known))
            await asyncio.sleep(pause)

    def _file(self, source: KeySource) -> Path:
        return self._folder / content_version(source.url.encode())

    def _read(self, source: KeySource) -> str:
        try:
            text = self._file(source).read_text()
        except (OSError, ValueError):
            return ""
        return "" if self._fault(text) else text

    def _write(self, source: KeySource, jwks: str) -> None:
        """What cannot be kept is fetched again after a restart."""
        with suppress(OSError):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            fresh = self._file(source).with_suffix(".new")
            fresh.write_text(jwks)
            fresh.replace(self._file(source))
