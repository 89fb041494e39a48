"""Performs what the roll decides: writes entries to the store, and keeps the daemon's lease alive."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import partial

from structlog.typing import FilteringBoundLogger

from storage.base import Compare, Delete, LeaseNotFound, Op, Put, StorageError, Store, Target
from xdsd.intents import IntentChange
from xdsd.intents.encoding import encode
from xdsd.intents.keys import Keys
from xdsd.model.catalog import NOT_SERVED, Port
from xdsd.model.identity import StreamIdentity
from xdsd.model.intent import KINDS
from xdsd.model.node import Node
from xdsd.model.problem import ObjectRef, Problem, Reason
from xdsd.model.registered import ProbeResult
from xdsd.registration.claims import Claim, claim_of, wants_registration
from xdsd.registration.conversation import Asked
from xdsd.registration.listening import Listening
from xdsd.registration.operations import Hold, Operation, Write
from xdsd.registration.roll import Roll

AT_ONCE = 32
"""Operations under way together."""

SLICE = 64
"""Events that are looked at in one turn of the event loop."""

RETRY = 1.0
SHARED = 1.0
"""Seconds for which machines that leave get the same lease."""

LEAVING = 1.0
"""Seconds that a machine may take to come back, before it is said to have left: Envoys lose streams now and then."""

RETURNING, LISTENING = 5.0, 0.5
"""Seconds after which one that left and came back is said to be back: it takes its listeners first, and they open a moment
later. One that kept them while its stream was away is not sent any.
"""

Event = Callable[[str], list[Operation]]
Networks = Callable[[StreamIdentity], tuple[str, ...]]
Ports = Callable[[str], Iterable[Port]]


class Registrar:
    """``grace`` is in whole seconds. ``tell`` hears of all problems whenever some change; ``networks`` says where what
    proved an identity may be used from, and ``ports`` which ports services have at an address.
    """

    def __init__(
        self,
        store: Store,
        roll: Roll,
        logger: FilteringBoundLogger,
        *,
        grace: int,
        tell: Callable[[Sequence[Problem]], None],
        networks: Networks,
        ports: Ports = lambda _: (),
    ) -> None:
        self.roll = roll
        self._ports = ports
        self._leaving: dict[str, float] = {}
        self._returning: dict[str, tuple[float, Claim]] = {}
        self._store = store
        self._keys = Keys(KINDS)
        self._logger = logger
        self._grace = grace
        self._tell = tell
        self._networks = networks
        self._events: deque[Event] = deque()
        self._wake = asyncio.Event()
        self._told: tuple[Problem, ...] = ()
        self._nonsense: dict[str, Problem] = {}
        self._operations: set[asyncio.Task[None]] = set()
        self._todo: deque[Operation] = deque()
        self._lease = 0
        self._parting = (0, 0.0)
        self._granting = asyncio.Lock()

    # What happens; calls never block.

    def objects(self, change: IntentChange) -> None:
        """What is declared changed."""
        self._put(
            lambda now: self.roll.objects(
                change.upserts, change.removed, change.revision, now, complete=change.complete
            )
        )

    def arrived(self, node: Node, proof: StreamIdentity | None, seen: str) -> None:
        """A proxy is connected, from this address."""
        self._nonsense.pop(node.key, None)
        self._leaving.pop(node.key, None)
        self._returning.pop(node.key, None)
        if not wants_registration(node):
            self._put(lambda now: self.roll.left(node.key, now))
            return
        networks = self._networks(proof) if proof is not None else ()
        claim = claim_of(node, proof, seen, networks, _now())
        if isinstance(claim, str):
            message = f"the machine {node.id[:200]!r} is not registered: {claim}"
            self._nonsense[node.key] = Problem(Reason.INVALID_VALUE, message)
            self._put(lambda now: self.roll.left(node.key, now))
        elif self.roll.is_away(claim):
            self._returning[node.key] = (_clock() + RETURNING, claim)
        else:
            self._put(lambda now: self.roll.arrived(claim, now))

    def listens(self, node: Node) -> None:
        """A proxy has taken its listeners."""
        if node.key in self._returning:
            due, claim = self._returning[node.key]
            self._returning[node.key] = (min(due, _clock() + LISTENING), claim)

    def left(self, node: Node) -> None:
        """A proxy's last stream is over."""
        self._nonsense.pop(node.key, None)
        self._returning.pop(node.key, None)
        self._leaving[node.key] = _clock() + LEAVING

    def reported(self, node: str, identity: str, result: ProbeResult) -> None:
        """A machine's Envoy says what its probe found."""
        self._put(lambda now: self.roll.reported(node, identity, result, now))

    def probe_of(self, node: str, identity: str) -> tuple[Asked, str] | None:
        """What a machine's Envoy is to ask its program, and the machine's address; None for nothing."""
        for entry in self.roll.machine(node, identity):
            name = entry.machine.group if entry.machine else ""
            group = self.roll.group(ObjectRef("WorkloadGroup", entry.obj.metadata.namespace, name))
            if group is not None:
                address, own = entry.obj.spec.address or "", entry.obj.spec.ports
                ports = {own.get(port.name, port.target) for port in self._ports(address)}
                asked = group.spec.probe or Listening(tuple(sorted(ports - {NOT_SERVED})))
                return None if asked == Listening(()) else (asked, address)
        return None

    # The work.

    async def run(self) -> None:
        """Works until cancelled. Entries then stay for the grace period, so that another daemon can take them over."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_lease(), name="lease of machines")
            tasks.create_task(self._tick(), name="machines that wait")
            while True:
                await self._wake.wait()
                self._wake.clear()
                for _ in range(min(SLICE, len(self._events))):
                    self._todo.extend(self._events.popleft()(_now()))
                if self._events:
                    self._wake.set()  # others have the loop in between
                    await asyncio.sleep(0)
                self._report()
                while self._todo and len(self._operations) < AT_ONCE:
                    task = tasks.create_task(self._perform(self._todo.popleft()))
                    self._operations.add(task)
                    task.add_done_callback(self._performed)

    def _put(self, event: Event) -> None:
        self._events.append(event)
        self._wake.set()

    def _performed(self, task: "asyncio.Task[None]") -> None:
        self._operations.discard(task)
        self._wake.set()

    async def _perform(self, operation: Operation) -> None:
        try:
            revision = await self._commit(operation)
        except StorageError as error:
            self._logger.debug("a machine's entry is not written", entry=str(operation.ref), why=str(error))
            revision = 0
        if revision:
            self._log(operation)
            self._put(lambda now: self.roll.written(operation, revision, now))
        else:
            self._put(lambda now: self.roll.failed(operation, now))

    async def _commit(self, operation: Operation) -> int:
        """The revision; 0 where something else than expected was there."""
        key = self._keys.of(operation.ref)
        expected = (Compare(key, Target.MOD, Op.EQUAL, operation.expected),)
        if isinstance(operation, Write):
            lease = await self._lease_for(operation.hold)
            change: Put | Delete = Put(
                key, encode(operation.obj), lease, ignore_lease=operation.hold is Hold.SAME
            )
        else:
            change = Delete(key)
        try:
            done = await self._store.txn(expected, (change,))
        except LeaseNotFound:
            self._lease, self._parting = 0, (0, 0.0)
            self._put(self.roll.lost_lease)
            return 0
        return done.revision if done.succeeded else 0

    async def _lease_for(self, hold: Hold) -> int:
        if hold is Hold.SAME:
            return 0
        clock = asyncio.get_running_loop().time
        async with self._granting:
            if hold is Hold.OURS:
                self._lease = self._lease or await self._store.grant(self._grace)
                return self._lease
            lease, since = self._parting
            if not lease or clock() > since + SHARED:
                lease = await self._store.grant(self._grace)
                self._parting = (lease, clock())
            return lease

    async def _keep_lease(self) -> None:
        while True:
            await asyncio.sleep(self._grace / 3)
            if not self._lease:
                continue
            try:
                await self._store.keep_alive(self._lease)
            except LeaseNotFound:
                self._lease = 0
                self._put(self.roll.lost_lease)
            except StorageError as error:
                self._logger.debug("the lease of machines is not kept alive", why=str(error))

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(RETRY)
            now = _clock()
            for key in [key for key, due in self._leaving.items() if due <= now]:
                del self._leaving[key]
                self._put(partial(self.roll.left, key))
            for key in [key for key, (due, _) in self._returning.items() if due <= now]:
                self._put(partial(self.roll.arrived, self._returning.pop(key)[1]))
            self._put(self.roll.retry)

    def _report(self) -> None:
        problems = (*self.roll.problems, *self._nonsense.values())
        if problems != self._told:
            for problem in sorted(set(problems) - set(self._told), key=str):
                self._logger.warning("a machine is not registered", why=problem.message)
            self._told = problems
            self._tell(problems)

    def _log(self, operation: Operation) -> None:
        if not isinstance(operation, Write):
            self._logger.info("a machine's entry is removed", entry=str(operation.ref))
        elif operation.hold is Hold.GRACE:
            self._logger.info("a machine left", entry=str(operation.ref), grace=self._grace)
        elif operation.hold is Hold.OURS and not operation.expected:
            self._logger.info(
                "a machine is registered", entry=str(operation.ref), address=operation.obj.spec.address
            )


def _clock() -> float:
    return asyncio.get_running_loop().time()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
