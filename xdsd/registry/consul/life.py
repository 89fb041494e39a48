"""Whether the Consul that answers is the one that was asked before, or one that began anew at the same address.

A Consul that lost its data counts its index from the start, but it may have passed the old one before it is asked again.
Its servers tell: each is a node with an id, registered at an index, and one of them at least outlives any restart that
loses nothing.
"""

import asyncio

from xdsd.registry.consul.answers import Malformed, Server, read_servers
from xdsd.registry.consul.client import ConsulClient, Denied, Unusable

SERVERS = "/v1/catalog/service/consul"


class Life:
    """The servers as they were when they were looked at last, and those that are known since Consul's data is what it is."""

    def __init__(self, client: ConsulClient) -> None:
        self._client = client
        self._looked = 0.0
        self._differs = False
        self._known: frozenset[Server] = frozenset()
        self._servers: frozenset[Server] = frozenset()
        self._begun = 0
        self._ended = 0
        self._turn = asyncio.Lock()

    @property
    def is_known(self) -> bool:
        """False where servers are hidden from us."""
        return bool(self._known)

    async def is_same(self) -> bool:
        """Looks at the servers; of those who ask at once, one looks for all. True too where they are hidden from us.

        Raises ConsulError.
        """
        seen = self._begun
        async with self._turn:
            if self._ended <= seen:
                await self._look()
        self._differs = bool(self._servers and self._known) and self._servers.isdisjoint(self._known)
        if self._servers and not self._differs:
            self._known = self._servers
        return not self._differs

    def is_due(self, seconds: float) -> bool:
        """True if the servers were others, or were not looked at for so long."""
        return self._differs or asyncio.get_running_loop().time() - self._looked >= seconds

    def begin(self) -> None:
        """Another life: whoever is its server is known from the next look on."""
        self._known, self._differs = frozenset(), False

    async def _look(self) -> None:
        self._begun += 1
        self._servers = frozenset()
        try:
            answer = await self._client.ask(SERVERS)
            self._servers = read_servers(answer.body)
        except (Denied, Unusable, Malformed):
            pass  # Then its index alone tells.
        self._ended = self._begun
        self._looked = asyncio.get_running_loop().time()
