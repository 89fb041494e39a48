"""What operators declare: Objects.

Text is made of objects, and objects of text, in threads: thousands of them would hold the event loop.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import grpc

from api.access.caller import Right, current
from api.object_json import object_json
from api.ports import Foreign, Intents, Mesh
from api.proto.xdsd.admin.v1 import admin_pb2 as pb
from api.selectors import Selector, SelectorError, parse_selector
from api.wire import problem_to_wire, ref_from_wire, ref_to_wire
from xdsd.intents import Applied, Author, Deleted, IntentChange, Outcome, Undecodable, Verdict, parse
from xdsd.manifest import AnyObject
from xdsd.model.declarer import SOURCE
from xdsd.model.intent import KINDS, ServiceEntry
from xdsd.model.problem import ObjectRef, Problem, Reason
from xdsd.reconcile.declared import not_here

Context = grpc.aio.ServicerContext[object, object]

OUTCOMES = {
    Verdict.CREATED: pb.OUTCOME_CREATED,
    Verdict.CONFIGURED: pb.OUTCOME_CONFIGURED,
    Verdict.UNCHANGED: pb.OUTCOME_UNCHANGED,
    Verdict.DELETED: pb.OUTCOME_DELETED,
}


class ObjectsService:
    """xdsd.admin.v1.Objects. Thousands of objects are read and written in threads, since the event loop may not wait."""

    def __init__(self, intents: Intents, mesh: Mesh) -> None:
        self._intents = intents
        self._mesh = mesh

    async def Apply(self, request: pb.ApplyRequest, _context: Context) -> pb.ApplyResponse:  # noqa: N802
        parsed = await self._apply(request.objects, Right.WRITE, dry_run=request.dry_run)
        if isinstance(parsed, list):
            return pb.ApplyResponse(problems=[problem_to_wire(problem) for problem in parsed])
        return await asyncio.to_thread(applied_to_wire, parsed)

    async def Diff(self, request: pb.DiffRequest, _context: Context) -> pb.DiffResponse:  # noqa: N802
        parsed = await self._apply(request.objects, Right.READ, dry_run=True)
        if isinstance(parsed, list):
            return pb.DiffResponse(problems=[problem_to_wire(problem) for problem in parsed])
        return await asyncio.to_thread(_differences, parsed)

    async def Get(self, request: pb.GetRequest, context: Context) -> pb.GetResponse:  # noqa: N802
        ref = ref_from_wire(request.ref)
        await check_kind(ref.kind, context)
        current().require(Right.READ, ref.namespace)
        try:
            found = await self._intents.get(ref)
        except Undecodable as error:
            await context.abort(grpc.StatusCode.DATA_LOSS, f"what is stored as {ref} cannot be read: {error}")
        if found is None and (other := self._mesh.foreigner(ref)) is not None:
            found = marked(other)
        if found is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"{ref} does not exist")
        return pb.GetResponse(object=_shown(self._mesh, found))

    async def List(self, request: pb.ListRequest, context: Context) -> pb.ListResponse:  # noqa: N802
        await check_kind(request.kind, context, optional=True)
        selects = await _selector(request.label_selector, context)
        may_read = reader(request.namespace)
        listing = await self._intents.list(request.kind or None, request.namespace or None)
        stored = {each.ref for each in listing.objects}
        chosen = [
            each
            for each in (*listing.objects, *self._foreign(request, stored))
            if selects(each.metadata.labels) and may_read(each.metadata.namespace)
        ]
        objects = await asyncio.to_thread(lambda: [_shown(self._mesh, each) for each in chosen])
        return pb.ListResponse(objects=objects, revision=listing.revision)

    async def Delete(self, request: pb.DeleteRequest, context: Context) -> pb.DeleteResponse:  # noqa: N802
        refs = [ref_from_wire(ref) for ref in request.refs]
        for ref in refs:
            await check_kind(ref.kind, context)
            current().require(Right.WRITE, ref.namespace)
        if problems := await self._not_ours(refs):
            return pb.DeleteResponse(problems=[problem_to_wire(problem) for problem in problems])
        deleted = await self._intents.delete(
            refs,
            now=now(),
            dry_run=request.dry_run,
            ignore_missing=request.ignore_missing,
            author=author(),
        )
        return await asyncio.to_thread(_deleted, deleted)

    async def Watch(  # noqa: N802
        self, request: pb.WatchRequest, context: Context
    ) -> AsyncIterator[pb.WatchResponse]:
        await check_kind(request.kind, context, optional=True)
        selects = await _selector(request.label_selector, context)
        view = _View(request, selects, reader(request.namespace), self._mesh)
        async with aclosing(_closable(self._intents.watch())) as changes:
            async for change in changes:
                for response in await asyncio.to_thread(view.responses, change):
                    yield response

    def _foreign(self, request: pb.ListRequest, stored: Collection[ObjectRef]) -> Iterator[AnyObject]:
        """What other sources declare of what is asked for, in the order of names."""
        for each in sorted(self._mesh.foreign(), key=lambda each: each.object.ref):
            ref = each.object.ref
            if (
                request.kind in ("", ref.kind)
                and request.namespace in ("", ref.namespace)
                and ref not in stored
            ):
                yield marked(each)

    async def _not_ours(self, refs: Sequence[ObjectRef]) -> list[Problem]:
        """Why objects cannot be deleted here: the store has none of them, and another source does."""
        found = [(ref, self._mesh.foreigner(ref)) for ref in refs]
        return [
            Problem(Reason.CONFLICT, not_here(other.source), ref)
            for ref, other in found
            if other is not None and not await self._is_stored(ref)
        ]

    async def _is_stored(self, ref: ObjectRef) -> bool:
        """Whether the store has something of that name, readable or not."""
        try:
            return await self._intents.get(ref) is not None
        except Undecodable:
            return True

    async def _apply(
        self, objects: Sequence[pb.Object], right: Right, *, dry_run: bool
    ) -> Applied | list[Problem]:
        """What applying did, or what is wrong with the texts."""
        parsed = await asyncio.to_thread(_parsed, [each.json for each in objects])
        if problems := [problem for each in parsed if isinstance(each, list) for problem in each]:
            return problems
        made = [each for each in parsed if not isinstance(each, list)]
        for namespace in sorted({each.metadata.namespace for each in made}):
            current().require(right, namespace)
        return await self._intents.apply(made, now=now(), dry_run=dry_run, author=author())


class _View:
    """What one watch shows; remembers what it has shown, since a removal tells a name alone."""

    def __init__(
        self, request: pb.WatchRequest, selects: Selector, may_read: Callable[[str], bool], mesh: Mesh
    ) -> None:
        self._request = request
        self._mesh = mesh
        self._may_read = may_read
        self._selects = selects
        self._shown: dict[ObjectRef, AnyObject] = {}

    def responses(self, change: IntentChange) -> list[pb.WatchResponse]:
        """An object that no longer has the labels is gone from the view, one that got them is new."""
        told = []
        gone = list(change.removed)
        if change.complete:
            present = {each.ref for each in change.upserts}
            gone += [ref for ref in self._shown if ref not in present]
        for each in change.upserts:
            if not self._wanted(each):
                gone.append(each.ref)
                continue
            kind = pb.WatchResponse.TYPE_MODIFIED if each.ref in self._shown else pb.WatchResponse.TYPE_ADDED
            self._shown[each.ref] = each
            told.append(
                pb.WatchResponse(type=kind, object=_shown(self._mesh, each), revision=change.revision)
            )
        for ref in gone:
            last = self._shown.pop(ref, None)
            if last is not None:
                kind = pb.WatchResponse.TYPE_DELETED
                told.append(pb.WatchResponse(type=kind, object=_object(last), revision=change.revision))
        if change.complete:
            told.append(pb.WatchResponse(type=pb.WatchResponse.TYPE_BOOKMARK, revision=change.revision))
        return told

    def _wanted(self, each: AnyObject) -> bool:
        request, ref = self._request, each.ref
        return (
            request.kind in {"", ref.kind}
            and request.namespace in {"", ref.namespace}
            and request.name in {"", ref.name}
            and self._selects(each.metadata.labels)
            and self._may_read(ref.namespace)
        )


def author() -> Author:
    """The caller, as records know it."""
    return Author(current().name, current().origin)


def now() -> str:
    """The time, as objects and records have it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def reader(namespace: str) -> Callable[[str], bool]:
    """Which namespaces the caller may read. Raises Refused where it asks for one that it may not, or may read none."""
    caller = current()
    if namespace or not caller.somewhere(Right.READ):
        caller.require(Right.READ, namespace)
    return lambda each: caller.may(Right.READ, each)


async def _closable(changes: AsyncIterator[IntentChange]) -> Any:
    """As an async generator, which can be closed; Any, as ``aclosing`` wants a type that has no name."""
    async for change in changes:
        yield change


def _parsed(texts: Sequence[bytes]) -> list[AnyObject | list[Problem]]:
    return [parse(text) for text in texts]


async def check_kind(kind: str, context: Context, *, optional: bool = False) -> None:
    """Ends the call where there is no such kind."""
    if kind not in KINDS and not (optional and not kind):
        known = ", ".join(KINDS)
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f'there is no kind "{kind}"; there are {known}')


async def _selector(text: str, context: Context) -> Selector:
    try:
        return parse_selector(text)
    except SelectorError as error:
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))


def marked(foreign: Foreign) -> AnyObject:
    """An object of another source than the store, with the note that says which."""
    obj = foreign.object
    annotations = {**obj.metadata.annotations, SOURCE: foreign.source}
    return replace(obj, metadata=replace(obj.metadata, annotations=annotations))


def _object(obj: AnyObject) -> pb.Object:
    return pb.Object(json=object_json(obj))


def _shown(mesh: Mesh, obj: AnyObject) -> pb.Object:
    """An object with what the mesh makes of it: the addresses that it gives to hosts of a ServiceEntry."""
    if not isinstance(obj.spec, ServiceEntry):
        return _object(obj)
    given = [
        {"host": host, "value": address}
        for host in obj.spec.hosts
        for address in mesh.given_addresses(obj.metadata.namespace, host)
    ]
    return pb.Object(json=object_json(obj, {"addresses": given} if given else None))


def applied_to_wire(applied: Applied) -> pb.ApplyResponse:
    """What applying did."""
    return pb.ApplyResponse(
        accepted=applied.accepted,
        revision=applied.revision,
        results=[object_result(outcome) for outcome in applied.outcomes],
        problems=[problem_to_wire(problem) for problem in applied.problems],
    )


def _differences(applied: Applied) -> pb.DiffResponse:
    return pb.DiffResponse(
        accepted=applied.accepted,
        diffs=[
            pb.ObjectDiff(
                ref=ref_to_wire(outcome.ref),
                live=_object(outcome.before) if outcome.before else None,
                proposed=_object(outcome.object) if outcome.object else None,
            )
            for outcome in applied.outcomes
            if outcome.verdict is not Verdict.UNCHANGED
        ],
        problems=[problem_to_wire(problem) for problem in applied.problems],
    )


def _deleted(deleted: Deleted) -> pb.DeleteResponse:
    return pb.DeleteResponse(
        accepted=deleted.accepted,
        revision=deleted.revision,
        results=[object_result(outcome) for outcome in deleted.outcomes],
        problems=[problem_to_wire(problem) for problem in deleted.problems],
        missing=[ref_to_wire(ref) for ref in deleted.missing],
    )


def object_result(outcome: Outcome) -> pb.ObjectResult:
    """What became of an object."""
    return pb.ObjectResult(
        ref=ref_to_wire(outcome.ref),
        outcome=OUTCOMES[outcome.verdict],
        object=_object(outcome.object) if outcome.object else None,
    )
