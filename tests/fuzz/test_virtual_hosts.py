"""Any interleaving of tables, hosts, subscriptions and reconnects: a proxy ends up with the hosts of each table it has.

The model client is Envoy's: it asks for hosts once, at its first table, and never says which; hosts of tables that it does
not have it drops, but remembers their versions; those of a table that it lets go of are gone, their versions are not.
"""

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tests.playbook import VIEW, DeltaTalk, Stage, host, route
from xdsd.protocol.events import Written
from xdsd.protocol.limits import Timing
from xdsd.protocol.subscription import owner
from xdsd.snapshot import ROUTE, VIRTUAL_HOST, LayerChange, Resource, SnapshotChange

TABLES = ("one", "two")
HOSTS = tuple(f"{table}/{name}" for table in TABLES for name in "abc")
tables = st.sampled_from(TABLES)


def host_of(name: str, content: str) -> Resource:
    return host(owner(name), name.rpartition("/")[2], content)


class Tables(RuleBasedStateMachine):
    """One proxy and the route configurations of its listeners."""

    def __init__(self) -> None:
        super().__init__()
        self.stage = Stage()
        self.truth: dict[str, str] = {}
        self.wanted: set[str] = set()
        self.has: dict[str, str] = {}
        self.hosts: dict[str, str] = {}
        self.versions: dict[str, str] = {}
        self.asks_for_hosts = False
        self.talk: DeltaTalk

    @initialize()
    def begin(self) -> None:
        self.connect()

    def connect(self) -> None:
        """Says what it has, of either type first."""
        self.talk = DeltaTalk(self.stage, timing=Timing(accept=5, gate=3))
        self.asked = False
        if self.asks_for_hosts and len(self.versions) % 2:
            self.talk.asks(VIRTUAL_HOST, known=self.versions)
        if self.wanted:
            known = {name: version for name, version in self.has.items() if version}
            self.asked = True
            self.talk.asks(ROUTE, *self.wanted, known=known)
        if self.asks_for_hosts and not len(self.versions) % 2:
            self.talk.asks(VIRTUAL_HOST, known=self.versions)

    @rule(
        change=st.dictionaries(
            st.sampled_from((*TABLES, *HOSTS)), st.none() | st.sampled_from("123"), min_size=1
        )
    )
    def mesh_changes(self, change: dict[str, str | None]) -> None:
        upserts, removed = [], []
        for name, content in change.items():
            if content is None:
                self.truth.pop(name, None)
                removed.append((VIRTUAL_HOST if "/" in name else ROUTE, name))
            else:
                self.truth[name] = content
                upserts.append(host_of(name, content) if "/" in name else route(name, content))
        part = LayerChange(VIEW, tuple(upserts), tuple(removed))
        self.stage.apply(SnapshotChange(self.stage.snapshot.generation + 1, (part,)))

    @rule(table=tables)
    def listener_comes(self, table: str) -> None:
        if table not in self.wanted:
            self.wanted.add(table)
            self.talk.asks(ROUTE, table, known=None if self.asked else {})
            self.asked = True

    @rule(table=tables)
    def listener_goes(self, table: str) -> None:
        if table in self.wanted:
            self.wanted.discard(table)
            self.has.pop(table, None)
            self.hosts = {name: held for name, held in self.hosts.items() if owner(name) != table}
            self.talk.asks(ROUTE, less=[table])

    @rule()
    def client_reads(self) -> None:
        """Takes the next response in and accepts it."""
        if not self.talk.heard:
            return
        heard = self.talk.heard.pop(0)
        for name, version in heard.resources.items():
            if heard.type_url == ROUTE:
                if name in self.wanted:
                    self.has[name] = version
            else:
                self.versions[name] = version
                if owner(name) in self.has:
                    self.hosts[name] = version
        for name in heard.removed:
            if heard.type_url == VIRTUAL_HOST:
                self.versions.pop(name, None)
                self.hosts.pop(name, None)
            elif name in self.has:
                self.has[name] = ""
        self.talk.asks(heard.type_url, nonce=heard.nonce)
        if heard.type_url == ROUTE and self.has and not self.asks_for_hosts:
            self.asks_for_hosts = True
            self.talk.asks(VIRTUAL_HOST)

    @rule()
    def client_reconnects(self) -> None:
        self.talk.leaves()
        self.connect()

    @rule(stalled=st.booleans())
    def transport_stalls(self, *, stalled: bool) -> None:
        was, self.talk.stalled = self.talk.stalled, stalled
        if was and not stalled:
            self.talk.tell(Written(self.stage.now))

    def teardown(self) -> None:
        """Everything flows: of each table that is there it has just what the mesh has."""
        if not hasattr(self, "talk"):
            return
        self.transport_stalls(stalled=False)
        for _ in range(20):
            while self.talk.heard:
                self.client_reads()
            if self.talk.wait is None:
                break
            self.talk.waits(1.0)
        for table in self.wanted & self.truth.keys():
            mine = {name: version for name, version in self.hosts.items() if owner(name) == table}
            right = {
                name: host_of(name, content).version
                for name, content in self.truth.items()
                if owner(name) == table
            }
            assert mine == right, table
        self.talk.waits(100).silent()
        self.talk.leaves()


TestTables = Tables.TestCase
TestTables.settings = settings(
    max_examples=300, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
