"""On which nodes workloads run, by the addresses that they have."""

from collections.abc import Iterator

from xdsd.model.catalog import Endpoint, NodeAt, network_of


class Nodes:
    """Told of every workload that comes, changes or goes. Several have one address where they share a machine's, or where
    networks have equal ones.
    """

    def __init__(self) -> None:
        self._at: dict[str, tuple[NodeAt, ...]] = {}

    def __len__(self) -> int:
        """At how many addresses nodes are known."""
        return len(self._at)

    def at(self, address: str) -> tuple[NodeAt, ...]:
        """The nodes of the workloads at an address, each once."""
        found = self._at.get(address, ())
        return found if len(found) < 2 else tuple(sorted(set(found)))

    def move(self, before: Endpoint | None, after: Endpoint | None) -> Iterator[str]:
        """A workload is another than before; gives the addresses at which other nodes may be found now."""
        left, come = _where(before), _where(after)
        if left == come:
            return
        if left is not None:
            address, where = left
            rest = list(self._at[address])
            rest.remove(where)
            self._set(address, tuple(rest))
            yield address
        if come is not None:
            address, where = come
            self._set(address, (*self._at.get(address, ()), where))
            yield address

    def _set(self, address: str, found: tuple[NodeAt, ...]) -> None:
        if found:
            self._at[address] = found
        else:
            del self._at[address]


def _where(endpoint: Endpoint | None) -> tuple[str, NodeAt] | None:
    if endpoint is None or not endpoint.node:
        return None
    return endpoint.address, NodeAt(network_of(endpoint), endpoint.node)
