"""Machines without a platform: WorkloadEntry and ServiceEntry objects in files that people or scripts keep.

Changes are noticed at once through the kernel (``watchfiles``) and, where that fails (a link far above was turned, a
network file system, no watches left), by looking again every second or so. Looking costs a ``stat`` a file.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from pathlib import Path

from watchfiles import awatch

from xdsd.registry.base import CatalogChange, Sink
from xdsd.registry.last_good import LastGood
from xdsd.registry.machine_list import MachineList

DEBOUNCE_MS = 100
STEP_MS = 10


class MachinesRegistry:
    """The machines listed in the file ``path``, or in the manifests of the folder ``path`` (not of folders in it).

    ``domain`` completes short hosts; ``look_again`` is the pause in seconds between looks without an event. A path that
    is not there is stale, and found when it appears. ``copies`` keep what files last said that was right over a restart.
    """

    def __init__(
        self, path: Path, domain: str, *, look_again: float = 1.0, copies: LastGood | None = None
    ) -> None:
        self._name = f"machines:{path}"
        self._path = path.absolute()
        self._look_again = look_again
        self._list = MachineList(self._path, self._name, domain, copies)
        self._unavailable: str | None = None

    @property
    def name(self) -> str:
        return self._name

    async def run(self, sink: Sink) -> None:
        """Reports until cancelled."""
        await self._look(sink, frozenset())
        async with contextlib.aclosing(self._events()) as events:
            async for touched in events:
                await self._look(sink, touched)

    async def _look(self, sink: Sink, touched: frozenset[str]) -> None:
        news = await asyncio.to_thread(self._list.look, touched)
        if news.change != CatalogChange():
            sink.change(news.change)
        for file, problems in news.problems.items():
            sink.problems(file, problems)
        if news.unavailable != self._unavailable:
            self._unavailable = news.unavailable
            if news.unavailable:
                sink.stale(news.unavailable)
            else:
                sink.synced()

    async def _events(self) -> AsyncGenerator[frozenset[str], None]:
        """The paths that changed, as they change; none of them when it is time to look again."""
        while True:
            watched = await asyncio.to_thread(_watched, self._path)
            try:
                async with contextlib.aclosing(self._changes(watched)) as changes:
                    async for touched in changes:
                        yield touched
                        if await asyncio.to_thread(_watched, self._path) != watched:
                            break
            except (OSError, RuntimeError):
                # A folder that went between two calls, or a machine without watches left: looking again still works.
                await asyncio.sleep(self._look_again)
                yield frozenset()

    async def _changes(self, folders: dict[Path, tuple[int, int]]) -> AsyncGenerator[frozenset[str], None]:
        """What the kernel says of these folders. What concerns others does not delay the next look."""
        clock = asyncio.get_running_loop().time
        looked = clock()
        found = awatch(
            *folders,
            watch_filter=None,
            debounce=DEBOUNCE_MS,
            step=STEP_MS,
            rust_timeout=int(self._look_again * 1000),
            yield_on_timeout=True,
            recursive=False,
            ignore_permission_denied=True,
        )
        async with contextlib.aclosing(found):
            async for changes in found:
                touched = frozenset(path for _, path in changes if _concerns(Path(path), self._path))
                if touched or clock() - looked >= self._look_again:
                    yield touched
                    looked = clock()


def _watched(path: Path) -> dict[Path, tuple[int, int]]:
    """The folders whose events matter, each with its identity: the path if it is one, and where it would appear."""
    found: dict[Path, tuple[int, int]] = {}
    for folder in (path, *path.parents):
        try:
            status = folder.stat()
            is_folder = folder.is_dir()
        except OSError:
            continue
        if is_folder:
            found[folder] = (status.st_dev, status.st_ino)
            if folder != path:
                break
    return found


def _concerns(changed: Path, path: Path) -> bool:
    """True for what lies in the folder, and for what the way to it is made of."""
    return changed.is_relative_to(path) or path.is_relative_to(changed)
