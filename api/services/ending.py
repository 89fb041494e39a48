"""Whose connections end when somebody is revoked, and at which workloads."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from api.ports import Intents, Mesh
from storage.base import StorageError
from xdsd.authorization.sparing import sparing
from xdsd.intents import Wanted
from xdsd.model.identity import SpiffeID
from xdsd.model.intent import AuthorizationPolicy, MeshConfig
from xdsd.model.intent.mesh_config import NAME
from xdsd.model.problem import ObjectRef
from xdsd.model.shut_out import NONE_SPARED, Spared

RECENT = timedelta(days=1)
"""For how long policies have to have kept somebody out, for its connections to be over."""
ENDINGS, ENDINGS_IN = 10, timedelta(hours=1)
"""How often connections end within a time for revocations by those who are admins of a namespace alone."""

_KINDS = ("AuthorizationPolicy", "MeshConfig")
Judge = Callable[[SpiffeID], Awaitable[Spared]]
"""Says whom a revocation of an identity spares."""


async def nobody_spared(_: SpiffeID) -> Spared:
    """Where policies are not known."""
    return NONE_SPARED


def judge_by(
    mesh: Mesh,
    intents: Intents,
    remembers: timedelta = timedelta.max,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Judge:
    """By the policies that hold now and did for a day, as connections may have begun under others; those of platforms, of
    which that is not known, spare nobody. Where policies cannot be had, or their history ``remembers`` less than that day,
    nobody is spared.
    """
    if remembers < RECENT:
        return nobody_spared

    async def judge(identity: SpiffeID) -> Spared:
        since = now() - RECENT
        try:
            objects: list[Any] = [  # of two kinds
                each for kind in _KINDS for each in (await intents.list(kind)).objects
            ]
            pages = [await intents.history(Wanted(kind, since_time=since)) for kind in _KINDS]
        except StorageError:
            return NONE_SPARED
        foreign = [each.object for each in mesh.foreign()]
        records = [record for page in pages for record in page.records]
        if any(record.before is None and record.after is None for record in records):
            return NONE_SPARED
        past = [each for record in records for each in (record.before, record.after) if each is not None]
        settings, everything = mesh.settings, [*objects, *foreign]
        place = (settings.root_namespace, NAME)
        domains = _domains(settings.trust_domain, everything, place)
        configs = [record for record in records if record.ref == ObjectRef("MeshConfig", *place)]
        versions = [[each] if each else [] for record in configs for each in (record.before, record.after)]
        if any(_domains(settings.trust_domain, each, place) != domains for each in versions):
            return NONE_SPARED
        account = f"ns/{identity.namespace}/sa/{identity.service_account}"
        also = domains if identity.trust_domain == settings.trust_domain else ()
        identities = dict.fromkeys((str(identity), *(f"spiffe://{domain}/{account}" for domain in also)))
        return await asyncio.to_thread(
            sparing,
            _policies(everything),
            tuple(identities),
            domains=domains,
            root=settings.root_namespace,
            recent=_policies([*past, *foreign]),
        )

    return judge


def _domains(own: str, objects: Iterable[Any], place: tuple[str, str]) -> tuple[str, ...]:
    """The mesh's trust domain and its aliases."""
    found = (each.spec.trust_domain_aliases for each in objects if _is_mesh(each, place))
    return tuple(dict.fromkeys((own, *next(found, ()))))


def _is_mesh(obj: Any, place: tuple[str, str]) -> bool:
    return (obj.metadata.namespace, obj.metadata.name) == place and isinstance(obj.spec, MeshConfig)


def _policies(objects: Iterable[Any]) -> list[Any]:
    return [each for each in objects if isinstance(each.spec, AuthorizationPolicy)]


@dataclass(slots=True)
class Endings:
    """When connections ended for revocations in each namespace by its own admins."""

    _when: dict[str, deque[datetime]] = field(default_factory=dict)

    def take(self, namespace: str, now: datetime) -> bool:
        """Whether they may end once more."""
        found = self._when.setdefault(namespace, deque(maxlen=ENDINGS))
        if len(found) == ENDINGS and now - found[0] < ENDINGS_IN:
            return False
        found.append(now)
        return True


class Ending(NamedTuple):
    """Connections end of ``ends`` (None: of nobody), but for who is ``spared`` that. ``warning`` says what is left out."""

    ends: SpiffeID | None = None
    spared: Spared = NONE_SPARED
    warning: str = ""


async def ending(who: SpiffeID, judge: Judge, *, everywhere: bool, may: Callable[[], bool]) -> Ending:
    """What a revocation ends of ``who`` may have connections; ``may`` takes the right to end some once more."""
    if not may():
        return Ending(
            warning=f"connections stay open, as they ended for {ENDINGS} revocations of namespace {who.namespace} within an "
            "hour; what is asked over them is refused; an admin of all namespaces ends them with --everywhere"
        )
    spared = NONE_SPARED if everywhere else await judge(who)
    if spared == NONE_SPARED:
        return Ending(who)
    return Ending(
        who,
        spared,
        "connections stay open at workloads whose policies have not let it in for a day; --everywhere ends those too",
    )
