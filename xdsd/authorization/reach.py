"""Who may reach whom: policies, services and workloads together, asked by name.

A caller is a SPIFFE id, ``NAMESPACE/ACCOUNT``, a service (any of its workloads), an address (without an identity) or
``anonymous``. Workloads whose account nobody declares have ``default``. That a caller proves its identity by mutual TLS is
taken for granted.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

from xdsd.authorization.applying import Subject, applying, tokens_for
from xdsd.authorization.deciding import Decision, decide
from xdsd.authorization.facts import SPIFFE, Facts, Request, identity
from xdsd.authorization.outlook import Outlook, outlook
from xdsd.authorization.paths import normalized
from xdsd.authorization.tokens import missing, proven, rules_of
from xdsd.model.catalog import Endpoint, Port, Service, ServiceKey
from xdsd.model.hosts import resolve_host
from xdsd.model.intent import (
    AuthorizationPolicy,
    JWTRule,
    Object,
    PathNormalizationType,
    RequestAuthentication,
)

ANONYMOUS = "anonymous"
DEFAULT_ACCOUNT = "default"


class UnknownError(Exception):
    """A caller or a target that is not there; the message says what there is."""


@dataclass(frozen=True, slots=True)
class Site:
    """All that decides. ``domains`` are the mesh's trust domain and its aliases."""

    policies: tuple[Object[AuthorizationPolicy], ...]
    authentications: tuple[Object[RequestAuthentication], ...]
    services: Mapping[ServiceKey, Service]
    endpoints: Mapping[ServiceKey, tuple[Endpoint, ...]]
    domain: str = "cluster.local"
    root: str = "istio-system"
    domains: tuple[str, ...] = ("cluster.local",)
    paths: PathNormalizationType = PathNormalizationType.DECODE_AND_MERGE_SLASHES


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
class Party:
    """One end: what it is called, the identity that it proves (empty without one), and its address if it is known."""

    name: str
    peer: str = ""
    address: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is decided about a caller and one of a service's workloads. ``refused`` says why a request is refused before any
    policy sees it; empty otherwise.
    """

    source: Party
    target: Party
    port: int
    http: bool
    decision: Decision
    refused: str = ""

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
    key, service = _service(site, question.target, question.namespace)
    port = _port(service, question.port)
    callers = _distinct(_callers(site, question))
    targets = _distinct(_workloads(site, key)) or [Party(key.hostname)]
    return tuple(
        _verdict(site, question, key, port, caller, target) for caller in callers for target in targets
    )


def matrix(site: Site, namespace: str = "") -> tuple[Cell, ...]:
    """What callers of each service, and anonymous ones, may expect at each port of services, of a namespace or of all."""
    services = [key for key in sorted(site.services) if not namespace or key.namespace == namespace]
    callers = {key.hostname: _distinct(_workloads(site, key)) for key in sorted(site.services)}
    callers = {name: found for name, found in callers.items() if found} | {ANONYMOUS: [Party(ANONYMOUS)]}
    return tuple(
        Cell(name, key.hostname, port.number, _joined(site, key, port, parties))
        for name, parties in callers.items()
        for key in services
        for port in site.services[key].ports
        if name != key.hostname
    )


def _joined(site: Site, key: ServiceKey, port: Port, callers: Sequence[Party]) -> Outlook:
    found = set()
    for target in _distinct(_workloads(site, key)) or [Party(key.hostname)]:
        policies = applying(site.policies, Subject(key.namespace, target.labels), site.root)
        for caller in callers:
            facts = _facts(caller, target, port, _number(site, key, target, port))
            found.add(outlook(policies, facts, domains=site.domains))
    return found.pop() if len(found) == 1 else Outlook.SOME


def _verdict(
    site: Site, question: Question, key: ServiceKey, port: Port, caller: Party, target: Party
) -> Verdict:
    subject = Subject(key.namespace, target.labels)
    policies = applying(site.policies, subject, site.root)
    rules = rules_of(tokens_for(site.authentications, subject, site.root))
    number = _number(site, key, target, port)
    facts = _facts(caller, target, port, number)
    http, refused = port.protocol.carries_http, ""
    if http:
        request, refused = _request(site, question, key, rules)
        facts = _with(facts, request)
    decision = decide(policies, facts, domains=site.domains)
    return Verdict(caller, target, number, http, decision, refused)


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


def _facts(caller: Party, target: Party, port: Port, number: int) -> Facts:
    request = Request() if port.protocol.carries_http else None
    return Facts(caller.peer, caller.address, caller.address, target.address, number, request=request)


def _with(facts: Facts, request: Request) -> Facts:
    remote = ",".join(request.headers.get("x-forwarded-for", ())).rpartition(",")[2].strip() or facts.remote
    return Facts(facts.peer, facts.source, remote, facts.destination, facts.port, request=request)


def _number(site: Site, key: ServiceKey, target: Party, port: Port) -> int:
    """Where a workload serves a port of its service."""
    found = (each for each in site.endpoints.get(key, ()) if each.address == target.address)
    endpoint = next(found, None)
    return endpoint.port_for(port) if endpoint else port.target


def _callers(site: Site, question: Question) -> list[Party]:
    text = question.source
    if text == ANONYMOUS:
        return [Party(text)]
    if text.startswith(SPIFFE):
        if identity(text) is None:
            raise UnknownError(f"{text} is no identity; write spiffe://DOMAIN/ns/NAMESPACE/sa/ACCOUNT")
        return [Party(text, text)]
    if _is_address(text):
        return [Party(text, "", text)]
    namespace, slash, account = text.partition("/")
    if slash:
        return [Party(text, f"{SPIFFE}{site.domains[0]}/ns/{namespace}/sa/{account}")]
    key, _ = _service(site, text, question.namespace)
    found = list(_workloads(site, key))
    if not found:
        raise UnknownError(f"{key.hostname} has no workloads, so nobody calls as it; write NAMESPACE/ACCOUNT")
    return found


def _workloads(site: Site, key: ServiceKey) -> Iterator[Party]:
    for endpoint in site.endpoints.get(key, ()):
        account = endpoint.service_account or DEFAULT_ACCOUNT
        peer = f"{SPIFFE}{site.domains[0]}/ns/{key.namespace}/sa/{account}"
        address = endpoint.address if _is_address(endpoint.address) else ""
        yield Party(key.hostname, peer, address, endpoint.labels)


def _distinct(parties: Iterable[Party]) -> list[Party]:
    """One of each kind: who differs in its address alone is asked for once, the first by address."""
    found: dict[object, Party] = {}
    for each in sorted(parties, key=lambda party: party.address):
        found.setdefault((each.name, each.peer, tuple(sorted(each.labels.items()))), each)
    return list(found.values())


def _service(site: Site, name: str, namespace: str) -> tuple[ServiceKey, Service]:
    short = name.count(".") == 1
    host = f"{name}.svc.{site.domain}" if short else resolve_host(name, namespace, site.domain)
    for wanted in (host, name):
        found = sorted(key for key in site.services if key.hostname == wanted)
        if found:
            own = next((key for key in found if key.namespace == namespace), found[0])
            return own, site.services[own]
    known = ", ".join(sorted({key.hostname for key in site.services})[:10])
    raise UnknownError(f"there is no service {name}" + (f"; there are {known}" if known else ""))


def _port(service: Service, number: int) -> Port:
    port = service.port(number) if number else next(iter(service.ports), None)
    if port is None:
        known = ", ".join(str(each.number) for each in service.ports) or "none"
        raise UnknownError(f"{service.hostname} has no port {number}; its ports are {known}")
    return port


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
