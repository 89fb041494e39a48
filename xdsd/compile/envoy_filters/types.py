"""Envoy's message types by name, found where their package is."""

import re
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from google.protobuf import descriptor_pool, message_factory

PREFIX = "type.googleapis.com/"
_NAME = re.compile(r"(?:envoy|xds|udpa|google)(?:\.[a-zA-Z_][a-zA-Z0-9_]{0,80}){2,16}")
_STRUCTS = frozenset({"udpa.type.v1.TypedStruct", "xds.type.v3.TypedStruct"})

MessageType = Any  # a generated class; protobuf's stubs know no type for "some message class"


def message_type(type_url: str) -> MessageType | None:
    """The class that a type URL names; None if there is none in the API that this daemon knows."""
    name = type_url.rpartition("/")[2]
    if not _NAME.fullmatch(name):
        return None
    _load(name.rpartition(".")[0])
    try:
        descriptor = descriptor_pool.Default().FindMessageTypeByName(name)
    except KeyError:
        return None
    return message_factory.GetMessageClass(descriptor)


def is_typed_struct(type_url: str) -> bool:
    """True for the message that holds another one as a Struct, beside its type."""
    return type_url.rpartition("/")[2] in _STRUCTS


def unpacked(config: Any) -> Any | None:
    """The message in an Any; None if its type or bytes are not known here."""
    kind = message_type(config.type_url)
    try:
        return None if kind is None else kind.FromString(config.value)
    except ValueError:  # protobuf's DecodeError is one
        return None


@cache
def _load(package: str) -> None:
    """Imports the modules of a package of messages, which is what makes its types known.

    A message within a message has its parent's package; whole trees are never imported, since that takes half a second.
    """
    while package:
        try:
            module = import_module(package)
        except ImportError:
            package = package.rpartition(".")[0]
            continue
        for found in iter_modules(getattr(module, "__path__", ())):
            if found.name.endswith("_pb2"):
                import_module(f"{package}.{found.name}")
        return
