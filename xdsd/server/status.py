"""What operators see of connected proxies."""

from dataclasses import dataclass

from xdsd.model.identity import StreamIdentity
from xdsd.model.node import Node
from xdsd.protocol.watch import TypeStatus


@dataclass(frozen=True, slots=True)
class ProxyStatus:
    """One stream of one proxy; ``identity`` is what it proved.

    ``since`` and the times within ``types`` are seconds ago, as of the moment of asking.
    """

    node: Node
    dialect: str
    aggregated: bool
    peer: str
    since: float
    types: tuple[TypeStatus, ...]
    identity: StreamIdentity | None = None
