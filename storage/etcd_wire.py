"""The contract's values as messages of etcd's API, and back."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aetcd import rpc

from storage.base import (
    Compare,
    Delete,
    Event,
    EventType,
    Get,
    KeyValue,
    Op,
    Operation,
    Put,
    RangeResult,
    Target,
    Txn,
    TxnResult,
)

Message = Any  # aetcd's generated messages carry no type information

_RESULTS: Mapping[Op, int] = {
    Op.EQUAL: rpc.Compare.EQUAL,
    Op.NOT_EQUAL: rpc.Compare.NOT_EQUAL,
    Op.GREATER: rpc.Compare.GREATER,
    Op.LESS: rpc.Compare.LESS,
}
_TARGETS: Mapping[Target, tuple[int, str]] = {
    Target.VERSION: (rpc.Compare.VERSION, "version"),
    Target.CREATE: (rpc.Compare.CREATE, "create_revision"),
    Target.MOD: (rpc.Compare.MOD, "mod_revision"),
    Target.VALUE: (rpc.Compare.VALUE, "value"),
    Target.LEASE: (rpc.Compare.LEASE, "lease"),
}
_OPS = {number: op for op, number in _RESULTS.items()}
_TARGET_NAMES = {number: (target, field) for target, (number, field) in _TARGETS.items()}


def key_value(message: Message) -> KeyValue:
    """A key as it is read."""
    return KeyValue(
        message.key,
        message.value,
        message.create_revision,
        message.mod_revision,
        message.version,
        message.lease,
    )


def key_value_message(kv: KeyValue) -> Message:
    """A key as it is answered."""
    return rpc.KeyValue(
        key=kv.key,
        value=kv.value,
        create_revision=kv.create_revision,
        mod_revision=kv.mod_revision,
        version=kv.version,
        lease=kv.lease,
    )


def event(message: Message) -> Event:
    """A change that was watched."""
    kv = key_value(message.kv)
    if message.type == rpc.Event.DELETE:
        kv = KeyValue(kv.key, b"", 0, kv.mod_revision, 0)
    kind = EventType.DELETE if message.type == rpc.Event.DELETE else EventType.PUT
    return Event(kind, kv, key_value(message.prev_kv) if message.HasField("prev_kv") else None)


def event_message(change: Event) -> Message:
    """A change as a watch is told of it."""
    kind = rpc.Event.DELETE if change.type is EventType.DELETE else rpc.Event.PUT
    before = key_value_message(change.previous) if change.previous else None
    return rpc.Event(type=kind, kv=key_value_message(change.kv), prev_kv=before)


def range_request(get: Get) -> Message:
    """A read."""
    return rpc.RangeRequest(
        key=get.key,
        range_end=get.range_end or b"",
        limit=get.limit,
        revision=get.revision,
        keys_only=get.keys_only,
        count_only=get.count_only,
    )


def range_result(message: Message, revision: int) -> RangeResult:
    """What was read, as of the newest revision then."""
    return RangeResult(revision, tuple(map(key_value, message.kvs)), message.count, message.more)


def put_request(put: Put) -> Message:
    """A write; the answer tells what it replaced."""
    return rpc.PutRequest(
        key=put.key,
        value=put.value,
        lease=put.lease,
        prev_kv=True,
        ignore_value=put.ignore_value,
        ignore_lease=put.ignore_lease,
    )


def delete_request(delete: Delete) -> Message:
    """A removal; the answer tells what it removed."""
    return rpc.DeleteRangeRequest(key=delete.key, range_end=delete.range_end or b"", prev_kv=True)


def txn_request(
    compare: Iterable[Compare], success: Iterable[Operation], failure: Iterable[Operation]
) -> Message:
    """A transaction."""
    return rpc.TxnRequest(
        compare=map(compare_message, compare),
        success=map(operation_message, success),
        failure=map(operation_message, failure),
    )


def compare_message(compare: Compare) -> Message:
    """A comparison."""
    target, field = _TARGETS[compare.target]
    return rpc.Compare(
        result=_RESULTS[compare.op],
        target=target,
        key=compare.key,
        range_end=compare.range_end or b"",
        **{field: compare.operand},
    )


def comparison(message: Message) -> Compare:
    """A comparison that was asked for. Raises ValueError for one that etcd's API does not know."""
    if message.target not in _TARGET_NAMES or message.result not in _OPS:
        raise ValueError("the comparison's target or result is unknown")
    target, field = _TARGET_NAMES[message.target]
    if message.WhichOneof("target_union") not in (field, None):
        raise ValueError(f"the comparison is of {target}, and gives {message.WhichOneof('target_union')}")
    return Compare(
        message.key, target, _OPS[message.result], getattr(message, field), message.range_end or None
    )


def operation_message(operation: Operation) -> Message:
    """An operation of a transaction."""
    match operation:
        case Put():
            return rpc.RequestOp(request_put=put_request(operation))
        case Delete():
            return rpc.RequestOp(request_delete_range=delete_request(operation))
        case Get():
            return rpc.RequestOp(request_range=range_request(operation))
        case Txn():
            inner = txn_request(operation.compare, operation.success, operation.failure)
            return rpc.RequestOp(request_txn=inner)


def txn_result(message: Message, revision: int) -> TxnResult:
    """What a transaction did."""
    return TxnResult(
        message.succeeded, revision, tuple(_response(each, revision) for each in message.responses)
    )


def _response(message: Message, revision: int) -> tuple[KeyValue, ...] | RangeResult | TxnResult:
    match message.WhichOneof("response"):
        case "response_put":
            put = message.response_put
            return (key_value(put.prev_kv),) if put.HasField("prev_kv") else ()
        case "response_delete_range":
            return tuple(map(key_value, message.response_delete_range.prev_kvs))
        case "response_range":
            # The revision stands in the header of the whole; inner headers have it since 3.4 alone.
            inner = message.response_range
            return range_result(inner, inner.header.revision or revision)
        case _:
            return txn_result(message.response_txn, revision)


def nested(operations: Sequence[Operation], most: int) -> tuple[Sequence[Operation], int]:
    """Operations in inner transactions, so that no level has more than etcd takes; and how many levels were added.

    etcd takes ``most`` operations of a transaction, and of one inside it as many less as the outer one has.
    """
    levels = 0
    found = operations
    while len(found) > most // (levels + 1):
        levels += 1
        width = most // (levels + 1)
        found = operations
        for _ in range(levels):
            found = [Txn((), tuple(found[start : start + width])) for start in range(0, len(found), width)]
    return found, levels


def flattened(result: TxnResult, levels: int) -> TxnResult:
    """The result without the levels that ``nested`` added."""
    responses = result.responses
    for _ in range(levels):
        responses = tuple(
            each for inner in responses if isinstance(inner, TxnResult) for each in inner.responses
        )
    return TxnResult(result.succeeded, result.revision, responses)
