"""Who opened a stream, in the words of the stream's first request."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from xdsd.model.identity import SpiffeID

SEPARATOR = "|"
"""Stands in no node id, so that no node can take the key of another that has proven its identity."""


@dataclass(frozen=True, slots=True)
class Locality:
    """Where a proxy runs; empty parts are unknown."""

    region: str = ""
    zone: str = ""
    sub_zone: str = ""


@dataclass(frozen=True, slots=True)
class Node:
    """A proxy's own description of itself: a claim, not a proof; ``identity`` alone is what its stream proved.

    ``metadata`` is the decoded Struct: strings, floats, booleans, None, lists and dicts of them (any JSON).
    ``incremental``: it is on an aggregated stream of the incremental dialect, which alone can carry every type.
    ``user_agent`` is such as ``envoy`` and ``version`` such as ``1.40.0``, empty if not said.
    """

    id: str
    cluster: str = ""
    locality: Locality = Locality()
    metadata: Mapping[str, Any] = field(default_factory=dict, hash=False)
    user_agent: str = ""
    version: str = ""
    identity: SpiffeID | None = None
    incremental: bool = False

    @property
    def is_gateway(self) -> bool:
        """True if it says that it stands at an edge."""
        return self.id.startswith("router~")

    @property
    def key(self) -> str:
        """What tells proxies apart in ``Snapshot.assigned``: two streams of one key are the same proxy.

        Who proved another identity, or none, is another proxy, whatever id it claims.
        """
        return self.id if self.identity is None else f"{self.id}{SEPARATOR}{self.identity.principal}"


def instance(node_id: str) -> str:
    """``reviews-v1.default`` of a node's id or key; ids of another form stand for themselves."""
    parts = node_id.split("~")
    return parts[2] if len(parts) == 4 else node_id


class NodeRefused(Exception):  # noqa: N818 - it is a verdict on the node, not a fault of ours
    """The node cannot be served; the message says what is wrong with it, for whoever runs that proxy."""


class ClaimRefused(NodeRefused):
    """The node claims to be somebody else than its stream proved."""
