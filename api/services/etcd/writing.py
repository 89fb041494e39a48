"""Requests that write, as transactions of the store, and what these did as etcd answers it."""

from collections.abc import Iterator
from typing import Any

from aetcd import rpc

from api.services.etcd.errors import NO_KEY, BadRequest
from api.services.etcd.reading import Reading
from storage.base import Delete, Get, KeyValue, Operation, Put, RangeResult, Txn, TxnResult
from storage.etcd_wire import comparison, key_value_message
from storage.spans import Span

Message = Any  # aetcd's generated messages carry no type information


def put(request: Message) -> Put:
    """A write. Raises BadRequest."""
    if not request.key:
        raise BadRequest(NO_KEY)
    if request.ignore_value and request.value:
        raise BadRequest("etcdserver: value is provided")
    if request.ignore_lease and request.lease:
        raise BadRequest("etcdserver: lease is provided")
    return Put(request.key, request.value, request.lease, request.ignore_value, request.ignore_lease)


def delete(request: Message) -> Delete:
    """A removal. Raises BadRequest."""
    if not request.key:
        raise BadRequest(NO_KEY)
    return Delete(request.key, request.range_end or None)


def txn(request: Message) -> Txn:
    """A transaction. Raises BadRequest."""
    try:
        compare = tuple(comparison(each) for each in request.compare)
    except ValueError as error:
        raise BadRequest(f"etcdserver: {error}") from error
    if any(not each.key for each in compare):
        raise BadRequest(NO_KEY)
    return Txn(compare, tuple(map(_operation, request.success)), tuple(map(_operation, request.failure)))


def reads(steps: Txn) -> Iterator[Span]:
    """What a transaction reads, by looking, comparing, or telling what it replaced."""
    for compare in steps.compare:
        yield Span.of(compare.key, compare.range_end)
    for step in (*steps.success, *steps.failure):
        if isinstance(step, Txn):
            yield from reads(step)
        elif isinstance(step, Get):
            yield Span.of(step.key, step.range_end)


def writes(steps: Txn) -> Iterator[tuple[Span, bool]]:
    """What a transaction writes, and whether by removing it."""
    for step in (*steps.success, *steps.failure):
        if isinstance(step, Txn):
            yield from writes(step)
        elif isinstance(step, Put):
            yield Span.of(step.key, None), False
        elif isinstance(step, Delete):
            yield Span.of(step.key, step.range_end), True


def put_response(request: Message, replaced: tuple[KeyValue, ...], header: Message) -> Message:
    """What a write is answered."""
    before = key_value_message(replaced[0]) if request.prev_kv and replaced else None
    return rpc.PutResponse(header=header, prev_kv=before)


def delete_response(request: Message, removed: tuple[KeyValue, ...], header: Message) -> Message:
    """What a removal is answered."""
    shown = map(key_value_message, removed) if request.prev_kv else ()
    return rpc.DeleteRangeResponse(header=header, deleted=len(removed), prev_kvs=shown)


def txn_response(request: Message, result: TxnResult, header: Message) -> Message:
    """What a transaction is answered; inner headers tell the revision alone."""
    inner = rpc.ResponseHeader(revision=result.revision)
    branch = request.success if result.succeeded else request.failure
    responses = [_response(step, each, inner) for step, each in zip(branch, result.responses, strict=True)]
    return rpc.TxnResponse(header=header, succeeded=result.succeeded, responses=responses)


def _operation(message: Message) -> Operation:
    match message.WhichOneof("request"):
        case "request_range":
            return Reading(message.request_range).get
        case "request_put":
            return put(message.request_put)
        case "request_delete_range":
            return delete(message.request_delete_range)
        case "request_txn":
            return txn(message.request_txn)
        case _:
            raise BadRequest(NO_KEY)


def _response(
    step: Message, done: tuple[KeyValue, ...] | RangeResult | TxnResult, header: Message
) -> Message:
    match done:
        case RangeResult():
            return rpc.ResponseOp(response_range=Reading(step.request_range).response(done, header))
        case TxnResult():
            return rpc.ResponseOp(response_txn=txn_response(step.request_txn, done, header))
        case _ if step.HasField("request_put"):
            return rpc.ResponseOp(response_put=put_response(step.request_put, done, header))
        case _:
            return rpc.ResponseOp(
                response_delete_range=delete_response(step.request_delete_range, done, header)
            )
