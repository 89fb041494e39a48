"""The hand-over between the mesh and the streams: encoded resources in layers, and what changed.

A *resource* is encoded once and never changes. A *layer* is a set of resources that some proxies share: the outbound
config of a view, the inbound config of a workload, the secrets of an identity. A proxy is served the union of a few
layers whose names do not overlap. A *generation* is a number that grows with every published change; a stream that
remembers the generation its proxy has can ask any layer what changed since.

Everything in ``SnapshotChange`` is plain serialisable data, so that the streams may live in another process.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import NewType

CLUSTER = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
ENDPOINT = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
LISTENER = "type.googleapis.com/envoy.config.listener.v3.Listener"
ROUTE = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
VIRTUAL_HOST = "type.googleapis.com/envoy.config.route.v3.VirtualHost"
EXTENSION = "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig"
SECRET = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"  # noqa: S105 - a type's name
TYPES = (CLUSTER, ENDPOINT, LISTENER, ROUTE, VIRTUAL_HOST, SECRET, EXTENSION)

LayerId = NewType("LayerId", str)


def varint(number: int) -> bytes:
    """``number`` in protobuf's base-128 encoding."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def field_bytes(number: int, payload: bytes) -> bytes:
    """A length-delimited protobuf field, ready to be concatenated into a message (numbers below 16)."""
    return bytes((number << 3 | 2,)) + varint(len(payload)) + payload


def duration_bytes(seconds: float) -> bytes:
    """A google.protobuf.Duration, to the millisecond; not negative."""
    whole, rest = divmod(round(seconds * 1000), 1000)
    return b"\x08" + varint(whole) + b"\x10" + varint(rest * 1_000_000)


def content_version(*parts: bytes) -> str:
    """The version of some content: equal on every replica and after every restart."""
    digest = blake2b(digest_size=9)
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


@dataclass(frozen=True, slots=True, eq=False)
class Resource:
    """An encoded resource.

    ``encoded`` is a whole ``resources`` field of a DeltaDiscoveryResponse. Its last member is the Any, whose field
    number is also that of ``resources`` in a DiscoveryResponse: from ``sotw_offset`` on, the same bytes serve SotW.
    From ``body_offset`` on stands the message itself. With a ``ttl`` (seconds; 0 is for ever) the proxy drops the
    resource unless it is renewed in time.
    """

    type_url: str
    name: str
    version: str
    encoded: bytes = field(repr=False)  # it may be a secret, and is unreadable anyway
    sotw_offset: int
    body_offset: int
    ttl: float = 0.0

    @classmethod
    def of(cls, type_url: str, name: str, body: bytes, version: str = "", ttl: float = 0.0) -> "Resource":
        """Wraps an encoded message; ``version`` is its content's unless the caller has a cheaper equal measure."""
        version = version or content_version(body)
        # The body may have megabytes, so it is copied once, behind the heads of the messages around it.
        inner = field_bytes(1, type_url.encode()) + b"\x12" + varint(len(body))
        inner = b"\x12" + varint(len(inner) + len(body)) + inner
        head = field_bytes(1, version.encode()) + field_bytes(3, name.encode())
        if ttl:
            head += field_bytes(6, duration_bytes(ttl))
        start = b"\x12" + varint(len(head) + len(inner) + len(body)) + head
        encoded = b"".join((start, inner, body))
        return cls(type_url, name, version, encoded, len(start), len(encoded) - len(body), ttl)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Resource)
            and self.version == other.version
            and self.name == other.name
            and self.type_url == other.type_url
        )

    def __hash__(self) -> int:
        return hash((self.type_url, self.name, self.version))

    @property
    def sotw(self) -> bytes:
        """A whole ``resources`` field of a DiscoveryResponse."""
        return self.encoded[self.sotw_offset :]

    @property
    def body(self) -> bytes:
        """The encoded message itself."""
        return self.encoded[self.body_offset :]


@dataclass(frozen=True, slots=True)
class LayerChange:
    """What one layer gained or changed (``upserts``) and lost (``removed``: type URL and name), in one generation."""

    layer: LayerId
    upserts: tuple[Resource, ...] = ()
    removed: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class SnapshotChange:
    """One published change. ``dropped`` layers serve nobody any more; ``assigned`` moves nodes to other layers."""

    generation: int
    layers: tuple[LayerChange, ...] = ()
    dropped: tuple[LayerId, ...] = ()
    assigned: Mapping[str, tuple[LayerId, ...]] = field(default_factory=dict)


class Layer:
    """Resources by type and name, and the order in which they changed.

    ``recency`` maps each name that ever changed (gone ones too, until ``forget``) to the generation of its last change,
    oldest first, so what changed since a generation is read from the end and costs what changed.
    """

    __slots__ = ("_recency", "_resources", "generation", "id")

    def __init__(self, layer_id: LayerId) -> None:
        self.id = layer_id
        self.generation = 0
        self._resources: dict[str, dict[str, Resource]] = {type_url: {} for type_url in TYPES}
        self._recency: dict[str, dict[str, int]] = {type_url: {} for type_url in TYPES}

    def get(self, type_url: str, name: str) -> Resource | None:
        return self._resources[type_url].get(name)

    def resources(self, type_url: str) -> Mapping[str, Resource]:
        """All resources of a type by name; a live view, not to be kept."""
        return self._resources[type_url]

    def changed_since(self, type_url: str, generation: int) -> Iterator[str]:
        """Names added, changed or removed after ``generation``, newest first."""
        recency = self._recency[type_url]
        for name in reversed(recency):
            if recency[name] <= generation:
                return
            yield name

    def apply(self, change: LayerChange, generation: int) -> None:
        """Takes a change in; upserts of equal version are not changes and are dropped."""
        for resource in change.upserts:
            known = self._resources[resource.type_url]
            old = known.get(resource.name)
            if old is None or old.version != resource.version:
                known[resource.name] = resource
                self._touch(resource.type_url, resource.name, generation)
        for type_url, name in change.removed:
            if self._resources[type_url].pop(name, None) is not None:
                self._touch(type_url, name, generation)
        self.generation = generation

    def forget(self, generation: int) -> None:
        """Drops the memory of removals at or before ``generation``: no stream is older."""
        for type_url, recency in self._recency.items():
            resources = self._resources[type_url]
            gone = [name for name, at in recency.items() if at <= generation and name not in resources]
            for name in gone:
                del recency[name]

    def _touch(self, type_url: str, name: str, generation: int) -> None:
        recency = self._recency[type_url]
        recency.pop(name, None)
        recency[name] = generation


class Snapshot:
    """All layers at the newest generation, and which layers serve which node. Written by ``apply`` alone."""

    def __init__(self) -> None:
        self.generation = 0
        self.layers: dict[LayerId, Layer] = {}
        self.assigned: dict[str, tuple[LayerId, ...]] = {}

    def apply(self, change: SnapshotChange) -> None:
        for part in change.layers:
            layer = self.layers.get(part.layer)
            if layer is None:
                layer = self.layers[part.layer] = Layer(part.layer)
            layer.apply(part, change.generation)
        for layer_id in change.dropped:
            self.layers.pop(layer_id, None)
        for node, layers in change.assigned.items():
            if layers:
                self.assigned[node] = layers
            else:
                self.assigned.pop(node, None)
        self.generation = change.generation
