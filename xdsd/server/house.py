"""What the sessions of one server share beside the exchange."""

from typing import Any, Protocol

from xdsd.model.node import Node, NodeRefused
from xdsd.protocol.observer import Observer
from xdsd.protocol.stream import Stream
from xdsd.server.mesh import Mesh
from xdsd.server.secrets import NoSecrets, SecretSource, shown


class Logger(Protocol):
    """The few words of a structlog logger that are used here."""

    def info(self, event: str, **fields: Any) -> None: ...

    def warning(self, event: str, **fields: Any) -> None: ...


class TooManyStreamsError(Exception):
    """A node has opened more streams than one may."""


class House:
    """Counts the streams of each node, so that the mesh hears when the last one is gone."""

    def __init__(
        self,
        mesh: Mesh,
        observer: Observer,
        log: Logger,
        streams_a_node: int,
        secrets: SecretSource | None = None,
    ) -> None:
        self.mesh = mesh
        self.secrets: SecretSource = secrets or NoSecrets()
        self.observer = observer
        self.log = log
        self._streams_a_node = streams_a_node
        self._streams: dict[str, int] = {}
        self._attached: set[str] = set()

    def enter(self, node: Node) -> None:
        """A stream of ``node`` begins; each needs a ``detach``."""
        self._streams[node.key] = self._streams.get(node.key, 0) + 1
        self.observer.proxies(len(self._streams))

    async def attach(self, node: Node) -> None:
        """Tells the mesh of a stream that entered. Raises ``NodeRefused`` or ``TooManyStreamsError``."""
        key = node.key
        if self._streams[key] > self._streams_a_node:
            raise TooManyStreamsError(f"node {key} has {self._streams_a_node} streams open already")
        first = key not in self._attached
        self._attached.add(key)
        try:
            await self.mesh.attach(node)
        except NodeRefused:
            if first:
                self._attached.discard(key)
            raise

    def detach(self, node: Node) -> None:
        """A stream of ``node`` is over."""
        key = node.key
        self._streams[key] -= 1
        if not self._streams[key]:
            del self._streams[key]
            self.observer.proxies(len(self._streams))
            if key in self._attached:
                self._attached.discard(key)
                self.mesh.detach(node)

    def withheld(self, stream: Stream, names: tuple[str, ...]) -> None:
        """A stream asked for secrets that are not its own, or nobody's."""
        node = stream.node.id if stream.node is not None else ""
        self.log.warning(
            "secrets refused to a proxy",
            node=node,
            identity=str(stream.identity.identity) if stream.identity is not None else "",
            names=shown(names),
        )
        self.observer.withheld(len(names))

    def rejected(self, stream: Stream, type_url: str, names: tuple[str, ...], message: str) -> None:
        node = stream.node.id if stream.node is not None else ""
        self.log.warning("config rejected by proxy", node=node, type=type_url, names=names, error=message)
        self.observer.rejected(type_url)
        if stream.node is None:
            return
        for found in stream.rejections(type_url):
            if found.name in names:
                self.mesh.rejected(stream.node, type_url, found.name, found.version, found.message)
