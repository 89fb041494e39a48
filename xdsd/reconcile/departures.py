"""What left the address of a connected proxy not long ago.

A workload is taken out of the catalog while its program lives, or is served at another port. Its own proxy hears of that
as soon as its callers do, in no order, and some of them much later: had it closed the port at once, they would be refused.
So what left is served on for a while, as it was described last, and as those policies say that hold meanwhile.
"""

from collections.abc import Callable, Collection, Iterator
from itertools import takewhile

from xdsd.compile.world import World
from xdsd.model.catalog import NOT_SERVED, Departed, Endpoint, Service, ServiceKey
from xdsd.model.global_names import is_global
from xdsd.registry.catalog import Catalog, CatalogDelta

Left = tuple[ServiceKey, frozenset[int]]
"""A service, and the ports of it that are served no more."""


class Departures:
    """Writes what left into ``world``; ``occupied`` are the addresses of connected proxies, ``clock`` counts seconds."""

    def __init__(self, world: World, occupied: Collection[str], clock: Callable[[], float]) -> None:
        self._world = world
        self._occupied = occupied
        self._clock = clock
        self._order: dict[tuple[str, Left], float] = {}
        self._left: dict[str, dict[Left, Departed]] = {}

    @property
    def oldest(self) -> float | None:
        """When the first of those left that are still known; None if there is none."""
        return next(iter(self._order.values()), None)

    def look(self, catalog: Catalog, delta: CatalogDelta) -> None:
        """Notes what a change of the catalog takes away that ``world`` has still."""
        if not self._occupied:
            return
        touched: set[str] = set()
        for key in delta.services | delta.endpoints:
            for departed, lost in () if is_global(key.hostname) else self._leaving(catalog, key):
                address, left = departed.endpoint.address, (key, lost)
                self._order.pop((address, left), None)
                self._order[address, left] = self._clock()
                self._left.setdefault(address, {})[left] = departed
                touched.add(address)
        self._write(touched)

    def forget(self, before: float) -> None:
        """Forgets what left until then."""
        old = list(takewhile(lambda known: self._order[known] <= before, self._order))
        for address, left in old:
            del self._order[address, left], self._left[address][left]
        self._write({address for address, _ in old})

    def _leaving(self, catalog: Catalog, key: ServiceKey) -> Iterator[tuple[Departed, frozenset[int]]]:
        """What of a service leaves, and the ports of it that are served no more."""
        service, now = self._world.service(key), catalog.service(key)
        if service is None:
            return
        suspects = list(self._suspects(service, now, self._world.endpoints(key), catalog.endpoints(key)))
        if not suspects:
            return
        addresses = {endpoint.address for endpoint in suspects}
        served = {
            (endpoint.address, number)
            for endpoint in (catalog.endpoints(key) if now else ())
            if endpoint.address in addresses
            for number in _numbers(now, endpoint)
        }
        for endpoint in suspects:
            lost = frozenset(
                number for number in _numbers(service, endpoint) if (endpoint.address, number) not in served
            )
            if lost:
                yield Departed(service, endpoint), lost

    def _suspects(
        self,
        service: Service,
        now: Service | None,
        before: tuple[Endpoint, ...],
        after: tuple[Endpoint, ...],
    ) -> Iterator[Endpoint]:
        """The endpoints at occupied addresses that may have left. Those of long lists that stay are the same values."""
        described = now is None or now.ports != service.ports
        kept = set() if described else set(map(id, after))
        for endpoint in before:
            if id(endpoint) not in kept and endpoint.address in self._occupied:
                yield endpoint

    def _write(self, addresses: Collection[str]) -> None:
        for address in addresses:
            self._world.put_departed(address, tuple(self._left[address].values()))
            if not self._left[address]:
                del self._left[address]


def _numbers(service: Service | None, endpoint: Endpoint) -> Iterator[int]:
    """The ports at which an endpoint is reached."""
    for port in service.ports if service else ():
        number = endpoint.port_for(port)
        if number != NOT_SERVED:
            yield number
