"""What a transaction does to a ledger: compare, choose a branch, record it; nothing before all is checked."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from storage.base import (
    Compare,
    Delete,
    Event,
    EventType,
    Get,
    KeyNotFound,
    KeyValue,
    LeaseNotFound,
    Op,
    Operation,
    Put,
    RangeResult,
    Target,
    Txn,
    TxnResult,
)
from storage.ledger import Ledger, readable
from storage.spans import Span

Response = tuple[KeyValue, ...] | RangeResult | TxnResult

_MISSING = KeyValue(b"", b"", 0, 0, 0)


class Outcome(NamedTuple):
    """The answer to a transaction, and the events that it recorded as one revision."""

    result: TxnResult
    events: tuple[Event, ...]


class _Step(NamedTuple):
    """An operation that will be carried out; of an inner transaction, the way that it goes."""

    operation: Operation
    succeeded: bool = False
    inner: tuple["_Step", ...] = ()


def execute(
    ledger: Ledger, compare: Sequence[Compare], success: Sequence[Operation], failure: Sequence[Operation]
) -> Outcome:
    """Runs one branch on the ledger. All comparisons, inner ones too, look at what was there before.

    Raises LeaseNotFound, KeyNotFound, Compacted or FutureRevision, having recorded nothing.
    """
    whole = _chosen(ledger, Txn(tuple(compare), tuple(success), tuple(failure)))
    for step in _flat(whole.inner):
        _check(ledger, step.operation)
    revision = ledger.revision + 1
    events: list[Event] = []
    responses = tuple(_perform(ledger, step, revision, events) for step in whole.inner)
    return Outcome(TxnResult(whole.succeeded, ledger.revision, responses), tuple(events))


def _chosen(ledger: Ledger, txn: Txn) -> _Step:
    succeeded = all(_holds(ledger, comparison) for comparison in txn.compare)
    branch = txn.success if succeeded else txn.failure
    inner = tuple(_chosen(ledger, each) if isinstance(each, Txn) else _Step(each) for each in branch)
    return _Step(txn, succeeded, inner)


def _flat(steps: Iterable[_Step]) -> Iterator[_Step]:
    for step in steps:
        yield step
        yield from _flat(step.inner)


def _check(ledger: Ledger, operation: Operation) -> None:
    if isinstance(operation, Get):
        readable(ledger, operation.revision)
    if isinstance(operation, Put):
        if operation.lease and not ledger.has_lease(operation.lease):
            raise LeaseNotFound(f"lease {operation.lease} never was, was revoked, or has expired")
        if (operation.ignore_value or operation.ignore_lease) and ledger.find(operation.key) is None:
            raise KeyNotFound(f"there is no key {operation.key!r} of which anything could be kept")


def _perform(ledger: Ledger, step: _Step, revision: int, events: list[Event]) -> Response:
    operation = step.operation
    if isinstance(operation, Txn):
        responses = tuple(_perform(ledger, each, revision, events) for each in step.inner)
        return TxnResult(step.succeeded, ledger.revision, responses)
    if isinstance(operation, Get):
        return _read(ledger, operation)
    changes = _change(ledger, operation, revision)
    if changes:
        ledger.record(revision, changes)
    events += changes
    return tuple(change.previous for change in changes if change.previous is not None)


def end_lease(ledger: Ledger, lease: int) -> tuple[Event, ...]:
    """Drops a lease and its keys as one revision. Raises LeaseNotFound."""
    if not ledger.has_lease(lease):
        raise LeaseNotFound(f"lease {lease} never was, was revoked, or has expired")
    revision = ledger.revision + 1
    events = tuple(_tombstone(kv, revision) for kv in ledger.leased(lease))
    if events:
        ledger.record(revision, events)
    ledger.drop_lease(lease)
    return events


def _change(ledger: Ledger, operation: Put | Delete, revision: int) -> list[Event]:
    if isinstance(operation, Put):
        return [_put(ledger, operation, revision)]
    kvs, _ = ledger.select(Span.of(operation.key, operation.range_end))
    return [_tombstone(kv, revision) for kv in kvs]


def _put(ledger: Ledger, put: Put, revision: int) -> Event:
    old = ledger.find(put.key)
    created, version = (old.create_revision, old.version + 1) if old else (revision, 1)
    value = old.value if old and put.ignore_value else put.value
    lease = old.lease if old and put.ignore_lease else put.lease
    kv = KeyValue(put.key, value, created, revision, version, lease)
    return Event(EventType.PUT, kv, old)


def _tombstone(kv: KeyValue, revision: int) -> Event:
    return Event(EventType.DELETE, KeyValue(kv.key, b"", 0, revision, 0), kv)


def _read(ledger: Ledger, get: Get) -> RangeResult:
    span = Span.of(get.key, get.range_end)
    if get.count_only:
        return RangeResult(ledger.revision, (), ledger.count(span, revision=get.revision))
    kvs, count = ledger.select(span, revision=get.revision, limit=get.limit, keys_only=get.keys_only)
    return RangeResult(ledger.revision, tuple(kvs), count, len(kvs) < count)


def _holds(ledger: Ledger, comparison: Compare) -> bool:
    kvs, _ = ledger.select(Span.of(comparison.key, comparison.range_end))
    if not kvs:
        return comparison.target is not Target.VALUE and _compares(_MISSING, comparison)
    return all(_compares(kv, comparison) for kv in kvs)


def _compares(kv: KeyValue, comparison: Compare) -> bool:
    if isinstance(comparison.operand, bytes):
        return _ordered((kv.value > comparison.operand) - (kv.value < comparison.operand), comparison.op)
    number = _number(kv, comparison.target)
    return _ordered((number > comparison.operand) - (number < comparison.operand), comparison.op)


def _number(kv: KeyValue, target: Target) -> int:
    match target:
        case Target.VERSION:
            return kv.version
        case Target.CREATE:
            return kv.create_revision
        case Target.MOD:
            return kv.mod_revision
        case _:
            return kv.lease


def _ordered(sign: int, op: Op) -> bool:
    match op:
        case Op.EQUAL:
            return sign == 0
        case Op.NOT_EQUAL:
            return sign != 0
        case Op.GREATER:
            return sign > 0
        case Op.LESS:
            return sign < 0
