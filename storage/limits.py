"""How large a request may be, and the check of all that can be told without looking at what is kept."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from storage.base import (
    Compare,
    Delete,
    Get,
    InvalidRequest,
    Operation,
    Put,
    Target,
    TooLarge,
    TooManyOperations,
    Txn,
    WrittenTwice,
)
from storage.spans import Span


@dataclass(frozen=True, slots=True)
class Limits:
    """The most bytes of a key, of a value, of all that a transaction writes, and the most operations in
    one.
    """

    key: int = 4096
    value: int = 1_572_864
    transaction: int = 67_108_864
    operations: int = 20_000


def check_request(
    compare: Sequence[Compare], branches: Sequence[Sequence[Operation]], limits: Limits
) -> None:
    """Raises InvalidRequest for what no store would take, TooLarge for what is too much at once."""
    whole = Txn(tuple(compare), *(tuple(branch) for branch in branches))
    most = max(_most(whole), len(compare))
    if most > limits.operations:
        raise TooManyOperations(f"a transaction has {most} operations; the limit is {limits.operations}")
    size = max(_size(branch) for branch in branches)
    if size > limits.transaction:
        raise TooLarge(f"a transaction has {size} bytes; the limit is {limits.transaction}")
    _check_txn(whole, limits)
    for branch in branches:
        _written(branch)


def operations(branch: Sequence[Operation]) -> Iterator[Put | Delete | Get]:
    """All operations of a branch, those of transactions inside it too, whichever way they may go."""
    for operation in branch:
        if isinstance(operation, Txn):
            yield from operations(operation.success)
            yield from operations(operation.failure)
        else:
            yield operation


def _most(txn: Txn) -> int:
    return max(sum(1 for _ in operations(branch)) for branch in (txn.success, txn.failure))


def _size(branch: Sequence[Operation]) -> int:
    return sum(
        len(operation.key) + len(operation.value)
        for operation in operations(branch)
        if isinstance(operation, Put)
    )


def _check_txn(txn: Txn, limits: Limits) -> None:
    for comparison in txn.compare:
        _check_span(comparison.key, comparison.range_end, limits)
        if isinstance(comparison.operand, bytes) is not (comparison.target is Target.VALUE):
            raise InvalidRequest(
                f"the {comparison.target} of a key is not compared with {comparison.operand!r}"
            )
    for operation in (*txn.success, *txn.failure):
        if isinstance(operation, Txn):
            _check_txn(operation, limits)
        elif isinstance(operation, Put):
            _check_put(operation, limits)
        else:
            _check_span(operation.key, operation.range_end, limits)


def _check_put(put: Put, limits: Limits) -> None:
    _check_span(put.key, None, limits)
    if len(put.value) > limits.value:
        raise TooLarge(f"the value of {put.key!r} has {len(put.value)} bytes; the limit is {limits.value}")
    if put.ignore_value and put.value:
        raise InvalidRequest(
            f"the value of {put.key!r} is given, and it is to be kept; leave one of them out"
        )
    if put.ignore_lease and put.lease:
        raise InvalidRequest(
            f"the lease of {put.key!r} is given, and it is to be kept; leave one of them out"
        )


def _written(branch: Sequence[Operation]) -> tuple[set[bytes], list[Span]]:
    """The keys put and the spans deleted by a branch. Raises InvalidRequest for a key that is written twice.

    Two ways of one inner transaction may write the same key, since only one of them is gone.
    """
    deleted = [Span.of(each.key, each.range_end) for each in branch if isinstance(each, Delete)]
    put: set[bytes] = set()
    for operation in branch:
        if isinstance(operation, Txn):
            ways = [_written(way) for way in (operation.success, operation.failure)]
            for keys, _ in ways:
                _refuse_twice(keys, put, deleted)
            put.update(*(keys for keys, _ in ways))
            deleted += [span for _, spans in ways for span in spans]
    for operation in branch:
        if isinstance(operation, Put):
            _refuse_twice({operation.key}, put, deleted)
            put.add(operation.key)
    return put, deleted


def _refuse_twice(keys: set[bytes], put: set[bytes], deleted: Sequence[Span]) -> None:
    for key in keys:
        if key in put or any(key in span for span in deleted):
            raise WrittenTwice(f"a transaction writes the key {key!r} twice")


def _check_span(key: bytes, range_end: bytes | None, limits: Limits) -> Span:
    longest = max(len(key), len(range_end or b""))
    if longest > limits.key:
        raise InvalidRequest(f"a key has {longest} bytes; the limit is {limits.key}")
    return Span.of(key, range_end)
