"""What proxies refused, as inputs of the compiler.

Two for each refusal: under its proxy, whose layers it may change, and under its content, for the words that its owner hears.
Two more for an access log that cannot be opened, and for a file that a gateway's TLS needs: under the proxies that cannot
have it, and under what they cannot have.
The words are the first proxy's by name, so that a thousand replicas that refuse the same are one change and one problem.
"""

from collections import defaultdict
from collections.abc import Iterable

from xdsd.compile.access_logs import AccessLog
from xdsd.compile.graph import Graph
from xdsd.compile.layers.patched import Refused
from xdsd.compile.layers.settings import file_logs
from xdsd.compile.lost_files import LostFile
from xdsd.compile.rejections import said, says
from xdsd.model.machine import names_file
from xdsd.snapshot import LISTENER

MOST = 64
"""Refusals of one proxy that are remembered, the newest ones."""

LONGEST = 1000
"""Characters of a proxy's words that are passed on."""


class Refusals:
    """Writes the inputs ``refusals`` (of a node) and ``refused-by`` (of a content: node and words), ``lost-logs`` and
    ``lost-files`` (of a node), and ``lost-log-words`` and ``lost-file-words`` (of a log and of a file).
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._of_node: dict[str, dict[Refused, None]] = {}
        self._words: dict[Refused, dict[str, str]] = defaultdict(dict)
        self._lost: dict[AccessLog, dict[str, str]] = {}
        self._untold: set[AccessLog] = set()
        self._lost_files: dict[LostFile, dict[str, str]] = {}
        self._files_of_node: dict[str, dict[LostFile, None]] = {}
        self._untold_files: set[LostFile] = set()

    def add(self, node_id: str, refused: Refused, message: str, files: Iterable[LostFile] = ()) -> None:
        """A proxy refused a content, for these files of its machine if for any."""
        known = self._of_node.setdefault(node_id, {})
        known.pop(refused, None)
        known[refused] = None
        self._words[refused][node_id] = message[:LONGEST]
        if len(known) > MOST:
            oldest = next(iter(known))
            del known[oldest]
            self._forget(node_id, oldest)
        self._tell(node_id, refused)
        for log in file_logs(self._graph) if refused.type_url == LISTENER else ():
            if names_file(message, log.path):
                self._lost.setdefault(log, {})[node_id] = said(message[:LONGEST])
                self._untold.add(log)
                self._tell_logs(node_id)
        self._lose(node_id, files, said(message[:LONGEST]))

    def look(self) -> None:
        """Offers logs again to those that could not open them, once they are others; and says who cannot, since this is
        asked for once, however many they are.
        """
        if self._lost:
            wanted = file_logs(self._graph)
            for lost in [each for each in self._lost if each not in wanted]:
                self._untold.add(lost)
                for node_id in self._lost.pop(lost):
                    self._tell_logs(node_id)
        for log in self._untold:
            nodes = self._lost.get(log)
            self._graph.set(("lost-log-words", log), says(nodes, nodes[min(nodes)]) if nodes else None)
        self._untold.clear()
        for file in self._untold_files:
            nodes = self._lost_files.get(file)
            self._graph.set(("lost-file-words", file), says(nodes, nodes[min(nodes)]) if nodes else None)
        self._untold_files.clear()

    def drop(self, node_id: str) -> None:
        """Forgets all that a proxy refused."""
        for log in [log for log, nodes in self._lost.items() if nodes.pop(node_id, None) is not None]:
            if not self._lost[log]:
                del self._lost[log]
            self._untold.add(log)
        self._tell_logs(node_id)
        for file in self._files_of_node.pop(node_id, {}):
            self._find(node_id, file)
        self._graph.set(("lost-files", node_id), None)
        for refused in self._of_node.pop(node_id, {}):
            self._forget(node_id, refused)
        self._graph.set(("refusals", node_id), None)

    def _tell_logs(self, node_id: str) -> None:
        found = sorted((log for log, nodes in self._lost.items() if node_id in nodes), key=str)
        self._graph.set(("lost-logs", node_id), tuple(found) or None)

    def _lose(self, node_id: str, files: Iterable[LostFile], words: str) -> None:
        for file in files:
            known = self._files_of_node.setdefault(node_id, {})
            known[file] = None
            self._lost_files.setdefault(file, {})[node_id] = words
            self._untold_files.add(file)
            if len(known) > MOST:
                oldest = next(iter(known))
                del known[oldest]
                self._find(node_id, oldest)
            self._graph.set(("lost-files", node_id), tuple(sorted(known)))

    def _find(self, node_id: str, file: LostFile) -> None:
        """A file is not held to be lost on a node any more."""
        nodes = self._lost_files[file]
        del nodes[node_id]
        if not nodes:
            del self._lost_files[file]
        self._untold_files.add(file)

    def _forget(self, node_id: str, refused: Refused) -> None:
        words = self._words[refused]
        words.pop(node_id, None)
        if not words:
            del self._words[refused]
        self._tell_words(refused)

    def _tell(self, node_id: str, refused: Refused) -> None:
        self._graph.set(("refusals", node_id), tuple(sorted(self._of_node[node_id])))
        known = self._graph.peek(("refused-by", *refused))
        if known is None or node_id <= known[0]:
            self._tell_words(refused)

    def _tell_words(self, refused: Refused) -> None:
        words = self._words.get(refused)
        first = min(words) if words else None
        value = (first, words[first]) if words and first is not None else None
        self._graph.set(("refused-by", *refused), value)
