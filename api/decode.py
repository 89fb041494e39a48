"""Envoy's resources as JSON, whatever types they hold.

A message class exists only once its module is imported, and importing all of Envoy's takes seconds. So
modules are imported when a type is met: a type's package is its folder, and one of the modules there
declares it.
"""

import base64
import importlib
import json
import pkgutil
from typing import Any, cast

from google.protobuf import descriptor_pool, json_format, message_factory
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pool import DescriptorPool


class _LazyPool:
    """Finds message types by name, importing the package that declares them."""

    def __init__(self) -> None:
        self._pool = descriptor_pool.Default()
        self._imported: set[str] = set()

    def FindMessageTypeByName(self, name: str) -> Descriptor:  # noqa: N802 - protobuf's name
        """The type. Raises KeyError where no installed package declares it."""
        try:
            return self._pool.FindMessageTypeByName(name)
        except KeyError:
            self._import(name.rpartition(".")[0])
            return self._pool.FindMessageTypeByName(name)

    def _import(self, package: str) -> None:
        if package in self._imported or not package.startswith(("envoy.", "xds.", "udpa.", "google.")):
            return
        self._imported.add(package)
        try:
            folder = importlib.import_module(package)
        except ImportError:
            return
        for module in pkgutil.iter_modules(folder.__path__):
            if module.name.endswith("_pb2"):
                importlib.import_module(f"{package}.{module.name}")


def lazy_pool() -> DescriptorPool:
    """A pool that imports what it does not know; protobuf's JSON asks for types by name alone."""
    return cast("DescriptorPool", _LazyPool())


def decode(message: AnyMessage, pool: DescriptorPool) -> Any:
    """The message itself, of its own class. Raises KeyError for an unknown type."""
    descriptor = pool.FindMessageTypeByName(message.TypeName())
    return message_factory.GetMessageClass(descriptor).FromString(message.value)


def to_json(message: AnyMessage, pool: DescriptorPool) -> dict[str, Any]:
    """The message as protobuf's JSON without ``@type``; an unknown type as its type and bytes in base64."""
    try:
        text = json_format.MessageToJson(
            decode(message, pool),
            descriptor_pool=pool,
        )
    except (KeyError, TypeError):
        return {"@type": message.type_url, "value": base64.b64encode(message.value).decode()}
    found: dict[str, Any] = json.loads(text)
    return found
