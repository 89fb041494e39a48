"""What the sessions of one server share beside the exchange."""

from typing import Any, Protocol

from xdsd.model.identity import StreamIdentity
from xdsd.model.node import Node, NodeRefused
from xdsd.protocol.commands import Close, Code
from xdsd.protocol.observer import Observer
from xdsd.protocol.stream import Stream
from xdsd.server.mesh import Mesh
from xdsd.server.quotas import Account, Limit, OverLimit, Quotas
from xdsd.server.secrets import NoSecrets, SecretSource, shown
from xdsd.snapshot import LISTENER


class Logger(Protocol):
    """The few words of a structlog logger that are used here."""

    def info(self, event: str, **fields: Any) -> None: ...

    def warning(self, event: str, **fields: Any) -> None: ...


class Attendant(Protocol):
    """Who is told which proxies are served; calls never block."""

    def arrived(self, node: Node, proof: StreamIdentity | None, seen: str) -> None:
        """A stream of the node is served, whose connection comes from the address ``seen``; also while others of it are."""

    def listens(self, node: Node) -> None:
        """A stream of the node has taken listeners."""

    def left(self, node: Node) -> None:
        """The last stream of the node is over."""


class House:
    """Counts the streams of each node, so that the mesh hears when the last one is gone."""

    def __init__(
        self,
        mesh: Mesh,
        observer: Observer,
        log: Logger,
        streams_a_node: int,
        quotas: Quotas,
        secrets: SecretSource | None = None,
        attendant: Attendant | None = None,
    ) -> None:
        self.mesh = mesh
        self._attendant = attendant
        self.secrets: SecretSource = secrets or NoSecrets()
        self.observer = observer
        self.log = log
        self._streams_a_node = streams_a_node
        self._quotas = quotas
        self._streams: dict[str, int] = {}
        self._attached: set[str] = set()

    def open(self, who: str) -> Account:
        """A stream of ``who`` is opened. Raises OverLimit."""
        return self._quotas.open(who)

    def exceeded(self, over: OverLimit, peer: str) -> Close:
        """Somebody is over a limit: is counted, and told why the stream ends."""
        self.log.warning("a proxy is over a limit", limit=over.limit, peer=peer, why=str(over))
        self.observer.exceeded(over.limit)
        return Close(Code.RESOURCE_EXHAUSTED, str(over))

    def enter(self, node: Node) -> None:
        """A stream of ``node`` begins; each needs a ``detach``."""
        self._streams[node.key] = self._streams.get(node.key, 0) + 1
        self.observer.proxies(len(self._streams))

    async def attach(self, node: Node, proof: StreamIdentity | None, seen: str) -> None:
        """Tells the mesh of a stream that entered, from the address ``seen``. Raises ``NodeRefused`` or ``OverLimit``."""
        key = node.key
        if self._streams[key] > self._streams_a_node:
            raise OverLimit(
                Limit.STREAMS_A_PROXY, f"node {key} has {self._streams_a_node} streams open already"
            )
        first = key not in self._attached
        self._attached.add(key)
        try:
            await self.mesh.attach(node)
        except NodeRefused:
            if first:
                self._attached.discard(key)
            raise
        if self._attendant is not None and key in self._attached:
            self._attendant.arrived(node, proof, seen)

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
                if self._attendant is not None:
                    self._attendant.left(node)

    def accepted(self, stream: Stream, type_url: str, seconds: float | None) -> None:
        """A stream took a response; ``seconds`` as in ``Accepted``."""
        self.observer.accepted(type_url, seconds)
        if type_url == LISTENER and self._attendant is not None and stream.node is not None:
            self._attendant.listens(stream.node)

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
