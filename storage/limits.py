"""How large a request may be, and the check of all that can be told without looking at what is kept."""

from collections.abc import Sequence
from dataclasses import dataclass

from storage.base import Compare, Delete, Get, InvalidRequest, Put, Target
from storage.spans import Span

Operation = Put | Delete | Get


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
    """Raises InvalidRequest for what no store would take."""
    for comparison in compare:
        _check_span(comparison.key, comparison.range_end, limits)
        if isinstance(comparison.operand, bytes) is not (comparison.target is Target.VALUE):
            raise InvalidRequest(
                f"the {comparison.target} of a key is not compared with {comparison.operand!r}"
            )
    most = max(len(compare), *(len(branch) for branch in branches))
    if most > limits.operations:
        raise InvalidRequest(f"a transaction has {most} operations; the limit is {limits.operations}")
    for branch in branches:
        _check_branch(branch, limits)


def _check_branch(branch: Sequence[Operation], limits: Limits) -> None:
    spans = []
    size = 0
    for operation in branch:
        if isinstance(operation, Put):
            size += len(operation.key) + len(operation.value)
            _check_span(operation.key, None, limits)
            if len(operation.value) > limits.value:
                length = len(operation.value)
                raise InvalidRequest(
                    f"the value of {operation.key!r} has {length} bytes; the limit is {limits.value}"
                )
        else:
            span = _check_span(operation.key, operation.range_end, limits)
            if isinstance(operation, Delete):
                spans.append(span)
    if size > limits.transaction:
        raise InvalidRequest(f"a transaction has {size} bytes; the limit is {limits.transaction}")
    _check_written_once([operation.key for operation in branch if isinstance(operation, Put)], spans)


def _check_written_once(keys: Sequence[bytes], deleted: Sequence[Span]) -> None:
    seen: set[bytes] = set()
    for key in keys:
        if key in seen or any(key in span for span in deleted):
            raise InvalidRequest(f"a transaction writes the key {key!r} twice")
        seen.add(key)


def _check_span(key: bytes, range_end: bytes | None, limits: Limits) -> Span:
    longest = max(len(key), len(range_end or b""))
    if longest > limits.key:
        raise InvalidRequest(f"a key has {longest} bytes; the limit is {limits.key}")
    return Span.of(key, range_end)
