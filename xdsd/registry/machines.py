"""Machines without a platform: WorkloadEntry and ServiceEntry objects in files that people or scripts keep.

Changes are noticed at once through the kernel and, where that fails (a link far above was turned, a network file system, no
watches left), by looking again every second or so. Looking costs a ``stat`` a file; what the kernel names costs that file,
and what careful programs write beside a file before they move it there costs nothing.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from pathlib import Path

from xdsd.registry.base import CatalogChange, Sink
from xdsd.registry.folder import is_manifest_name
from xdsd.registry.last_good import LastGood
from xdsd.registry.machine_list import MachineList
from xdsd.registry.notices import Notices


class MachinesRegistry:
    """The machines listed in the file ``path``, or in the manifests of the folder ``path`` (not of folders in it).

    ``domain`` completes short hosts; ``look_again`` is the pause in seconds between looks without an event. A path that
    is not there is stale, and found when it appears. ``copies`` keep what files last said that was right over a restart: of
    a file that is broken, and of all where the path is away.
    """

    def __init__(
        self, path: Path, domain: str, *, look_again: float = 1.0, copies: LastGood | None = None
    ) -> None:
        self._name = f"machines:{path}"
        self._path = path.absolute()
        self._look_again = look_again
        self._list = MachineList(self._path, self._name, domain, copies)
        self._unavailable: str | None = None
        self._writing: frozenset[str] = frozenset()

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
        news = await asyncio.to_thread(self._list.look, touched, self._writing)
        if news.change != CatalogChange():
            sink.change(news.change)
        for file, problems in news.problems.items():
            sink.problems(file, problems)
        if news.unavailable != self._unavailable:
            self._unavailable = news.unavailable
            if news.unavailable:
                if news.remembered:
                    sink.synced()
                sink.stale(news.unavailable)
            else:
                sink.synced()

    async def _events(self) -> AsyncGenerator[frozenset[str], None]:
        """The paths that changed, as they change; none of them when it is time to look again."""
        while True:
            watched = await asyncio.to_thread(_watched, self._path)
            try:
                with contextlib.closing(Notices(watched)) as notices:
                    yield frozenset()  # what happened before it was listening is found by looking
                    async for touched in self._changes(notices):
                        yield touched
                        if await asyncio.to_thread(_watched, self._path) != watched:
                            break
            except OSError:
                # A folder that went between two calls, or a machine without watches left: looking again still works.
                await asyncio.sleep(self._look_again)
                yield frozenset()

    async def _changes(self, notices: Notices) -> AsyncGenerator[frozenset[str], None]:
        """What the kernel names. Whatever comes meanwhile, all is looked at when it is time to."""
        clock = asyncio.get_running_loop().time
        due = clock() + self._look_again
        while True:
            changed = await notices.wait(max(0.0, due - clock()))
            self._writing = frozenset(map(str, notices.writing))
            touched = frozenset(str(path) for path in changed if _concerns(path, self._path))
            if touched:
                yield touched
            if clock() >= due:
                yield frozenset()
                due = clock() + self._look_again


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
    """True for what lies in the folder, other files than manifests aside, and for what the way to it is made of."""
    if changed.parent == path and not is_manifest_name(changed.name):
        return changed.is_symlink() or changed.is_dir()  # manifests may be reached through it
    return changed.is_relative_to(path) or path.is_relative_to(changed)
