"""Transactions of raw keys, in which what stands under ``/xdsd/objects/`` passes the admission of objects.

The caller's comparisons are left to the store. What is written to objects is replaced by what admission makes of it, with
the records of it, on whichever branch it stands; the whole runs if no object that it touches has changed since it was looked
at.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from storage.base import Compare, Delete, InvalidRequest, Operation, Put, Txn, TxnResult, prefix_end
from storage.limits import operations
from storage.spans import Span
from xdsd.intents.encoding import encode, parse
from xdsd.intents.history import Record
from xdsd.intents.keys import HISTORY, ROOT, Keys
from xdsd.intents.planning import Plan
from xdsd.manifest import AnyObject
from xdsd.model.problem import Problem, Reason

OBJECTS, RECORDS = ROOT.encode(), HISTORY.encode()


class Inadmissible(Exception):  # noqa: N818 - it is named after what is the matter
    """Admission refuses what a transaction would write; ``problems`` say why."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Transacted:
    """What a transaction did, and what admission remarks."""

    result: TxnResult
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Touched:
    """What a transaction may write of objects, on whichever branch: objects put by key, and spans deleted."""

    puts: Mapping[Put, AnyObject]
    spans: tuple[Delete, ...]

    def __bool__(self) -> bool:
        return bool(self.puts or self.spans)


@dataclass(frozen=True, slots=True)
class Branch:
    """A way of a transaction, ready to be run, with the records that are written on it. The first ``width`` of its
    operations are the caller's; ``inner`` are the transactions among them, by their place.
    """

    operations: tuple[Operation, ...]
    width: int
    records: tuple[Record, ...]
    inner: Mapping[int, "Node"] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Node:
    """A transaction, ready to be run."""

    compare: tuple[Compare, ...]
    success: Branch
    failure: Branch

    @property
    def txn(self) -> Txn:
        return Txn(self.compare, self.success.operations, self.failure.operations)


def touched(txn: Txn, keys: Keys) -> Touched:
    """What a transaction may write of objects.

    Raises:
        Inadmissible: something that is put there is no object, or has the key of another.
        InvalidRequest: a put that no object may have, or a range that holds objects and their records.
    """
    puts: dict[Put, AnyObject] = {}
    spans: list[Delete] = []
    problems: list[Problem] = []
    for operation in operations((*txn.success, *txn.failure)):
        if isinstance(operation, Put) and operation.key.startswith(OBJECTS):
            found = _object(operation, keys)
            if isinstance(found, list):
                problems += found
            else:
                puts[operation] = found
        elif isinstance(operation, Delete) and _overlaps(operation, OBJECTS):
            if _overlaps(operation, RECORDS):
                raise InvalidRequest(
                    f"the range holds objects and the records of them; delete {ROOT} first, what is beside it then"
                )
            spans.append(operation)
    if problems:
        raise Inadmissible(problems)
    return Touched(puts, tuple(spans))


def prepared(
    txn: Txn,
    plans: Mapping[Put, tuple[Plan, Record]],
    removals: Mapping[Delete, Sequence[Record]],
    written: Mapping[int, Put],
) -> Node:
    """The transaction as it is run: ``written`` are the puts of records, by the record's ``id()``."""

    def branch(steps: Sequence[Operation]) -> Branch:
        done: list[Operation] = []
        records: list[Record] = []
        inner: dict[int, Node] = {}
        for place, step in enumerate(steps):
            if isinstance(step, Txn):
                inner[place] = prepared(step, plans, removals, written)
                done.append(inner[place].txn)
            elif isinstance(step, Put) and step in plans:
                plan, record = plans[step]
                done.append(replace(step, value=_value(plan)))
                records.append(record)
            else:
                done.append(step)
                records += removals.get(step, ()) if isinstance(step, Delete) else ()
        puts = [written[id(record)] for record in records]
        return Branch((*done, *puts), len(steps), tuple(records), inner)

    return Node(txn.compare, branch(txn.success), branch(txn.failure))


def answered(node: Node, result: TxnResult) -> TxnResult:
    """The result as the caller sees it: without what was added."""
    way = node.success if result.succeeded else node.failure
    responses = [
        answered(way.inner[place], each) if isinstance(each, TxnResult) else each
        for place, each in enumerate(result.responses[: way.width])
    ]
    return replace(result, responses=tuple(responses))


def recorded(node: Node, result: TxnResult) -> Iterator[Record]:
    """The records of the ways that were gone."""
    way = node.success if result.succeeded else node.failure
    yield from way.records
    for place, inner in way.inner.items():
        response = result.responses[place]
        if isinstance(response, TxnResult):
            yield from recorded(inner, response)


def _value(plan: Plan) -> bytes:
    if plan.value is not None or plan.outcome.object is None:
        return plan.value or b""
    return encode(plan.outcome.object)


def _overlaps(delete: Delete, prefix: bytes) -> bool:
    span = Span.of(delete.key, delete.range_end)
    return span.start < prefix_end(prefix) and (span.stop is None or span.stop > prefix)


def _object(put: Put, keys: Keys) -> AnyObject | list[Problem]:
    ref = keys.ref(put.key)
    shown = put.key.decode("utf-8", "backslashreplace")
    if ref is None:
        message = f"{shown} is no key of an object; those are {ROOT}PLURAL.GROUP/NAMESPACE/NAME"
        return [Problem(Reason.UNKNOWN_KIND, message)]
    if put.lease:
        raise InvalidRequest(f"{shown} is an object, and would go with the lease unseen; put it without one")
    if put.ignore_value:
        raise InvalidRequest(f"{shown} is an object, and has no lease to change; put it whole")
    found = parse(put.value, ref.namespace)
    if isinstance(found, list):
        return [each if each.object else replace(each, object=ref) for each in found]
    if found.ref != ref:
        return [Problem(Reason.CONFLICT, f"the value is {found.ref}; put it under its own key", ref)]
    return found
