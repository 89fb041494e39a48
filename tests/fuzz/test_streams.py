"""Any interleaving of requests, changes, stalls and reconnects: a client that follows the protocol ends up with the mesh.

The model client keeps what it was sent as Envoy would, and the machine checks after each step that no promise of order
was broken on the way.
"""

from collections.abc import Iterable

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.playbook import NODE, DeltaTalk, Heard, SotwTalk, Stage, cluster, endpoints, listener, route
from xdsd.protocol.events import Written
from xdsd.protocol.limits import Timing
from xdsd.protocol.sotw import FULL
from xdsd.snapshot import (
    CLUSTER,
    ENDPOINT,
    LISTENER,
    ROUTE,
    LayerChange,
    LayerId,
    Resource,
    SnapshotChange,
)

NAMES = ("a", "b", "c")
TYPES = (CLUSTER, ENDPOINT, LISTENER, ROUTE)
MAKE = {CLUSTER: cluster, ENDPOINT: endpoints, LISTENER: listener, ROUTE: route}
LAYERS = (LayerId("one"), LayerId("two"))
BAD = "7"

types = st.sampled_from(TYPES)
names = st.sampled_from(NAMES)
contents = st.sampled_from(("1", "2", "3", BAD))
Change = tuple[str, str, str | None]
changes = st.lists(st.tuples(types, names, st.none() | contents), min_size=1, max_size=6)


class Client:
    """A proxy: what it has, what it asked for, and what it has not answered yet.

    It refuses every content ``BAD``, takes the other resources of such a response, as Envoy does, and names the
    guilty only if ``tells``.
    """

    def __init__(
        self, talk: DeltaTalk | SotwTalk, *, tells: bool, had: dict[str, dict[str, str]] | None = None
    ) -> None:
        self.talk = talk
        self.tells = tells
        self.has: dict[str, dict[str, str]] = had or {type_url: {} for type_url in TYPES}
        self.asked: dict[str, set[str]] = {}
        self.told: dict[str, set[str]] = {}
        self.unanswered: list[Heard] = []
        self.refused: set[tuple[str, str, str]] = set()

    def asks(self, type_url: str, wanted: Iterable[str]) -> None:
        """The first time, or with other names; a reconnected client says what it has."""
        wanted = set(wanted)
        before = self.asked.get(type_url)
        self.asked[type_url] = wanted
        pending = any(h.type_url == type_url for h in (*self.unanswered, *self.talk.heard))
        if isinstance(self.talk, DeltaTalk) or before is None or not pending:
            self.tells_names(type_url)
        if isinstance(self.talk, DeltaTalk):
            if before is None:
                self.talk.asks(type_url, *wanted, known=self.has[type_url])
            else:
                self.talk.asks(type_url, *(wanted - before), less=before - wanted)
        elif before is None:
            self.talk.asks(type_url, *wanted)
        elif type_url in self.talk.nonces and not pending:
            self.talk.asks(type_url, *wanted, nonce=self.talk.nonces[type_url])

    def tells_names(self, type_url: str) -> None:
        """From now on the server knows what it asks for, and what it does not ask for any more is dropped."""
        wanted = self.told[type_url] = self.asked[type_url]
        if type_url in (ENDPOINT, ROUTE):
            self.has[type_url] = {n: v for n, v in self.has[type_url].items() if n in wanted}

    def reads(self) -> None:
        """Takes the next response in."""
        heard = self.talk.heard.pop(0)
        has = self.has[heard.type_url]
        if isinstance(self.talk, SotwTalk) and heard.type_url in FULL:
            for name in set(has) - set(heard.resources):
                del has[name]
        wanted = self.told[heard.type_url]
        for name, version in heard.resources.items():
            if heard.type_url in (ENDPOINT, ROUTE) and name not in wanted:
                continue
            if not self.bad(heard.type_url, name, version):
                has[name] = version
        for name in heard.removed:
            has.pop(name, None)
        self.unanswered.append(heard)

    def answers(self) -> None:
        """ACK or NACK of the oldest response that was read."""
        heard = self.unanswered.pop(0)
        guilty = [n for n, v in heard.resources.items() if self.bad(heard.type_url, n, v)]
        error = f"Error adding {', '.join(guilty) if self.tells else 'something'}" if guilty else None
        if isinstance(self.talk, DeltaTalk):
            self.talk.asks(heard.type_url, nonce=heard.nonce, error=error)
        else:
            self.talk.asks(heard.type_url, *self.asked[heard.type_url], nonce=heard.nonce, error=error)
            self.tells_names(heard.type_url)

    def bad(self, type_url: str, name: str, version: str) -> bool:
        return version in (BAD, MAKE[type_url](name, BAD).version)


class Streams(RuleBasedStateMachine):
    """One client on an aggregated stream of a mesh of two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.stage = Stage(nodes=())
        self.truth: dict[LayerId, dict[tuple[str, str], str]] = {layer: {} for layer in LAYERS}
        self.serving = LAYERS[0]
        self.client: Client
        self.before: list[Heard] = []
        self.sotw = False
        self.tells = True
        self.publish([], assigned=True)

    @initialize(sotw=st.booleans(), tells=st.booleans())
    def begin(self, *, sotw: bool, tells: bool) -> None:
        self.sotw, self.tells = sotw, tells
        self.client = self.connect(None)

    def connect(self, had: dict[str, dict[str, str]] | None) -> Client:
        kind = SotwTalk if self.sotw else DeltaTalk
        client = Client(kind(self.stage, timing=Timing(accept=5, gate=3)), tells=self.tells, had=had)
        for type_url in (CLUSTER, LISTENER):
            client.asks(type_url, ())
        return client

    @rule(change=changes, layer=st.sampled_from(LAYERS))
    def mesh_changes(self, change: list[Change], layer: LayerId) -> None:
        self.publish([(layer, change)])

    @rule(change=changes)
    def proxy_moves(self, change: list[Change]) -> None:
        self.serving = LAYERS[1 - LAYERS.index(self.serving)]
        self.publish([(self.serving, change)], assigned=True)

    @rule(type_url=st.sampled_from((ENDPOINT, ROUTE)), wanted=st.sets(names, min_size=1))
    def client_asks(self, type_url: str, wanted: set[str]) -> None:
        self.client.asks(type_url, wanted)

    @rule()
    def client_reads(self) -> None:
        if self.client.talk.heard:
            self.client.reads()

    @rule()
    def client_answers(self) -> None:
        if self.client.unanswered:
            self.client.answers()

    @rule(seconds=st.sampled_from((0.1, 2.0, 6.0)))
    def time_passes(self, seconds: float) -> None:
        self.client.talk.waits(seconds)

    @rule()
    def transport_stalls(self) -> None:
        if not self.client.talk.stalled:
            self.client.talk.stalled = True
            self.before = list(self.client.talk.heard)

    @rule()
    def transport_flows(self) -> None:
        self.flow()

    @rule()
    def client_reconnects(self) -> None:
        """With what it has, so far as it read it."""
        asked = self.client.asked
        self.client.talk.leaves()
        assert not self.stage.exchange._readers
        self.client = self.connect(self.client.has)
        for type_url in (ENDPOINT, ROUTE):
            if asked.get(type_url):
                self.client.asks(type_url, asked[type_url])

    @invariant()
    def one_response_is_with_a_stalled_transport(self) -> None:
        """b50: whatever happens, the queue does not grow."""
        if hasattr(self, "client") and self.client.talk.stalled:
            heard = self.client.talk.heard
            assert sum(not any(each is old for old in self.before) for each in heard) <= 1

    def teardown(self) -> None:
        """Everything flows: the client converges, and after that there is silence."""
        if not hasattr(self, "client"):
            return
        self.flow()
        for _ in range(60):
            while self.client.talk.heard or self.client.unanswered:
                if self.client.talk.heard:
                    self.client.reads()
                else:
                    self.client.answers()
            if self.client.talk.wait is None:
                break
            self.client.talk.waits(1.0)
        for type_url in TYPES:
            self.check_converged(type_url)
        self.client.talk.waits(100).silent()
        self.client.talk.leaves()
        assert not self.stage.exchange._interests

    def check_converged(self, type_url: str) -> None:
        """All that the mesh has and the client wants, save what the client refuses."""
        truth = {
            name: content for (url, name), content in self.truth[self.serving].items() if url == type_url
        }
        if type_url in (ENDPOINT, ROUTE):
            wanted = self.client.asked.get(type_url, set())
            truth = {name: content for name, content in truth.items() if name in wanted}
        good = {name: self.version(type_url, name, c) for name, c in truth.items() if c != BAD}
        has = self.client.has[type_url]
        stuck = any(c == BAD for (url, _), c in self.truth[self.serving].items() if url in (LISTENER, ROUTE))
        for name, version in good.items():
            assert has.get(name) == version, (type_url, name)
        if not self.sotw or type_url in FULL:
            extra = set(has) - set(truth)
            assert not extra or (type_url == CLUSTER and stuck), (type_url, extra)

    def version(self, type_url: str, name: str, content: str) -> str:
        """What the model client remembers of a content: SotW has no versions, so its content."""
        return content if self.sotw else MAKE[type_url](name, content).version

    def flow(self) -> None:
        talk = self.client.talk
        if talk.stalled:
            talk.stalled = False
            talk.tell(Written(self.stage.now))

    def publish(self, parts: list[tuple[LayerId, list[Change]]], *, assigned: bool = False) -> None:
        layers = []
        for layer, change in parts:
            upserts: dict[tuple[str, str], Resource] = {}
            removed: list[tuple[str, str]] = []
            for type_url, name, content in {(url, name): (url, name, c) for url, name, c in change}.values():
                if content is None:
                    removed.append((type_url, name))
                    self.truth[layer].pop((type_url, name), None)
                else:
                    upserts[type_url, name] = MAKE[type_url](name, content)
                    self.truth[layer][type_url, name] = content
            layers.append(LayerChange(layer, tuple(upserts.values()), tuple(removed)))
        if not self.stage.snapshot.layers.keys() >= set(LAYERS):
            layers = [LayerChange(layer) for layer in LAYERS]
        moves = {NODE.id: (self.serving,)} if assigned else {}
        self.stage.apply(SnapshotChange(self.stage.snapshot.generation + 1, tuple(layers), assigned=moves))


TestStreams = Streams.TestCase
TestStreams.settings = settings(
    max_examples=300, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
