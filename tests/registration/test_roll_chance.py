"""Machines, daemons and time in any order: who is connected is registered, who is not is gone after the grace period."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.registration.making import GRACE, Daemon, Row, Table, claim, group, settle
from xdsd.model.registered import CONTROLLER, DISCONNECTED_AT, NODE
from xdsd.registration.claims import Claim

MACHINES = (claim("vm-0"), claim("vm-1", "10.0.0.2"), claim("vm-2", "10.0.0.3"), claim("rival"))
"""The last claims the address of the first."""
STEP = 20


@dataclass
class World:
    """``at`` says to which daemon a machine is connected; ``gone`` since when it is not. ``late`` are departures that
    daemons will hear of later.
    """

    table: Table = field(default_factory=Table)
    daemons: list[Daemon | None] = field(default_factory=list)
    at: dict[int, int] = field(default_factory=dict)
    gone: dict[int, int] = field(default_factory=dict)
    late: list[tuple[Daemon, int]] = field(default_factory=list)
    lives: int = 0
    connections: int = 0

    def __post_init__(self) -> None:
        self.table.put(group())
        self.daemons = [self.born(), self.born()]

    def born(self) -> Daemon:
        self.lives += 1
        return Daemon(self.table, f"daemon-{self.lives}")

    def connect(self, machine: int, to: int) -> None:
        daemon = self.daemons[to]
        if daemon is None:
            return
        before = self.at.get(machine)
        if before is not None and before != to:
            self._will_hear(before, machine)
        self.at[machine] = to
        self.gone.pop(machine, None)
        self.late = [each for each in self.late if each != (daemon, machine)]
        self.connections += 1
        since = f"2026-01-31T12:{self.connections:02}:00.000Z"
        daemon.arrives(replace(MACHINES[machine], since=since))

    def disconnect(self, machine: int, _: int) -> None:
        before = self.at.pop(machine, None)
        if before is not None:
            self._will_hear(before, machine)
            self.gone[machine] = self.table.now

    def hear(self, _: int, __: int) -> None:
        """The oldest departure that is not known yet is."""
        if self.late:
            daemon, machine = self.late.pop(0)
            daemon.leaves(MACHINES[machine])

    def perform(self, number: int, told_first: int) -> None:
        daemon = self.daemons[number % 2]
        if daemon is not None:
            daemon.perform(told_first=bool(told_first))

    def follow(self, number: int, _: int) -> None:
        daemon = self.daemons[number % 2]
        if daemon is not None:
            daemon.follow(1)

    def kill(self, number: int, _: int) -> None:
        number %= 2
        self.late = [each for each in self.late if each[0] is not self.daemons[number]]
        self.daemons[number] = None
        for machine in [machine for machine, at in self.at.items() if at == number]:
            del self.at[machine]
            self.gone[machine] = self.table.now

    def start(self, number: int, _: int) -> None:
        if self.daemons[number % 2] is None:
            self.daemons[number % 2] = self.born()

    def rest(self, *_: int) -> None:
        """All is done that can be done."""
        settle(*(each for each in self.daemons if each is not None))

    def tick(self, *_: int) -> None:
        """Time passes while nothing else does."""
        while self.late:
            self.hear(0, 0)
        self.rest()
        for daemon in self.daemons:
            if daemon is not None:
                daemon.keep_alive()
        self.table.now += STEP
        for row in self.table.expire():
            self._check_gone(row)
        self.rest()

    def _will_hear(self, number: int, machine: int) -> None:
        daemon = self.daemons[number]
        if daemon is not None:
            self.late.append((daemon, machine))

    def _check_gone(self, row: Row) -> None:
        """Only entries of machines that have been away for the grace period go."""
        who = _machine(row)
        assert who not in self.at
        assert self.table.now - self.gone[who] >= GRACE - STEP

    def check(self) -> None:
        """The entries are those of the machines that are connected, or have been lately."""
        while self.late:
            self.hear(0, 0)
        self.rest()
        held = {
            _machine(row): row for row in self.table.rows.values() if NODE in row.obj.metadata.annotations
        }
        for machine, number in self.at.items():
            daemon = self.daemons[number]
            assert daemon is not None
            if machine in held:
                annotations = held[machine].obj.metadata.annotations
                assert annotations[CONTROLLER] == daemon.name
                assert DISCONNECTED_AT not in annotations
                assert held[machine].lease == daemon.lease
                assert self.table.alive(daemon.lease)
            else:
                rival = {0: 3, 3: 0}[machine]
                assert rival in held
                assert [each.object for each in daemon.roll.problems if MACHINES[machine].who in each.message]
        for daemon in self.daemons:
            if daemon is not None:
                assert len(daemon.roll.problems) <= 1

    def finish(self) -> None:
        self.check()
        for _ in range(2 * GRACE // STEP):
            self.tick()
        self.check()
        held = [_machine(row) for row in self.table.rows.values() if NODE in row.obj.metadata.annotations]
        assert set(held) <= set(self.at)
        assert len(held) == len(set(self.at)) - (0 in self.at and 3 in self.at)


def _machine(row: Row) -> int:
    node = row.obj.metadata.annotations[NODE]
    return next(number for number, each in enumerate(MACHINES) if _node(each) == node)


def _node(who: Claim) -> str:
    return who.node


STEPS: tuple[Callable[[World, int, int], None], ...] = (
    World.connect,
    World.connect,
    World.disconnect,
    World.hear,
    World.perform,
    World.follow,
    World.perform,
    World.kill,
    World.start,
    World.rest,
    World.tick,
)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(range(len(STEPS))), st.integers(0, 3), st.integers(0, 1)), max_size=40)
)
def test_who_is_connected_is_registered(steps: list[tuple[int, int, int]]) -> None:
    """Whatever dies, moves or hangs up, and however late daemons hear of it."""
    world = World()
    for step, machine, daemon in steps:
        STEPS[step](world, machine, daemon)
    world.finish()
