"""What proxies refused, as inputs of the compiler.

Two for each refusal: under its proxy, whose layers it may change, and under its content, for the words that its owner hears.
The words are the first proxy's by name, so that a thousand replicas that refuse the same are one change and one problem.
"""

from collections import defaultdict

from xdsd.compile.graph import Graph
from xdsd.compile.layers.patched import Refused

MOST = 64
"""Refusals of one proxy that are remembered, the newest ones."""

LONGEST = 1000
"""Characters of a proxy's words that are passed on."""


class Refusals:
    """Writes the inputs ``refusals`` (of a node) and ``refused-by`` (of a content: node and words)."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._of_node: dict[str, dict[Refused, None]] = {}
        self._words: dict[Refused, dict[str, str]] = defaultdict(dict)

    def add(self, node_id: str, refused: Refused, message: str) -> None:
        """A proxy refused a content."""
        known = self._of_node.setdefault(node_id, {})
        known.pop(refused, None)
        known[refused] = None
        self._words[refused][node_id] = message[:LONGEST]
        if len(known) > MOST:
            oldest = next(iter(known))
            del known[oldest]
            self._forget(node_id, oldest)
        self._tell(node_id, refused)

    def drop(self, node_id: str) -> None:
        """Forgets all that a proxy refused."""
        for refused in self._of_node.pop(node_id, {}):
            self._forget(node_id, refused)
        self._graph.set(("refusals", node_id), None)

    def _forget(self, node_id: str, refused: Refused) -> None:
        words = self._words[refused]
        words.pop(node_id, None)
        if not words:
            del self._words[refused]
        self._tell_words(refused)

    def _tell(self, node_id: str, refused: Refused) -> None:
        self._graph.set(("refusals", node_id), tuple(sorted(self._of_node[node_id])))
        self._tell_words(refused)

    def _tell_words(self, refused: Refused) -> None:
        words = self._words.get(refused)
        first = min(words) if words else None
        value = (first, words[first]) if words and first is not None else None
        self._graph.set(("refused-by", *refused), value)
