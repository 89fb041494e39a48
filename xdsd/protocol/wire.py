"""Bytes to values and values to bytes.

Requests are parsed by upb. Responses are never built as messages: a protobuf message is the concatenation of its
fields, so finished resources and a nonce are joined. Field numbers are those of the published discovery.proto.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from envoy.config.cluster.v3 import cluster_pb2
from envoy.service.discovery.v3 import discovery_pb2
from google.protobuf.message import DecodeError

from xdsd.model.node import Locality, Node
from xdsd.snapshot import TYPES, Resource, content_version, duration_bytes, field_bytes

_EDS = 3
_DEEPEST_METADATA = 32
_NONE: frozenset[str] = frozenset()


class Malformed(Exception):  # noqa: N818 - it is the client's fault, and says so
    """The bytes are not a request; the message says why."""


class DeltaRequest(NamedTuple):
    """A DeltaDiscoveryRequest. ``error`` is None unless it is a NACK; ``node`` is None unless it was sent."""

    type_url: str
    node: Node | None = None
    subscribe: frozenset[str] = _NONE
    unsubscribe: frozenset[str] = _NONE
    initial_versions: Mapping[str, str] = {}
    nonce: str = ""
    error: str | None = None


class SotwRequest(NamedTuple):
    """A DiscoveryRequest. ``error`` is None unless it is a NACK; ``node`` is None unless it was sent."""

    type_url: str
    node: Node | None = None
    names: frozenset[str] = _NONE
    version: str = ""
    nonce: str = ""
    error: str | None = None


class RequestCache:
    """Requests that were parsed lately, by their bytes: the proxies of a view ask for the same thousand names.

    Only large requests without a node or a nonce repeat, and only those are kept; equal ones share one set of names.
    Names longer than ``name_bytes`` make a request ``Malformed``.
    """

    def __init__(self, name_bytes: int, entries: int = 64) -> None:
        self._name_bytes = name_bytes
        self._entries = entries
        self._parsed: dict[bytes, DeltaRequest | SotwRequest] = {}

    def delta(self, raw: bytes) -> DeltaRequest:
        if len(raw) < 128:
            acknowledged = _plain_ack(raw)
            if acknowledged is not None:
                return acknowledged
        known = self._parsed.get(raw) if len(raw) > 1024 else None
        if isinstance(known, DeltaRequest):
            return known
        request = parse_delta(raw)
        self._check(request.subscribe)
        if not request.initial_versions:
            self._keep(raw, request)
        return request

    def sotw(self, raw: bytes) -> SotwRequest:
        known = self._parsed.get(raw) if len(raw) > 1024 else None
        if isinstance(known, SotwRequest):
            return known
        request = parse_sotw(raw)
        self._check(request.names)
        self._keep(raw, request)
        return request

    def _check(self, names: frozenset[str]) -> None:
        if names and max(map(len, names)) > self._name_bytes:
            raise Malformed(f"a resource name is longer than {self._name_bytes}")

    def _keep(self, raw: bytes, request: DeltaRequest | SotwRequest) -> None:
        if 1024 < len(raw) < 1 << 20 and request.node is None and not request.nonce:
            if len(self._parsed) >= self._entries:
                del self._parsed[next(iter(self._parsed))]
            self._parsed[raw] = request


def _plain_ack(raw: bytes) -> DeltaRequest | None:
    """Reads a type_url followed by a response_nonce and nothing else, as nearly every request is; else None.

    Saves two thirds of what the general parser costs, once a push.
    """
    if len(raw) < 4 or raw[0] != 0x12 or raw[1] > 0x7F:
        return None
    at = raw[1] + 2
    if len(raw) < at + 2 or raw[at] != 0x32 or raw[at + 1] != len(raw) - at - 2:
        return None
    try:
        return DeltaRequest(str(raw[2:at], "utf-8"), nonce=str(raw[at + 2 :], "utf-8"))
    except UnicodeDecodeError:
        return None


def parse_delta(raw: bytes) -> DeltaRequest:
    """Raises ``Malformed``."""
    message = discovery_pb2.DeltaDiscoveryRequest()
    _parse(message, raw)
    return DeltaRequest(
        message.type_url,
        _node(message.node) if message.HasField("node") else None,
        frozenset(message.resource_names_subscribe),
        frozenset(message.resource_names_unsubscribe),
        dict(message.initial_resource_versions),
        message.response_nonce,
        message.error_detail.message if message.HasField("error_detail") else None,
    )


def parse_sotw(raw: bytes) -> SotwRequest:
    """Raises ``Malformed``."""
    message = discovery_pb2.DiscoveryRequest()
    _parse(message, raw)
    return SotwRequest(
        message.type_url,
        _node(message.node) if message.HasField("node") else None,
        frozenset(message.resource_names),
        message.version_info,
        message.response_nonce,
        message.error_detail.message if message.HasField("error_detail") else None,
    )


def _parse(message: Any, raw: bytes) -> None:
    try:
        message.ParseFromString(raw)
    except DecodeError as error:
        raise Malformed(f"not a {message.DESCRIPTOR.full_name}: {error}") from error


def _node(message: Any) -> Node:
    version = message.user_agent_version
    if not version and message.HasField("user_agent_build_version"):
        build = message.user_agent_build_version.version
        version = f"{build.major_number}.{build.minor_number}.{build.patch}"
    where = message.locality
    return Node(
        message.id,
        message.cluster,
        Locality(where.region, where.zone, where.sub_zone),
        _struct(message.metadata, _DEEPEST_METADATA),
        message.user_agent_name,
        version,
    )


def _struct(message: Any, depth: int) -> dict[str, Any]:
    return {key: _value(value, depth) for key, value in message.fields.items()}


def _value(message: Any, depth: int) -> Any:
    """Any JSON: its shape is the client's choice."""
    if not depth:
        raise Malformed(f"node metadata is nested deeper than {_DEEPEST_METADATA} levels")
    match message.WhichOneof("kind"):
        case "string_value":
            return message.string_value
        case "number_value":
            return message.number_value
        case "bool_value":
            return message.bool_value
        case "struct_value":
            return _struct(message.struct_value, depth - 1)
        case "list_value":
            return [_value(item, depth - 1) for item in message.list_value.values]
        case _:
            return None


_DELTA_HEADS: Mapping[str, bytes] = {type_url: field_bytes(4, type_url.encode()) for type_url in TYPES}


def delta_head(type_url: str) -> bytes:
    """How every DeltaDiscoveryResponse of a type begins."""
    return _DELTA_HEADS[type_url]


def delta_removed(names: Iterable[str]) -> bytes:
    """The ``removed_resources`` fields of a DeltaDiscoveryResponse."""
    return b"".join([field_bytes(6, name.encode()) for name in names])


def sotw_head(type_url: str, version: str) -> bytes:
    """How a DiscoveryResponse of a type and version begins."""
    return field_bytes(1, version.encode()) + field_bytes(4, type_url.encode())


def nonce_field(nonce: str) -> bytes:
    """How a response of either dialect ends."""
    return field_bytes(5, nonce.encode())


def heartbeat(resource: Resource) -> bytes:
    """A whole ``resources`` field that renews a resource's TTL: its version again, without its body."""
    head = field_bytes(1, resource.version.encode()) + field_bytes(3, resource.name.encode())
    return field_bytes(2, head + field_bytes(6, duration_bytes(resource.ttl)))


def content_number(resource: Resource) -> int:
    """A number for a name at a version; the sum over a set tells sets apart, however they are split up."""
    return int(content_version(resource.name.encode(), b"\0", resource.version.encode()), 16)


def endpoints_of(cluster: bytes) -> str | None:
    """The ClusterLoadAssignment that an encoded cluster waits for, None if it does not use EDS."""
    message = cluster_pb2.Cluster()
    message.ParseFromString(cluster)
    if not message.HasField("type") or message.type != _EDS:
        return None
    return str(message.eds_cluster_config.service_name or message.name)


def names_secret(body: bytes, secret: str) -> bool:
    """Whether a cluster or listener holds an SdsSecretConfig (name, then sds_config) for this secret."""
    return field_bytes(1, secret.encode()) + b"\x12" in body
