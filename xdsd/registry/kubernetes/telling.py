"""Writing statuses back to the custom resources of a cluster; one daemon does it for all that watch it.

An object is written when what is to be said of it changes, or the object does, and never because somebody else wrote over
it: two programs that correct each other would do so for ever.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from xdsd.model.problem import ObjectRef, Problem, Severity
from xdsd.registry.kubernetes.api import Api, Refused, Unreachable
from xdsd.registry.kubernetes.facts import Name
from xdsd.registry.kubernetes.ingress_objects import balancer_status
from xdsd.registry.kubernetes.ingress_state import IngressState
from xdsd.registry.kubernetes.intent import IntentState, Seen
from xdsd.registry.kubernetes.statuses import wanted_status

TELL_EVERY = 1.0
"""Seconds between two looks at what there is to say."""
_AGAIN = 300.0
"""Seconds after which a kind is tried again whose status we may not write."""
_TURN = 20

Said = tuple[str, int, tuple[Problem, ...]]


class StatusTeller:
    """``warn`` is told why statuses of a kind are not written."""

    def __init__(self, api: Api, state: IntentState, warn: Callable[[str, str], None]) -> None:
        self._api = api
        self._state = state
        self._warn = warn
        self._said: dict[ObjectRef, Said] = {}
        self._denied: dict[str, float] = {}

    async def look(self, problems: Mapping[ObjectRef, tuple[Problem, ...]]) -> int:
        """Says once what there is to say; returns how many objects were written."""
        clock = asyncio.get_running_loop().time
        written = 0
        for index, (ref, seen) in enumerate(list(self._state.seen.items())):
            if index % _TURN == 0:
                await asyncio.sleep(0)
            said: Said = (seen.uid, seen.generation, problems.get(ref, ()))
            if self._said.get(ref) == said or self._denied.get(ref.kind, 0.0) > clock():
                continue
            try:
                written += await self._write(ref, seen, said)
            except Unreachable:
                return written
            except Refused as error:
                self._refused(ref, seen, error, clock())
                if error.status not in {403, 404, 405, 422}:
                    return written
            self._said[ref] = said
        for ref in [ref for ref in self._said if ref not in self._state.seen]:
            del self._said[ref]
        return written

    async def _write(self, ref: ObjectRef, seen: Seen, said: Said) -> int:
        wanted = wanted_status(seen.status, said[2], seen.generation, _now())
        if wanted is None:
            return 0
        await self._api.patch(status_path(ref, seen), {"status": wanted})
        self._warn(f"status of {ref.kind}", "")
        return 1

    def _refused(self, ref: ObjectRef, seen: Seen, error: Refused, now: float) -> None:
        """An object that is gone is no matter; a right that is missing is told, and asked for later."""
        if error.status == 404:
            return
        self._denied[ref.kind] = now + _AGAIN
        self._said = {each: said for each, said in self._said.items() if each.kind != ref.kind}
        self._warn(
            f"status of {ref.kind}",
            f"the status of {seen.kind.plural} is not written: {error.message} ({error.status})",
        )


class BalancerTeller:
    """Says in the status of Ingresses at which ``addresses`` they are served; nothing without any."""

    def __init__(
        self, api: Api, state: IngressState, addresses: Sequence[str], warn: Callable[[str, str], None]
    ) -> None:
        self._api = api
        self._state = state
        self._addresses = tuple(addresses)
        self._warn = warn
        self._said: dict[Name, str] = {}
        self._denied = 0.0

    async def look(self) -> int:
        """Says once what there is to say; returns how many Ingresses were written."""
        clock = asyncio.get_running_loop().time
        if not self._addresses or self._denied > clock():
            return 0
        served, written = self._state.served(), 0
        self._said = {name: uid for name, uid in self._said.items() if self._state.uid(name) == uid}
        for name, status in served.items():
            wanted = balancer_status(status, self._addresses)
            if name in self._said or wanted is None:
                continue
            path = f"/apis/networking.k8s.io/v1/namespaces/{name.namespace}/ingresses/{name.name}/status"
            try:
                await self._api.patch(path, {"status": wanted})
            except Unreachable:
                return written
            except Refused as error:
                if error.status != 404:
                    self._denied = clock() + _AGAIN
                    why = f"the status of ingresses is not written: {error.message} ({error.status})"
                    self._warn("status of Ingress", why)
                    return written
            else:
                written += 1
                self._warn("status of Ingress", "")
            self._said[name] = self._state.uid(name)
        return written


def status_path(ref: ObjectRef, seen: Seen) -> str:
    """Where an object's status stands."""
    kind = seen.kind
    return f"/apis/{kind.group}/{seen.version}/namespaces/{ref.namespace}/{kind.plural}/{ref.name}/status"


def of_objects(source: str, problems: Sequence[Problem]) -> dict[ObjectRef, tuple[Problem, ...]]:
    """What is wrong with the objects of one source."""
    found: dict[ObjectRef, list[Problem]] = defaultdict(list)
    for problem in problems:
        if problem.object is not None and problem.file == source:
            found[problem.object].append(problem)
    return {ref: tuple(sorted(set(each), key=_order)) for ref, each in found.items()}


def _order(problem: Problem) -> tuple[Any, ...]:
    return problem.severity is not Severity.ERROR, problem.path, problem.message


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
