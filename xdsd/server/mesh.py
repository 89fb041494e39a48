"""Where proxies get their config from, as the server sees it."""

from typing import Protocol

from xdsd.model.node import Node
from xdsd.snapshot import Snapshot


class Mesh(Protocol):
    """The owner of the snapshot; tells the server of every change after the snapshot has taken it in."""

    @property
    def snapshot(self) -> Snapshot: ...

    async def attach(self, node: Node) -> None:
        """A stream of ``node`` begins. Called for each stream, also while another of the same node is open, as the
        proxy may come back with other metadata.

        The node is served once ``snapshot.assigned`` has its key, at the end of this call or later. Raises
        ``NodeRefused``.
        """

    def rejected(self, node: Node, type_url: str, name: str, version: str, message: str) -> None:
        """A stream of ``node`` refused this version of a resource, and told why in ``message``."""

    def detach(self, node: Node) -> None:
        """The last stream of ``node.key`` is over."""
