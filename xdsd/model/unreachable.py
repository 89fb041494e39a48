"""Rules of a VirtualService that nothing reaches, because rules before them take all that they match.

The first rule that matches is taken. A rule is told to be unreachable only where that is certain: each of its matches asks
at least what one match of an earlier rule asks. Conditions are compared as they are written: the same text, a longer path
below a prefix, or any value where presence is asked; for connections a range within a range, and a name below a wildcard.
Expressions are equal or unknown.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_network

from xdsd.model.intent import (
    HTTPMatchRequest,
    HTTPRoute,
    L4MatchAttributes,
    StringMatch,
    TCPRoute,
    TLSMatchAttributes,
    TLSRoute,
    VirtualService,
)
from xdsd.model.problem import ObjectRef, Problem, Reason, Severity

MOST_COMPARISONS = 50_000
"""Of matches within one object, some ten milliseconds; what would take more is not told."""

Condition = tuple[str, ...] | tuple[str, int]
Key = tuple[Hashable, ...]
Range = tuple[int, int, int]
"""The version, first and last of a range of addresses."""

_EVERY_PATH: Key = ("prefix", False, "")
_ABSOLUTE: Key = ("prefix", False, "/")
_OPAQUE: Key = ("opaque",)
_PRESENT = ("present", "")


@dataclass(frozen=True, slots=True)
class Claim:
    """What one match takes: ``key`` is what it is found by (a path, a server name), ``asks`` are its other conditions and
    ``implies`` these with the weaker ones that follow from them. ``whom`` tells that it asks who the client is. No
    ``destinations`` and no ``sources`` are all of them.
    """

    key: Key
    asks: frozenset[Condition] = frozenset()
    implies: frozenset[Condition] = frozenset()
    gateways: frozenset[str] = frozenset()
    whom: bool = False
    destinations: frozenset[Range] = frozenset()
    sources: frozenset[Range] = frozenset()

    @property
    def takes_everything(self) -> bool:
        """True if it leaves nothing to the rules after it, whoever asks."""
        ranges = self.destinations or self.sources
        return self.key in (_EVERY_PATH, _ABSOLUTE, _OPAQUE) and not (self.asks or self.gateways or ranges)

    def covers(self, other: "Claim") -> bool:
        """True if it takes all that ``other``, of a key that is this one's or below it, takes."""
        if self.gateways:
            clients = bool(other.gateways) and other.gateways <= self.gateways
        else:
            # A gateway that a match names is taken whatever its labels are, one that is not named must have them.
            clients = not (other.gateways and self.whom)
        ranges = _within(other.destinations, self.destinations) and _within(other.sources, self.sources)
        return clients and ranges and self.asks <= other.implies


def unreachable_rules(spec: VirtualService, ref: ObjectRef) -> Iterator[Problem]:
    """A warning for each rule that nothing reaches, in the order of http, tls and tcp."""
    told = [
        *_unreached("spec.http", "request", ((_http(rule), not rule.delegate) for rule in spec.http)),
        *_unreached("spec.tls", "connection", ((_tls(rule), True) for rule in spec.tls)),
        *_unreached("spec.tcp", "connection", ((_tcp(rule), True) for rule in spec.tcp)),
    ]
    for path, message in told:
        yield Problem(Reason.UNREACHABLE_RULE, message, ref, path, severity=Severity.WARNING)


def _unreached(
    field: str, what: str, rules: Iterable[tuple[Sequence[Claim], bool]]
) -> Iterator[tuple[str, str]]:
    """Paths and messages; of each rule its claims, and whether it surely answers what it takes."""
    claimed, everything = _Claimed(), ""
    for index, (claims, answers) in enumerate(rules):
        place = f"{field}[{index}]"
        if everything:
            yield place, f"is never reached: {everything} takes every {what}"
            continue
        takers = [claimed.by(claim) for claim in claims]
        if claims and all(takers):
            names = ", ".join(dict.fromkeys(takers))
            yield place, f"is never reached: {names} takes every {what} that it matches"
        elif answers:
            for claim in claims:
                claimed.add(place, claim)
            if any(claim.takes_everything for claim in claims):
                everything = place


class _Claimed:
    """What the rules so far take."""

    def __init__(self) -> None:
        self._claims: dict[Key, list[tuple[str, Claim]]] = defaultdict(list)
        self._lengths: set[int] = set()
        self._comparisons = 0

    def add(self, place: str, claim: Claim) -> None:
        self._claims[claim.key].append((place, claim))
        if claim.key[0] == "prefix":
            self._lengths.add(len(str(claim.key[2])))

    def by(self, claim: Claim) -> str:
        """The place of a rule that takes all that a claim takes; empty if none surely does."""
        for key in self._above(claim.key):
            found = self._claims.get(key, ())
            self._comparisons += len(found)
            if self._comparisons > MOST_COMPARISONS:
                return ""
            for place, other in found:
                if other.covers(claim):
                    return place
        return ""

    def _above(self, key: Key) -> Iterator[Key]:
        """The keys of all that may cover a key."""
        yield key
        if key[0] == "regex":
            yield _EVERY_PATH
        if key[0] == "server":
            yield from (("server", name) for name in _wildcards(str(key[1])))
        if key[0] not in ("prefix", "exact"):
            return
        _, folded, text = key
        path = str(text)
        if key[0] == "exact" and not folded:
            yield ("exact", True, _fold(path))
        for length in self._lengths:
            if length <= len(path):
                begin = path[:length]
                if not folded or not _has_case(begin):
                    yield ("prefix", False, begin)
                yield ("prefix", True, _fold(begin))


def _http(rule: HTTPRoute) -> list[Claim]:
    return [_request(match) for match in rule.match] or [Claim(_ABSOLUTE)]


def _tls(rule: TLSRoute) -> list[Claim]:
    return [
        replace(_claim(match, ("server", host.lower())), destinations=_ranges(match.destination_subnets))
        for match in rule.match
        for host in match.sni_hosts
    ]


def _tcp(rule: TCPRoute) -> list[Claim]:
    return [
        replace(
            _claim(match, _OPAQUE),
            destinations=_ranges(match.destination_subnets),
            sources=_ranges((match.source_subnet,) if match.source_subnet else ()),
        )
        for match in rule.match
    ] or [Claim(_OPAQUE)]


def _ranges(addresses: Iterable[str]) -> frozenset[Range]:
    networks = (ip_network(address, strict=False) for address in addresses)
    return frozenset((each.version, int(each[0]), int(each[-1])) for each in networks)


def _within(inner: frozenset[Range], outer: frozenset[Range]) -> bool:
    """True if every address of some ranges is one of others; none are all."""
    return not outer or (bool(inner) and all(any(_is_below(each, wide) for wide in outer) for each in inner))


def _is_below(one: Range, other: Range) -> bool:
    return one[0] == other[0] and other[1] <= one[1] and one[2] <= other[2]


def _wildcards(name: str) -> Iterator[str]:
    """The wildcards that a server name, perhaps one itself, is below."""
    rest = name.removeprefix("*.")
    while "." in rest:
        rest = rest.partition(".")[2]
        yield f"*.{rest}"
    if name != "*":
        yield "*"


def _request(match: HTTPMatchRequest) -> Claim:
    single = {"method": match.method, "scheme": match.scheme, "authority": match.authority}
    patterns = {(field, ""): pattern for field, pattern in single.items() if pattern is not None}
    patterns |= {("header", name): pattern for name, pattern in match.headers.items()}
    patterns |= {("parameter", name): pattern for name, pattern in match.query_params.items()}
    asks = {(*what, *_form(pattern)) for what, pattern in patterns.items()}
    asks |= {("without", name, *_form(pattern)) for name, pattern in match.without_headers.items()}
    return _claim(match, _path(match), frozenset(asks), frozenset((*what, *_PRESENT) for what in patterns))


def _claim(
    match: HTTPMatchRequest | L4MatchAttributes | TLSMatchAttributes,
    key: Key,
    asks: frozenset[Condition] = frozenset(),
    weaker: frozenset[Condition] = frozenset(),
) -> Claim:
    client: set[Condition] = {("label", name, value) for name, value in match.source_labels.items()}
    if match.source_namespace:
        client.add(("namespace", match.source_namespace))
    asks |= client | ({("port", match.port)} if match.port else set())
    return Claim(key, asks, asks | weaker, frozenset(match.gateways), bool(client))


def _form(pattern: StringMatch) -> tuple[str, str]:
    if pattern.takes_anything:
        return _PRESENT
    if pattern.exact is not None:
        return "exact", pattern.exact
    return ("prefix", pattern.prefix) if pattern.prefix is not None else ("regex", pattern.regex or "")


def _path(match: HTTPMatchRequest) -> Key:
    uri = match.uri
    if uri is None or (uri.exact is None and uri.prefix is None and uri.regex is None):
        return _ABSOLUTE
    form, text = _form(uri)
    if form == "present":
        return _EVERY_PATH
    if form == "regex":
        return form, False, text
    folded = bool(match.ignore_uri_case) and _has_case(text)
    return form, folded, _fold(text) if folded else text


def _fold(text: str) -> str:
    """Without case as Envoy compares paths: in ASCII."""
    return text.encode().lower().decode()


def _has_case(text: str) -> bool:
    return text.encode().lower() != text.encode().upper()
