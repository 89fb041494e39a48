"""Whatever the mesh does and whenever the client answers, no route of the client points to a cluster that it lacks.

The mesh is consistent at every generation: its routes point to its clusters. No time passes, so no bounded wait ends.
"""

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.fuzz.test_streams import Client
from tests.playbook import DeltaTalk, SotwTalk, Stage, cluster, route
from xdsd.snapshot import CLUSTER, LISTENER, ROUTE, Resource

CLUSTERS = ("a", "b", "c")
ROUTES = ("r", "s")
some_clusters = st.sets(st.sampled_from(CLUSTERS), min_size=1)


class Traffic(RuleBasedStateMachine):
    """One client that keeps both of its routes."""

    def __init__(self) -> None:
        super().__init__()
        self.stage = Stage()
        self.clusters: set[str] = set()
        self.client: Client
        self.sotw = False
        self.turn = 0
        self.targets = {cluster_route(name, to).version: to for name in ROUTES for to in CLUSTERS}

    @initialize(sotw=st.booleans(), clusters=some_clusters)
    def begin(self, *, sotw: bool, clusters: set[str]) -> None:
        self.sotw = sotw
        self.change(clusters, [min(clusters)] * len(ROUTES))
        self.connect()

    @rule(clusters=some_clusters, data=st.data(), anew=st.booleans())
    def mesh_changes(self, clusters: set[str], data: st.DataObject, *, anew: bool) -> None:
        """Clusters come and go and routes are pointed to what there is; clusters may change their content, too."""
        self.turn += anew
        self.change(clusters, [data.draw(st.sampled_from(sorted(clusters))) for _ in ROUTES])

    @rule()
    def client_reads(self) -> None:
        if self.client.talk.heard:
            self.client.reads()
            self.check()

    @rule()
    def client_answers(self) -> None:
        if self.client.unanswered:
            self.client.answers()

    @precondition(lambda self: not self.sotw)
    @rule()
    def client_reconnects(self) -> None:
        """In SotW a client cannot say what it has, so nothing can be promised about what goes away meanwhile."""
        self.client.talk.leaves()
        self.connect(self.client.has)

    def connect(self, had: dict[str, dict[str, str]] | None = None) -> None:
        self.client = Client((SotwTalk if self.sotw else DeltaTalk)(self.stage), tells=True, had=had)
        for type_url in (CLUSTER, LISTENER):
            self.client.asks(type_url, ())
        self.client.asks(ROUTE, ROUTES)

    def change(self, clusters: set[str], to: list[str]) -> None:
        gone = [(CLUSTER, name) for name in self.clusters - clusters]
        self.clusters = clusters
        routes = [cluster_route(name, target) for name, target in zip(ROUTES, to, strict=True)]
        self.stage.change(*(cluster(name, f"v{self.turn}") for name in clusters), *routes, removed=gone)

    def check(self) -> None:
        has = self.client.has
        for name, version in has[ROUTE].items():
            target = version if self.sotw else self.targets[version]
            assert target in has[CLUSTER], f"{name} points to {target}, the client has {set(has[CLUSTER])}"

    def teardown(self) -> None:
        if hasattr(self, "client"):
            while self.client.talk.heard or self.client.unanswered:
                self.client_reads()
                self.client_answers()
            assert set(self.client.has[CLUSTER]) == self.clusters


def cluster_route(name: str, to: str) -> Resource:
    return route(name, to)


TestTraffic = Traffic.TestCase
TestTraffic.settings = settings(
    max_examples=300, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
