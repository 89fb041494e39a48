"""What each instance in an answer comes to, read once: an entry that has the same text as before is not read again. Pure.

One endpoint changes at a time, and the answer repeats all others. To tell its entries apart costs little of what reading
them does. Whatever cannot be told apart so is read as a whole.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

from xdsd.model.catalog import Endpoint
from xdsd.registry.consul.answers import (
    Instance,
    InstanceKey,
    JsonValue,
    Malformed,
    Mistake,
    read_entries,
    read_entry,
    read_json,
)
from xdsd.registry.consul.instances import endpoint_of, labels_of, port_of, remarks_on
from xdsd.registry.consul.options import ConsulOptions

PORT = "service-port"
PROTOCOL = "protocol"
UNNAMED = "port"

_ENTRY = re.compile(rb'\{\s*"Node":\s*\{')
"""How an entry begins; it cannot stand in a text, where quotes have a backslash before them."""


@dataclass(frozen=True, slots=True)
class Facts:
    """An instance: where it listens, what it says that its service has once, what is odd about it, and its endpoint, None
    where it has none, or why it has none. ``content`` is a hash of the text that it was read from.
    """

    key: InstanceKey
    created: int
    port: int
    protocol: str | None
    service_port: str | None
    remarks: tuple[Mistake, ...]
    endpoint: Endpoint | Mistake | None
    is_mesh: bool
    content: int

    def on(self, port_name: str) -> Endpoint | Mistake | None:
        """The endpoint, with its one port under this name."""
        found = self.endpoint
        if not isinstance(found, Endpoint) or port_name in found.ports:
            return found
        return replace(found, ports={port_name: self.port})


Found = tuple[InstanceKey, Facts | Mistake]


def read_facts(body: bytes, options: ConsulOptions, known: Iterable[Facts] = ()) -> Iterator[Found]:
    """The instances in an answer, each whole or with its first mistake; those whose text is ``known`` are as they were.

    Raises Malformed.
    """
    before = {each.content: each for each in known if each.content}
    try:
        yield from [
            (same.key, same) if (same := before.get(hash(text))) else _read(text, index, options)
            for index, text in enumerate(split(body))
        ]
    except Malformed:
        for index, entry in enumerate(read_entries(body)):
            yield _facts(entry, index, 0, options)


def split(body: bytes) -> list[bytes]:
    """The texts of the entries of a list. Raises Malformed where they cannot be told apart; what is between entries is
    looked at here, and what is in them when they are read.
    """
    text = body.strip()
    starts = [found.start() for found in _ENTRY.finditer(text)]
    if not starts or text[:1] != b"[" or text[-1:] != b"]" or text[1 : starts[0]].strip():
        raise Malformed("its entries cannot be told apart")
    parts = [text[start:end].rstrip() for start, end in pairwise([*starts, len(text) - 1])]
    if not all(part.endswith(b",") for part in parts[:-1]):
        raise Malformed("its entries cannot be told apart")
    return [*(part[:-1] for part in parts[:-1]), parts[-1]]


def _read(text: bytes, index: int, options: ConsulOptions) -> Found:
    return _facts(read_json(text), index, hash(text), options)


def _facts(entry: JsonValue, index: int, content: int, options: ConsulOptions) -> Found:
    key, instance = read_entry(entry, index)
    if isinstance(instance, Mistake):
        return key, instance
    return key, facts_of(instance, options, content)


def facts_of(instance: Instance, options: ConsulOptions, content: int = 0) -> Facts:
    """What an instance comes to."""
    labels = labels_of(instance, options.tag_separators)
    protocol = labels.get(PROTOCOL)
    endpoint: Endpoint | Mistake | None
    try:
        endpoint = endpoint_of(instance, (protocol or options.protocol or UNNAMED).lower(), options)
    except Mistake as mistake:
        endpoint = mistake.with_traceback(None)
    return Facts(
        key=instance.key,
        created=instance.created,
        port=port_of(instance, options),
        protocol=protocol,
        service_port=labels.get(PORT),
        remarks=tuple(remarks_on(instance)),
        endpoint=endpoint,
        is_mesh=bool(instance.kind),
        content=content,
    )
