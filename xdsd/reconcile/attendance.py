"""Which proxies are served, which wait to be, and which left not long ago; and what they refused."""

import asyncio
from collections import Counter, deque
from collections.abc import Collection, Mapping

from xdsd.compile.compiler import Compiler
from xdsd.compile.layers.patched import Refused
from xdsd.compile.proxies import proxy_of
from xdsd.model.mesh import Proxy
from xdsd.model.node import Node


class Attendance:
    """Told of by the reconciler; ``take`` moves on what it was told."""

    def __init__(self) -> None:
        self._proxies: dict[str, Proxy] = {}
        self._addresses: Counter[str] = Counter()
        self._joining: dict[str, Proxy] = {}
        self._present: set[str] = set()
        self._leaving: dict[str, float] = {}
        self._refusing: set[str] = set()
        self._verdicts: deque[tuple[str, Refused | None, str]] = deque()
        self._waiting: dict[str, list[asyncio.Future[None]]] = {}
        self._listed: tuple[Proxy, ...] | None = None

    @property
    def proxies(self) -> Mapping[str, Proxy]:
        """The proxies that are served, by node id; those that left not long ago included."""
        return self._proxies

    @property
    def addresses(self) -> Collection[str]:
        """The addresses of the same proxies; a live view."""
        return self._addresses.keys()

    @property
    def listed(self) -> tuple[Proxy, ...]:
        """The same proxies, as the same value while nothing changed."""
        if self._listed is None:
            self._listed = tuple(self._proxies.values())
        return self._listed

    @property
    def arriving(self) -> bool:
        """Whether a proxy waits for its layers."""
        return bool(self._joining)

    @property
    def pending(self) -> bool:
        """Whether there is something for ``take`` that no time has to pass for."""
        return bool(self._joining or self._verdicts)

    @property
    def due(self) -> float | None:
        """When the next of those who left is forgotten."""
        return min(self._leaving.values(), default=None)

    def arrives(self, node: Node, *, served: bool) -> "asyncio.Future[None] | None":
        """A stream of the node begins; ``served``: layers are assigned to it. Returns what is done once it may go on, None
        if it may at once. Raises NodeRefused.
        """
        proxy = proxy_of(node)
        self._leaving.pop(node.key, None)
        if node.key not in self._present and node.key in self._refusing:
            self._verdicts.append((node.key, None, ""))
        if self._proxies.get(node.key) == proxy and served:
            self._present.add(node.key)
            return None
        self._joining[node.key] = proxy
        done = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(node.key, []).append(done)
        return done

    def stays(self, node: Node) -> None:
        self._present.add(node.key)

    def is_present(self, node: Node) -> bool:
        return node.key in self._present

    def leaves(self, node: Node, until: float) -> None:
        """The last stream of the node has ended; its layers are kept for its return ``until`` then."""
        self._present.discard(node.key)
        self._leaving[node.key] = until

    def rejects(self, node: Node, refused: Refused, message: str) -> None:
        """A proxy refused a resource, with these words."""
        self._verdicts.append((node.key, refused, message))

    def take(self, compiler: Compiler, now: float) -> None:
        """Moves who came, who was forgotten and what was refused into the compiler."""
        for node_id, proxy in self._joining.items():
            self._place(node_id, proxy)
            compiler.attach(proxy)
        self._joining = {}
        self._take_verdicts(compiler)
        for node_id in [node_id for node_id, due in self._leaving.items() if due <= now]:
            del self._leaving[node_id]
            self._refusing.discard(node_id)
            self._place(node_id, None)
            compiler.detach(node_id)

    def welcome(self, assigned: Mapping[str, object]) -> None:
        """Lets those in whose layers are there now."""
        for node_id in [node_id for node_id in self._waiting if node_id in assigned]:
            for done in self._waiting.pop(node_id):
                if not done.done():
                    done.set_result(None)

    def _place(self, node_id: str, proxy: Proxy | None) -> None:
        """A proxy is there as it is now, or (None) no more."""
        before = self._proxies.get(node_id)
        if before is not None:
            self._addresses[before.address] -= 1
            if not self._addresses[before.address]:
                del self._addresses[before.address]
        if proxy is not None:
            self._proxies[node_id] = proxy
            self._addresses[proxy.address] += 1
        else:
            self._proxies.pop(node_id, None)
        self._listed = None

    def _take_verdicts(self, compiler: Compiler) -> None:
        """What proxies refused. One that begins anew may take what it refused before, so it is offered that again."""
        while self._verdicts:
            node_id, refused, message = self._verdicts.popleft()
            if refused is None:
                self._refusing.discard(node_id)
                compiler.forgive(node_id)
            else:
                self._refusing.add(node_id)
                compiler.refuse(node_id, refused, message)
