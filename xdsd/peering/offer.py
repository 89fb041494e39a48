"""What one peer may know of, in the order in which it changed; and what of that a stream still lacks.

Every change has a generation of its own, and what changes moves to the end. So a stream that has all up to a generation
lacks what stands behind it, and reading that from the end costs what changed, however much is offered. While an update is
under way later ones merge.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from xdsd.peering.values import Begin, Gateway, Hello, Shared, SharedKey, Summary, Update, wants

PORTION = 200
"""Services in an update at most."""
REMEMBERED = 10_000
"""Removals that are remembered for streams that go on where they were."""


class Common(Enum):
    """What is offered beside services."""

    GATEWAYS = "gateways"
    BUNDLE = "bundle"


@dataclass(frozen=True, slots=True)
class _Change:
    """When something changed, and when it did in more than its health."""

    generation: int
    described: int


Item = SharedKey | Common


class Offer:
    """``epoch`` tells this log from every other."""

    def __init__(self, epoch: str) -> None:
        self.epoch = epoch
        self.generation = 0
        self._floor = 0
        self._services: dict[SharedKey, Shared] = {}
        self._log: dict[Item, _Change] = {}
        self._gone: dict[SharedKey, None] = {}
        self.gateways: tuple[Gateway, ...] = ()
        self.bundle = b""

    def __len__(self) -> int:
        return len(self._services)

    @property
    def services(self) -> tuple[SharedKey, ...]:
        return tuple(self._services)

    def get(self, key: SharedKey) -> Shared | None:
        return self._services.get(key)

    def put(self, key: SharedKey, shared: Shared | None) -> bool:
        """Offers a service, or (None) no longer; whether that changes anything."""
        before = self._services.get(key)
        if before == shared:
            return False
        if shared is None:
            del self._services[key]
            self._gone[key] = None
        else:
            self._services[key] = shared
            self._gone.pop(key, None)
        same = before and shared and replace(before, summaries=shared.summaries) == shared
        self._note(key, described=not same)
        self._forget()
        return True

    def set_gateways(self, gateways: tuple[Gateway, ...]) -> bool:
        if gateways == self.gateways:
            return False
        self.gateways = gateways
        self._note(Common.GATEWAYS)
        return True

    def set_bundle(self, bundle: bytes) -> bool:
        if bundle == self.bundle:
            return False
        self.bundle = bundle
        self._note(Common.BUNDLE)
        return True

    @property
    def floor(self) -> int:
        """Up to which generation removals are forgotten."""
        return self._floor

    def resumes(self, hello: Hello) -> bool:
        """Whether a stream can go on where it was."""
        return hello.epoch == self.epoch and self._floor <= hello.generation <= self.generation

    def since(self, generation: int) -> Iterator[tuple[Item, int, int]]:
        """What changed after a generation, the newest first: when, and when it was described anew."""
        for item in reversed(self._log):
            change = self._log[item]
            if change.generation <= generation:
                return
            yield item, change.generation, change.described

    def _note(self, item: Item, *, described: bool = True) -> None:
        self.generation += 1
        before = self._log.pop(item, None)
        since = self.generation if described or before is None else before.described
        self._log[item] = _Change(self.generation, since)

    def _forget(self) -> None:
        if len(self._gone) <= REMEMBERED:
            return
        key = next(iter(self._gone))
        del self._gone[key]
        self._floor = max(self._floor, self._log.pop(key).generation)


class Delivery:
    """What one stream was told. ``begin`` says how it begins; ``next`` is what it is to be told next, None while nothing is
    new or the last is under way. Something is told in any case, so that a stream knows that it knows everything.
    """

    def __init__(self, offer: Offer, hello: Hello) -> None:
        self._offer = offer
        self._wanted = hello.wanted
        self.resumed = offer.resumes(hello)
        self._at = hello.generation if self.resumed else 0
        self._began = hello.generation if self.resumed else offer.generation
        self._base = self._at if self.resumed else -1
        self._knows = self.resumed  # so that it may know what is gone now
        self._told = False
        self._under_way: int | None = None

    def begin(self, mesh: str, trust_domain: str) -> Begin:
        return Begin(mesh, trust_domain, self._offer.epoch, self.resumed)

    @property
    def is_behind(self) -> bool:
        """True if something went since the stream began, was not told to it, and is forgotten: it has to begin anew."""
        return self._offer.floor > max(self._at, self._began)

    def next(self) -> Update | None:
        if self._under_way is not None:
            return None
        if self._told and self._at == self._offer.generation:
            return None
        newer = list(self._offer.since(self._at))
        newer.reverse()
        portion = newer[:PORTION]
        complete = len(portion) == len(newer)
        at = self._offer.generation if complete else portion[-1][1]
        update = self._update(portion, at, complete=complete)
        self._at = at
        if complete:
            self._base = at
        if self._told and complete and _is_empty(update):
            return None  # what changed was not asked for
        self._told = self._knows = True
        self._under_way = at
        return update

    def acknowledged(self, generation: int) -> None:
        """The update up to there arrived. Raises ValueError for one that was not sent."""
        if generation != self._under_way:
            raise ValueError(f"generation {generation} is acknowledged, which is not under way")
        self._under_way = None

    def _update(self, portion: Sequence[tuple[Item, int, int]], at: int, *, complete: bool) -> Update:
        offer = self._offer
        services: list[Shared] = []
        health: list[tuple[SharedKey, tuple[Summary, ...]]] = []
        removed: list[SharedKey] = []
        named = {item for item, _, _ in portion if isinstance(item, Common)}
        for item, _, described in portion:
            if isinstance(item, Common) or not wants(self._wanted, item):
                continue
            shared = offer.get(item)
            if shared is None:
                if self._knows:
                    removed.append(item)
            elif described > self._base:
                services.append(shared)
            else:
                health.append((item, shared.summaries))
        return Update(
            at,
            complete,
            tuple(services),
            tuple(health),
            tuple(removed),
            offer.gateways if Common.GATEWAYS in named else None,
            offer.bundle if Common.BUNDLE in named else None,
        )


def _is_empty(update: Update) -> bool:
    told = (update.services, update.health, update.removed)
    return not any(told) and update.gateways is None and update.bundle is None
