"""What one stream alone is served: the secrets of its identity.

They never stand in the snapshot that streams share, nor among the bytes that are finished once for many. A stream that may
have some keeps them in a snapshot and an exchange of its own; both go with the stream.
"""

from collections.abc import Iterable

from xdsd.protocol.exchange import Exchange
from xdsd.protocol.layers import LayerSet
from xdsd.snapshot import SECRET, LayerChange, LayerId, Resource, Snapshot, SnapshotChange

_LAYER = LayerId("private")


class Private:
    """``layers`` is empty until the stream is entrusted with something: then it is ``ready``."""

    __slots__ = ("_names", "exchange", "layers")

    def __init__(self) -> None:
        self.exchange = Exchange(Snapshot())
        self.layers = LayerSet((), ())
        self._names: frozenset[str] = frozenset()

    @property
    def ready(self) -> bool:
        return bool(self.layers.ids)

    def strange(self, names: Iterable[str]) -> tuple[str, ...]:
        """Those of ``names`` that the stream has no right to, in order."""
        return tuple(sorted(name for name in names if name not in self._names))

    def take(self, resources: tuple[Resource, ...], now: float) -> None:
        """These are all of the stream's secrets from now on; those of equal version are the same."""
        names = frozenset(resource.name for resource in resources)
        gone = tuple((SECRET, name) for name in sorted(self._names - names))
        snapshot = self.exchange.snapshot
        change = SnapshotChange(snapshot.generation + 1, (LayerChange(_LAYER, resources, gone),))
        snapshot.apply(change)
        self._names = names
        if not self.ready:
            self.layers = LayerSet((_LAYER,), (snapshot.layers[_LAYER],))
        self.exchange.publish(change, now)
