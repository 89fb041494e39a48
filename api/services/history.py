"""What was written, by whom, and what it was before: History."""

import asyncio
import re
from datetime import UTC, datetime
from typing import Literal

import grpc

from api.access.caller import Right, current
from api.object_json import object_json
from api.ports import Intents
from api.proto.xdsd.admin.v1 import admin_pb2 as pb
from api.services.objects import OUTCOMES, applied_to_wire, author, check_kind, now, reader
from api.wire import ref_from_wire, ref_to_wire
from storage.base import Compacted, FutureRevision
from xdsd.intents import Differences, Record, Wanted
from xdsd.manifest import AnyObject
from xdsd.model.intent import KINDS
from xdsd.model.problem import ObjectRef

Context = grpc.aio.ServicerContext[object, object]

_TOKEN = re.compile(r"([0-9]{1,18}):([A-Za-z]+)/([^/]+)/([^/]+)", re.ASCII)

LIMIT = 100
"""Records that are told unless more are asked for."""


class HistoryService:
    """xdsd.admin.v1.History."""

    def __init__(self, intents: Intents) -> None:
        self._intents = intents

    async def List(  # noqa: N802
        self, request: pb.ListHistoryRequest, context: Context
    ) -> pb.ListHistoryResponse:
        await check_kind(request.kind, context, optional=True)
        behind = _behind(request.page_token)
        if request.page_token and behind is None:
            message = f"{request.page_token!r} is no page token: REVISION:KIND/NAMESPACE/NAME, as a list before gave it"
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, message)
        try:
            since_time, before_time = _time(request, "since_time"), _time(request, "before_time")
        except ValueError as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"a time cannot be read: {error}")
        wanted = Wanted(
            request.kind or None,
            request.namespace or None,
            request.name or None,
            request.since_revision,
            request.before_revision,
            since_time,
            before_time,
            reader(request.namespace),
            behind,
        )
        page = await self._intents.history(wanted, request.limit or LIMIT)
        records = await asyncio.to_thread(lambda: [_record(record) for record in page.records])
        return pb.ListHistoryResponse(
            records=records,
            more=page.more,
            kept_since_revision=page.kept_since,
            next_page_token=_token(page.last) if page.more and page.last else "",
        )

    async def Rollback(  # noqa: N802
        self, request: pb.RollbackRequest, context: Context
    ) -> pb.ApplyResponse:
        ref = ref_from_wire(request.ref)
        await check_kind(ref.kind, context)
        current().require(Right.WRITE, ref.namespace)
        applied = await self._intents.rollback(
            ref, request.revision, now=now(), dry_run=request.dry_run, author=author()
        )
        return applied_to_wire(applied)

    async def Diff(  # noqa: N802
        self, request: pb.DiffRevisionsRequest, context: Context
    ) -> pb.DiffResponse:
        await check_kind(request.kind, context, optional=True)
        wanted = Wanted(
            request.kind or None,
            request.namespace or None,
            request.name or None,
            readable=reader(request.namespace),
        )
        try:
            found = await self._intents.between(request.from_revision, request.to_revision, wanted)
        except FutureRevision as error:
            await context.abort(grpc.StatusCode.OUT_OF_RANGE, str(error))
        except Compacted as error:
            message = (
                f"what was before revision {error.compact_revision} is no longer kept; begin there or later"
            )
            await context.abort(grpc.StatusCode.OUT_OF_RANGE, message)
        return pb.DiffResponse(accepted=True, diffs=await asyncio.to_thread(_diffs, found))


def _diffs(found: Differences) -> list[pb.ObjectDiff]:
    return [
        pb.ObjectDiff(ref=ref_to_wire(ref), live=_object(before), proposed=_object(after))
        for ref, (before, after) in found.items()
    ]


def _token(last: tuple[int, ObjectRef]) -> str:
    revision, ref = last
    return f"{revision}:{ref.kind}/{ref.namespace}/{ref.name}"


def _behind(token: str) -> tuple[int, ObjectRef] | None:
    """Where the page before ended; None for a token that is none."""
    found = _TOKEN.fullmatch(token)
    if found is None or found[2] not in KINDS:
        return None
    return int(found[1]), ObjectRef(found[2], found[3], found[4])


def _time(request: pb.ListHistoryRequest, field: Literal["since_time", "before_time"]) -> datetime | None:
    """Raises ValueError for a time that is none."""
    if not request.HasField(field):
        return None
    moment: datetime = getattr(request, field).ToDatetime(tzinfo=UTC)
    return moment


def _record(record: Record) -> pb.HistoryRecord:
    message = pb.HistoryRecord(
        revision=record.revision,
        who=record.author.who,
        origin=record.author.origin,
        outcome=OUTCOMES[record.verdict],
        ref=ref_to_wire(record.ref),
        before=_object(record.before),
        after=_object(record.after),
        rolled_back_to=record.rolled_back_to,
    )
    message.time.FromDatetime(datetime.fromisoformat(record.time))
    return message


def _object(obj: AnyObject | None) -> pb.Object | None:
    return pb.Object(json=object_json(obj)) if obj else None
