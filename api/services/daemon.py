"""The daemon itself, its sources, and what is wrong: Daemon, Registries and Problems."""

import asyncio
import platform
from collections.abc import Callable, Iterable
from dataclasses import replace

import grpc

from api.access.caller import Right, require_somewhere
from api.ports import Health, Intents, Mesh, Proxies, Source
from api.proto.xdsd.admin.v1 import admin_pb2 as pb
from api.services.objects import now, reader
from api.wire import problem_to_wire
from storage.base import StorageError
from xdsd.analysis import merged
from xdsd.health import Check, ready
from xdsd.manifest import AnyObject
from xdsd.model.problem import Problem
from xdsd.reconcile import STORE

Context = grpc.aio.ServicerContext[object, object]

STORE_SECONDS = 3.0
"""How long the store may take to say how it is, so that operators are answered when it does not."""


class DaemonService:
    """xdsd.admin.v1.Daemon."""

    def __init__(self, health: Health, mesh: Mesh, proxies: Proxies) -> None:
        self._health = health
        self._mesh = mesh
        self._proxies = proxies

    async def Version(self, _request: pb.VersionRequest, _context: Context) -> pb.VersionResponse:  # noqa: N802
        return pb.VersionResponse(
            version=self._health.version, python=platform.python_version(), platform=platform.platform()
        )

    async def Status(self, _request: pb.StatusRequest, _context: Context) -> pb.StatusResponse:  # noqa: N802
        require_somewhere(Right.OBSERVE)
        # Read before the store's revision: a store that is behind what was compiled of it is not the same any more.
        compiled = self._mesh.revision
        store = await self._store()
        if 0 < store.revision < compiled:
            compiled = 0
        checks = [_checked(check, store) for check in self._health.checks()]
        response = pb.StatusResponse(
            version=self._health.version,
            ready=ready(checks),
            generation=self._mesh.snapshot.generation,
            proxies=len({status.node.key for status in self._proxies.status()}),
            problems=len(self._mesh.problems()),
            checks=[
                pb.Check(name=check.name, ok=check.ok, detail=check.detail, state=check.state.value)
                for check in checks
            ],
            name=self._health.name,
            store=store,
            compiled_revision=compiled,
            singletons=self._health.singletons(),
        )
        response.started.FromDatetime(self._health.started)
        return response

    async def _store(self) -> pb.StoreState:
        """A store that is away is part of the answer, not a reason to give none. Why it is may be known already."""
        try:
            async with asyncio.timeout(STORE_SECONDS):
                found = await self._health.store()
        except TimeoutError:
            known = next((source.stale for source in self._mesh.sources() if source.name == STORE), "")
            return pb.StoreState(unavailable=known or f"it did not answer in {STORE_SECONDS:g} seconds")
        except StorageError as error:
            return pb.StoreState(unavailable=str(error))
        return pb.StoreState(
            kind=found.kind,
            version=found.version,
            revision=found.revision,
            compacted_revision=found.compacted,
            size_bytes=found.size,
            used_bytes=found.used,
            leader=found.leader,
            members=found.members,
        )


class RegistriesService:
    """xdsd.admin.v1.Registries."""

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh

    async def List(  # noqa: N802
        self, _request: pb.ListRegistriesRequest, _context: Context
    ) -> pb.ListRegistriesResponse:
        require_somewhere(Right.OBSERVE)
        return pb.ListRegistriesResponse(registries=[_registry(source) for source in self._mesh.sources()])


class ProblemsService:
    """xdsd.admin.v1.Problems."""

    def __init__(self, mesh: Mesh, intents: Intents) -> None:
        self._mesh = mesh
        self._intents = intents

    async def List(  # noqa: N802
        self, request: pb.ListProblemsRequest, _context: Context
    ) -> pb.ListProblemsResponse:
        return _told(self._mesh.problems(), request.namespace, reader(request.namespace))

    async def Analyze(  # noqa: N802
        self, request: pb.ListProblemsRequest, _context: Context
    ) -> pb.ListProblemsResponse:
        may_read = reader(request.namespace)
        remarks, problems = await self._remarks(), self._mesh.problems()
        return await asyncio.to_thread(lambda: _told(merged(remarks, problems), request.namespace, may_read))

    async def _remarks(self) -> tuple[Problem, ...]:
        """What admission would say if all objects were applied again."""
        listing = await self._intents.list()
        # Thousands of objects would hold the event loop.
        objects = await asyncio.to_thread(lambda: [_unversioned(each) for each in listing.objects])
        applied = await self._intents.apply(objects, now=now(), dry_run=True)
        if applied.accepted:
            return applied.problems
        # Rules may have become stricter since an object was stored; the others have their remarks all the same.
        refused = {problem.object for problem in applied.problems}
        rest = [each for each in objects if each.ref not in refused]
        others = await self._intents.apply(rest, now=now(), dry_run=True)
        return (*applied.problems, *others.problems)


def _registry(source: Source) -> pb.RegistryStatus:
    status = pb.RegistryStatus(
        name=source.name,
        kind=source.kind,
        state=str(source.state),
        synced=source.synced,
        stale=source.stale,
        services=source.services,
        workloads=source.workloads,
        endpoints=source.endpoints,
        problems=source.problems,
        outages=source.outages,
        last_error=source.last_error,
    )
    for name in ("since", "last_sync", "last_change"):
        moment = getattr(source, name)
        if moment is not None:
            getattr(status, name).FromDatetime(moment)
    return status


def _checked(check: Check, store: pb.StoreState) -> Check:
    """The check with what the store said just now, which whoever follows it may not have noticed yet."""
    if check.name == STORE and check.ok and store.unavailable:
        return replace(check, ok=False, stale=True, detail=store.unavailable)
    return check if check.ok or check.detail else replace(check, detail="it says no more")


def _unversioned(obj: AnyObject) -> AnyObject:
    """The object as somebody applies it who does not care what is there."""
    return replace(obj, metadata=replace(obj.metadata, resource_version=""))


def _told(
    problems: Iterable[Problem], namespace: str, may_read: Callable[[str], bool]
) -> pb.ListProblemsResponse:
    """Those of a namespace, or of all that the caller may read; what is of none is for who may read everything."""
    owned = ((problem.object.namespace if problem.object else "", problem) for problem in problems)
    found = [
        problem_to_wire(problem) for owner, problem in owned if namespace in {"", owner} and may_read(owner)
    ]
    return pb.ListProblemsResponse(problems=found)
