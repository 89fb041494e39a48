"""What a Consul forgot, as it is held."""

import asyncio
from collections.abc import Iterable, Iterator

from xdsd.registry.base import CatalogChange
from xdsd.registry.consul.book import Book
from xdsd.registry.consul.held import Held, read, written
from xdsd.registry.consul.remarks import Remarks
from xdsd.registry.consul.telling import Telling
from xdsd.turns import in_slices

_SCOPE, _UNREAD = "(lost)", "(held)"


class Forgotten:
    """What the ``book`` of one source has lost; what is let go is by one of ``tasks``."""

    def __init__(self, book: Book, told: Telling, remarks: Remarks, tasks: asyncio.TaskGroup) -> None:
        self._book = book
        self._told = told
        self._remarks = remarks
        self._tasks = tasks
        self._said = 0

    @property
    def losses(self) -> int:
        return self._book.losses

    def written(self, until: float) -> Iterator[bytes]:
        return written(until, self._book.held())

    def read(self, data: bytes) -> Held:
        return read(data)

    async def recall(self, held: Held, _until: float) -> None:
        await in_slices(self._telling(self._book.recall(held)))

    def unread(self, why: str) -> None:
        self._told.say(_UNREAD, (self._remarks.unheld(why),))

    def tell(self) -> None:
        """All that Consul has is known: what it lacks is told."""
        if self._said != self._book.losses:
            self._said = self._book.losses
            self._told.say(_SCOPE, self._remarks.lost(self._book))

    def let_go(self) -> None:
        self._tasks.create_task(in_slices(self._telling(self._book.let_go())))
        self._told.say(_SCOPE, ())
        self._told.say(_UNREAD, ())

    def _telling(self, changes: Iterable[CatalogChange]) -> Iterator[None]:
        for change in changes:
            self._told.change(change)
            yield
