"""What is kept of a cluster that came back without it, and for how long.

A cluster that lost its data, or was set back to a backup, forgets what runs on, and may be told of it again within
minutes. So what is missing then has not left: it is served as it was until it is there again, until somebody deletes it, or
until it is let go, ``hold`` seconds after. Nothing is let go before all that the cluster has was read, or while it is away.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from xdsd.model.problem import Reason
from xdsd.registry.holding import Holding
from xdsd.registry.kubernetes.collection import AnyCollection
from xdsd.registry.kubernetes.held import Held, read
from xdsd.registry.kubernetes.life import Life
from xdsd.registry.kubernetes.loss import Loss
from xdsd.registry.kubernetes.reporter import Reporter
from xdsd.registry.kubernetes.watcher import Watcher
from xdsd.registry.last_good import LastGood

_UNREAD = "(held)"


class Forgotten:
    """What the ``reporter`` of one cluster keeps of what that forgot: services and what they are made of."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter

    @property
    def losses(self) -> int:
        return self._reporter.losses

    def written(self, until: float) -> Iterator[bytes]:
        return self._reporter.written(until)

    def read(self, data: bytes) -> Held:
        return read(data)

    async def recall(self, held: Held, until: float) -> None:
        await self._reporter.recall(held, datetime.fromtimestamp(until, UTC))

    def unread(self, why: str) -> None:
        message = f"what was held for a cluster that forgot it cannot be read, and is let go: {why}"
        self._reporter.warn(_UNREAD, message, Reason.UNREADABLE_FILE)

    def let_go(self) -> None:
        self._reporter.let_go()
        self._reporter.warn(_UNREAD, "")


class Keeper:
    """Tells the ``reporter`` when the cluster became another, and when it may forget; ``watchers`` then read all again.
    ``hold`` is for how many seconds that is kept, in ``copies`` over restarts of the daemon too.
    """

    def __init__(
        self,
        life: Life,
        reporter: Reporter,
        hold: float,
        watchers: Sequence[Watcher[AnyCollection]],
        copies: LastGood | None = None,
    ) -> None:
        self._life = life
        self._reporter = reporter
        self._watchers = watchers
        self._lives = 0
        self._holding = Holding(Forgotten(reporter), hold, copies)

    async def recall(self) -> None:
        """At the start: what was kept in an earlier life of the daemon is kept on."""
        await self._holding.recall()

    async def run(self) -> None:
        """Writes down what is kept, until cancelled; then nothing is let go any more."""
        await self._holding.keep()

    async def is_other(self, *, went_back: bool) -> bool:
        """Whether the cluster is another than it was, or went back in time; then all is read anew. Raises Unreachable."""
        lives = self._lives
        same = await self._life.is_same()
        if lives != self._lives:
            return True
        if same and not went_back:
            return False
        self._lives += 1
        self._life.begin()
        until = self._holding.renew()
        for watcher in self._watchers:
            watcher.anew()
        await self._reporter.lose(Loss(datetime.fromtimestamp(until, UTC), set_back=same))
        self._holding.begin(until)
        return True
