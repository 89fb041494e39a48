"""What the streams of one server share: who asked for what, and finished parts of responses.

The readers of a layer are kept by type and by interest, and equal interests are one object. To find who is concerned
by a change costs one set operation an interest, however many streams hold it, then what the concerned streams
cost. An index from each name to its interests was turned down: proxies of one view share their interest, so there are
dozens; four thousand different ones take under a millisecond to ask, and the index would hold services times interests.

Parts are kept until the snapshot moves. All streams that were up to date before a change are at the same generation,
so they share one part; one that lags has few companions and pays its own look-up, once.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from xdsd.protocol import layers as layers_
from xdsd.protocol.layers import LayerSet
from xdsd.protocol.parts import EMPTY, Part
from xdsd.protocol.subscription import Interest
from xdsd.snapshot import Layer, LayerChange, LayerId, Snapshot, SnapshotChange

if TYPE_CHECKING:
    from xdsd.protocol.stream import Stream
    from xdsd.protocol.watch import Offer, Watch

_Readers = dict[LayerId, dict[str, dict[Interest, dict["Watch", None]]]]


_MOST_RESPONSES = 8


class Exchange:
    """``joins`` counts how often resources were joined into a part: not once a proxy, once a difference.

    ``offers`` are whole offers that streams share until the snapshot moves.
    ``keep_bytes`` bounds the finished parts that are kept for the next stream that needs them.
    """

    def __init__(self, snapshot: Snapshot, keep_bytes: int = 256 << 20) -> None:
        self.snapshot = snapshot
        self.generation = snapshot.generation
        self.joins = 0
        self._keep_bytes = keep_bytes
        self._kept_bytes = 0
        self._parts: dict[tuple[object, ...], Part] = {}
        self.offers: dict[tuple[object, ...], Offer] = {}
        self._responses: dict[tuple[object, ...], bytes] = {}
        self._layer_sets: WeakValueDictionary[tuple[LayerId, ...], LayerSet] = WeakValueDictionary()
        self._interests: dict[Interest, Interest] = {}
        self._holders: dict[Interest, int] = {}
        self._objects: dict[LayerId, Layer | None] = {}
        self._readers: _Readers = {}
        self._streams: dict[str, dict[Stream, None]] = {}

    # Streams and watches

    def join(self, stream: "Stream", node: str) -> None:
        """``stream`` serves ``node`` from now on, and hears of it when it is assigned other layers."""
        self._streams.setdefault(node, {})[stream] = None

    def leave(self, stream: "Stream", node: str) -> None:
        streams = self._streams.get(node, {})
        streams.pop(stream, None)
        if not streams:
            self._streams.pop(node, None)

    def serving(self, node: str) -> LayerSet | None:
        """What serves a node now, None if the mesh has not said so yet."""
        ids = self.snapshot.assigned.get(node)
        if ids is None:
            return None
        for layer_id in ids:
            self._objects[layer_id] = self.snapshot.layers.get(layer_id)
        found = tuple(self.snapshot.layers[name] for name in ids if name in self.snapshot.layers)
        known = self._layer_sets.get(ids)
        if known is None or known.layers != found:
            known = self._layer_sets[ids] = LayerSet(ids, found)
        return known

    def enrol(self, watch: "Watch", interest: Interest) -> None:
        """``watch`` has this interest from now on, in its layers; takes the place of its old one."""
        self.withdraw(watch)
        if interest.nothing:
            watch.interest = interest
            return
        watch.interest = self._interests.setdefault(interest, interest)
        self._holders[interest] = self._holders.get(interest, 0) + 1
        for layer in watch.layers.ids:
            by_interest = self._readers.setdefault(layer, {}).setdefault(watch.type_url, {})
            by_interest.setdefault(watch.interest, {})[watch] = None

    def withdraw(self, watch: "Watch") -> None:
        """``watch`` is interested in nothing any more."""
        interest = watch.interest
        if interest.nothing:
            return
        for layer in watch.layers.ids:
            by_type = self._readers[layer]
            watches = by_type[watch.type_url][interest]
            del watches[watch]
            if not watches:
                del by_type[watch.type_url][interest]
                if not by_type[watch.type_url]:
                    del by_type[watch.type_url]
                    if not by_type:
                        del self._readers[layer]
        watch.interest = Interest()
        self._holders[interest] -= 1
        if not self._holders[interest]:
            del self._holders[interest], self._interests[interest]

    def watches(self) -> Iterator["Watch"]:
        """Every watch of every stream that serves a node."""
        for streams in self._streams.values():
            for stream in streams:
                yield from stream.watches

    # The snapshot moves

    def publish(self, change: SnapshotChange, now: float) -> list["Stream"]:
        """Takes note that the snapshot has taken ``change`` in, seen at ``now``. Returns the streams that it concerns."""
        before = self.generation
        self.generation = self.snapshot.generation
        self._parts.clear()
        self.offers.clear()
        self._responses.clear()
        self._kept_bytes = 0
        concerned: dict[Stream, None] = {}
        for part in change.layers:
            for watch in self._concerned(part):
                watch.touch(before, now)
                concerned[watch.stream] = None
        for node in self._reassigned(change):
            layers = self.serving(node)
            for stream in self._streams.get(node, ()):
                if layers is not None and stream.assign(layers, before, now):
                    concerned[stream] = None
        return list(concerned)

    def _concerned(self, part: LayerChange) -> Iterator["Watch"]:
        by_type = self._readers.get(part.layer)
        if not by_type:
            return
        names: dict[str, set[str]] = {}
        for resource in part.upserts:
            names.setdefault(resource.type_url, set()).add(resource.name)
        for type_url, name in part.removed:
            names.setdefault(type_url, set()).add(name)
        for type_url, touched in names.items():
            for interest, watches in by_type.get(type_url, {}).items():
                if interest.touches(touched):
                    yield from watches

    def _reassigned(self, change: SnapshotChange) -> set[str]:
        """Served nodes that were assigned anew, or one of whose layers was made (again)."""
        nodes = {node for node in change.assigned if node in self._streams}
        made = {
            part.layer
            for part in change.layers
            if part.layer in self._objects
            and self._objects[part.layer] is not self.snapshot.layers[part.layer]
        }
        if made:
            assigned = self.snapshot.assigned
            nodes.update(node for node in self._streams if not made.isdisjoint(assigned.get(node, ())))
        for layer_id in change.dropped:
            if any(layer_id in ids for ids in self._layer_sets):
                self._objects[layer_id] = None
            else:
                self._objects.pop(layer_id, None)
        return nodes

    def forget(self) -> None:
        """Lets layers forget removals that no stream has to be told of any more."""
        oldest = min(
            (watch.behind for watch in self.watches() if watch.behind is not None), default=self.generation
        )
        moving = [watch.moved[1] for watch in self.watches() if watch.moved is not None]
        for layer in self.snapshot.layers.values():
            layer.forget(min([oldest, *moving]))

    # Parts

    def whole(self, layer: Layer, type_url: str, interest: Interest) -> Part:
        """All of a layer that is of interest."""
        key = (layer, type_url, interest)
        part = self._parts.get(key)
        if part is None:
            part = self._parts[key] = Part(layers_.whole(layer, type_url, interest)) or EMPTY
        return part

    def chosen(self, layer: Layer, type_url: str, names: frozenset[str]) -> Part:
        """Those of ``names`` that a layer has."""
        key = (layer, type_url, names)
        part = self._parts.get(key)
        if part is None:
            part = self._parts[key] = Part(layers_.chosen(layer, type_url, names)) or EMPTY
        return part

    def since(self, layer: Layer, type_url: str, interest: Interest, generation: int) -> Part:
        """What a layer gained, changed and lost after ``generation``."""
        key = (layer, type_url, interest, generation)
        part = self._parts.get(key)
        if part is None:
            part = self._parts[key] = Part(*layers_.changed(layer, type_url, interest, generation)) or EMPTY
        return part

    def between(
        self, old: LayerSet, generation: int, new: LayerSet, type_url: str, interest: Interest
    ) -> Part:
        """What differs between ``old`` at ``generation`` and ``new`` now."""
        key = (old, generation, new, type_url, interest)
        part = self._parts.get(key)
        if part is None:
            part = self._parts[key] = Part(*layers_.moved(old, generation, new, type_url, interest)) or EMPTY
        return part

    def delta_bytes(self, part: Part) -> bytes:
        finished = part.delta()
        return self._joined(part.join_delta()) if finished is None else finished

    def response(self, key: tuple[object, ...]) -> bytes | None:
        """A whole response that some stream was sent since the snapshot moved."""
        return self._responses.get(key)

    def keep_response(self, key: tuple[object, ...], finished: bytes) -> None:
        """Keeps a whole response for the next stream; streams that came together count their nonces alike."""
        if len(self._responses) >= _MOST_RESPONSES:
            self._responses.clear()
        self._responses[key] = finished

    def sotw_bytes(self, part: Part) -> bytes:
        finished = part.sotw()
        return self._joined(part.join_sotw()) if finished is None else finished

    def _joined(self, finished: bytes) -> bytes:
        self.joins += 1
        self._kept_bytes += len(finished)
        if self._kept_bytes > self._keep_bytes:
            self._parts.clear()
            self.offers.clear()
            self._kept_bytes = 0
        return finished
