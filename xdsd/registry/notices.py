"""What the kernel tells of folders (inotify), the moment that it happens and without asking it again and again.

A file counts as changed when whoever wrote it closes it, not while it is being written; one that is moved into its place, as
careful programs do, at once. ``ctypes`` reaches the calls, since no module of Python's has them.
"""

import asyncio
import contextlib
import ctypes
import os
import struct
from collections.abc import Iterable
from pathlib import Path

_MODIFY, _ATTRIB, _CLOSE_WRITE, _MOVED_FROM, _MOVED_TO = 0x2, 0x4, 0x8, 0x40, 0x80
_CREATE, _DELETE, _DELETE_SELF, _MOVE_SELF = 0x100, 0x200, 0x400, 0x800
_ALL = (
    _MODIFY | _ATTRIB | _CLOSE_WRITE | _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE | _DELETE_SELF | _MOVE_SELF
)
_EVENT = struct.Struct("iIII")
_MUCH = 1 << 16


class Notices:
    """Watches folders, not what is in folders within them, until it is closed. Raises OSError where the kernel cannot.

    ``writing`` are files that were changed and are not closed yet.
    """

    def __init__(self, folders: Iterable[Path]) -> None:
        self._loop = asyncio.get_running_loop()
        self._happened = asyncio.Event()
        self._changed: set[Path] = set()
        self.writing: set[Path] = set()
        self._folders: dict[int, Path] = {}
        libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = _checked(libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
        try:
            for folder in folders:
                self._folders[_checked(libc.inotify_add_watch(self._descriptor, bytes(folder), _ALL))] = (
                    folder
                )
        except OSError:
            os.close(self._descriptor)
            raise
        self._loop.add_reader(self._descriptor, self._read)

    def close(self) -> None:
        """No more is told."""
        self._loop.remove_reader(self._descriptor)
        os.close(self._descriptor)

    async def wait(self, seconds: float) -> frozenset[Path]:
        """What changed since it was last asked, as soon as something has; nothing after so many seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._happened.wait()
        self._happened.clear()
        found, self._changed = frozenset(self._changed), set()
        return found

    def _read(self) -> None:
        try:
            data = os.read(self._descriptor, _MUCH)
        except BlockingIOError:
            return
        at = 0
        while at < len(data):
            watch, mask, _, size = _EVENT.unpack_from(data, at)
            name = data[at + _EVENT.size : at + _EVENT.size + size].rstrip(b"\0")
            at += _EVENT.size + size
            folder = self._folders.get(watch)
            if folder is not None:
                self._take(folder / os.fsdecode(name), mask)
        if self._changed:
            self._happened.set()

    def _take(self, path: Path, mask: int) -> None:
        if mask & _MODIFY or (mask & _CREATE and _is_to_be_written(path)):
            self.writing.add(path)
            # Whoever closed it has opened it again, and half of it may be missing.
            self._changed.discard(path)
        elif not mask & _ATTRIB:
            self.writing.discard(path)
            self._changed.add(path)
        elif path not in self.writing:
            self._changed.add(path)


def _is_to_be_written(path: Path) -> bool:
    """A file that was just made is told of again when it is closed; links and folders are not."""
    return not path.is_symlink() and path.is_file()


def _checked(answer: int) -> int:
    if answer < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return answer
