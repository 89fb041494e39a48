"""What a stream sends, and when: one response at a time, of the type that may go next."""

from enum import StrEnum

from xdsd.protocol import delta, gates, hosts, offers, sotw
from xdsd.protocol.commands import Command, Send, Wait
from xdsd.protocol.companions import endpoints_again, secrets_again
from xdsd.protocol.exchange import Exchange
from xdsd.protocol.limits import Timing
from xdsd.protocol.private import Private
from xdsd.protocol.watch import NOTHING, Flight, Offer, Watch
from xdsd.snapshot import CLUSTER, LISTENER, ROUTE, SECRET, VIRTUAL_HOST


class Dialect(StrEnum):
    """The two variants of the protocol."""

    DELTA = "delta"
    SOTW = "sotw"


class Sender:
    """The sending half of a stream (``stream.Stream``), which tells it of watches by keeping them.

    ``type_url`` is the one type of a per-type service, empty on an aggregated stream.
    """

    __slots__ = (
        "_armed",
        "_count",
        "_ordered",
        "_owed",
        "_private",
        "_ready",
        "_resumed",
        "_sent_tables",
        "_tables",
        "_watches",
        "_writing",
        "dialect",
        "exchange",
        "timing",
        "type_url",
    )

    def __init__(self, exchange: Exchange, dialect: Dialect, type_url: str, timing: Timing) -> None:
        self.exchange = exchange
        self.dialect = dialect
        self.type_url = type_url
        self.timing = timing
        self._private: Private | None = None
        self._watches: dict[str, Watch] = {}
        self._ordered: tuple[Watch, ...] = ()
        self._owed: frozenset[str] = NOTHING
        self._tables: frozenset[str] = NOTHING
        self._sent_tables: frozenset[str] = NOTHING
        self._armed: float | None = None
        self._count = 0
        self._ready = self._resumed = self._writing = False

    def _place(self, watch: Watch) -> Exchange:
        """Where what a watch needs is found."""
        private = self._private if watch.type_url == SECRET else None
        return self.exchange if private is None else private.exchange

    def _pump(self, now: float, out: list[Command]) -> None:
        """Sends one response if one can go, else says when to look again."""
        if self._writing or not self._ready:
            return
        wake: float | None = None
        for watch in self._ordered:
            if watch.type_url == SECRET and self._private is not None and not self._private.ready:
                continue
            if watch.due or watch.held or watch.beat_at is not None:
                was_due = watch.due
                if self._try(watch, now, out):
                    return
                if was_due and not watch.due and watch.type_url in gates.USERS and self._removes(now, out):
                    return
                if watch.wake_at is not None and (wake is None or watch.wake_at < wake):
                    wake = watch.wake_at
        if wake != self._armed:
            self._armed = wake
            out.append(Wait(wake))

    def _removes(self, now: float, out: list[Command]) -> bool:
        """Looks at held clusters again: listeners or routes turned out to be what the proxy has."""
        clusters = self._watches.get(CLUSTER)
        return clusters is not None and bool(clusters.held) and self._try(clusters, now, out)

    def _try(self, watch: Watch, now: float, out: list[Command]) -> bool:
        watch.wake_at = None
        flight = watch.flight
        if flight is not None and now < flight.sent_at + self.timing.accept:
            overtakes = watch.type_url == CLUSTER and gates.routes_overdue(
                self._watches, now - self.timing.gate
            )
            if not overtakes:
                watch.wake_at = flight.sent_at + self.timing.accept
                return False
        if watch.type_url in gates.USERS and watch.due and not self._open(watch, now):
            return False
        since, trials = watch.since, watch.trials
        offer = self._offer(watch, now)
        if offer is not None:
            self._launch(watch, offer, since, now, is_trial=watch.tried and watch.trials != trials, out=out)
            return True
        if not watch.due:
            watch.since = None
        return self._beat(watch, now, out)

    def _offer(self, watch: Watch, now: float) -> Offer | None:
        ordered = self._watches if not self.type_url else {}
        scene = offers.Scene(
            self._place(watch), ordered, self.timing, self._resumed and not self.type_url, now
        )
        if self.dialect is Dialect.DELTA:
            return offers.next_delta(watch, scene)
        if watch.type_url in sotw.FULL:
            return offers.next_full(watch, scene)
        return offers.next_portion(watch, scene)

    def _open(self, watch: Watch, now: float) -> bool:
        """Whether listeners or routes may go. A proxy that has none yet has no traffic to protect."""
        if watch.new or gates.clusters_are_warm(self._watches):
            return True
        if watch.blocked_since is None:
            watch.blocked_since = now
        watch.wake_at = watch.blocked_since + self.timing.gate
        return now >= watch.wake_at

    def _launch(
        self,
        watch: Watch,
        offer: Offer,
        since: float | None,
        now: float,
        *,
        is_trial: bool,
        out: list[Command],
    ) -> None:
        self._count += 1
        nonce = str(self._count)
        if self.dialect is Dialect.DELTA:
            parts = delta.frame(offer, watch.type_url, nonce, self._place(watch))
        else:
            parts = sotw.frame(offer, watch.type_url, nonce, self._place(watch))
        if watch.flight is not None:
            watch.late = (*watch.late[-3:], watch.flight)
        generation = watch.settled if is_trial else self._place(watch).generation
        watch.flight = Flight(nonce, offer, generation, now, None if is_trial else since)
        if not is_trial:
            watch.since = None
        watch.nonce = nonce
        watch.new = False
        watch.sent_at = now
        self._writing = True
        out.append(Send(watch.type_url, parts, offer.size, len(offer.removed)))
        self._companions(watch, offer)
        self._set_beat(watch, offer, now)

    def _companions(self, watch: Watch, offer: Offer) -> None:
        """Marks what must be sent again because of what was just sent; remembers a full set."""
        if not self.type_url:
            if watch.type_url == ROUTE and self.dialect is Dialect.DELTA:
                self._sends_tables(frozenset(resource.name for resource in offer.resources()))
            if watch.type_url == CLUSTER:
                self._owed |= endpoints_again(self._watches, offer, watch.sent, resumed=self._resumed)
            if watch.type_url in (CLUSTER, LISTENER) and SECRET in self._watches:
                secrets_again(self._watches[SECRET], offer, watch.sent)
        if self.dialect is Dialect.SOTW and watch.type_url in sotw.FULL:
            watch.sent = offer

    def _has_tables(self, tables: frozenset[str]) -> None:
        """The proxy has these route configurations, so it is to have their virtual hosts."""
        self._tables = tables
        if VIRTUAL_HOST in self._watches:
            hosts.limit(self._watches[VIRTUAL_HOST], tables, self.exchange)

    def _sends_tables(self, tables: frozenset[str]) -> None:
        if not tables <= self._sent_tables:
            self._sent_tables |= tables
        if not tables <= self._tables:
            self._has_tables(self._tables | tables)
        if VIRTUAL_HOST in self._watches:
            hosts.again(self._watches[VIRTUAL_HOST], tables)

    # Time to live

    def _set_beat(self, watch: Watch, offer: Offer, now: float) -> None:
        ttl = min((part.ttl for part in offer.parts if part.ttl), default=0.0)
        if ttl and self.dialect is Dialect.DELTA:
            at = now + ttl / 2
            watch.beat_at = at if watch.beat_at is None else min(watch.beat_at, at)

    def _beat(self, watch: Watch, now: float, out: list[Command]) -> bool:
        if watch.beat_at is None:
            return False
        if now >= watch.beat_at:
            watch.beat_at = None
            offer = offers.next_beat(watch, self._place(watch))
            if offer is not None:
                self._launch(watch, offer, None, now, is_trial=True, out=out)
                return True
            return False
        watch.wake_at = watch.beat_at if watch.wake_at is None else min(watch.wake_at, watch.beat_at)
        return False
