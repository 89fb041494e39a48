"""One stream of one proxy: takes events, answers with commands. What it sends, and when, is its ``sender`` half's.

At most one response is with the transport at a time, so that what to send is decided as late as possible and a client
that does not read is owed the newest state, not a queue. Which type is next is decided anew each time.
"""

from collections.abc import Iterable
from dataclasses import replace

from xdsd.model.identity import StreamIdentity
from xdsd.model.node import SEPARATOR, Node
from xdsd.protocol import delta, gates, hosts, sotw
from xdsd.protocol.answers import answered
from xdsd.protocol.commands import Attach, Close, Code, Command, Detach, Entrust, Log, Withheld
from xdsd.protocol.events import Attached, Closed, Elapsed, Entrusted, Event, Received, Written
from xdsd.protocol.exchange import Exchange
from xdsd.protocol.layers import LayerSet
from xdsd.protocol.limits import Limits, Timing
from xdsd.protocol.private import Private
from xdsd.protocol.sender import Dialect, Sender
from xdsd.protocol.subscription import Turn, owner
from xdsd.protocol.watch import NOTHING, Rejection, TypeStatus, Watch
from xdsd.protocol.wire import DeltaRequest, SotwRequest
from xdsd.snapshot import CLUSTER, ENDPOINT, ROUTE, SECRET, VIRTUAL_HOST

_NO_LAYERS = LayerSet((), ())


class Stream(Sender):
    """``type_url`` is the one type of a per-type service, empty on an aggregated stream.

    ``identity`` is what the stream proved before it began, None where it proved nothing: such a stream is served no secrets.
    ``only_answers`` tells of its last request that it asked for nothing.
    """

    __slots__ = ("_closed", "_strangers", "identity", "layers", "limits", "node", "only_answers")

    def __init__(
        self,
        exchange: Exchange,
        dialect: Dialect,
        type_url: str = "",
        timing: Timing = Timing(),  # noqa: B008 - immutable
        limits: Limits = Limits(),  # noqa: B008 - immutable
        identity: StreamIdentity | None = None,
    ) -> None:
        super().__init__(exchange, dialect, type_url, timing)
        self.identity = identity
        self.limits = limits
        self.node: Node | None = None
        self.only_answers = False
        self.layers = _NO_LAYERS
        self._strangers: frozenset[str] = NOTHING
        self._closed = False

    @property
    def watches(self) -> Iterable[Watch]:
        return self._ordered

    @property
    def names(self) -> int:
        """How many names the stream is subscribed to, all types together."""
        return sum([len(watch.interest.names) for watch in self._ordered])

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
        self.only_answers = False
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
        else:
            self.only_answers = bool(request.nonce)

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
            turn = sotw.following(watch, request)
            self.only_answers = turn.interest == watch.interest and not turn.answer
            self._turn(watch, turn, out)

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
        held = self.names if more > 0 else 0
        if held + more <= self.limits.names:
            return False
        message = (
            f"more than {self.limits.names} names on one stream; see the daemon's setting max-subscriptions"
        )
        self._refuse(Code.RESOURCE_EXHAUSTED, message, out)
        return True

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
