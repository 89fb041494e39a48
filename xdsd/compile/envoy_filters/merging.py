"""How one message is merged into another: protobuf's rules, and where these would surprise, what is published beside them.

Singular fields are set, messages merged field by field, lists appended to, and entries of maps replaced. Durations,
timestamps and wrapped scalars count as scalars: merged field by field, 1.5 s over 2 s would become 2.5 s, and a wrapped
``false`` would leave ``true`` standing. What the JSON of a patch sets to nothing (``false``, 0) is set to nothing, though
protobuf cannot tell that from what it leaves out. Where a filter or transport socket carries its own config, what is merged
are the configs inside, as long as both are of one type.
"""

from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from xdsd.compile.envoy_filters.patches import ReadyPatch
from xdsd.compile.envoy_filters.rules import map_entry
from xdsd.compile.envoy_filters.types import unpacked
from xdsd.compile.envoy_filters.values import ANY

_WHOLE = frozenset(
    {
        "google.protobuf.Any",
        "google.protobuf.Duration",
        "google.protobuf.Timestamp",
        *(
            f"google.protobuf.{name}Value"
            for name in ("Bool", "Int32", "Int64", "UInt32", "UInt64", "Float", "Double", "String", "Bytes")
        ),
    }
)


def merge(into: Any, patch: Any, *, replace_lists: bool = False) -> None:
    """Merges a message into another of its type; with ``replace_lists`` a list takes the place of the other one."""
    for field, value in patch.ListFields():
        if field.is_repeated:
            _merge_repeated(into, field, value, replace_lists=replace_lists)
        elif field.message_type is None:
            setattr(into, field.name, value)
        elif field.message_type.full_name in _WHOLE:
            getattr(into, field.name).CopyFrom(value)
        else:
            target = getattr(into, field.name)
            target.SetInParent()
            merge(target, value, replace_lists=replace_lists)


def _merge_repeated(into: Any, field: FieldDescriptor, value: Any, *, replace_lists: bool) -> None:
    target = getattr(into, field.name)
    entry = map_entry(field)
    if entry is None:
        if replace_lists:
            into.ClearField(field.name)
            target = getattr(into, field.name)
        target.extend(value)
        return
    for key in value:
        if entry.fields_by_name["value"].message_type is None:
            target[key] = value[key]
        else:
            target[key].CopyFrom(value[key])


def merge_patch(into: Any, patch: ReadyPatch) -> None:
    """Merges the value of a patch, and sets to nothing what it says is nothing."""
    merge(into, patch.value, replace_lists=patch.replaces_lists)
    _clear(into, patch)


def _clear(into: Any, patch: ReadyPatch) -> None:
    for path in patch.zeros:
        _clear_field(into, path)


def _clear_field(into: Any, path: tuple[str, ...]) -> None:
    first, *rest = path
    if not rest:
        into.ClearField(first)
    elif into.HasField(first) and rest[0] == ANY:
        inner = unpacked(getattr(into, first))
        if inner is not None and rest[1] in inner.DESCRIPTOR.fields_by_name:
            _clear_field(inner, tuple(rest[1:]))
            pack(getattr(into, first), inner)
    elif into.HasField(first):
        _clear_field(getattr(into, first), tuple(rest))


def pack(config: Any, message: Any) -> None:
    """Writes a message into an Any, with the same bytes for equal messages."""
    config.value = message.SerializeToString(deterministic=True)


def merge_any(into: Any, patch: Any) -> bool:
    """Merges what is in two Anys; False, and nothing done, if they are not of one type that is known."""
    if into.type_url.rpartition("/")[2] != patch.type_url.rpartition("/")[2]:
        return False
    inner, change = unpacked(into), unpacked(patch)
    if inner is None or change is None:
        return False
    merge(inner, change)
    pack(into, inner)
    return True


def merge_filter(into: Any, patch: ReadyPatch) -> bool:
    """Merges a filter of any level, or an extension config; False, and nothing done, if their configs are of two types."""
    value = patch.value
    has_config = into.HasField("typed_config")
    if value.HasField("typed_config") and not (
        has_config and merge_any(into.typed_config, value.typed_config)
    ):
        return False
    rest = type(value)()
    rest.CopyFrom(value)
    rest.ClearField("typed_config")
    merge(into, rest)
    _clear(into, patch)
    return True


def merge_with_socket(into: Any, patch: ReadyPatch) -> None:
    """Merges a filter chain or cluster; transport sockets of one name are merged inside, another name takes the place."""
    value = patch.value
    rest = type(value)()
    rest.CopyFrom(value)
    rest.ClearField("transport_socket")
    merge(into, rest, replace_lists=patch.replaces_lists)
    if value.HasField("transport_socket"):
        _merge_sockets(into, value.transport_socket)
    _clear(into, patch)


def _merge_sockets(into: Any, socket: Any) -> None:
    matches = [each.transport_socket for each in getattr(into, "transport_socket_matches", ())]
    if matches:
        # Envoy takes either matches or one socket, so a socket that is in no match has no place.
        found = [each for each in matches if each.name == socket.name]
        for each in found:
            _merge_socket(each, socket)
        return
    if into.HasField("transport_socket") and into.transport_socket.name == socket.name:
        _merge_socket(into.transport_socket, socket)
    else:
        into.transport_socket.CopyFrom(socket)


def _merge_socket(into: Any, patch: Any) -> None:
    if patch.HasField("typed_config") and not merge_any(into.typed_config, patch.typed_config):
        into.typed_config.CopyFrom(patch.typed_config)
