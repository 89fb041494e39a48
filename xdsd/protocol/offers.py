"""The next offer of a watch: what is due, less what has to wait, and the removals whose wait is over."""

from collections.abc import Mapping
from typing import NamedTuple

from xdsd.protocol import gates, hosts, sotw
from xdsd.protocol.due import Due, due, trial
from xdsd.protocol.exchange import Exchange
from xdsd.protocol.limits import Timing
from xdsd.protocol.parts import Part
from xdsd.protocol.watch import Held, Offer, Watch
from xdsd.snapshot import CLUSTER, VIRTUAL_HOST, Resource

INBOUND = "inbound|"
"""How names of clusters begin that lead to a workload's own program."""


class Scene(NamedTuple):
    """What an offer depends on beside its own watch. ``watches`` are those whose order matters, by type.

    ``resumed``: the proxy had clusters before this stream.
    """

    exchange: Exchange
    watches: Mapping[str, Watch]
    timing: Timing
    resumed: bool
    now: float


def next_delta(watch: Watch, scene: Scene) -> Offer | None:
    """What to send now, None if nothing. Takes what was due off the watch."""
    if watch.plain:
        shared = _shared(watch, scene.exchange)
        if not shared.removed or watch.type_url not in (CLUSTER, VIRTUAL_HOST):
            watch.taken()
            return shared if shared.parts or shared.removed else None
    tested = _next_trial(watch, scene)
    if tested is not None:
        return tested
    if not watch.changed and not watch.held:
        return None
    found = due(watch, scene.exchange)
    gone = found.gone
    if watch.type_url == CLUSTER and (gone or watch.held):
        if watch.held:
            for name in found.missing:
                watch.held.pop(name, None)
        gone = _released(watch, scene, dict.fromkeys(gone))
    elif watch.type_url == VIRTUAL_HOST:
        gone = hosts.parted(watch, gone)
    owed = watch.answer
    watch.taken()
    return _unless_empty(found._replace(gone=gone), owed) or _next_trial(watch, scene)


def _shared(watch: Watch, exchange: Exchange) -> Offer:
    """The offer of all watches that are as far behind as this one, in the same layers."""
    key = (watch.layers, watch.type_url, watch.interest, watch.behind)
    offer = exchange.offers.get(key)
    if offer is None:
        found = due(watch, exchange)
        offer = Offer(tuple([part for part in found.parts if part.resources]), found.gone)
        exchange.offers[key] = offer
    return offer


def next_portion(watch: Watch, scene: Scene) -> Offer | None:
    """The same for a SotW type that comes in portions."""
    tested = _next_trial(watch, scene)
    if tested is not None or not watch.changed:
        return tested and sotw.versioned(tested.parts)
    offer = sotw.collect_portion(watch, scene.exchange)
    owed = watch.answer
    watch.taken()
    if offer.parts or owed:
        return offer
    tested = _next_trial(watch, scene)
    return tested and sotw.versioned(tested.parts)


def next_full(watch: Watch, scene: Scene) -> Offer | None:
    """The same for a SotW type that comes in full sets; None too if the set is what the proxy has or refused."""
    offer = sotw.collect_full(watch, scene.exchange)
    before = watch.sent
    if watch.type_url == CLUSTER and before is not None:
        gone = {resource.name: resource for resource in sotw.dropped(before, offer)}
        _released(watch, scene, gone)
        if watch.held:
            offer = sotw.with_held(
                offer, tuple(h.resource for h in watch.held.values() if h.resource is not None)
            )
    owed = watch.answer
    watch.taken()
    if (
        before is None
        and watch.interest.wildcard
        and not watch.interest.names
        and offer.version == watch.claimed
    ):
        watch.sent = offer
        return None
    if not owed and (
        (before is not None and offer.version == before.version) or offer.version == watch.refused
    ):
        return None
    return offer


def next_beat(watch: Watch, exchange: Exchange) -> Offer | None:
    """Renews the TTLs of everything of interest that has one."""
    refused = watch.rejected or {}
    resources = tuple(
        resource
        for layer in watch.layers.layers
        for resource in exchange.whole(layer, watch.type_url, watch.interest).resources
        if resource.ttl and resource.name not in refused
    )
    return Offer((Part.beats(resources),)) if resources else None


def _next_trial(watch: Watch, scene: Scene) -> Offer | None:
    """Trials and changes take turns, so that neither waits for the other. What is gone is refused no more."""
    tries = bool(watch.trials)
    while watch.trials and not (watch.tried and watch.changed):
        names, *later = watch.trials
        watch.trials = tuple(later)
        found = _unless_empty(trial(watch, scene.exchange, names), owed=False)
        if found is not None:
            watch.tried = True
            return found
    if tries and not watch.trials and not watch.rejected:
        watch.error = ""
    watch.tried = False
    return None


def _unless_empty(found: Due, owed: bool) -> Offer | None:
    parts = tuple([part for part in found.parts if part.resources])
    if not parts and not found.gone and not found.missing and not owed:
        return None
    return Offer(parts, (*found.gone, *found.missing))


def _released(watch: Watch, scene: Scene, gone: Mapping[str, Resource | None]) -> tuple[str, ...]:
    """Holds the removal of ``gone`` clusters and returns the names whose removal need not wait (any longer)."""
    held = watch.held if watch.held is not None else {}
    generation = scene.exchange.generation
    for name, resource in gone.items():
        if name not in held:
            held[name] = _held(name, resource, scene)
    accepted = gates.users_accepted(scene.watches, generation, scene.resumed)
    stuck = gates.users_rejected(scene.watches)
    free: list[str] = []
    for name, holding in list(held.items()):
        if not watch.interest.wants(name) or watch.layers.find(CLUSTER, name) is not None:
            del held[name]
        elif (
            not stuck
            and holding.earliest <= scene.now
            and (holding.generation <= accepted or holding.deadline <= scene.now)
        ):
            del held[name]
            free.append(name)
    watch.held = held or None
    if held and not stuck:
        waits = (max(each.earliest, each.deadline) for each in held.values())
        watch.wake_at = _sooner(watch.wake_at, min(waits))
    return tuple(free)


def _held(name: str, resource: Resource | None, scene: Scene) -> Held:
    """Connections to a workload's own port go on while their listener drains, and callers may not know yet that it left."""
    earliest = scene.now + scene.timing.drain if name.startswith(INBOUND) else 0.0
    return Held(scene.exchange.generation, scene.now + scene.timing.gate, resource, earliest)


def _sooner(one: float | None, other: float) -> float:
    return other if one is None else min(one, other)
