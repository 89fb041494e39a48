"""Which hosts want virtual addresses, and which have declared such, kept as services come and go."""

from collections import Counter, defaultdict
from ipaddress import IPv4Network
from typing import TypeVar

from xdsd.model.catalog import Service, ServiceKey
from xdsd.model.virtual_addresses import IPV4_RANGE, Claimant, Declared, declared, displaced, place

T = TypeVar("T")


class Claimants:
    """The hosts of all services. Services of one host share its addresses, since nobody sees two of them."""

    def __init__(self, network: IPv4Network = IPV4_RANGE) -> None:
        self._network = network
        self._ages: dict[str, dict[ServiceKey, str]] = {}
        self._at: dict[int, set[str]] = defaultdict(set)
        self._declared = _Declarations()
        self._crowded: set[int] = set()
        self._changed = False

    def put(self, key: ServiceKey, service: Service | None) -> None:
        """Adds, replaces or (None) removes a service."""
        self._declare(key, service)
        ages = self._ages.get(key.hostname, {})
        created = service.age if service else None
        if ages.get(key) == created:
            return
        self._changed = self._changed or self._contested
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

        Hosts meet so rarely that all are looked at again where any do, or where one declares a range of the mesh's.
        """
        if not self._changed:
            return None
        self._changed = False
        if not self._contested:
            return ()
        claimants = (Claimant(min(ages.values()), host) for host, ages in self._ages.items())
        found = displaced(claimants, self._network, self._declared.kept)
        return tuple(sorted(found.items()))

    @property
    def _contested(self) -> bool:
        return bool(self._crowded or self._declared.ranges)

    def _declare(self, key: ServiceKey, service: Service | None) -> None:
        """Takes in the addresses that a service has by itself."""
        addresses = service.addresses if service else ()
        before = self._declared.of.get(key, ())
        now = declared(key.hostname, addresses, self._network)
        if before == now:
            return
        contested = self._contested
        self._declared.put(key, now)
        for each in (*before, *now):
            if each.first == each.last:
                self._count(each.first)
        self._changed = self._changed or contested or self._contested

    def _enter(self, host: str) -> None:
        where = place(host, network=self._network)
        self._at[where].add(host)
        self._count(where)
        self._changed = self._changed or self._contested

    def _leave(self, host: str) -> None:
        where = place(host, network=self._network)
        self._at[where].discard(host)
        self._count(where)

    def _count(self, where: int) -> None:
        """Whether more than one host wants a place, or has it."""
        hosts = self._at.get(where, set())
        if len(hosts) > 1 or any(self._declared.kept(where, host) for host in hosts):
            self._crowded.add(where)
        else:
            self._crowded.discard(where)
        if not hosts:
            self._at.pop(where, None)


class _Declarations:
    """Places that services have by themselves; ``ranges`` are those of more than one."""

    def __init__(self) -> None:
        self.of: dict[ServiceKey, tuple[Declared, ...]] = {}
        self.ranges: Counter[Declared] = Counter()
        self._single: dict[int, Counter[str]] = defaultdict(Counter)

    def put(self, key: ServiceKey, now: tuple[Declared, ...]) -> None:
        """Replaces those of a service."""
        for each in self.of.pop(key, ()):
            if each.first != each.last:
                _take_one(self.ranges, each)
                continue
            _take_one(self._single[each.first], each.host)
            if not self._single[each.first]:
                del self._single[each.first]
        for each in now:
            if each.first != each.last:
                self.ranges[each] += 1
            else:
                self._single[each.first][each.host] += 1
        if now:
            self.of[key] = now

    def kept(self, where: int, host: str) -> bool:
        """True if a place is declared by other hosts than this."""
        if any(other != host for other in self._single.get(where, ())):
            return True
        return any(each.first <= where <= each.last and each.host != host for each in self.ranges)


def _take_one(counter: Counter[T], member: T) -> None:
    counter[member] -= 1
    if not counter[member]:
        del counter[member]
