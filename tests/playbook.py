"""A dialogue with one stream, written down line by line.

A test says what the client says, what the mesh does and how time passes, and what is heard in between::

    talk = delta(cluster("a"))
    talk.asks(CLUSTER)
    talk.hears(CLUSTER, "a")
    talk.acks(CLUSTER)
    talk.silent()

Responses are parsed from their bytes as a client would, and whatever must hold of every message is checked on each.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, Self

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryResponse, DiscoveryResponse

from xdsd.model.identity import StreamIdentity
from xdsd.model.node import Node
from xdsd.protocol.commands import Attach, Close, Command, Send, Wait
from xdsd.protocol.events import Attached, Closed, Elapsed, Entrusted, Event, Published, Received, Written
from xdsd.protocol.exchange import Exchange
from xdsd.protocol.limits import Limits, Timing
from xdsd.protocol.sender import Dialect
from xdsd.protocol.stream import Stream
from xdsd.protocol.watch import TypeStatus
from xdsd.protocol.wire import DeltaRequest, SotwRequest
from xdsd.snapshot import (
    CLUSTER,
    ENDPOINT,
    LISTENER,
    ROUTE,
    SECRET,
    VIRTUAL_HOST,
    LayerChange,
    LayerId,
    Resource,
    Snapshot,
    SnapshotChange,
)

VIEW = LayerId("view")
NODE = Node("sidecar~127.0.0.1~a.default~default.svc.cluster.local")


class Heard(NamedTuple):
    """A response as a client sees it; versions by name. ``bodies``: names that came with a body."""

    type_url: str
    resources: Mapping[str, str]
    removed: tuple[str, ...]
    nonce: str
    version: str
    bodies: frozenset[str]


class Stage:
    """A snapshot and the exchange before it; several dialogues may share one."""

    def __init__(self, *resources: Resource, nodes: Iterable[str] = (NODE.id,)) -> None:
        self.snapshot = Snapshot()
        self.exchange = Exchange(self.snapshot)
        self.now = 100.0
        self.talks: list[Talk] = []
        self.apply(
            SnapshotChange(1, (LayerChange(VIEW, tuple(resources)),), assigned=dict.fromkeys(nodes, (VIEW,)))
        )

    def apply(self, change: SnapshotChange) -> None:
        self.snapshot.apply(change)
        concerned = self.exchange.publish(change, self.now)
        for talk in self.talks:
            if talk.stream in concerned:
                talk.tell(Published(self.now))

    def change(
        self, *upserts: Resource, removed: Iterable[tuple[str, str]] = (), layer: LayerId = VIEW
    ) -> None:
        self.apply(
            SnapshotChange(self.snapshot.generation + 1, (LayerChange(layer, upserts, tuple(removed)),))
        )


class Talk:
    """One stream's dialogue. With ``stalled`` the transport takes nothing until ``writes`` says so."""

    dialect: Dialect

    def __init__(
        self,
        stage: Stage,
        type_url: str = "",
        *,
        node: Node = NODE,
        timing: Timing = Timing(),  # noqa: B008 - immutable
        limits: Limits = Limits(),  # noqa: B008 - immutable
        attach: bool = True,
        identity: StreamIdentity | None = None,
    ) -> None:
        self.stage = stage
        self.node = node
        self.stream = Stream(stage.exchange, self.dialect, type_url, timing, limits, identity)
        self.stalled = False
        self.heard: list[Heard] = []
        self.said: list[Command] = []
        self.wait: float | None = None
        self.nonces: dict[str, str] = {}
        self.versions: dict[str, str] = {}
        self._all_nonces: set[str] = set()
        self._attach = attach
        self._introduced = False
        stage.talks.append(self)

    # What happens

    def tell(self, event: Event) -> Self:
        """Hands an event over and performs the commands."""
        for command in self.stream.handle(event):
            self.said.append(command)
            match command:
                case Send():
                    self.heard.append(self._parse(command))
                    if not self.stalled:
                        self.tell(Written(self.stage.now))
                case Wait(until):
                    self.wait = until
                case Attach() if self._attach:
                    self.tell(Attached(self.stage.now))
                case _:
                    pass
        return self

    def changes(self, *upserts: Resource, removed: Iterable[tuple[str, str]] = ()) -> Self:
        self.stage.change(*upserts, removed=removed)
        return self

    def entrusts(self, *resources: Resource) -> Self:
        """The stream's secrets are these now."""
        return self.tell(Entrusted(resources, self.stage.now))

    def removes(self, type_url: str, *names: str) -> Self:
        return self.changes(removed=[(type_url, name) for name in names])

    def waits(self, seconds: float) -> Self:
        """Time passes; the stream is woken whenever it wanted to be."""
        end = self.stage.now + seconds
        while self.wait is not None and self.wait <= end:
            self.stage.now, self.wait = self.wait, None
            self.tell(Elapsed(self.stage.now))
        self.stage.now = end
        return self

    def writes(self) -> Self:
        """The transport takes what was sent."""
        self.stalled = False
        return self.tell(Written(self.stage.now))

    def leaves(self) -> Self:
        self.stage.talks.remove(self)
        return self.tell(Closed())

    # What is heard

    def hears(
        self,
        type_url: str,
        *names: str,
        removed: Iterable[str] = (),
    ) -> Heard:
        """The next response is of this type and holds exactly these."""
        assert self.heard, f"nothing is heard, not {short(type_url)} {names}"
        heard = self.heard.pop(0)
        assert heard.type_url == type_url, f"{short(heard.type_url)} {sorted(heard.resources)} is heard"
        assert sorted(heard.resources) == sorted(names)
        assert sorted(heard.removed) == sorted(removed)
        return heard

    def silent(self) -> Self:
        assert not self.heard, self.heard
        return self

    def closes(self) -> Close:
        """The stream was closed by us."""
        closes = [command for command in self.said if isinstance(command, Close)]
        assert len(closes) == 1, self.said
        return closes[0]

    def status(self, type_url: str) -> TypeStatus:
        return next(status for status in self.stream.status() if status.type_url == type_url)

    def commands(self, kind: type[Command]) -> list[Any]:  # Any: whatever kind was asked for
        return [command for command in self.said if isinstance(command, kind)]

    # Both dialects

    def _introduce(self) -> Node | None:
        node = None if self._introduced else self.node
        self._introduced = True
        return node

    def _parse(self, send: Send) -> Heard:
        heard = self._decode(b"".join(send.parts))
        assert heard.type_url == send.type_url
        assert heard.nonce, "the nonce is empty"
        assert heard.nonce not in self._all_nonces, "the nonce is not new"
        self._all_nonces.add(heard.nonce)
        self.nonces[heard.type_url] = heard.nonce
        return heard

    def _decode(self, raw: bytes) -> Heard:
        raise NotImplementedError


class DeltaTalk(Talk):
    """The incremental dialect."""

    dialect = Dialect.DELTA

    def asks(
        self,
        type_url: str,
        *names: str,
        less: Iterable[str] = (),
        known: Mapping[str, str] | None = None,
        nonce: str = "",
        error: str | None = None,
    ) -> Self:
        request = DeltaRequest(
            type_url, self._introduce(), frozenset(names), frozenset(less), known or {}, nonce, error
        )
        return self.tell(Received(request, self.stage.now))

    def acks(self, type_url: str, *names: str, less: Iterable[str] = ()) -> Self:
        return self.asks(type_url, *names, less=less, nonce=self.nonces[type_url])

    def nacks(self, type_url: str, error: str = "bad", *names: str) -> Self:
        return self.asks(type_url, *names, nonce=self.nonces[type_url], error=error)

    def _decode(self, raw: bytes) -> Heard:
        message = DeltaDiscoveryResponse.FromString(raw)
        names = [resource.name for resource in message.resources]
        removed = list(message.removed_resources)
        assert len(set(names + removed)) == len(names) + len(removed), "a name stands twice"
        for resource in message.resources:
            assert not resource.HasField("resource") or resource.resource.type_url == message.type_url
        return Heard(
            message.type_url,
            {resource.name: resource.version for resource in message.resources},
            tuple(removed),
            message.nonce,
            "",
            frozenset(r.name for r in message.resources if r.HasField("resource")),
        )


class SotwTalk(Talk):
    """The state of the world."""

    dialect = Dialect.SOTW

    def asks(
        self,
        type_url: str,
        *names: str,
        version: str = "",
        nonce: str = "",
        error: str | None = None,
    ) -> Self:
        request = SotwRequest(type_url, self._introduce(), frozenset(names), version, nonce, error)
        return self.tell(Received(request, self.stage.now))

    def acks(self, type_url: str, *names: str) -> Self:
        return self.asks(type_url, *names, nonce=self.nonces[type_url], version=self.versions[type_url])

    def nacks(self, type_url: str, *names: str, error: str = "bad", version: str = "") -> Self:
        return self.asks(type_url, *names, nonce=self.nonces[type_url], version=version, error=error)

    def _decode(self, raw: bytes) -> Heard:
        message = DiscoveryResponse.FromString(raw)
        names = {}
        for resource in message.resources:
            assert resource.type_url == message.type_url
            name, content = _content(resource)
            assert name not in names, "a name stands twice"
            names[name] = content
        self.versions[message.type_url] = message.version_info
        return Heard(message.type_url, names, (), message.nonce, message.version_info, frozenset(names))


Make = Callable[..., DeltaTalk | SotwTalk]
"""``delta`` or ``sotw``, for dialogues that both dialects hold."""


def delta(*resources: Resource, type_url: str = "", **options: Any) -> DeltaTalk:  # Any: those of Talk
    return DeltaTalk(Stage(*resources), type_url, **options)


def sotw(*resources: Resource, type_url: str = "", **options: Any) -> SotwTalk:  # Any: those of Talk
    return SotwTalk(Stage(*resources), type_url, **options)


def cluster(name: str, content: str = "1") -> Resource:
    """An EDS cluster whose content differs by ``content``."""
    made = Cluster(name=name, type=Cluster.EDS, alt_stat_name=content)
    return Resource.of(CLUSTER, name, made.SerializeToString())


def endpoints(name: str, content: str = "1") -> Resource:
    return _text(ENDPOINT, name, content)


def listener(name: str, content: str = "1") -> Resource:
    return _text(LISTENER, name, content)


def route(name: str, content: str = "1") -> Resource:
    return _text(ROUTE, name, content)


def host(table: str, name: str, content: str = "1") -> Resource:
    return _text(VIRTUAL_HOST, f"{table}/{name}", content)


def secret(name: str, content: str = "1", ttl: float = 0.0) -> Resource:
    return Resource.of(SECRET, name, f"{name} {content}".encode(), ttl=ttl)


def _text(type_url: str, name: str, content: str) -> Resource:
    """The core never looks into these bodies, so a text that a test can read will do."""
    return Resource.of(type_url, name, f"{name} {content}".encode())


def _content(resource: Any) -> tuple[str, str]:  # Any: a protobuf Any
    if resource.type_url == CLUSTER:
        made = Cluster.FromString(resource.value)
        return made.name, made.alt_stat_name
    name, content = resource.value.decode().split(" ")
    return name, content


def short(type_url: str) -> str:
    return type_url.rsplit(".", maxsplit=1)[-1]
