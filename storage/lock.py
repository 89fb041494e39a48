"""One process owns a store's files: an advisory lock that the kernel releases however the process ends."""

import fcntl
import os
from pathlib import Path

from storage.base import Locked, Unavailable


class ProcessLock:
    """Holds ``path`` locked from creation to ``release``; the file then names the owner. Raises Locked,
    Unavailable.

    The file stays when the lock is released: removing it would let two processes lock two files of one
    name.
    """

    def __init__(self, path: Path, subject: Path) -> None:
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise Unavailable(f"cannot open the lock file {path}: {error.strerror}") from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(self._fd, 32, 0).decode("ascii", "replace").strip()
            os.close(self._fd)
            raise Locked(
                f"{subject} is in use by process {owner or 'unknown'}; stop it or choose another file"
            ) from None
        except OSError as error:
            os.close(self._fd)
            raise Unavailable(f"cannot lock {path}: {error.strerror}") from error
        try:
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)
        except OSError as error:
            os.close(self._fd)
            raise Unavailable(f"cannot write the lock file {path}: {error.strerror}") from error

    def release(self) -> None:
        """Lets another process have the files; once."""
        os.close(self._fd)
