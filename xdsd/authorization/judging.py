"""Whether a rule matches, and if not, by how much."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import NamedTuple

from xdsd.authorization.comparing import (
    account_fits,
    claim_fits,
    domain_fits,
    fits,
    host_fits,
    metadata_fits,
    namespace_fits,
    path_fits,
    principal_fits,
    token_principal_fits,
    within,
)
from xdsd.authorization.facts import SPIFFE, Facts, Request
from xdsd.model.intent import Action, Condition, Operation, Rule, Source
from xdsd.model.intent.authorization_values import CLAIMS, HEADERS, map_key

Domains = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Failure:
    """A field (``from[0].source.principals``) that does not hold: what it wants, and what there is."""

    path: str
    wants: tuple[str, ...]
    has: str
    negated: bool = False

    def __str__(self) -> str:
        wanted = ", ".join(self.wants)
        return (
            f"{self.path} wants {'none of ' if self.negated else ''}{wanted}; it is {self.has or 'not there'}"
        )


@dataclass(frozen=True, slots=True)
class _Field:
    """A field with its counterpart: how values are compared, and what there is, for people. ``web`` is of HTTP alone."""

    name: str
    opposite: str
    values: tuple[str, ...]
    not_values: tuple[str, ...]
    compare: Callable[[str], bool]
    has: str
    web: bool = False


def failures(
    rule: Rule, action: Action, facts: Facts, *, namespace: str, domains: Domains
) -> tuple[Failure, ...] | None:
    """What keeps a rule of a policy of ``namespace`` from matching, of its closest source and operation; empty if it
    matches.

    None if it cannot match whatever is asked: an ALLOW rule with fields of HTTP, on a port that is not HTTP.
    """
    conditions = [_condition(each, index, facts, domains) for index, each in enumerate(rule.when)]
    sources = [
        _source(each.source, index, facts, namespace, domains) for index, each in enumerate(rule.from_)
    ] or [[]]
    operations = [_operation(each.operation, index, facts) for index, each in enumerate(rule.to)] or [[]]
    whole = (*conditions, *(each for group in (*sources, *operations) for each in group))
    if facts.request is None and action is Action.ALLOW and any(each.web for each in whole):
        return None
    found = [
        tuple(_failing((*source, *operation, *conditions), web=facts.request is not None))
        for source, operation in product(sources, operations)
    ]
    return min(found, key=len)


def _failing(fields: Iterable[_Field], *, web: bool) -> Iterator[Failure]:
    for each in fields:
        if each.web and not web:
            continue
        if each.values and not any(each.compare(value) for value in each.values):
            yield Failure(each.name, each.values, each.has)
        if any(each.compare(value) for value in each.not_values):
            yield Failure(each.opposite, each.not_values, each.has, negated=True)


class _Named(NamedTuple):
    """A field of sources by its published name and attribute, and those of its opposite."""

    name: str
    attribute: str
    opposite: str
    other: str


def _named(name: str, attribute: str) -> _Named:
    return _Named(name, attribute, "not" + name[0].upper() + name[1:], f"not_{attribute}")


_SOURCE = tuple(
    _named(*pair)
    for pair in (
        ("principals", "principals"),
        ("requestPrincipals", "request_principals"),
        ("namespaces", "namespaces"),
        ("serviceAccounts", "service_accounts"),
        ("trustDomains", "trust_domains"),
        ("ipBlocks", "ip_blocks"),
        ("remoteIpBlocks", "remote_ip_blocks"),
    )
)


def _source(source: Source, index: int, facts: Facts, namespace: str, domains: Domains) -> list[_Field]:
    found = []
    for each in _SOURCE:
        own, others = getattr(source, each.attribute), getattr(source, each.other)
        if own or others:
            compare, has = _caller(each.name, facts, namespace, domains)
            place, web = f"from[{index}].source", each.name == "requestPrincipals"
            found.append(
                _Field(f"{place}.{each.name}", f"{place}.{each.opposite}", own, others, compare, has, web)
            )
    return found


def _caller(name: str, facts: Facts, namespace: str, domains: Domains) -> tuple[Callable[[str], bool], str]:
    """How a value of a source's field is compared with who calls, and who that is, for people."""
    peer, who, request = facts.peer, facts.peer.removeprefix(SPIFFE), facts.request or Request()
    compare: Callable[[str], bool]
    match name:
        case "principals":
            compare = partial(principal_fits, peer=peer, domains=domains)
        case "requestPrincipals":
            compare, who = partial(token_principal_fits, claims=request.claims), _token(request)
        case "namespaces":
            compare = partial(namespace_fits, peer=peer)
        case "serviceAccounts":
            compare = partial(account_fits, peer=peer, namespace=namespace)
        case "trustDomains":
            compare = partial(domain_fits, peer=peer, domains=domains)
        case "ipBlocks":
            compare, who = partial(within, address=facts.source), facts.source
        case _:
            compare, who = partial(within, address=facts.remote), facts.remote
    return compare, who


def _operation(operation: Operation, index: int, facts: Facts) -> list[_Field]:
    request = facts.request or Request()
    place = f"to[{index}].operation"

    def field(name: str, compare: Callable[[str], bool], has: str, *, web: bool = True) -> _Field:
        opposite = "not" + name[0].upper() + name[1:]
        own, others = getattr(operation, name), getattr(operation, f"not_{name}")
        return _Field(f"{place}.{name}", f"{place}.{opposite}", own, others, compare, has, web)

    return [
        each
        for each in (
            field("hosts", lambda value: host_fits(value, request.host), request.host),
            field("ports", lambda value: int(value) == facts.port, str(facts.port), web=False),
            field("methods", lambda value: fits(value, request.method), request.method),
            field("paths", lambda value: path_fits(value, request.path), request.path),
        )
        if each.values or each.not_values
    ]


def _condition(condition: Condition, index: int, facts: Facts, domains: Domains) -> _Field:
    compare, has, web = _property(condition.key, facts, domains)
    place = f"when[{index}]"
    return _Field(
        f"{place}.values ({condition.key})",
        f"{place}.notValues ({condition.key})",
        condition.values,
        condition.not_values,
        compare,
        has,
        web,
    )


def _property(key: str, facts: Facts, domains: Domains) -> tuple[Callable[[str], bool], str, bool]:
    """How the value of a condition is compared, what there is, and whether it is of HTTP alone."""
    peer = facts.peer
    plain: dict[str, tuple[Callable[[str], bool], str]] = {
        "source.ip": (lambda value: within(value, facts.source), facts.source),
        "remote.ip": (lambda value: within(value, facts.remote), facts.remote),
        "destination.ip": (lambda value: within(value, facts.destination), facts.destination),
        "destination.port": (lambda value: int(value) == facts.port, str(facts.port)),
        "connection.sni": (lambda value: fits(value, facts.server_name), facts.server_name),
        "source.namespace": (lambda value: namespace_fits(value, peer), peer.removeprefix(SPIFFE)),
        "source.principal": (lambda value: principal_fits(value, peer, domains), peer.removeprefix(SPIFFE)),
    }
    if key in plain:
        return (*plain[key], False)
    name, parts = map_key(key)
    if name in (HEADERS, CLAIMS) or key.startswith("request.auth."):
        return (*_web_property(key, name, parts, facts.request or Request()), True)
    value = facts.metadata.get(name.removeprefix("experimental."), {}).get(parts[0])
    return (lambda wanted: metadata_fits(wanted, value)), str(value or ""), False


def _web_property(
    key: str, name: str, parts: tuple[str, ...], request: Request
) -> tuple[Callable[[str], bool], str]:
    if name == HEADERS:
        given = request.headers.get(parts[0].lower(), ())
        return (lambda wanted: any(wanted == "*" or fits(wanted, each) for each in given)), ", ".join(given)
    claims = request.claims
    if key == "request.auth.principal":
        return (lambda wanted: token_principal_fits(wanted, claims)), _token(request)
    path = {"request.auth.audiences": ("aud",), "request.auth.presenter": ("azp",)}.get(key, parts)
    shown: object = claims
    for step in path:
        shown = shown.get(step) if isinstance(shown, dict) else None
    return (lambda wanted: claim_fits(wanted, claims, path)), "" if shown is None else str(shown)


def _token(request: Request) -> str:
    claims = request.claims or {}
    return f"{claims.get('iss', '')}/{claims.get('sub', '')}" if claims else ""
