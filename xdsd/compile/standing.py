"""Refusals that still stand: contents that proxies refused, and that are all the same what these are to have.

Where a refusal can be answered (without an EnvoyFilter, without a log) other content takes the place of what was refused,
and its owner is told by what answers it. What is left is told here, with the objects that it was made from: those are found
by what the compiler read, so nothing has to be declared by hand.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple

from xdsd.compile.graph import Cell, Graph
from xdsd.compile.layers.edge_tables import edge_ports
from xdsd.compile.layers.patched import Refused
from xdsd.compile.rejections import Rejected, problems_of
from xdsd.compile.resolve import View, settings
from xdsd.compile.world import mesh_config_ref
from xdsd.model.mesh import Role
from xdsd.model.problem import ObjectRef, Problem
from xdsd.snapshot import LISTENER, LayerId

Name = tuple[str, str]


class Place(NamedTuple):
    """Where a proxy has a resource from: its cell, and the layer."""

    cell: Cell
    layer: LayerId


Find = Callable[[str, str, str], Place | None]
"""Says by node, type and name where a proxy has a resource from now."""


List = Callable[[LayerId, Name], Iterable[Cell]]
"""Gives the parts of a layer that list a resource."""


class Standing:
    """Told of refusals, and of what changed since; says whose fault those are that are left."""

    def __init__(self, graph: Graph, find: Find, parts: List) -> None:
        self._graph = graph
        self._find = find
        self._parts = parts
        self._words: dict[Name, dict[tuple[str, str], str]] = {}
        self._known: tuple[int, tuple[Problem, ...]] | None = None

    def add(self, node_id: str, refused: Refused, words: str) -> None:
        """A proxy refused a content, with these words."""
        self._words.setdefault(refused[:2], {})[node_id, refused.version] = words
        self._known = None

    def drop(self, node_id: str) -> None:
        """What a proxy refused is forgotten."""
        for name in list(self._words):
            self._keep(name, lambda node, _: node != node_id)

    def look(self, names: Iterable[Name], nodes: Iterable[str]) -> None:
        """These resources changed somewhere, and these nodes are served otherwise: what is refused may be theirs no more."""
        if not self._words:
            return
        moved = set(nodes)
        touched = self._words.keys() & set(names)
        for name in list(self._words) if moved else touched:
            self._keep(name, partial(self._may_stand, name, None if name in touched else moved))

    def problems(self) -> tuple[Problem, ...]:
        """One for each field that is to blame, and for each thing that is said of which none is."""
        if not self._words:
            return ()
        if self._known is None or self._known[0] != self._graph.computed:
            system_ca = settings(self._graph).system_ca
            self._known = self._graph.computed, problems_of(self._rejected(), system_ca)
        return self._known[1]

    def _keep(self, name: Name, wanted: Callable[[str, str], bool]) -> None:
        known = self._words[name]
        kept = {key: words for key, words in known.items() if wanted(*key)}
        if len(kept) == len(known):
            return
        self._known = None
        if kept:
            self._words[name] = kept
        else:
            del self._words[name]

    def _may_stand(self, name: Name, moved: set[str] | None, node_id: str, version: str) -> bool:
        """``moved`` are the nodes that are served otherwise, None if all may be."""
        return (moved is not None and node_id not in moved) or self._stands(
            node_id, name, version
        ) is not None

    def _stands(self, node_id: str, name: Name, version: str) -> Place | None:
        """Where a node has this content from; None if it is not to have it any more."""
        place = self._find(node_id, *name)
        found = place.cell.value if place else None
        return place if found is not None and found.version == version else None

    def _rejected(self) -> Iterator[Rejected]:
        """The refusals that stand, those of one content that are in the same words together."""
        for name, known in self._words.items():
            alike: dict[tuple[Place, str], list[str]] = {}
            for (node_id, version), words in known.items():
                place = self._stands(node_id, name, version)
                if place is not None:
                    alike.setdefault((place, words), []).append(node_id)
            for (place, words), nodes in alike.items():
                yield Rejected(*name, words, tuple(nodes), tuple(self._origins(name, place)))

    def _origins(self, name: Name, place: Place) -> Iterator[tuple[ObjectRef, Any]]:
        """The objects that a resource was made from, and that decide where a listener listens."""
        inputs = self._graph.inputs_of(place.cell)
        found = {key[1]: None for key in inputs if key[0] == "object"}
        if any(key[0] == "mesh" for key in inputs):
            found[mesh_config_ref(settings(self._graph))] = None
        if name[0] == LISTENER:
            for part in self._parts(place.layer, name):
                found.update(dict.fromkeys(self._listening(part, name[1])))
        for ref in found:
            obj = self._graph.peek(("object", ref))
            if obj is not None:
                yield ref, obj.spec

    def _listening(self, part: Cell, listener: str) -> Iterator[ObjectRef]:
        """Who has a listener opened: the Gateways of its port, the Sidecar of its view."""
        for value in _flat(part.arguments):
            if isinstance(value, ObjectRef):
                yield value
            elif isinstance(value, View) and value.role is Role.ROUTER:
                ports = self._graph.cell(edge_ports, value).value or ()
                yield from (
                    server.gateway
                    for port in ports
                    if listener in (port.listener_name, port.quic_name)
                    for server in port.servers
                )


def _flat(values: Iterable[Any]) -> Iterator[Any]:  # Any: arguments of any query
    """All values of nested tuples, and those tuples that have names."""
    for value in values:
        if isinstance(value, ObjectRef):
            yield value
        elif isinstance(value, tuple):
            if isinstance(value, View):
                yield value
            yield from _flat(value)
