"""The words by which people name a kind: ``vs``, ``virtualservices``, ``Gateway.networking.istio.io``."""

from difflib import get_close_matches

from xdsd.model.intent import KINDS, NOT_YET, Kind


class UnknownKindError(Exception):
    """Nobody knows a kind of that name; the message says which there are."""


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
    suffixes = {
        known: f".{kind.group}" if rest else "" for kind in KINDS.values() for known in names_of(kind)
    }
    close = get_close_matches(name, suffixes, n=1)
    hint = f"did you mean {close[0]}{suffixes[close[0]]}?" if close else _known()
    raise UnknownKindError(f'there is no kind "{word}"; {hint}')


def _known() -> str:
    return f"there are {', '.join(kind.plural for kind in KINDS.values())}"


def qualified(kind: str, name: str) -> str:
    """``virtualservice.networking.istio.io/reviews``, as kubectl prints what it did."""
    known = KINDS.get(kind)
    return f"{known.singular}.{known.group}/{name}" if known else f"{kind.lower()}/{name}"
