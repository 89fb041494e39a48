"""Which collections of a cluster are read, and where they stand in its API."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from xdsd.model.intent.kinds import KINDS
from xdsd.model.intent.kinds import Kind as IntentKind
from xdsd.registry.kubernetes.api import Api, Refused
from xdsd.registry.kubernetes.intent import NOT_HERE
from xdsd.registry.kubernetes.kinds import Kind
from xdsd.registry.kubernetes.options import ALL

_SLICES = "/apis/discovery.k8s.io"
_INGRESSES = "/apis/networking.k8s.io/v1"
_SLICE_VERSIONS = ("v1", "v1beta1")
_PLURALS = {
    Kind.NAMESPACE: "namespaces",
    Kind.NODE: "nodes",
    Kind.POD: "pods",
    Kind.ENDPOINT_SLICE: "endpointslices",
    Kind.SERVICE: "services",
}
_OF_CLUSTER = frozenset({Kind.NAMESPACE, Kind.NODE})
_NEEDED = frozenset({Kind.ENDPOINT_SLICE, Kind.SERVICE})
_CHUNK = {Kind.POD: 100, Kind.ENDPOINT_SLICE: 50}


@dataclass(frozen=True, slots=True)
class Collection:
    """The objects of a kind, in one namespace or everywhere."""

    kind: Kind
    namespace: str = ""

    def __str__(self) -> str:
        return self.plural + (f" in the namespace {self.namespace}" if self.namespace else "")

    def has(self, kind: Kind, namespace: str) -> bool:
        """Whether an object would be in it."""
        return self.kind is kind and self.namespace in ("", namespace)

    @property
    def plural(self) -> str:
        """As the API names them."""
        return _PLURALS[self.kind]

    @property
    def needed(self) -> bool:
        """Whether nothing can be said without it; the rest adds labels, identities and localities."""
        return self.kind in _NEEDED

    @property
    def chunk(self) -> int:
        """How many objects are asked for at once: so many as are parsed in a few milliseconds."""
        return _CHUNK.get(self.kind, 250)

    async def path(self, api: Api) -> str:
        """Where it stands: slices by what the server has, v1 if it does. Raises Unreachable, Refused."""
        root = "/api/v1"
        if self.kind is Kind.ENDPOINT_SLICE:
            root = f"{_SLICES}/{await _slice_version(api)}"
        scope = f"/namespaces/{self.namespace}" if self.namespace else ""
        return f"{root}{scope}/{_PLURALS[self.kind]}"


def collections_of(namespaces: Sequence[str]) -> Iterator[Collection]:
    """What is read of a cluster, or of some namespaces of it."""
    for kind in Kind:
        if kind in _OF_CLUSTER:
            yield Collection(kind)
        else:
            for namespace in namespaces or ("",):
                yield Collection(kind, namespace)


class Absent(Exception):  # noqa: N818 - it is named after what is the matter
    """The server has no such collection, and says so; it may have one later."""


@dataclass(frozen=True, slots=True)
class IntentCollection:
    """The custom resources of a kind, in one namespace or everywhere."""

    kind: IntentKind
    namespace: str = ""

    def __str__(self) -> str:
        where = f" in the namespace {self.namespace}" if self.namespace else ""
        return f"{self.plural}.{self.kind.group}{where}"

    @property
    def plural(self) -> str:
        return self.kind.plural

    @property
    def needed(self) -> bool:
        """A cluster whose policies are not known is not one without policies."""
        return self.kind.kind not in NOT_HERE

    @property
    def chunk(self) -> int:
        return 100

    async def path(self, api: Api) -> str:
        """Where it stands, by the first version that both sides know. Raises Absent, Unreachable, Refused."""
        kind = self.kind
        for version in kind.versions:
            root = f"/apis/{kind.group}/{version}"
            if kind.plural in await _resources(api, root):
                scope = f"/namespaces/{self.namespace}" if self.namespace else ""
                return f"{root}{scope}/{kind.plural}"
        versions = ", ".join(kind.versions)
        raise Absent(f"the server has no {kind.plural}.{kind.group} of {versions}")


@dataclass(frozen=True, slots=True)
class IngressCollection:
    """Ingresses, in one namespace or everywhere, or their classes."""

    plural: str
    namespace: str = ""

    def __str__(self) -> str:
        return self.plural + (f" in the namespace {self.namespace}" if self.namespace else "")

    @property
    def needed(self) -> bool:
        """What is led in by them is known, or nothing is."""
        return True

    @property
    def chunk(self) -> int:
        return 100

    async def path(self, api: Api) -> str:
        """Where it stands. Raises Absent, Unreachable, Refused."""
        found = await _resources(api, _INGRESSES)
        if self.plural not in found:
            raise Absent(f"the server has no {self.plural} of v1; Kubernetes has them from 1.19 on")
        scope = f"/namespaces/{self.namespace}" if self.namespace else ""
        return f"{_INGRESSES}{scope}/{self.plural}"


def ingress_of(ingress: Sequence[str], namespaces: Sequence[str]) -> Iterator[IngressCollection]:
    """What is read where the Ingresses of these namespaces, or of ALL that are read at all, are gateways."""
    if not ingress:
        return
    yield IngressCollection("ingressclasses")
    for namespace in (namespaces or ("",)) if tuple(ingress) == ALL else ingress:
        yield IngressCollection("ingresses", namespace)


async def _resources(api: Api, root: str) -> frozenset[str]:
    """The plurals that a version of a group has; none if there is no such version."""
    try:
        found = await api.get(root)
    except Refused as error:
        if error.status == 404:
            return frozenset()
        raise
    return frozenset(str(item.get("name")) for item in found.get("resources") or () if isinstance(item, dict))


def version_in(path: str) -> str:
    """The version of the API that a path of custom resources is of."""
    return path.split("/")[3]


def intent_of(intent: Sequence[str], namespaces: Sequence[str]) -> Iterator[IntentCollection]:
    """The custom resources that are read where those of the namespaces ``intent`` are, or of ALL that are read at all."""
    if not intent:
        return
    where = (namespaces or ("",)) if tuple(intent) == ALL else intent
    for kind in KINDS.values():
        for namespace in where:
            yield IntentCollection(kind, namespace)


@dataclass(frozen=True, slots=True)
class SecretCollection:
    """One Secret, or without a name all of a namespace."""

    namespace: str
    name: str = ""

    def __str__(self) -> str:
        return f"{self.plural} {self.namespace}/{self.name or '*'}"

    @property
    def plural(self) -> str:
        return "secrets"

    @property
    def needed(self) -> bool:
        """A server without its certificate is closed, and the others serve."""
        return False

    @property
    def chunk(self) -> int:
        return 50

    async def path(self, _api: Api) -> str:
        """Of one Secret by its name, so that a right to that one is enough."""
        path = f"/api/v1/namespaces/{self.namespace}/secrets"
        return f"{path}?fieldSelector=metadata.name%3D{self.name}" if self.name else path


AnyCollection = Collection | IntentCollection | SecretCollection | IngressCollection


def secrets_of(secrets: Sequence[str]) -> Iterator[SecretCollection]:
    """The Secrets that may be given; what a whole namespace gives is not asked for one by one."""
    whole = {each.partition("/")[0] for each in secrets if each.endswith("/*")}
    yield from (SecretCollection(namespace) for namespace in sorted(whole))
    for each in dict.fromkeys(secrets):
        namespace, _, name = each.partition("/")
        if namespace not in whole:
            yield SecretCollection(namespace, name)


async def _slice_version(api: Api) -> str:
    try:
        found = await api.get(_SLICES)
    except Refused as error:
        if error.status == 404:
            raise Refused(
                404, "the server has no EndpointSlices; Kubernetes has them from 1.17 on"
            ) from error
        raise
    has = {item.get("version") for item in found.get("versions") or () if isinstance(item, dict)}
    for version in _SLICE_VERSIONS:
        if version in has:
            return version
    raise Refused(404, f"the server has EndpointSlices of {', '.join(map(str, has))} alone, not of v1")
