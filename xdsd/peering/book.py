"""All that is known of peers, and what follows of it: what each is offered, and the services that have global names.

The book is told of Peers, Residencies and services that changed here; intakes are told by their streams. ``drain`` says what
changed of a source of the catalog since it was asked last.
"""

from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from itertools import islice
from typing import Protocol

from xdsd.model.catalog import Endpoint, Service, ServiceKey
from xdsd.model.intent import Peer, Residency
from xdsd.model.intent.hosts import is_address
from xdsd.model.problem import ObjectRef
from xdsd.peering.intake import Intake, News, Terms
from xdsd.peering.names import Regions, global_key, local_part, peer_part
from xdsd.peering.offer import Offer
from xdsd.peering.summaries import shared, shared_key
from xdsd.peering.values import Gateway, Shared, SharedKey, Wanted
from xdsd.registry.base import CatalogChange


class Here(Protocol):
    """The services of this mesh; the catalog."""

    def service(self, key: ServiceKey) -> Service | None: ...

    def services(self) -> Mapping[ServiceKey, Service]: ...

    def endpoints(self, key: ServiceKey) -> tuple[Endpoint, ...]: ...


class Parts:
    """The parts that one source has in the catalog, and which of them are to be said anew."""

    def __init__(self) -> None:
        self._said: dict[ServiceKey, Service] = {}
        self.touched: dict[SharedKey, None] = {}

    def __len__(self) -> int:
        return len(self._said)

    @property
    def keys(self) -> tuple[SharedKey, ...]:
        return tuple(SharedKey(key.namespace, key.hostname.partition(".")[0]) for key in self._said)

    def take(self, most: int | None) -> list[SharedKey]:
        """The next of those that are touched, so many at most; they are touched no more."""
        taken = list(islice(self.touched, most))
        for key in taken:
            del self.touched[key]
        return taken

    def drain(self, made: Mapping[SharedKey, Service | None]) -> CatalogChange:
        """The change from what was said before to what was made of what is touched."""
        services: list[Service] = []
        removed: list[ServiceKey] = []
        endpoints: dict[ServiceKey, tuple[Endpoint, ...]] = {}
        for key, service in made.items():
            named = global_key(key)
            before = self._said.get(named)
            if service == before:
                continue
            if service is None:
                removed.append(named)
                del self._said[named]
                continue
            self._said[named] = service
            if before is not None and _described(before) == _described(service):
                endpoints[named] = service.endpoints
            else:
                services.append(service)
        return CatalogChange(tuple(services), tuple(removed), endpoints=endpoints)


class Book:
    """``mesh`` is what our own is called, ``here`` its services."""

    def __init__(self, mesh: str, trust_domain: str, domain: str, here: Here) -> None:
        self.mesh = mesh
        self.trust_domain = trust_domain
        self._domain = domain
        self._here = here
        self._keys: dict[ServiceKey, SharedKey] = {}
        self._found: dict[SharedKey, ServiceKey] = {}
        self._local = Parts()
        self._parts: dict[str, Parts] = {}
        self.residencies: dict[ObjectRef, Residency] = {}
        self._bundle = b""
        self._reoffered = False
        self._unoffered: dict[str, dict[SharedKey, None]] = {}
        self._beginning: set[str] = set()
        self.peers: dict[str, Peer] = {}
        self.offers: dict[str, Offer] = {}
        self.intakes: dict[str, Intake] = {}

    # What is told.

    def put_peer(self, name: str, spec: Peer, epoch: str) -> News:
        """Adds a peer, or changes it; ``epoch`` is for what it is offered from now on, where that begins. What that is
        ``offer_some`` finds out.
        """
        first = not self.peers
        self.peers[name] = spec
        if first:
            self._local.touched.update(dict.fromkeys(self._found))
        terms = _terms(name, spec)
        news = News()
        if name not in self.intakes:
            self.intakes[name] = Intake(self.mesh, terms)
            self._parts[name] = Parts()
            self.offers[name] = Offer(epoch)
            self._beginning.add(name)
        elif self.intakes[name].terms != terms:
            news = self.intakes[name].change(terms)
            self.touch(name, news)
        offer = self.offers[name]
        offer.set_bundle(self._bundle)
        offer.set_gateways(
            tuple(Gateway(each.address, each.port, each.locality or "") for each in spec.gateways)
        )
        self._unoffered[name] = dict.fromkeys((*offer.services, *self._found))
        return news

    def offer_some(self, most: int | None = None) -> frozenset[str]:
        """Finds out what peers are offered that were declared, of so many services each at most; whose offers changed."""
        changed: set[str] = set()
        for name, keys in self._unoffered.items():
            offer, spec = self.offers[name], self.peers[name]
            before = offer.generation
            for key in list(islice(keys, most)):
                del keys[key]
                self._offer(offer, spec, key, self._shared(key) if spec.offers(*key) else None)
            if offer.generation != before or not keys:
                changed.add(name)
        self._unoffered = {name: keys for name, keys in self._unoffered.items() if keys}
        self._beginning &= self._unoffered.keys()
        return frozenset(changed)

    def is_beginning(self, name: str) -> bool:
        """True for a peer for which it was not found out yet what it is offered: it would take that for everything."""
        return name in self._beginning

    def drop_peer(self, name: str) -> CatalogChange:
        """A peer is gone; what it had in the catalog goes."""
        del self.peers[name], self.offers[name]
        self._unoffered.pop(name, None)
        self._beginning.discard(name)
        self._reoffered = True
        self.intakes.pop(name)
        if not self.peers:
            self._local.touched.update(dict.fromkeys(self._found))
        said = self._parts.pop(name)
        return said.drain(dict.fromkeys(said.keys))

    def put_residency(self, ref: ObjectRef, spec: Residency | None) -> None:
        """A Residency is declared, or (None) gone."""
        if spec is None:
            self.residencies.pop(ref, None)
        else:
            self.residencies[ref] = spec
        for key in self._found:
            if key.namespace == ref.namespace:
                self._local.touched[key] = None
        for name, intake in self.intakes.items():
            self._parts[name].touched.update(
                dict.fromkeys(key for key in intake.services if key.namespace == ref.namespace)
            )

    def set_bundle(self, bundle: bytes) -> None:
        """The authorities of this mesh's trust domain."""
        self._bundle = bundle
        for offer in self.offers.values():
            offer.set_bundle(bundle)

    def here_changed(self, keys: Iterable[ServiceKey]) -> None:
        """Services of the catalog changed, or their endpoints; those with global names among them are ours."""
        for at in keys:
            service = self._here.service(at)
            key = shared_key(service, self._domain) if service is not None else None
            before = self._keys.get(at)
            if before is not None and key != before:
                del self._keys[at], self._found[before]
            if key is not None:
                self._keys[at], self._found[key] = key, at
            for each in {before, key} - {None}:
                assert each is not None  # noqa: S101 - for mypy: the line above took it out
                if self.peers:
                    self._local.touched[each] = None
                found = self._shared(each) if self.offers else None
                for name, offer in self.offers.items():
                    self._offer(offer, self.peers[name], each, found)

    def touch(self, name: str, news: News) -> None:
        """The intake of a peer has news."""
        touched = self._parts[name].touched
        touched.update(dict.fromkeys(news.services))
        if news.whole:
            touched.update(dict.fromkeys(self.intakes[name].services))

    # What follows.

    @property
    def left(self) -> bool:
        """Whether a part is touched that was not drained, or a peer was declared and not all looked at."""
        return bool(self._unoffered or self._local.touched) or any(
            parts.touched for parts in self._parts.values()
        )

    def drain_local(self, most: int | None = None) -> CatalogChange:
        """What changed of the local parts; of so many at most."""
        return self._local.drain({key: self._local_part(key) for key in self._local.take(most)})

    def drain(self, name: str, source: str, most: int | None = None) -> CatalogChange:
        """What changed of a peer's parts; of so many at most."""
        parts, intake = self._parts[name], self.intakes[name]
        made = {}
        for key in parts.take(most):
            known = intake.services.get(key)
            regions = self.regions(key)
            made[key] = peer_part(name, known, intake.gateways, regions, source) if known else None
        return parts.drain(made)

    def regions(self, key: SharedKey) -> Regions:
        """The regions in which a service may be served; of several Residencies all hold. None: everywhere."""
        found: frozenset[str] | None = None
        for ref, spec in self.residencies.items():
            if ref.namespace == key.namespace and spec.covers(key.name):
                found = frozenset(spec.regions) if found is None else found & frozenset(spec.regions)
        return found

    def _local_part(self, key: SharedKey) -> Service | None:
        at = self._found.get(key)
        service = self._here.service(at) if at is not None else None
        if at is None or service is None or not self.peers:
            return None
        return local_part(key, service, self._here.endpoints(at), self.regions(key))

    def take_offered(self) -> frozenset[ServiceKey] | None:
        """The global names of what some peer is offered, if that is another than when it was asked last."""
        if not self._reoffered:
            return None
        self._reoffered = False
        return frozenset(global_key(key) for offer in self.offers.values() for key in offer.services)

    def _shared(self, key: SharedKey) -> Shared | None:
        """What may be told of a service; None if it is not here."""
        at = self._found.get(key)
        service = self._here.service(at) if at is not None else None
        if at is None or service is None:
            return None
        return shared(key, service, self._here.endpoints(at), self.trust_domain)

    def _offer(self, offer: Offer, peer: Peer, key: SharedKey, found: Shared | None) -> None:
        before = len(offer)
        offer.put(key, found if peer.offers(*key) else None)
        self._reoffered |= len(offer) != before


def _terms(name: str, spec: Peer) -> Terms:
    wanted = tuple(Wanted(each.namespaces, each.names) for each in spec.imports)
    near = any(_is_loopback(each) for each in spec.addresses)
    return Terms(name, spec.trust_domain, wanted, spec.kept_for.total_seconds(), spec.most, near)


def _is_loopback(dialled: str) -> bool:
    host = dialled.rpartition(":")[0].removeprefix("[").removesuffix("]")
    return host == "localhost" or (is_address(host) and ip_address(host).is_loopback)


def _described(service: Service) -> tuple[object, ...]:
    return (service.ports, service.export_to, service.created, service.source, service.location)
