"""Who may reach whom: policies, services and workloads together, asked by name.

A caller is a SPIFFE id, ``NAMESPACE/ACCOUNT``, a service (any of its workloads), an address (without an identity) or
``anonymous``. Workloads whose account nobody declares have ``default``. ``xdsd.authorization.arriving`` says as whom a
caller comes in, and policies judge that.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from xdsd.authorization.applying import Policy, Subject, applying, tokens_for
from xdsd.authorization.arriving import Door, arrival, door
from xdsd.authorization.deciding import Decision, decide
from xdsd.authorization.facts import Facts, Request
from xdsd.authorization.outlook import Outlook, outlook
from xdsd.authorization.parties import (
    ANONYMOUS,
    Party,
    callers,
    distinct,
    find_port,
    find_service,
    targets,
    workloads,
)
from xdsd.authorization.ruling import Rules
from xdsd.authorization.sites import Site
from xdsd.authorization.tokens import missing, proven, rules_of
from xdsd.model.catalog import Service, ServiceKey
from xdsd.model.intent import JWTRule
from xdsd.model.intent.hosts import is_address
from xdsd.model.request_paths import normalized


@dataclass(frozen=True, slots=True)
class Question:
    """Whether ``source`` may reach ``target``; names of services without a namespace are of ``namespace``. ``port`` 0 is the
    first port of the service. ``claims`` are those of a token that its issuer signed; None without one.
    """

    source: str
    target: str
    namespace: str = "default"
    port: int = 0
    method: str = "GET"
    path: str = "/"
    headers: tuple[tuple[str, str], ...] = ()
    claims: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is decided about a caller, as it comes in, and one of a service's workloads. ``refused`` says why a request is
    refused before any policy sees it, ``lost`` why the caller's identity does not arrive; empty otherwise.
    """

    source: Party
    target: Party
    port: int
    http: bool
    decision: Decision
    refused: str = ""
    lost: str = ""

    @property
    def allowed(self) -> bool:
        return not self.refused and self.decision.effect.value == "ALLOW"


@dataclass(frozen=True, slots=True)
class Cell:
    """What callers of one service may expect at a port of another."""

    source: str
    target: str
    port: int
    outlook: Outlook


def can(site: Site, question: Question) -> tuple[Verdict, ...]:
    """A verdict for each kind of caller and workload that is meant. Raises UnknownError."""
    key, service = find_service(site, question.target, question.namespace)
    port = find_port(service, question.port)
    rules = _rules(site)
    about = rules.about(key.hostname)
    doors = [door(site, about, service, port, target) for target in targets(site, key)]
    asking = callers(site, question.source, question.namespace)
    return tuple(_verdict(site, rules, question, caller, each) for caller in asking for each in doors)


def matrix(site: Site, namespace: str = "") -> tuple[Cell, ...]:
    """What callers of each service, and anonymous ones, may expect at each port of services, of a namespace or of all."""
    services = [key for key in sorted(site.services) if not namespace or key.namespace == namespace]
    asking = {key.hostname: distinct(workloads(site, key)) for key in sorted(site.services)}
    asking = {name: found for name, found in asking.items() if found} | {ANONYMOUS: [Party(ANONYMOUS)]}
    table = _Table(site)
    columns = [
        (key, port.number, table.column(key, port.number))
        for key in services
        for port in site.services[key].ports
    ]
    return tuple(
        Cell(name, key.hostname, number, table.outlook(column, parties))
        for name, parties in asking.items()
        for key, number, column in columns
        if name != key.hostname
    )


class _Judged:
    """A door, the policies of its workload, and what they made of who came already."""

    def __init__(self, way: Door, policies: tuple[Policy, ...], domains: tuple[str, ...]) -> None:
        self.door = way
        self._policies = policies
        self._domains = domains
        self._known: dict[tuple[str, str], Outlook] = {}

    def outlook(self, caller: Party, peer: str) -> Outlook:
        """What policies mean for a caller that comes in as ``peer``."""
        if not self._policies:
            return Outlook.ALLOW
        found = self._known.get((peer, caller.address))
        if found is None:
            facts = _facts(peer, caller, self.door)
            found = outlook(self._policies, facts, domains=self._domains)
            self._known[peer, caller.address] = found
        return found


class _Table:
    """What each cell of a matrix needs, made once for a column: policies are not looked through again for each caller."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._rules = _rules(site)
        self._policies: dict[str, list[Policy]] = defaultdict(list)
        for each in site.policies:
            self._policies[each.metadata.namespace].append(each)
        self._found: dict[tuple[str, tuple[tuple[str, str], ...]], tuple[Policy, ...]] = {}

    def column(self, key: ServiceKey, number: int) -> list[_Judged]:
        """Who judges callers at a port of a service: one for each kind of workload."""
        site, service = self._site, self._site.services[key]
        port, about = find_port(service, number), self._rules.about(key.hostname)
        return [
            _Judged(door(site, about, service, port, each), self._applying(service, each), site.domains)
            for each in targets(site, key)
        ]

    def outlook(self, column: Sequence[_Judged], parties: Iterable[Party]) -> Outlook:
        """What one of several callers may expect at one of several workloads."""
        found = set()
        for caller in parties:
            for judged in column:
                came = arrival(self._site, self._rules, judged.door, caller)
                found.add(Outlook.DENY if came.closed else judged.outlook(caller, came.peer))
        return found.pop() if len(found) == 1 else Outlook.SOME

    def _applying(self, service: Service, target: Party) -> tuple[Policy, ...]:
        namespace = service.namespace
        kind = (namespace, tuple(sorted(target.labels.items())))
        found = self._found.get(kind)
        if found is None:
            near = dict.fromkeys((self._site.root, namespace))
            candidates = [each for owner in near for each in self._policies.get(owner, ())]
            found = applying(candidates, Subject(namespace, target.labels), self._site.root)
            self._found[kind] = found
        return found


def _rules(site: Site) -> Rules:
    return Rules(site.rules, site.domain, site.root, site.exported)


def _verdict(site: Site, rules: Rules, question: Question, caller: Party, way: Door) -> Verdict:
    key, target = way.service.key, way.target
    subject = Subject(key.namespace, target.labels)
    policies = applying(site.policies, subject, site.root)
    came = arrival(site, rules, way, caller)
    facts, refused = _facts(came.peer, caller, way), ""
    http = way.port.protocol.carries_http
    if http:
        believed = rules_of(tokens_for(site.authentications, subject, site.root))
        request, refused = _request(site, question, key, believed)
        facts = _with(facts, request)
    decision = decide(policies, facts, domains=site.domains)
    arrived = replace(caller, peer="") if came.lost else caller
    return Verdict(arrived, target, way.number, http, decision, came.closed or refused, came.lost)


def _request(
    site: Site, question: Question, key: ServiceKey, rules: tuple[JWTRule, ...]
) -> tuple[Request, str]:
    headers: dict[str, tuple[str, ...]] = {}
    for name, value in question.headers:
        headers[name.lower()] = (*headers.get(name.lower(), ()), value)
    host = headers.pop("host", (key.hostname,))[-1].removesuffix(".")
    claims = _claims(question.claims, rules)
    path = normalized(question.path, site.paths)
    request = Request(question.method, host, path or "/", headers, proven(rules, claims))
    if path is None:
        return request, f"400: no path is {question.path!r}"
    if claims is not None and rules and request.claims is None:
        return (
            request,
            f"401: no rule believes tokens of {claims.get('iss', 'nobody')!r} for {claims.get('aud', 'anybody')!r}",
        )
    required = missing(rules, claims)
    if required is not None:
        return request, f"401: a token of {required.issuer} is required"
    return request, ""


def _claims(claims: Mapping[str, Any] | None, rules: tuple[JWTRule, ...]) -> Mapping[str, Any] | None:
    """Where one issuer is believed, a token without one is his."""
    issuers = {rule.issuer for rule in rules if rule.issuer}
    if claims is None or "iss" in claims or len(issuers) != 1:
        return claims
    return {"iss": issuers.pop(), **claims}


def _facts(peer: str, caller: Party, way: Door) -> Facts:
    request = Request() if way.port.protocol.carries_http else None
    return Facts(peer, caller.address, caller.address, way.target.address, way.number, request=request)


def _with(facts: Facts, request: Request) -> Facts:
    told = ",".join(request.headers.get("x-forwarded-for", ())).rpartition(",")[2].strip()
    remote = told if is_address(told) else facts.remote  # Envoy passes over what is no address
    return Facts(facts.peer, facts.source, remote, facts.destination, facts.port, request=request)
