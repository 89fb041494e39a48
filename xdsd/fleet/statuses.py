"""What is wrong with each object, written beside it: ``/xdsd/status/<plural>.<group>/<namespace>/<name>``.

The value is what Istio's objects carry as ``status``: a condition and messages. An object about which there is nothing to
say has none, so the work follows what changes in problems, not the number of objects.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from structlog.typing import FilteringBoundLogger

from storage.base import Delete, Put, StorageError, Store, prefix_end
from xdsd.model.intent import KINDS
from xdsd.model.problem import ObjectRef, Problem, Severity

PREFIX = "/xdsd/status/"
AT_ONCE = 100
"""Statuses written in one transaction; below what etcd takes by default."""


def key_of(ref: ObjectRef) -> bytes:
    """Where an object's status stands."""
    kind = KINDS[ref.kind]
    return f"{PREFIX}{kind.plural}.{kind.group}/{ref.namespace}/{ref.name}".encode()


def statuses(problems: Iterable[Problem]) -> Mapping[bytes, bytes]:
    """Statuses by key, of the objects that problems are of."""
    found: dict[ObjectRef, list[Problem]] = defaultdict(list)
    for problem in problems:
        if problem.object is not None and problem.object.kind in KINDS:
            found[problem.object].append(problem)
    return {
        key_of(ref): json.dumps(_status(group), sort_keys=True, separators=(",", ":")).encode()
        for ref, group in found.items()
    }


def _status(problems: Sequence[Problem]) -> Mapping[str, Any]:  # Any: JSON
    broken = any(problem.severity is Severity.ERROR for problem in problems)
    return {
        "conditions": [{"type": "Accepted", "status": "False" if broken else "True"}],
        "validationMessages": [
            {"level": problem.severity.value.upper(), "type": problem.reason.value, "message": _told(problem)}
            for problem in sorted(set(problems), key=_told)
        ],
    }


def _told(problem: Problem) -> str:
    return f"{problem.path}: {problem.message}" if problem.path else problem.message


class StatusWriter:
    """Keeps the statuses in the store as ``problems`` says; run by one daemon at a time."""

    def __init__(
        self,
        store: Store,
        problems: Callable[[], Sequence[Problem]],
        logger: FilteringBoundLogger,
        *,
        every: float = 1.0,
        afresh: float = 60.0,
    ) -> None:
        self._store = store
        self._problems = problems
        self._logger = logger
        self._every = every
        self._afresh = afresh

    async def run(self) -> None:
        """Writes what changes until cancelled; an outage of the store is waited out.

        What stands in the store is read again now and then: a restore of it may have undone what was written.
        """
        clock = asyncio.get_running_loop().time
        read = clock()
        written: Mapping[bytes, bytes] | None = None
        seen: Sequence[Problem] | None = None
        while True:
            try:
                if written is None or clock() > read + self._afresh:
                    written, seen, read = await self._stored(), None, clock()
                problems = self._problems()
                if problems != seen:
                    wanted = await asyncio.to_thread(statuses, problems)
                    await self._write(written, wanted)
                    written, seen = wanted, problems
            except StorageError as error:
                self._logger.debug("statuses not written", why=str(error))
                written = None
            await asyncio.sleep(self._every)

    async def _stored(self) -> Mapping[bytes, bytes]:
        found = await self._store.range(PREFIX.encode(), prefix_end(PREFIX.encode()))
        return {kv.key: kv.value for kv in found.kvs}

    async def _write(self, written: Mapping[bytes, bytes], wanted: Mapping[bytes, bytes]) -> None:
        changes: list[Put | Delete] = [
            Put(key, value) for key, value in wanted.items() if written.get(key) != value
        ]
        changes += [Delete(key) for key in written if key not in wanted]
        for start in range(0, len(changes), AT_ONCE):
            await self._store.txn((), changes[start : start + AT_ONCE])
