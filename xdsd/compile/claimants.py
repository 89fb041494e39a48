"""Which hosts want virtual addresses, kept as services come and go."""

from collections import defaultdict
from ipaddress import IPv4Network

from xdsd.model.catalog import Service, ServiceKey
from xdsd.model.virtual_addresses import IPV4_RANGE, Claimant, displaced, place


class Claimants:
    """The hosts of all services. Services of one host share its addresses, since nobody sees two of them."""

    def __init__(self, network: IPv4Network = IPV4_RANGE) -> None:
        self._network = network
        self._ages: dict[str, dict[ServiceKey, str]] = {}
        self._at: dict[int, set[str]] = defaultdict(set)
        self._crowded: set[int] = set()
        self._changed = False

    def put(self, key: ServiceKey, service: Service | None) -> None:
        """Adds, replaces or (None) removes a service."""
        ages = self._ages.get(key.hostname, {})
        created = service.created if service else None
        if ages.get(key) == created:
            return
        self._changed = self._changed or bool(self._crowded)
        if created is None:
            del ages[key]
            if not ages:
                del self._ages[key.hostname]
                self._leave(key.hostname)
            return
        if not ages:
            ages = self._ages[key.hostname] = {}
            self._enter(key.hostname)
        ages[key] = created

    def displaced(self) -> tuple[tuple[str, int], ...] | None:
        """Hosts whose first place another one has, and the attempt that gave them theirs; None if nothing may have changed
        since the last call.

        Hosts meet so rarely that all are looked at again where any do.
        """
        if not self._changed:
            return None
        self._changed = False
        if not self._crowded:
            return ()
        claimants = (Claimant(min(ages.values()), host) for host, ages in self._ages.items())
        found = displaced(claimants, self._network)
        return tuple(sorted(found.items()))

    def _enter(self, host: str) -> None:
        where = place(host, network=self._network)
        self._at[where].add(host)
        if len(self._at[where]) > 1:
            self._crowded.add(where)
            self._changed = True

    def _leave(self, host: str) -> None:
        where = place(host, network=self._network)
        self._at[where].discard(host)
        if len(self._at[where]) < 2:
            self._crowded.discard(where)
        if not self._at[where]:
            del self._at[where]
