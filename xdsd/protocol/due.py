"""What a watch has to be sent now, from its deviations. Shared by both dialects."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from xdsd.protocol import layers as layers_
from xdsd.protocol.exchange import Exchange
from xdsd.protocol.parts import Part
from xdsd.protocol.watch import Watch


class Due(NamedTuple):
    """Parts to send; names that the proxy has and that are ``gone``; names that it asked for and that are ``missing``."""

    parts: tuple[Part, ...] = ()
    gone: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def due(watch: Watch, exchange: Exchange) -> Due:
    """Everything that is due, less what the proxy refused before."""
    if watch.known is not None:
        found = _resumed(watch, watch.known)
    elif watch.whole:
        parts = tuple(exchange.whole(layer, watch.type_url, watch.interest) for layer in watch.layers.layers)
        found = Due(parts, (), _missing(watch, watch.interest.names, parts))
    else:
        found = _changed(watch, exchange)
    return _without_rejected(watch, found) if watch.rejected else found


def trial(watch: Watch, exchange: Exchange, names: frozenset[str]) -> Due:
    """Some names, to find out which of them the proxy refuses."""
    names = frozenset(name for name in names if watch.interest.wants(name))
    parts = tuple(exchange.chosen(layer, watch.type_url, names) for layer in watch.layers.layers)
    found = Due(parts, (), _missing(watch, names, parts))
    return _without_rejected(watch, found) if watch.rejected else found


def _changed(watch: Watch, exchange: Exchange) -> Due:
    layers, type_url, interest = watch.layers, watch.type_url, watch.interest
    parts: tuple[Part, ...] = ()
    if watch.moved is not None:
        parts = (exchange.between(*watch.moved, layers, type_url, interest),)
    elif watch.behind is not None:
        behind = watch.behind
        parts = tuple(
            [
                exchange.since(layer, type_url, interest, behind)
                for layer in layers.layers
                if layer.generation > behind
            ]
        )
    gone = _gone(watch, parts)
    if watch.forgotten:
        gone = tuple(dict.fromkeys((*gone, *(n for n in watch.forgotten if not interest.wants(n)))))
    again = watch.again
    if not again:
        return Due(parts, gone)
    again = again.difference(gone, (resource.name for part in parts for resource in part.resources))
    asked = tuple(exchange.chosen(layer, type_url, again) for layer in layers.layers)
    return Due((*parts, *asked), gone, _missing(watch, again, asked))


def _gone(watch: Watch, parts: Iterable[Part]) -> tuple[str, ...]:
    """Lost by one layer and not found in another."""
    lost = dict.fromkeys(name for part in parts for name in part.removed)
    return tuple(name for name in lost if watch.layers.find(watch.type_url, name) is None) if lost else ()


def _missing(watch: Watch, names: frozenset[str], parts: Sequence[Part]) -> tuple[str, ...]:
    if not names:
        return ()
    if not watch.interest.wildcard and sum(len(part.resources) for part in parts) == len(names):
        return ()
    return tuple(name for name in names if watch.layers.find(watch.type_url, name) is None)


def _resumed(watch: Watch, known: dict[str, str]) -> Due:
    """What differs from the versions that a reconnecting proxy has."""
    layers, type_url, interest = watch.layers, watch.type_url, watch.interest
    if interest.wildcard:
        resources = [r for layer in layers.layers for r in layers_.whole(layer, type_url, interest)]
    else:
        resources = [r for name in interest.names if (r := layers.find(type_url, name)) is not None]
    differing = tuple([r for r in resources if known.get(r.name) != r.version])
    # What was limited to owners and is under none of these is nobody's any more, there or not.
    gone = tuple(
        name
        for name in known
        if (interest.wants(name) and layers.find(type_url, name) is None)
        or (interest.under is not None and not interest.wants(name))
    )
    missing = tuple(
        name for name in interest.names if name not in known and layers.find(type_url, name) is None
    )
    return Due((Part(differing),) if differing else (), gone, missing)


def _without_rejected(watch: Watch, found: Due) -> Due:
    bad = []
    for name, rejection in (watch.rejected or {}).items():
        resource = watch.layers.find(watch.type_url, name)
        if resource is not None and resource.version == rejection.version:
            bad.append(name)
    return found._replace(parts=tuple(part.without(bad) for part in found.parts))
