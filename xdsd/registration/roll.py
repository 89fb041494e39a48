"""The roll: which machines claim to be here, and what of that is to be written. Pure; see the package for its words.

Every call takes in something that happened and returns what is to be done. An entry has one operation at a time: what
comes meanwhile is looked at when that is over. After an operation that found something else than it expected nothing is
done to the entry before the store has told what is there, or ``retry`` is called.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from xdsd.manifest import AnyObject
from xdsd.model.problem import ObjectRef, Problem
from xdsd.model.registered import CONNECTED_AT, CREDENTIAL, ProbeResult
from xdsd.registration.claims import Claim
from xdsd.registration.entries import (
    Group,
    Registered,
    entry_of,
    entry_ref,
    is_entry,
    is_group,
    network_of,
    released,
    says_the_same,
    with_health,
)
from xdsd.registration.judging import Rules, is_of, misfit, rival, too_many
from xdsd.registration.known import Entries, Entry
from xdsd.registration.operations import Hold, Operation, Remove, Write

_GROUP, _ENTRY = "WorkloadGroup", "WorkloadEntry"
_UNKNOWN = Registered("", "", "", "", "", False, 0, "")


class Roll:
    """``controller`` is the daemon's name. Times are RFC 3339."""

    def __init__(self, controller: str, rules: Rules = Rules()) -> None:  # noqa: B008 - immutable
        self._controller = controller
        self._rules = rules
        self._groups: dict[ObjectRef, Group] = {}
        self._entries = Entries()
        self._claims: dict[str, Claim] = {}
        self._members: dict[ObjectRef, dict[str, None]] = defaultdict(dict)
        self._aims: dict[str, ObjectRef] = {}
        self._claimants: dict[ObjectRef, dict[str, None]] = defaultdict(dict)
        self._turns: dict[str, int] = {}
        self._held: set[ObjectRef] = set()
        self._busy: set[ObjectRef] = set()
        self._making: dict[str, dict[ObjectRef, None]] = {}
        self._waiting: set[ObjectRef] = set()
        self._found: dict[ObjectRef, ProbeResult] = {}
        self._problems: dict[str, Problem] = {}
        self._newest = 0

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Why machines that are connected here are not registered."""
        return tuple(self._problems.values())

    @property
    def registered(self) -> int:
        """How many entries of connected machines this daemon keeps."""
        return len(self._held)

    def group(self, ref: ObjectRef) -> Group | None:
        """A WorkloadGroup as it is now."""
        return self._groups.get(ref)

    def machine(self, node: str, identity: str) -> Sequence[Entry]:
        """The entries of a machine, wherever it is connected."""
        found = (self._entries.get(ref) for ref in sorted(self._entries.of(node, identity)))
        return [each for each in found if each is not None]

    def is_away(self, claim: Claim) -> bool:
        """True for a machine that is known to have left."""
        found = self.machine(claim.node, claim.identity)
        return any(each.machine is not None and not each.machine.connected for each in found)

    # What happens.

    def objects(
        self,
        upserts: Iterable[AnyObject],
        removed: Iterable[ObjectRef],
        revision: int,
        now: str,
        *,
        complete: bool = False,
    ) -> list[Operation]:
        """The store tells what changed, up to a revision; ``complete``: there is nothing else."""
        back = revision < self._newest
        self._newest = revision
        upserts = tuple(upserts)
        gone = set(removed)
        if complete:
            gone |= {*self._groups, *self._entries} - {obj.ref for obj in upserts}
        touched = {ref: None for ref in gone if self._forget(ref, revision, back=back)}
        for obj in upserts:
            if is_group(obj):
                self._groups[obj.ref] = obj
                touched[obj.ref] = None
            elif is_entry(obj):
                written = int(obj.metadata.resource_version or 0)
                known = self._entries.get(obj.ref)
                if known is None or known.revision < written or back:
                    self._learn(self._entries.put(obj, written))
                    touched[obj.ref] = None
        return [operation for ref in touched for operation in self._touched(ref, now)]

    def arrived(self, claim: Claim, now: str) -> list[Operation]:
        """A machine is connected, or said something else of itself than before."""
        before = self._claims.get(claim.key)
        if before is not None and before.group != claim.group:
            _drop(self._members, before.group, claim.key)
        if self._aims.get(claim.key) not in self._held:
            self._turns.pop(claim.key, None)  # it was elsewhere meanwhile, and has come back
        self._claims[claim.key] = claim
        self._members[claim.group][claim.key] = None
        return self._settle_claim(claim, now)

    def left(self, key: str, now: str) -> list[Operation]:
        """A machine is not connected any more."""
        claim = self._claims.pop(key, None)
        if claim is None:
            return []
        _drop(self._members, claim.group, key)
        self._problems.pop(key, None)
        self._turns.pop(key, None)
        return self._leave(key, now)

    def reported(self, node: str, identity: str, result: ProbeResult, now: str) -> list[Operation]:
        """The probe of a machine, which is connected here or elsewhere, has found something."""
        operations: list[Operation] = []
        for entry in self.machine(node, identity):
            if self._is_news(entry, result):
                self._found[entry.obj.ref] = result
                operations += self._settle(entry.obj.ref, now)
        return operations

    def lost_lease(self, now: str) -> list[Operation]:
        """The daemon's lease is over, and with it all entries that lived by it."""
        held, self._held = self._held, set()
        return [operation for ref in sorted(held) for operation in self._settle(ref, now)]

    def retry(self, now: str) -> list[Operation]:
        """Time has passed: what could not be done is tried again, and others may have given up what machines claim."""
        waiting, self._waiting = self._waiting, set()
        operations = [operation for ref in sorted(waiting) for operation in self._settle(ref, now)]
        for key in tuple(self._problems):
            operations += self._settle_claim(self._claims[key], now)
        return operations

    # What became of operations.

    def written(self, operation: Operation, revision: int, now: str) -> list[Operation]:
        """It was done, as of a revision."""
        ref = operation.ref
        self._over(operation)
        known = self._entries.get(ref)
        if known.revision <= revision if known else self._newest < revision:
            if isinstance(operation, Write):
                if operation.hold is Hold.OURS:
                    self._held.add(ref)
                elif operation.hold is Hold.GRACE:
                    self._held.discard(ref)
                self._entries.put(operation.obj, revision)
            else:
                self._held.discard(ref)
                self._entries.drop(ref)
        return self._settle(ref, now)

    def failed(self, operation: Operation, now: str) -> list[Operation]:
        """It was not done: something else was there, or the store was away."""
        ref = operation.ref
        self._over(operation)
        known = self._entries.get(ref)
        if (known.revision if known else 0) == operation.expected:
            self._waiting.add(ref)
        if ref not in self._held:
            for key in self._claimants.get(ref, ()):
                self._turns.pop(key, None)
        return self._settle(ref, now)

    # What is to be done.

    def _touched(self, ref: ObjectRef, now: str) -> list[Operation]:
        if ref.kind == _ENTRY:
            self._waiting.discard(ref)
            return self._settle(ref, now)
        found = [self._claims[key] for key in tuple(self._members.get(ref, ()))]
        return [operation for claim in found for operation in self._settle_claim(claim, now)]

    def _settle(self, ref: ObjectRef, now: str) -> list[Operation]:
        """What an entry needs."""
        if ref in self._busy or ref in self._waiting:
            return []
        entry = self._entries.get(ref)
        claims = [self._claims[key] for key in self._claimants.get(ref, ())]
        if entry is not None and entry.machine is not None:
            present = any(is_of(entry, claim) for claim in claims)
            if ref in self._held and entry.machine.connected and not present:
                return self._do(Write(released(entry.obj, now), entry.revision, Hold.GRACE))
            if not present and (operations := self._tell_health(entry)):
                return operations
        for claim in claims:
            if operations := self._settle_claim(claim, now):
                return operations
        return []

    def _settle_claim(self, claim: Claim, now: str) -> list[Operation]:
        group = self._groups.get(claim.group)
        problem = misfit(claim, group, self._rules)
        if problem is not None or group is None:
            self._note(claim, problem)
            return self._leave(claim.key, now, remove=True)
        ref = entry_ref(claim, network_of(group.spec, claim))
        operations: list[Operation] = []
        if self._aims.get(claim.key, ref) != ref:
            operations = self._leave(claim.key, now, remove=True)
        self._aims[claim.key] = ref
        self._claimants[ref][claim.key] = None
        if ref in self._busy or ref in self._waiting:
            return operations
        entry = self._entries.get(ref)
        problem = rival(claim, group, entry, self._entries, ref)
        made = self._entries.by(claim.credential) | self._making.get(claim.credential, {}).keys()
        problem = problem or too_many(claim, made, ref, self._rules.most)
        self._note(claim, problem)
        return operations if problem else [*operations, *self._register(claim, group, ref, entry)]

    def _register(self, claim: Claim, group: Group, ref: ObjectRef, entry: Entry | None) -> list[Operation]:
        machine = entry.machine if entry else None
        held = ref in self._held
        turn = self._turns.get(claim.key)
        newest = machine.turn if machine else 0
        others = machine is not None and machine.controller != self._controller
        # Of two who register it at once, who knows it for longer has not heard yet that it went.
        theirs = newest >= turn if turn is not None else _came_later(entry, claim)
        if machine is not None and machine.connected and others and theirs:
            return []
        if turn is None or newest > turn or others or (machine is not None and not machine.connected):
            turn = newest + 1
        self._turns[claim.key] = turn
        same = entry is not None and is_of(entry, claim)
        known = machine if machine is not None and same else _UNKNOWN
        health = known.said(self._found.pop(ref, None), probed=group.spec.probe is not None)
        wanted = entry_of(group, claim, ref, self._controller, turn, entry.obj if entry else None, health)
        if entry is not None and held and says_the_same(entry.obj, wanted):
            return []
        return self._do(Write(wanted, entry.revision if entry else 0, Hold.OURS))

    def _is_news(self, entry: Entry, result: ProbeResult) -> bool:
        """Whether a result is of the probe that a machine has, and another than before."""
        machine = entry.machine
        group = self._group_of(entry)
        if machine is None or group is None:
            return False
        if group.spec.probe is None:
            return (machine.health == ProbeResult.DEAF) is not (result is ProbeResult.DEAF)
        return result is not ProbeResult.DEAF and machine.health not in ("", result.value)

    def _group_of(self, entry: Entry) -> Group | None:
        name = entry.machine.group if entry.machine else ""
        return self._groups.get(ObjectRef(_GROUP, entry.obj.metadata.namespace, name))

    def _tell_health(self, entry: Entry) -> list[Operation]:
        result = self._found.pop(entry.obj.ref, None)
        group = self._group_of(entry)
        if result is None or group is None or entry.machine is None or not self._is_news(entry, result):
            return []
        said = entry.machine.said(result, probed=group.spec.probe is not None)
        return self._do(Write(with_health(entry.obj, said), entry.revision, Hold.SAME))

    def _leave(self, key: str, now: str, *, remove: bool = False) -> list[Operation]:
        """A machine has no claim on its entry any more; ``remove``: not even for the grace period."""
        ref = self._aims.pop(key, None)
        if ref is None:
            return []
        _drop(self._claimants, ref, key)
        entry, claim = self._entries.get(ref), self._claims.get(key)
        if remove and claim is not None and entry is not None and ref in self._held and is_of(entry, claim):
            return self._do(Remove(ref, entry.revision)) if ref not in self._busy else []
        return self._settle(ref, now)

    def _do(self, operation: Operation) -> list[Operation]:
        self._busy.add(operation.ref)
        if isinstance(operation, Write):
            self._making.setdefault(_credential(operation), {})[operation.ref] = None
        return [operation]

    def _over(self, operation: Operation) -> None:
        self._busy.discard(operation.ref)
        if isinstance(operation, Write):
            made = self._making.get(_credential(operation), {})
            made.pop(operation.ref, None)
            if not made:
                self._making.pop(_credential(operation), None)

    # What is known.

    def _learn(self, entry: Entry) -> None:
        """Somebody else may have written the entry."""
        machine = entry.machine
        if machine is None or machine.controller != self._controller or not machine.connected:
            self._held.discard(entry.obj.ref)

    def _forget(self, ref: ObjectRef, revision: int, *, back: bool) -> bool:
        """Whether something is gone that was known."""
        if ref.kind == _GROUP:
            return self._groups.pop(ref, None) is not None
        known = self._entries.get(ref)
        if known is None or (known.revision > revision and not back):
            return False
        self._entries.drop(ref)
        self._held.discard(ref)
        self._found.pop(ref, None)
        return True

    def _note(self, claim: Claim, problem: Problem | None) -> None:
        if problem is None:
            self._problems.pop(claim.key, None)
        else:
            self._problems[claim.key] = problem


def _came_later(entry: Entry | None, claim: Claim) -> bool:
    """Whether an entry is of a connection of the same machine that began after the claim's."""
    if entry is None or not is_of(entry, claim):
        return False
    return entry.obj.metadata.annotations.get(CONNECTED_AT, "") > claim.since


def _credential(operation: Write) -> str:
    return operation.obj.metadata.annotations.get(CREDENTIAL, "")


def _drop(index: dict[ObjectRef, dict[str, None]], ref: ObjectRef, key: str) -> None:
    found = index.get(ref)
    if found is not None:
        found.pop(key, None)
        if not found:
            del index[ref]
