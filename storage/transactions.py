"""What a transaction does to a ledger: compare, choose a branch, record it; nothing before all is checked."""

from collections.abc import Sequence
from typing import NamedTuple

from storage.base import (
    Compare,
    Delete,
    Event,
    EventType,
    Get,
    KeyValue,
    LeaseNotFound,
    Op,
    Put,
    RangeResult,
    Target,
    TxnResult,
)
from storage.ledger import Ledger
from storage.limits import Operation
from storage.spans import Span

_MISSING = KeyValue(b"", b"", 0, 0, 0)


class Outcome(NamedTuple):
    """The answer to a transaction, and the events that it recorded as one revision."""

    result: TxnResult
    events: tuple[Event, ...]


def execute(
    ledger: Ledger, compare: Sequence[Compare], success: Sequence[Operation], failure: Sequence[Operation]
) -> Outcome:
    """Runs one branch on the ledger. Raises LeaseNotFound, having recorded nothing."""
    succeeded = all(_holds(ledger, comparison) for comparison in compare)
    branch = success if succeeded else failure
    for operation in branch:
        if isinstance(operation, Put) and operation.lease and not ledger.has_lease(operation.lease):
            raise LeaseNotFound(f"lease {operation.lease} never was, was revoked, or has expired")
    before = ledger.revision
    events: list[Event] = []
    responses: list[tuple[KeyValue, ...] | RangeResult] = []
    for operation in branch:
        if isinstance(operation, Get):
            responses.append(_read(ledger, operation))
            continue
        changes = _change(ledger, operation, before + 1)
        if changes:
            ledger.record(before + 1, changes)
        events += changes
        responses.append(tuple(change.previous for change in changes if change.previous is not None))
    return Outcome(TxnResult(succeeded, ledger.revision, tuple(responses)), tuple(events))


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
    kv = KeyValue(put.key, put.value, created, revision, version, put.lease)
    return Event(EventType.PUT, kv, old)


def _tombstone(kv: KeyValue, revision: int) -> Event:
    return Event(EventType.DELETE, KeyValue(kv.key, b"", 0, revision, 0), kv)


def _read(ledger: Ledger, get: Get) -> RangeResult:
    kvs, count = ledger.select(Span.of(get.key, get.range_end), limit=get.limit)
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
