"""Files as they were when they were last right, kept for the daemon's next start.

A file that is broken, or a folder that is away, keeps its last good content while the daemon runs; without a copy, a restart
then would take from proxies what only those files declared. Copies may hold what the files hold, so only the owner reads
them. A copy that cannot be written or read is as good as none: the file itself is what counts.
"""

import contextlib
import os
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path

_NAMED = ".name"
"""What the file beside a copy ends in that says of which file it is."""


class LastGood:
    """The copies of one source's files, in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def save(self, name: str, data: bytes) -> None:
        """Replaces the copy of a file, whole or not at all."""
        with contextlib.suppress(OSError):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            copy = self._copy(name)
            _write(copy, data)
            named = copy.with_suffix(_NAMED)
            if not named.exists():
                _write(named, os.fsencode(name))

    def load(self, name: str) -> bytes | None:
        """The file as it was when it was last right; None if that is not known."""
        try:
            return self._copy(name).read_bytes()
        except OSError:
            return None

    def names(self) -> tuple[str, ...]:
        """The files of which there are copies, in order."""
        with contextlib.suppress(OSError):
            return tuple(sorted(os.fsdecode(each.read_bytes()) for each in self._folder.glob(f"*{_NAMED}")))
        return ()

    def only(self, names: Iterable[str]) -> None:
        """Forgets files that are gone: one that comes back under the same name is another."""
        wanted = {path.name for name in names for path in _both(self._copy(name))}
        with contextlib.suppress(OSError):
            for copy in self._folder.iterdir():
                if copy.name not in wanted:
                    copy.unlink()

    def _copy(self, name: str) -> Path:
        return self._folder / blake2b(os.fsencode(name), digest_size=12).hexdigest()


def _both(copy: Path) -> tuple[Path, Path]:
    return copy, copy.with_suffix(_NAMED)


def _write(path: Path, data: bytes) -> None:
    fresh = path.with_name(f"{path.name}.new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)
    fresh.replace(path)
