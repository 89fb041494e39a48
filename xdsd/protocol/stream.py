"""One stream of one proxy: takes events, answers with commands.

At most one response is with the transport at a time, so that what to send is decided as late as possible and a client
that does not read is owed the newest state, not a queue. Which type is next is decided anew each time.
"""

from collections.abc import Iterable
from dataclasses import replace
from enum import StrEnum

from xdsd.model.identity import StreamIdentity
from xdsd.model.node import SEPARATOR, Node
from xdsd.protocol import delta, gates, hosts, offers, sotw
from xdsd.protocol.answers import answered
from xdsd.protocol.commands import Attach, Close, Code, Command, Detach, Entrust, Log, Send, Wait, Withheld
from xdsd.protocol.companions import endpoints_again, secrets_again
from xdsd.protocol.events import Attached, Closed, Elapsed, Entrusted, Event, Received, Written
from xdsd.protocol.exchange import Exchange
from xdsd.protocol.layers import LayerSet
from xdsd.protocol.limits import Limits, Timing
from xdsd.protocol.private import Private
from xdsd.protocol.subscription import Turn, owner
from xdsd.protocol.watch import NOTHING, Flight, Offer, Rejection, TypeStatus, Watch
from xdsd.protocol.wire import DeltaRequest, SotwRequest
from xdsd.snapshot import CLUSTER, ENDPOINT, LISTENER, ROUTE, SECRET, VIRTUAL_HOST

_NO_LAYERS = LayerSet((), ())


class Dialect(StrEnum):
    """The two variants of the protocol."""

    DELTA = "delta"
    SOTW = "sotw"


class Stream:
    """``type_url`` is the one type of a per-type service, empty on an aggregated stream.

    ``identity`` is what the stream proved before it began, None where it proved nothing: such a stream is served no secrets.
    """

    __slots__ = (
        "_armed",
        "_closed",
        "_count",
        "_ordered",
        "_owed",
        "_private",
        "_ready",
        "_resumed",
        "_sent_tables",
        "_strangers",
        "_tables",
        "_watches",
        "_writing",
        "dialect",
        "exchange",
        "identity",
        "layers",
        "limits",
        "node",
        "timing",
        "type_url",
    )

    def __init__(
        self,
        exchange: Exchange,
        dialect: Dialect,
        type_url: str = "",
        timing: Timing = Timing(),  # noqa: B008 - immutable
        limits: Limits = Limits(),  # noqa: B008 - immutable
        identity: StreamIdentity | None = None,
    ) -> None:
        self.identity = identity
        self.exchange = exchange
        self.dialect = dialect
        self.type_url = type_url
        self.timing = timing
        self.limits = limits
        self.node: Node | None = None
        self.layers = _NO_LAYERS
        self._private: Private | None = None
        self._watches: dict[str, Watch] = {}
        self._ordered: tuple[Watch, ...] = ()
        self._owed: frozenset[str] = NOTHING
        self._strangers: frozenset[str] = NOTHING
        self._tables: frozenset[str] = NOTHING
        self._sent_tables: frozenset[str] = NOTHING
        self._armed: float | None = None
        self._count = 0
        self._ready = self._resumed = self._writing = self._closed = False

    @property
    def watches(self) -> Iterable[Watch]:
        return self._ordered

    def status(self) -> tuple[TypeStatus, ...]:
        """How far the proxy is with each type that it asked for on this stream."""
        return tuple(watch.status() for watch in self._ordered)

    def rejections(self, type_url: str) -> tuple[Rejection, ...]:
        """What the proxy refuses of a type, as far as single resources were found guilty."""
        watch = self._watches.get(type_url)
        return tuple(watch.rejected.values()) if watch is not None and watch.rejected else ()

    def handle(self, event: Event) -> list[Command]:
        """Takes one event; the commands are to be performed in their order."""
        out: list[Command] = []
        if self._closed:
            return out
        if isinstance(event, Closed):
            self._close(out)
            return out
        if isinstance(event, Written):
            self._writing = False
        elif isinstance(event, Received):
            self._received(event.request, event.now, out)
        elif isinstance(event, Attached):
            self._attached()
        elif isinstance(event, Entrusted):
            self._entrusted(event, out)
        elif isinstance(event, Elapsed):
            self._armed = None
        if not self._closed:
            self._pump(event.now, out)
        return out

    def assign(self, layers: LayerSet, before: int, now: float) -> bool:
        """The proxy is served by ``layers`` from now on, after generation ``before``; False if it was already."""
        if layers is self.layers or self.node is None:
            return False
        old, self.layers = self.layers, layers
        self._ready = True
        for watch in self._ordered:
            if self._private is not None and watch.type_url == SECRET:
                continue
            interest = watch.interest
            self.exchange.withdraw(watch)
            if old is not _NO_LAYERS:
                if watch.moved is None and not watch.whole and watch.known is None:
                    watch.moved = (old, before if watch.behind is None else watch.behind)
                watch.since = now if watch.since is None else watch.since
            watch.layers = layers
            self.exchange.enrol(watch, interest)
        return True

    # Secrets

    def _place(self, watch: Watch) -> Exchange:
        """Where what a watch needs is found."""
        private = self._private if watch.type_url == SECRET else None
        return self.exchange if private is None else private.exchange

    def _may_have_secrets(self, out: list[Command]) -> None:
        """The stream asks for secrets for the first time."""
        if self.identity is not None:
            self._private = Private()
            out.append(Entrust(self.identity.identity))

    def _entrusted(self, event: Entrusted, out: list[Command]) -> None:
        private, watch = self._private, self._watches.get(SECRET)
        if private is None or watch is None:
            return
        was_ready = private.ready
        private.take(event.resources, event.now)
        if not was_ready:
            interest = watch.interest
            private.exchange.withdraw(watch)
            watch.layers = private.layers
            private.exchange.enrol(watch, interest)
            self._withhold(interest.names, out)

    def _withhold(self, names: Iterable[str], out: list[Command]) -> None:
        """Tells of names that are asked for and not this stream's to have."""
        private = self._private
        strange = tuple(sorted(names)) if private is None else private.strange(names) if private.ready else ()
        if strange:
            out.append(Withheld(strange))

    # Requests

    def _attached(self) -> None:
        layers = self.exchange.serving(self.node.key) if self.node is not None else None
        if layers is not None:
            self.assign(layers, self.exchange.generation, 0.0)

    def _received(self, request: DeltaRequest | SotwRequest, now: float, out: list[Command]) -> None:
        if self.node is None:
            if request.node is None or not request.node.id:
                self._refuse(
                    Code.INVALID_ARGUMENT, "the first request of a stream must have a node with an id", out
                )
                return
            if SEPARATOR in request.node.id:
                self._refuse(Code.INVALID_ARGUMENT, f"a node id must not contain {SEPARATOR}", out)
                return
            proven = self.identity.identity if self.identity is not None else None
            incremental = self.dialect is Dialect.DELTA and not self.type_url
            self.node = replace(request.node, identity=proven, incremental=incremental)
            self.exchange.join(self, self.node.key)
            out.append(Attach(self.node))
        type_url = request.type_url or self.type_url
        if not type_url:
            self._refuse(Code.INVALID_ARGUMENT, "a request on an aggregated stream must have a type_url", out)
        elif self.type_url and type_url != self.type_url:
            self._refuse(Code.INVALID_ARGUMENT, f"this service serves {self.type_url}, not {type_url}", out)
        elif type_url not in gates.ORDER or (type_url == VIRTUAL_HOST and self.dialect is Dialect.SOTW):
            self._stranger(type_url, out)
        elif isinstance(request, DeltaRequest):
            self._received_delta(request, type_url, now, out)
        else:
            self._received_sotw(request, type_url, now, out)

    def _stranger(self, type_url: str, out: list[Command]) -> None:
        """An unknown type gets no answer; it is worth a line the first few times."""
        if type_url not in self._strangers and len(self._strangers) < 8:
            self._strangers |= {type_url}
            out.append(
                Log("unknown resource type", {"node": self.node.id if self.node else "", "type": type_url})
            )

    def _received_delta(self, request: DeltaRequest, type_url: str, now: float, out: list[Command]) -> None:
        if self._too_many(len(request.subscribe) + len(request.initial_versions), out):
            return
        watch = self._watches.get(type_url)
        if watch is None:
            watch = self._begin(type_url, out)
            self._resumed |= type_url == CLUSTER and bool(request.initial_versions)
            turn = delta.first(watch, request, self._owed if type_url == ENDPOINT else NOTHING)
            if type_url == VIRTUAL_HOST:
                claimed = frozenset(map(owner, request.initial_versions))
                turn = hosts.owned(turn, self._tables if ROUTE in self._watches else claimed)
            self._turn(watch, turn, out)
            if type_url == VIRTUAL_HOST:
                hosts.again(watch, self._sent_tables)
            elif type_url == ROUTE:
                self._has_tables(frozenset(filter(turn.interest.wants, request.initial_versions)))
            return
        if request.nonce:
            self._answered(watch, request, now, out, portions=True)
        if request.subscribe or request.unsubscribe:
            turn = delta.following(watch, request)
            self._turn(watch, hosts.owned(turn, self._tables) if type_url == VIRTUAL_HOST else turn, out)
            if type_url == ROUTE and request.unsubscribe:
                self._has_tables(frozenset(filter(turn.interest.wants, self._tables)))

    def _has_tables(self, tables: frozenset[str]) -> None:
        """The proxy has these route configurations, so it is to have their virtual hosts."""
        self._tables = tables
        if VIRTUAL_HOST in self._watches:
            hosts.limit(self._watches[VIRTUAL_HOST], tables, self.exchange)

    def _received_sotw(self, request: SotwRequest, type_url: str, now: float, out: list[Command]) -> None:
        watch = self._watches.get(type_url)
        others = len(watch.interest.names) if watch is not None else 0
        if self._too_many(len(request.names) - others, out):
            return
        if watch is None:
            watch = self._begin(type_url, out)
            self._resumed |= type_url == CLUSTER and bool(request.version)
            self._turn(watch, sotw.first(watch, request), out)
        elif request.nonce == watch.nonce:
            self._answered(watch, request, now, out, portions=type_url not in sotw.FULL)
            self._turn(watch, sotw.following(watch, request), out)

    def _answered(
        self,
        watch: Watch,
        request: DeltaRequest | SotwRequest,
        now: float,
        out: list[Command],
        *,
        portions: bool,
    ) -> None:
        command = answered(watch, request.nonce, request.error, now, portions=portions)
        if command:
            out.append(command)

    def _begin(self, type_url: str, out: list[Command]) -> Watch:
        if type_url == SECRET:
            self._may_have_secrets(out)
        private = type_url == SECRET and self._private is not None
        watch = self._watches[type_url] = Watch(self, type_url, _NO_LAYERS if private else self.layers)
        self._ordered = tuple(sorted(self._watches.values(), key=lambda each: gates.ORDER[each.type_url]))
        return watch

    def _turn(self, watch: Watch, turn: Turn, out: list[Command]) -> None:
        if watch.type_url == SECRET and turn.answer:
            self._withhold(turn.answer, out)
        if watch.rejected:
            # Asked for by name, a refused content is offered again; what nobody asks for any more is not a grievance.
            kept = {
                n: r for n, r in watch.rejected.items() if turn.interest.wants(n) and n not in turn.answer
            }
            watch.rejected = kept or None
            if not kept and not watch.trials:
                watch.error = ""
        if turn.interest != watch.interest:
            self._place(watch).enrol(watch, turn.interest)

    def _too_many(self, more: int, out: list[Command]) -> bool:
        held = sum(len(watch.interest.names) for watch in self._ordered) if more > 0 else 0
        if held + more <= self.limits.names:
            return False
        self._refuse(Code.RESOURCE_EXHAUSTED, f"more than {self.limits.names} names on one stream", out)
        return True

    # Responses

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

    # The end

    def _refuse(self, code: Code, message: str, out: list[Command]) -> None:
        out.append(Close(code, message))
        self._close(out)

    def _close(self, out: list[Command]) -> None:
        """Frees all that the stream held in the exchange."""
        self._closed = True
        for watch in self._ordered:
            self._place(watch).withdraw(watch)
        self._watches, self._ordered, self._private = {}, (), None
        if self.node is not None:
            self.exchange.leave(self, self.node.key)
            out.append(Detach(self.node))
