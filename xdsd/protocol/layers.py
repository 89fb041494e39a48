"""The layers that serve a proxy, seen as one."""

from collections.abc import Iterator

from xdsd.protocol.subscription import Interest
from xdsd.snapshot import Layer, LayerId, Resource


class LayerSet:
    """An immutable choice of layers; one object for all proxies that are served the same.

    ``ids`` are the layers as assigned. ``layers`` are those of them that exist.
    """

    __slots__ = ("__weakref__", "ids", "layers")

    def __init__(self, ids: tuple[LayerId, ...], layers: tuple[Layer, ...]) -> None:
        self.ids = ids
        self.layers = layers

    def find(self, type_url: str, name: str) -> Resource | None:
        for layer in self.layers:
            found = layer.get(type_url, name)
            if found is not None:
                return found
        return None


def whole(layer: Layer, type_url: str, interest: Interest) -> tuple[Resource, ...]:
    """All of a layer that is of interest."""
    resources = layer.resources(type_url)
    if interest.wildcard:
        if interest.under is None:
            return tuple(resources.values())
        return tuple([resource for name, resource in resources.items() if interest.wants(name)])
    return chosen(layer, type_url, interest.names)


def chosen(layer: Layer, type_url: str, names: frozenset[str]) -> tuple[Resource, ...]:
    """Those of ``names`` that the layer has; costs the smaller of the two."""
    resources = layer.resources(type_url)
    if len(resources) < len(names):
        return tuple([resource for name, resource in resources.items() if name in names])
    return tuple([resources[name] for name in names if name in resources])


def changed(
    layer: Layer, type_url: str, interest: Interest, generation: int
) -> tuple[tuple[Resource, ...], tuple[str, ...]]:
    """What a layer gained or changed, and the names that it lost, after ``generation``."""
    upserts, lost = [], []
    for name in layer.changed_since(type_url, generation):
        if interest.wants(name):
            resource = layer.get(type_url, name)
            if resource is None:
                lost.append(name)
            else:
                upserts.append(resource)
    return tuple(upserts), tuple(lost)


def moved(
    old: LayerSet, generation: int, new: LayerSet, type_url: str, interest: Interest
) -> tuple[tuple[Resource, ...], tuple[str, ...]]:
    """What differs between ``old`` as it was at ``generation`` and ``new`` as it is.

    What changed in ``old`` meanwhile is sent whether it differs or not: its old content is not remembered.
    """
    unsure = {name for layer in old.layers for name in layer.changed_since(type_url, generation)}

    def differs(resource: Resource) -> bool:
        before = old.find(type_url, resource.name)
        return before is None or before.version != resource.version or resource.name in unsure

    upserts = tuple(
        resource for layer in new.layers for resource in whole(layer, type_url, interest) if differs(resource)
    )
    return upserts, tuple(
        name
        for name in _names(old, type_url, unsure)
        if interest.wants(name) and new.find(type_url, name) is None
    )


def _names(layers: LayerSet, type_url: str, also: set[str]) -> Iterator[str]:
    yield from also
    for layer in layers.layers:
        yield from (name for name in layer.resources(type_url) if name not in also)
