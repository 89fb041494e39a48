"""Groups, machines, and a store that is only a table, for the tests of this folder."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tests.intents.objects import made
from xdsd.manifest import AnyObject
from xdsd.model.identity import Proof, SpiffeID, StreamIdentity
from xdsd.model.node import Locality, Node
from xdsd.model.problem import ObjectRef
from xdsd.registration.claims import Claim, claim_of
from xdsd.registration.entries import EntryObject
from xdsd.registration.judging import Rules
from xdsd.registration.operations import Hold, Operation, Remove, Write
from xdsd.registration.roll import Roll

NOW = "2026-01-31T12:00:00.000Z"
GRACE = 60


def group(name: str = "reviews", **spec: Any) -> AnyObject:
    """A WorkloadGroup for the service account of its name."""
    return made(
        "WorkloadGroup",
        name,
        {
            "metadata": {"labels": {"app": name}},
            "template": {"ports": {"http": 9080}, "serviceAccount": name},
            **spec,
        },
    )


def probed(name: str = "reviews", **probe: Any) -> AnyObject:
    """The same with a probe."""
    return group(name, probe={"tcpSocket": {"port": 9080}, **probe})


def node(name: str = "vm-1", address: str = "10.0.0.1", of: str = "reviews", **metadata: Any) -> Node:
    """A proxy that names a group."""
    return Node(
        f"sidecar~{address}~{name}.default~default.svc.cluster.local",
        locality=Locality("eu", "west"),
        metadata={"AUTO_REGISTER_GROUP": of, **metadata},
        identity=SpiffeID("cluster.local", "default", of),
    )


def proof(account: str = "reviews", token: str = "abc") -> StreamIdentity:
    return StreamIdentity(SpiffeID("cluster.local", "default", account), Proof.TOKEN, token)


def claim(
    name: str = "vm-1",
    address: str = "10.0.0.1",
    of: str = "reviews",
    *,
    seen: str = "",
    by: StreamIdentity | None = None,
    networks: tuple[str, ...] = (),
    metadata: Mapping[str, Any] | None = None,
) -> Claim:
    """A machine that came from the address that it claims, unless ``seen`` says otherwise."""
    came = node(name, address, of, **(metadata or {}))
    found = claim_of(came, by or proof(of), seen or address, networks, NOW)
    assert isinstance(found, Claim), found
    return found


@dataclass(slots=True)
class Row:
    """What stands under a key."""

    obj: EntryObject | AnyObject
    revision: int
    lease: int


@dataclass(slots=True)
class Table:
    """A store: rows by object, deadlines by lease, and what changed by revision."""

    revision: int = 1
    now: int = 0
    rows: dict[ObjectRef, Row] = field(default_factory=dict)
    leases: dict[int, int] = field(default_factory=dict)
    log: list[tuple[int, tuple[AnyObject, ...], tuple[ObjectRef, ...]]] = field(default_factory=list)

    def put(self, obj: AnyObject, lease: int = 0) -> int:
        self.revision += 1
        stamped = replace(obj, metadata=replace(obj.metadata, resource_version=str(self.revision)))
        self.rows[obj.ref] = Row(stamped, self.revision, lease)
        self.log.append((self.revision, (stamped,), ()))
        return self.revision

    def delete(self, *refs: ObjectRef) -> int:
        self.revision += 1
        for ref in refs:
            del self.rows[ref]
        self.log.append((self.revision, (), refs))
        return self.revision

    def grant(self) -> int:
        lease = len(self.leases) + 1
        self.leases[lease] = self.now + GRACE
        return lease

    def alive(self, lease: int) -> bool:
        return self.leases.get(lease, 0) > self.now

    def expire(self) -> list[Row]:
        """Removes what lived by leases that are over."""
        gone = {ref: row for ref, row in self.rows.items() if row.lease and not self.alive(row.lease)}
        if gone:
            self.delete(*gone)
        return list(gone.values())

    def entry(self, ref: ObjectRef) -> Row | None:
        return self.rows.get(ref)


@dataclass(slots=True)
class Daemon:
    """A roll with what would perform it. ``todo`` is not done yet."""

    table: Table
    name: str
    rules: Rules = field(default_factory=Rules)
    roll: Roll = field(init=False)
    told: int = 0
    lease: int = 0
    todo: list[Operation] = field(default_factory=list)
    done: int = 0

    def __post_init__(self) -> None:
        self.roll = Roll(self.name, self.rules)
        everything = tuple(row.obj for row in self.table.rows.values())
        self.told = len(self.table.log)
        self.roll.objects(everything, (), self.table.revision, NOW, complete=True)

    def follow(self, most: int = 1000) -> None:
        """Hears what changed."""
        for revision, upserts, removed in self.table.log[self.told : self.told + most]:
            self.told += 1
            self.todo += self.roll.objects(upserts, removed, revision, NOW)

    def perform(self, *, told_first: bool = False) -> None:
        """Does what is first to do; ``told_first``: the store tells of it before it says that it is done."""
        if not self.todo:
            return
        operation = self.todo.pop(0)
        self.done += 1
        row = self.table.rows.get(operation.ref)
        if (row.revision if row else 0) != operation.expected:
            self.todo += self.roll.failed(operation, NOW)
            return
        revision = self._write(operation, row)
        if told_first:
            self.follow()
        self.todo += self.roll.written(operation, revision, NOW)

    def _write(self, operation: Operation, row: Row | None) -> int:
        if isinstance(operation, Remove):
            return self.table.delete(operation.ref)
        return self.table.put(operation.obj, self._lease(operation, row))

    def _lease(self, operation: Write, row: Row | None) -> int:
        if operation.hold is Hold.SAME:
            return row.lease if row else 0
        if operation.hold is Hold.GRACE:
            return self.table.grant()
        if not self.table.alive(self.lease):
            self.lease = self.table.grant()
        return self.lease

    def keep_alive(self) -> None:
        if self.lease and self.table.alive(self.lease):
            self.table.leases[self.lease] = self.table.now + GRACE
        elif self.lease:
            self.lease = 0
            self.todo += self.roll.lost_lease(NOW)

    def arrives(self, who: Claim) -> None:
        self.todo += self.roll.arrived(who, NOW)

    def leaves(self, who: Claim) -> None:
        self.todo += self.roll.left(who.key, NOW)

    def settle(self) -> None:
        """Hears all and does all."""
        for number in range(200):
            self.follow()
            if not self.todo:
                return
            self.perform(told_first=number % 2 == 0)
        raise AssertionError(f"{self.name} never comes to rest")


def settle(*daemons: Daemon) -> None:
    """All come to rest, whatever they tell each other."""
    for _ in range(50):
        before = daemons[0].table.revision if daemons else 0
        for daemon in daemons:
            daemon.settle()
            daemon.todo += daemon.roll.retry(NOW)
            daemon.settle()
        if not daemons or daemons[0].table.revision == before:
            return
    raise AssertionError("the daemons write against each other")
