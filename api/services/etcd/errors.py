"""What the store and admission say, in the words and codes of etcd's API, which its clients know."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc

from storage.base import (
    Compacted,
    Full,
    FutureRevision,
    InvalidRequest,
    KeyNotFound,
    LeaseExists,
    LeaseNotFound,
    StorageError,
    TooLarge,
    TooManyOperations,
    WrittenTwice,
)
from xdsd.intents import Inadmissible

Context = grpc.aio.ServicerContext[object, object]
Code = grpc.StatusCode

COMPACTED = "etcdserver: mvcc: required revision has been compacted"
FUTURE = "etcdserver: mvcc: required revision is a future revision"
NO_KEY = "etcdserver: key is not provided"

_WORDS: tuple[tuple[type[StorageError], Code, str], ...] = (
    (Compacted, Code.OUT_OF_RANGE, COMPACTED),
    (FutureRevision, Code.OUT_OF_RANGE, FUTURE),
    (LeaseNotFound, Code.NOT_FOUND, "etcdserver: requested lease not found"),
    (LeaseExists, Code.FAILED_PRECONDITION, "etcdserver: lease already exists"),
    (KeyNotFound, Code.INVALID_ARGUMENT, "etcdserver: key not found"),
    (WrittenTwice, Code.INVALID_ARGUMENT, "etcdserver: duplicate key given in txn request"),
    (TooManyOperations, Code.INVALID_ARGUMENT, "etcdserver: too many operations in txn request"),
    (TooLarge, Code.INVALID_ARGUMENT, "etcdserver: request is too large"),
    (Full, Code.RESOURCE_EXHAUSTED, "etcdserver: mvcc: database space exceeded"),
)


class BadRequest(Exception):  # noqa: N818 - it is named after what is the matter
    """What was asked cannot be; the message has etcd's words where it has some for it."""


@asynccontextmanager
async def told(context: Context) -> AsyncIterator[None]:
    """Ends the call with etcd's words for what is raised inside; what is the store's own trouble goes further up."""
    try:
        yield
    except (BadRequest, Inadmissible) as error:
        await context.abort(Code.INVALID_ARGUMENT, str(error))
    except StorageError as error:
        for kind, code, words in _WORDS:
            if isinstance(error, kind):
                await context.abort(code, words)
        if isinstance(error, InvalidRequest):
            await context.abort(Code.INVALID_ARGUMENT, f"etcdserver: {error}")
        raise


def unimplemented(sentence: str) -> Callable[..., Any]:
    """A call that this server does not have, with what to do instead."""

    async def call(_self: object, _request: object, context: Context) -> None:
        await context.abort(Code.UNIMPLEMENTED, sentence)

    return call
