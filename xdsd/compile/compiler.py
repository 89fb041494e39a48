"""From changed inputs to a snapshot change, in small steps.

The compiler keeps the layers that connected proxies need, nothing else. After inputs changed, ``steps`` brings everything
up to date, one cell a step, so that its caller can do other work in between; ``take`` then says what to publish. What
raises (a fault of ours, never a user's mistake) leaves what it would have made as it was, and is handed to the caller.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import cast

from xdsd.compile.graph import Cell, Graph
from xdsd.compile.layers.ahead import is_ahead
from xdsd.compile.layers.assignment import layers_of
from xdsd.compile.layers.base import LayerSpec, Member
from xdsd.compile.layers.credentials import used_credentials
from xdsd.compile.layers.guarding import key_sources
from xdsd.compile.layers.patch_remarks import filters_of
from xdsd.compile.layers.patched import Refused
from xdsd.compile.layers.peers import declared_trust
from xdsd.compile.layers.traffic import Way, traffic
from xdsd.compile.limits.rules import limit_rules
from xdsd.compile.listener_settings import DEFAULTS, ListenerSettings
from xdsd.compile.lost_files import LostFile, lost_files
from xdsd.compile.references import broken_references, rules_in_vain
from xdsd.compile.refusals import Refusals
from xdsd.compile.resolve import inspections
from xdsd.compile.standing import Place, Standing
from xdsd.compile.world import World
from xdsd.model.catalog import ServiceKey
from xdsd.model.credential import CredentialName, CredentialParts
from xdsd.model.federation import Declared
from xdsd.model.inspected import Inspected
from xdsd.model.key_source import FetchedKeys, KeySource
from xdsd.model.limits import LimitRule
from xdsd.model.mesh import MeshSettings, Proxy, Role
from xdsd.model.problem import ObjectRef, Problem
from xdsd.model.shut_out import NOBODY, ShutOut
from xdsd.snapshot import LISTENER, LayerChange, LayerId, Resource, Snapshot, SnapshotChange

Name = tuple[str, str]
"""Type URL and name of a resource."""


class Rank(IntEnum):
    """What is brought up to date first: each may change what the next consists of, or be asked for by it. Checks make
    nothing but problems.
    """

    NODE = 0
    AHEAD = 1
    PART = 2
    INGREDIENT = 3
    RESOURCE = 4
    CHECK = 5


@dataclass(slots=True)
class LayerState:
    """A layer in use: the cells of its parts, what each part listed last, and how many nodes need it."""

    spec: LayerSpec
    parts: list[Cell]
    listed: dict[Cell, tuple[Member, ...]] = field(default_factory=dict)
    members: dict[Name, Cell] = field(default_factory=dict)
    touched: dict[Name, None] = field(default_factory=dict)
    users: int = 0


@dataclass(frozen=True, slots=True)
class Fault:
    """A query that raised; a mistake in the compiler."""

    what: str
    error: Exception


class Compiler:
    """Inputs go to ``world``, proxies to ``attach``; ``steps`` and ``take`` follow.

    ``encoded`` counts by type how many resources were made since it was last cleared.
    """

    def __init__(self, settings: MeshSettings, listeners: ListenerSettings = DEFAULTS) -> None:
        self.graph = Graph()
        self.graph.set(("settings",), settings)
        self.graph.set(("listener-settings",), listeners)
        self.world = World(self.graph, settings, (rules_in_vain, broken_references))
        self.encoded: Counter[str] = Counter()
        self._layers: dict[LayerId, LayerState] = {}
        self._changed: dict[LayerId, None] = {}
        self._dropped: dict[LayerId, None] = {}
        self._nodes: dict[str, Cell] = {}
        self._assigned: dict[str, tuple[LayerId, ...]] = {}
        self._moved: dict[str, None] = {}
        self._ranks: dict[Cell, Rank] = {}
        self._owners: dict[Cell, dict[LayerId, int]] = defaultdict(dict)
        self._node_of: dict[Cell, str] = {}
        self._layer_of: dict[Cell, LayerId] = {}
        self._faults: list[Fault] = []
        self._refusals = Refusals(self.graph)
        self._standing = Standing(self.graph, self._place, self._parts_with)
        self._credentials: set[CredentialName] = set()
        self._shut_out = NOBODY
        self._restricted: set[str] = set()
        self._offered: frozenset[ServiceKey] = frozenset()
        self._patched: dict[ObjectRef, dict[LayerId, LayerSpec]] = defaultdict(dict)

    def configure(self, settings: MeshSettings) -> None:
        """Other settings of the mesh from now on, all but its domain, by which objects are indexed."""
        self.world.configure(settings)

    @property
    def settings(self) -> MeshSettings:
        """The settings of the mesh that hold now."""
        return cast("MeshSettings", self.graph.peek(("settings",)))

    def attach(self, proxy: Proxy) -> None:
        """A proxy is there, or describes itself anew."""
        self.world.put_proxy(proxy.node_id, proxy)
        if proxy.node_id not in self._nodes:
            cell = self.graph.cell(layers_of, proxy.node_id)
            self._nodes[proxy.node_id] = cell
            self._node_of[cell] = proxy.node_id
            self._ranks[cell] = Rank.NODE
            self.graph.watch(cell)

    def detach(self, node_id: str) -> None:
        """A proxy is gone for good; layers that only it needed go at the next ``take``."""
        cell = self._nodes.pop(node_id, None)
        if cell is None:
            return
        self.world.put_proxy(node_id, None)
        self.forgive(node_id)
        self._assign(node_id, ())
        del self._node_of[cell], self._ranks[cell]
        self.graph.unwatch(cell)

    def refuse(self, node_id: str, refused: Refused, message: str) -> None:
        """A connected proxy refused a resource, with these words."""
        if node_id in self._nodes:
            self._refusals.add(node_id, refused, message, self._lost_files(node_id, refused, message))
            self._standing.add(node_id, refused, message)

    def forgive(self, node_id: str) -> None:
        """What a proxy refused before is forgotten: it may be another Envoy now, or on another machine."""
        self._refusals.drop(node_id)
        self._standing.drop(node_id)

    @property
    def pending(self) -> bool:
        """True if ``steps`` has work to do or ``take`` something to say."""
        return bool(self.graph.stale or self._moved or self._dropped)

    def steps(self) -> Iterator[None]:
        """Brings everything up to date; yields after each small step.

        What layers that went have in common with those that took their place is not made again.
        """
        self.world.flush()
        self._refusals.look()
        while self.graph.stale:
            rank = min(map(self._rank, self.graph.stale))
            for cell in [cell for cell in self.graph.stale if self._rank(cell) is rank]:
                if cell in self.graph.stale:
                    del self.graph.stale[cell]
                    self._refresh(cell, rank)
                    yield
        for _ in self.graph.sweep():
            yield
        # A dict that was large stays slow to walk until it is cleared.
        self.graph.stale.clear()

    def take(self, snapshot: Snapshot) -> SnapshotChange | None:
        """What to publish on top of ``snapshot``; None if nothing changed."""
        layers = []
        for layer_id in self._changed:
            state = self._layers.get(layer_id)
            change = _difference(layer_id, state, snapshot) if state else None
            if change is not None:
                layers.append(change)
        self._standing.look((name for layer in layers for name in _names(layer)), self._moved)
        assigned = {node: self._assigned.get(node, ()) for node in self._moved}
        dropped = tuple(layer_id for layer_id in self._dropped if layer_id not in self._layers)
        self._changed, self._moved, self._dropped = {}, {}, {}
        if not layers and not assigned and not dropped:
            return None
        return SnapshotChange(snapshot.generation + 1, tuple(layers), dropped, assigned)

    def faults(self) -> list[Fault]:
        """What raised since the last call."""
        found, self._faults = self._faults, []
        return found

    @property
    def limit_rules(self) -> tuple[LimitRule, ...]:
        """What the limiter counts by; after ``steps``."""
        return self.graph.ask(limit_rules)

    @property
    def key_sources(self) -> tuple[KeySource, ...]:
        """Where keys of issuers are to be had; after ``steps``."""
        return self.graph.ask(key_sources)

    def set_keys(self, url: str, keys: FetchedKeys) -> None:
        """What is known of a source of keys from now on."""
        self.graph.set(("jwks", url), keys if keys != FetchedKeys() else None)

    @property
    def used_credentials(self) -> frozenset[CredentialName]:
        """The credentials that sidecars are told to use; after ``steps``."""
        return self.graph.ask(used_credentials)

    @property
    def inspected(self) -> tuple[Inspected, ...]:
        """The Inspections that count; after ``steps``."""
        return tuple(each.inspected for each in self.graph.ask(inspections))

    def set_credentials(self, parts: Mapping[CredentialName, CredentialParts]) -> None:
        """These are all the credentials that there are from now on."""
        for name in self._credentials - parts.keys():
            self.graph.set(("credential", name), None)
        for name, each in parts.items():
            self.graph.set(("credential", name), each)
        self._credentials = set(parts)
        restricted = {name.namespace for name, each in parts.items() if each.accounts}
        for namespace in restricted ^ self._restricted:
            self.graph.set(("restricted-credentials", namespace), namespace in restricted or None)
        self._restricted = restricted

    @property
    def declared_trust(self) -> Declared:
        """Whom operators trust beside the mesh's own authority; after ``steps``."""
        return self.graph.ask(declared_trust)

    def set_foreign(self, domains: Sequence[str]) -> None:
        """Trust domains whose peers are let in from now on, beside those that are declared."""
        self.graph.set(("foreign-domains",), tuple(domains) or None)

    def set_offered(self, keys: frozenset[ServiceKey]) -> None:
        """Gateways lead to these of the names that mean the same in all meshes from now on, and to no others of them."""
        for key in self._offered ^ keys:
            self.graph.set(("offered", key), key in keys or None)
        self._offered = keys

    def set_shut_out(self, shut_out: ShutOut) -> None:
        """These are shut out from now on."""
        known = self._shut_out
        for each in known.identities ^ shut_out.identities:
            self.graph.set(("shut-out", each), each in shut_out.identities or None)
        for each in known.turns.keys() | shut_out.turns.keys():
            turn = shut_out.turns.get(each)
            self.graph.set(("turn-of", each), turn.id if turn is not None else None)
        self.graph.set(("all-shut-out",), tuple(sorted(shut_out.identities)) or None)
        turns = sorted(shut_out.turns.items(), key=lambda each: each[0])
        self.graph.set(("turns",), tuple(turns) or None)
        self._shut_out = shut_out

    def traffic(self, key: ServiceKey, namespace: str, locality: str) -> tuple[Way, ...]:
        """Where traffic for a service would go now from clients of a namespace at a locality."""
        return traffic(self.graph, key, namespace, locality)

    def problems(self) -> Iterator[Problem]:
        """The users' mistakes that hold now, as far as they concern connected proxies."""
        yield from self.graph.problems()
        yield from self._standing.problems()

    def _place(self, node_id: str, type_url: str, name: str) -> Place | None:
        """Where a node has a resource from; None if it is served none of this name."""
        for layer_id in self._assigned.get(node_id, ()):
            state = self._layers[layer_id]
            cell = state.members.get((type_url, name))
            if cell is not None:
                return Place(cell, layer_id)
        return None

    def _lost_files(self, node_id: str, refused: Refused, message: str) -> tuple[LostFile, ...]:
        """The files of its machine for which a gateway refused a listener that it is to have still."""
        proxy = self.graph.peek(("proxy", node_id))
        if refused.type_url != LISTENER or proxy is None or proxy.role is not Role.ROUTER:
            return ()
        place = self._place(node_id, refused.type_url, refused.name)
        found: Resource | None = place.cell.value if place else None
        if found is None or found.version != refused.version:
            return ()
        return tuple(lost_files(found.body, message))

    def _parts_with(self, layer_id: LayerId, name: Name) -> Iterator[Cell]:
        """The parts of a layer that list a resource."""
        for part, listed in self._layers[layer_id].listed.items():
            if any((member.type_url, member.name) == name for member in listed):
                yield part

    def _rank(self, cell: Cell) -> Rank:
        return self._ranks.get(cell, Rank.CHECK)

    def _refresh(self, cell: Cell, rank: Rank) -> None:
        before = cell.value
        try:
            self.graph.refresh(cell)
        except Exception as error:
            what = f"{getattr(cell.compute, '__name__', cell.compute)}{cell.arguments}"
            self._faults.append(Fault(what, error))
            return
        if rank is Rank.NODE:
            self._assign(self._node_of[cell], cell.value)
        elif rank in (Rank.AHEAD, Rank.PART):
            self._list(self._layers[self._layer_of[cell]], cell)
        elif rank is Rank.RESOURCE and before != cell.value and cell.value is not None:
            resource: Resource = cell.value
            self.encoded[resource.type_url] += 1
            self._touch(cell, resource)
        elif rank is Rank.RESOURCE and before != cell.value:
            self._touch(cell, before)

    def _touch(self, cell: Cell, resource: Resource) -> None:
        """Notes in every layer that has the cell that this resource came, changed or went."""
        for layer_id in self._owners[cell]:
            self._layers[layer_id].touched[resource.type_url, resource.name] = None
            self._changed[layer_id] = None

    def _assign(self, node_id: str, specs: tuple[LayerSpec, ...]) -> None:
        before = self._assigned.get(node_id, ())
        after = tuple(spec.id for spec in specs)
        if before == after:
            return
        for spec in specs:
            self._use(spec)
        for layer_id in before:
            self._release(layer_id)
        if after:
            self._assigned[node_id] = after
        else:
            self._assigned.pop(node_id, None)
        self._moved[node_id] = None

    def _use(self, spec: LayerSpec) -> None:
        state = self._layers.get(spec.id)
        if state is None:
            cells = [self.graph.cell(query, *arguments) for query, arguments in spec.parts]
            state = self._layers[spec.id] = LayerState(spec, cells)
            self._changed[spec.id] = None
            self._note_patched(spec, used=True)
            for cell in cells:
                self._ranks[cell] = Rank.AHEAD if is_ahead(cell.compute, cell.arguments) else Rank.PART
                self._layer_of[cell] = spec.id
                self.graph.watch(cell)
                if cell not in self.graph.stale:
                    self._list(state, cell)
        state.users += 1

    def _release(self, layer_id: LayerId) -> None:
        state = self._layers[layer_id]
        state.users -= 1
        if state.users:
            return
        del self._layers[layer_id]
        self._note_patched(state.spec, used=False)
        self._dropped[layer_id] = None
        for cell in state.parts:
            for member in state.listed.get(cell, ()):
                self._disown(state, member)
            del self._ranks[cell], self._layer_of[cell]
            self.graph.let_go(cell)

    def _note_patched(self, spec: LayerSpec, *, used: bool) -> None:
        """Tells EnvoyFilters which layers are made with them, so that they can be asked what they change."""
        for ref in filters_of(spec):
            layers = self._patched[ref]
            if used:
                layers[spec.id] = spec
            else:
                layers.pop(spec.id, None)
            self.graph.set(("patched-layers", ref), tuple(layers[each] for each in sorted(layers)) or None)
            if not layers:
                del self._patched[ref]

    def _list(self, state: LayerState, part: Cell) -> None:
        """Takes over what a part lists now."""
        self._changed[state.spec.id] = None
        before = state.listed.get(part, ())
        after: tuple[Member, ...] = part.value or ()
        state.listed[part] = after
        gone = set(before).difference(after)
        known = set(before)
        for member in after:
            if member not in known:
                self._own(state, member)
        for member in gone:
            self._disown(state, member)

    def _own(self, state: LayerState, member: Member) -> None:
        cell = self.graph.cell(member.query, *member.arguments)
        owners = self._owners[cell]
        owners[state.spec.id] = owners.get(state.spec.id, 0) + 1
        if cell not in self._ranks:
            self._ranks[cell] = Rank.RESOURCE if member.type_url else Rank.INGREDIENT
            self.graph.watch(cell)
        if member.type_url:
            name = (member.type_url, member.name)
            state.members[name] = cell
            state.touched[name] = None

    def _disown(self, state: LayerState, member: Member) -> None:
        cell = self.graph.cell(member.query, *member.arguments)
        owners = self._owners[cell]
        owners[state.spec.id] -= 1
        if not owners[state.spec.id]:
            del owners[state.spec.id]
        name = (member.type_url, member.name)
        if state.members.get(name) is cell and state.spec.id not in owners:
            del state.members[name]
            state.touched[name] = None
        if not owners:
            del self._owners[cell], self._ranks[cell]
            self.graph.let_go(cell)


def _names(change: LayerChange) -> Iterator[Name]:
    yield from ((each.type_url, each.name) for each in change.upserts)
    yield from change.removed


def _difference(layer_id: LayerId, state: LayerState, snapshot: Snapshot) -> LayerChange | None:
    """What of the touched names is different from what is published; a layer that is new is published even if empty."""
    touched, state.touched = state.touched, {}
    published = snapshot.layers.get(layer_id)
    upserts: list[Resource] = []
    removed: list[Name] = []
    for name in touched:
        cell = state.members.get(name)
        resource: Resource | None = cell.value if cell else None
        old = published.get(*name) if published else None
        if resource is None and old is not None:
            removed.append(name)
        elif resource is not None and resource != old:
            upserts.append(resource)
    if published is not None and not upserts and not removed:
        return None
    return LayerChange(layer_id, tuple(upserts), tuple(removed))
