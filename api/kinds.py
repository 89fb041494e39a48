"""The words by which people name a kind: ``vs``, ``virtualservices``, ``Gateway.networking.istio.io``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType

from xdsd.model.intent import KINDS, NOT_YET, Kind
from xdsd.model.intent.kinds import CATALOG
from xdsd.model.problem import ObjectRef

_COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        word: command
        for words, command in (
            (("registry", "registries"), "registries"),
            (("proxy", "proxies"), "proxies"),
            (("problem", "problems", "event", "events", "ev"), "problems"),
            (("secret", "secrets"), "secret list"),
            (("token", "tokens"), "token list"),
            (("user", "users"), "user list"),
            (("role", "roles"), "role list"),
        )
        for word in words
    }
)
"""What people ask for as if it were a kind, and the command that tells of it."""


class UnknownKindError(Exception):
    """Nobody knows a kind of that name; the message says which there are."""


@dataclass(frozen=True, slots=True)
class CatalogKind:
    """A kind that registries report and nobody writes; ``instead`` is what declares such a thing."""

    kind: str
    plural: str
    short_names: tuple[str, ...]
    instead: str

    @property
    def singular(self) -> str:
        return self.kind.lower()

    @property
    def refusal(self) -> str:
        """Why it cannot be written, and what can."""
        return f"{self.plural} are what registries report, and only read; {self.instead}"


CATALOG_KINDS: Sequence[CatalogKind] = (
    CatalogKind(
        "Endpoint", "endpoints", ("ep",), "a ServiceEntry lists endpoints, or a WorkloadEntry is one"
    ),
    CatalogKind("Service", "services", ("svc",), "write a ServiceEntry to declare one"),
    CatalogKind("Workload", "workloads", ("wl",), "write a WorkloadEntry to declare one"),
)


def find_catalog_kind(word: str) -> CatalogKind | None:
    """The kind of the catalog that a user means, if it is one."""
    name, _, rest = word.lower().partition(".")
    return next(
        (
            kind
            for kind in CATALOG_KINDS
            if name in (kind.plural, kind.singular, *kind.short_names)
            and rest in {"", CATALOG, f"v1.{CATALOG}"}
        ),
        None,
    )


def names_of(kind: Kind) -> tuple[str, ...]:
    """Every short word for the kind, the shortest form last."""
    return (kind.plural, kind.singular, *kind.short_names)


def find_kind(word: str) -> Kind:
    """The kind that a user means, in any case, number, version and group. Raises UnknownKindError."""
    name, _, rest = word.lower().partition(".")
    for kind in KINDS.values():
        groups = {"", kind.group, *(f"{version}.{kind.group}" for version in kind.versions)}
        if name in names_of(kind) and rest in groups:
            return kind
    for kind_name, group in NOT_YET.items():
        if name in {kind_name.lower(), f"{kind_name.lower()}s"} and rest in {"", group}:
            raise UnknownKindError(f"{kind_name} is not supported yet; {_known()}")
    reported = find_catalog_kind(word)
    if reported is not None:
        raise UnknownKindError(reported.refusal)
    suffixes = {
        known: f".{kind.group}" if rest else "" for kind in KINDS.values() for known in names_of(kind)
    }
    command = _COMMANDS.get(name) if not rest else None
    if command:
        raise UnknownKindError(f'there is no kind "{word}"; see `xdsctl {command}`')
    close = get_close_matches(name, suffixes, n=1)
    hint = f"did you mean {close[0]}{suffixes[close[0]]}?" if close else _known()
    raise UnknownKindError(f'there is no kind "{word}"; {hint}')


def _known() -> str:
    written = ", ".join(kind.plural for kind in KINDS.values())
    return f"there are {written}; and {', '.join(kind.plural for kind in CATALOG_KINDS)}, which are only read"


def qualified(kind: str, name: str) -> str:
    """``virtualservice.networking.istio.io/reviews``, as kubectl prints what it did."""
    known = KINDS.get(kind)
    return f"{known.singular}.{known.group}/{name}" if known else f"{kind.lower()}/{name}"


def not_found(ref: ObjectRef) -> str:
    """``virtualservices.networking.istio.io "reviews" not found``."""
    kind = KINDS.get(ref.kind)
    resource = f"{kind.plural}.{kind.group}" if kind else ref.kind
    return f'{resource} "{ref.name}" not found in namespace {ref.namespace}'
