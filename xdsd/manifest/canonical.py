"""An object as the values that JSON holds: published names, preferred version, nothing that is absent.

Equal objects are written equal, fields in the order of their declaration and maps in the order of their keys, so the
text is fit to be stored, compared and shown as a difference.
"""

import base64
from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Any

from xdsd.model.durations import format_duration
from xdsd.model.intent.base import Message
from xdsd.model.intent.kinds import KINDS
from xdsd.model.intent.metadata import Metadata, Object
from xdsd.model.intent.shape import shape_of


def object_to_dict(made: Object[Message]) -> dict[str, Any]:
    """The published form of an object; ``parse_object`` reads an equal object from it."""
    return {
        "apiVersion": KINDS[made.kind].preferred,
        "kind": made.kind,
        "metadata": _metadata(made.metadata),
        "spec": spec_to_dict(made.spec),
    }


def spec_to_dict(message: Message) -> dict[str, Any]:
    """The published form of one message; empty lists and maps are absent unless they mean something."""
    written = {}
    for field in shape_of(type(message)).fields.values():
        value = getattr(message, field.attribute)
        if value is not None and (field.required or field.keep_empty or value not in ((), {})):
            written[field.name] = _value(value)
    return written


def _value(value: Any) -> Any:
    """Values are those of messages: a scalar, a tuple, a dict or a message."""
    match value:
        case Message():
            return spec_to_dict(value)
        case tuple() | list():
            return [_value(each) for each in value]
        case dict():
            return {key: _value(value[key]) for key in sorted(value)}
        case timedelta():
            return format_duration(value)
        case bytes():
            return base64.b64encode(value).decode("ascii")
        case _:
            return value.value if isinstance(value, StrEnum) else value


def _metadata(metadata: Metadata) -> dict[str, Any]:
    fields: Mapping[str, Any] = {
        "name": metadata.name,
        "namespace": metadata.namespace,
        "labels": _value(metadata.labels),
        "annotations": _value(metadata.annotations),
        "uid": metadata.uid,
        "resourceVersion": metadata.resource_version,
        "generation": metadata.generation,
        "creationTimestamp": metadata.creation_timestamp,
    }
    return {name: value for name, value in fields.items() if value}
