"""What a cluster's objects mean together, kept up to date step by step. Pure.

Services get their endpoints from their slices, these their labels and identities from pods, and pods their localities from
nodes. Each kind of object comes by a watch of its own, in no order between them: what refers to something that is not there
yet is looked at again once it is.
"""

from collections.abc import Generator, Iterable, Iterator, Mapping, Set
from dataclasses import replace
from itertools import chain

from xdsd.model.catalog import Endpoint, Service, ServiceKey
from xdsd.model.problem import Problem
from xdsd.registry.base import CatalogChange
from xdsd.registry.kubernetes import facts
from xdsd.registry.kubernetes.endpoints import with_known
from xdsd.registry.kubernetes.facts import Json, Name, Pod, Remark, Slice, Unreadable
from xdsd.registry.kubernetes.former import Former, former
from xdsd.registry.kubernetes.held import Entry, HeldNode, HeldPod, HeldService, HeldSlice
from xdsd.registry.kubernetes.index import keep, taken
from xdsd.registry.kubernetes.joining import Joining
from xdsd.registry.kubernetes.kinds import Kind
from xdsd.registry.kubernetes.notes import Notes
from xdsd.registry.kubernetes.programs import Programs
from xdsd.registry.kubernetes.slices import Slices
from xdsd.registry.kubernetes.unheeded import unheeded


class ClusterState:
    """Takes objects as they come and are gone; ``take`` says what that changed, ``take_problems`` what is wrong with them.

    ``network`` and ``cluster`` are what endpoints belong to; without ``network`` the label of the namespace ``root`` counts.
    """

    def __init__(
        self, *, source: str, domain: str, root: str = "", network: str = "", cluster: str = ""
    ) -> None:
        self._source = source
        self._domain = domain
        self._names: dict[Kind, set[Name]] = {kind: set() for kind in Kind}
        self._services: dict[Name, Service] = {}
        self._slices = Slices()
        self._programs = Programs(root=root, network=network, cluster=cluster)
        self._notes = Notes(source)
        self._joining = Joining(self._slices, self._programs, self._notes)
        self._touched: set[Name] = set()
        self._reported: dict[Name, Service] = {}
        self._former: set[Name] = set()
        self._displaced: set[Name] = set()
        self._set_back = False
        self._losses = 0
        self._former_pods = Former()
        self._former_services = Former()

    def names(self, kind: Kind) -> Set[Name]:
        """The objects of a kind that are there, as far as was told, now and later."""
        return self._names[kind]

    def port_of(self, service: Name, port: str) -> int | None:
        """The number of a service's port by its name; None where there is none."""
        found = self._services.get(service)
        return next((each.number for each in found.ports if each.name == port), None) if found else None

    def know_pods(self, known: bool) -> None:
        """Whether pods are told at all. If not, endpoints do not wait for the pods that they name."""
        if known != self._joining.pods_known:
            self._joining.pods_known = known
            for pod, names in self._slices.by_pod():
                if pod not in self._programs.pods:
                    for name in names:
                        self._rebuild(name)

    def put(self, kind: Kind, obj: Json) -> None:
        """Adds or replaces an object. One that cannot be read stays as it was."""
        try:
            name = facts.name_of(obj)
        except Unreadable as fault:
            self._notes.note(kind, Name("", "?"), [fault.remark])
            return
        self._names[kind].add(name)
        try:
            remarks = self._read(kind, name, obj)
        except Unreadable as fault:
            remarks = [fault.remark]
        self._notes.note(kind, name, remarks)

    def drop(self, kind: Kind, name: Name) -> None:
        """The object is gone, if it was there."""
        self._names[kind].discard(name)
        self._notes.note(kind, name, ())
        match kind:
            case Kind.SERVICE:
                self._former_services.seen(name)
                self._set_family(name, None)
                self._set_service(name, None)
            case Kind.ENDPOINT_SLICE:
                self._set_former(name, None)
                self._set_slice(name, None)
            case Kind.POD:
                self._former_pods.seen(name)
                self._set_pod(name, None)
            case Kind.NODE:
                self._set_node(name.name, "")
            case Kind.NAMESPACE:
                self._set_namespace(name, "")

    def spoil(self, kind: Kind, name: Name, remark: Remark) -> None:
        """Something is wrong with an object that could not be taken in; it stays as it was."""
        self._notes.note(kind, name, [remark])

    def lose(self, *, set_back: bool) -> Generator[None, None, None]:
        """The cluster forgot what it had, step by step. Its slices stand beside those that come then, until ``forget``; all
        else stays, and who drops objects knows what was not seen again. ``set_back``: it is the same one at an earlier
        time, whose slices say what was rather than what is.
        """
        self._set_back = set_back
        names, self._names[Kind.ENDPOINT_SLICE] = self._names[Kind.ENDPOINT_SLICE], set()
        for name in names:
            item = self._slices.items.get(name)
            if item is not None:
                self._set_slice(name, None)
                self._set_former(name, item)
            yield
        yield from self._index_former()

    def held(self, kind: Kind, name: Name) -> Entry | None:
        """An object of which the cluster says nothing any more, to be written down; None where that would tell nothing."""
        match kind:
            case Kind.SERVICE if name in self._services:
                return HeldService(name, self._services[name], self._joining.family_of(name))
            case Kind.POD if name in self._programs.pods:
                return HeldPod(name, self._programs.pods[name])
            case Kind.NODE if self._programs.locality_of(name.name):
                return HeldNode(name, self._programs.locality_of(name.name))
        return None

    def held_slices(self) -> Iterator[HeldSlice]:
        """Those of before that still have endpoints of which those of now say nothing."""
        for name in tuple(self._former):
            item = self._slices.items.get(former(name))
            if item is not None and not self._joining.is_silent(former(name)):
                yield HeldSlice(name, item, self._slices.items.get(name))

    def recall(self, entries: Iterable[Entry], *, set_back: bool) -> Generator[None, None, None]:
        """What the cluster forgot in an earlier life of the daemon, step by step; nothing was put yet."""
        self._set_back = set_back
        for each in entries:
            match each:
                case HeldService(name, service):
                    self._names[Kind.SERVICE].add(name)
                    host = facts.host_of(name, self._domain)
                    self._joining.set_family(name, each.ipv6)
                    self._set_service(name, replace(service, hostname=host, source=self._source))
                case HeldPod(name, pod):
                    self._names[Kind.POD].add(name)
                    self._set_pod(name, pod)
                case HeldNode(name, locality):
                    self._names[Kind.NODE].add(name)
                    self._set_node(name.name, locality)
                case HeldSlice(name, before, since):
                    self._set_former(name, before)
                    if since is not None:
                        self._names[Kind.ENDPOINT_SLICE].add(name)
                        self._set_slice(name, since)
            yield
        yield from self._index_former()

    def _index_former(self) -> Generator[None, None, None]:
        """All pods and services that are known are of before."""
        self._former_pods, self._former_services = Former(), Former()
        for name in tuple(self._programs.pods):
            self._former_pods.add(name, (self._programs.pods[name].address,))
            yield
        for name in tuple(self._services):
            self._former_services.add(name, self._services[name].addresses)
            yield

    def forget(self) -> Generator[None, None, None]:
        """What was said before the cluster forgot it holds no longer, step by step."""
        while self._former:
            name = self._former.pop()
            self._losses += 1
            self._set_slice(former(name), None)
            if name not in self._names[Kind.ENDPOINT_SLICE]:
                self._notes.note(Kind.ENDPOINT_SLICE, name, ())
            yield
        self._former_pods, self._former_services = Former(), Former()

    @property
    def former_slices(self) -> int:
        """How many slices of before still have endpoints of which those of now say nothing."""
        return len(self._former) - self._joining.silent

    @property
    def losses(self) -> int:
        """Another number whenever something else is held."""
        return self._losses + self._joining.silences

    def take_displaced(self) -> Set[Name]:
        """The pods of before whose addresses others have now, which are dropped, since it was last asked."""
        found, self._displaced = self._displaced, set()
        return found

    def take(self, most: int = 1 << 30) -> CatalogChange | None:
        """What changed since it was last asked, of at most so many services; None if nothing did."""
        services: list[Service] = []
        removed: list[ServiceKey] = []
        endpoints: dict[ServiceKey, tuple[Endpoint, ...]] = {}
        for name in taken(self._touched, most):
            before, now = self._reported.get(name), self._joining.joined(name, self._services.get(name))
            if now == before:
                continue
            if now is None:
                if before is not None:
                    removed.append(before.key)
                    del self._reported[name]
                continue
            self._reported[name] = now
            if before is not None and replace(before, endpoints=now.endpoints) == now:
                endpoints[now.key] = now.endpoints
            else:
                services.append(now)
        pods, lost = self._programs.take(most)
        change = CatalogChange(tuple(services), tuple(removed), pods, lost, endpoints)
        return change if services or removed or endpoints or pods or lost else None

    @property
    def pending(self) -> bool:
        """Whether ``take`` has something to look at."""
        return bool(self._touched or self._programs.pending)

    def take_problems(self) -> Mapping[str, tuple[Problem, ...]]:
        """The problems of objects that have others than when it was last asked; none where they are mended."""
        return self._notes.take()

    # What objects say.

    def _read(self, kind: Kind, name: Name, obj: Json) -> list[Remark]:
        match kind:
            case Kind.SERVICE:
                service, remarks = facts.service(obj, self._domain, self._source)
                self._take_addresses(name, service.addresses)
                self._set_family(name, facts.first_family(obj))
                self._set_service(name, service)
                return [*remarks, *unheeded(obj["spec"], obj["metadata"])]
            case Kind.ENDPOINT_SLICE:
                found = facts.endpoint_slice(obj)
                if name in self._former and self._speaks_anew(name, found):
                    self._set_former(name, None)
                self._set_slice(name, found)
            case Kind.POD:
                pod = facts.pod(obj)
                for other in self._former_pods.seen(name, (pod.address,) if pod else ()).values():
                    self._displaced.add(other)
                    self.drop(Kind.POD, other)
                self._set_pod(name, pod)
            case Kind.NODE:
                self._set_node(name.name, facts.node_locality(obj))
            case Kind.NAMESPACE:
                self._set_namespace(name, facts.namespace_network(obj))
        return []

    def _set_service(self, name: Name, service: Service | None) -> None:
        before = self._services.get(name)
        if before == service:
            return
        keep(self._services, name, service)
        self._touched.add(name)
        if before is None or service is None or before.ports != service.ports:
            self._joining.rebuild_all(name)

    def _take_addresses(self, name: Name, addresses: Iterable[str]) -> None:
        """What a service of now has, one of before that was not seen again has no longer."""
        for address, other in self._former_services.seen(name, addresses).items():
            self._losses += 1
            before = self._services[other]
            left = tuple(each for each in before.addresses if each != address)
            self._set_service(other, replace(before, addresses=left))

    def _set_family(self, name: Name, ipv6: bool | None) -> None:
        if self._joining.set_family(name, ipv6):
            self._touched.add(name)

    def _set_slice(self, name: Name, now: Slice | None) -> None:
        before = self._slices.items.get(name)
        if before == now:
            return
        if before is not None and now is not None:
            now = with_known(now, before)
        if before is not None:
            self._touched.add(before.service)
            if now is None:
                self._joining.forget(name)
        self._slices.set(name, now)
        if now is not None:
            self._rebuild(name)
        if self._former:
            for service in {each.service for each in (before, now) if each is not None}:
                self._joining.rebuild_all(service)

    def _speaks_anew(self, name: Name, now: Slice | None) -> bool:
        """Whether a slice says more than that it was there: who was set back in time says what was known once more."""
        return not self._set_back or self._slices.items.get(name, now) != now

    def _set_former(self, name: Name, item: Slice | None) -> None:
        if item is not None:
            self._former.add(name)
            self._losses += 1
            self._set_slice(former(name), item)
        elif name in self._former:
            self._former.discard(name)
            self._losses += 1
            self._set_slice(former(name), None)

    def _set_pod(self, name: Name, now: Pod | None) -> None:
        if self._programs.set_pod(name, now):
            for each in self._slices.having(name):
                self._rebuild(each)

    def _set_node(self, name: str, locality: str) -> None:
        pods = self._programs.set_node(name, locality)
        if pods is not None:
            for each in {*self._slices.on(name), *chain.from_iterable(map(self._slices.having, pods))}:
                self._rebuild(each)

    def _set_namespace(self, name: Name, network: str) -> None:
        if self._programs.set_namespace(name.name, network):
            for each in self._slices.items:
                self._rebuild(each)

    def _rebuild(self, name: Name) -> None:
        self._joining.rebuild(name)
        self._touched.add(self._slices.items[name].service)
