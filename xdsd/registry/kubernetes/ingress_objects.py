"""What Ingress objects mean: Gateways and VirtualServices, as if somebody had written these. Pure.

Each Ingress is a Gateway of its own, of port 80 for its hosts and 443 for those that it has a certificate for. Each host is
one VirtualService, since what its paths mean is decided among all objects that have the host: the longest path first, of
two of one length the exact one, of two that are the same the older object's, and the other is a problem. (One VirtualService
for each object, turned down, would let a short path of an old object hide a long one of another.)

By the published semantics ``Prefix`` compares path elements, so ``/a`` is for ``/a`` and ``/a/b`` and not ``/ab``; a
wildcard host stands for one label; what no path is for goes to the default backend, the oldest if there are several. Of
``ImplementationSpecific`` paths those that end in ``/*`` or ``.*`` are for what begins so, others are exact, as Istio has
it. A path whose backend cannot be used answers 503, and never lets another path take its requests.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, NamedTuple

from xdsd.manifest import AnyObject, parse_object
from xdsd.model.problem import ObjectRef, Problem, Reason
from xdsd.registry.kubernetes.facts import Name
from xdsd.registry.kubernetes.ingress import Backend, Ingress, IngressClass, Path, PathType

FROM = "xdsd.io/ingress"
"""The annotation of a made object with the Ingresses that it is made of."""
_EVERYONE = "*"
_ROOT = (("prefix", "/"),)
_SUFFIXES = ("/*", ".*")

Ports = Callable[[Name, str], int | None]
"""The number of a port of a service by its name; None where there is none."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """The objects that Ingresses mean, and what is wrong with these, by Ingress."""

    objects: tuple[AnyObject, ...]
    problems: Mapping[Name, tuple[Problem, ...]]


class _Claim(NamedTuple):
    """A path that an Ingress has for a host."""

    owner: Ingress
    path: Path


def meaning(
    ingresses: Iterable[Ingress], classes: Sequence[IngressClass], domain: str, ports: Ports
) -> Meaning:
    """What the Ingresses of our classes mean; ``domain`` is that of services."""
    making = _Making(domain, ports)
    served = sorted(
        ((each, found) for each in ingresses if (found := class_of(each, classes)) is not None),
        key=lambda pair: pair[0].age,
    )
    for each, chosen in served:
        making.gateway(each, chosen)
    making.hosts([each for each, _ in served])
    return Meaning(tuple(making.objects), {name: tuple(told) for name, told in making.problems.items()})


def class_of(ingress: Ingress, classes: Sequence[IngressClass]) -> IngressClass | None:
    """The class of ours that an Ingress is of: that which it names, else the default one."""
    if ingress.class_name is not None:
        return next((each for each in classes if each.name == ingress.class_name), None)
    return next((each for each in classes if each.is_default), None)


class _Making:
    """What is being made."""

    def __init__(self, domain: str, ports: Ports) -> None:
        self._domain = domain
        self._ports = ports
        self.objects: list[AnyObject] = []
        self.problems: dict[Name, list[Problem]] = defaultdict(list)

    def gateway(self, owner: Ingress, chosen: IngressClass) -> None:
        """The ports of one Ingress."""
        hosts = list(dict.fromkeys(rule.host for rule in owner.rules))
        if owner.default is not None or not hosts or _EVERYONE in hosts:
            hosts = [_EVERYONE]
        servers: list[dict[str, Any]] = [
            {"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": hosts}
        ]
        for index, tls in enumerate(owner.tls):
            servers.append(
                {
                    "port": {"number": 443, "name": f"https-{index}", "protocol": "HTTPS"},
                    "hosts": list(dict.fromkeys(tls.hosts)) or [_EVERYONE],
                    "tls": {"mode": "SIMPLE", "credentialName": tls.secret},
                }
            )
        spec = {"selector": dict(chosen.selector), "servers": servers}
        self._make("Gateway", owner, gateway_name(owner.name.name), spec, [owner])

    def hosts(self, ingresses: Sequence[Ingress]) -> None:
        """The routes of all hosts."""
        claims: dict[str, list[_Claim]] = defaultdict(list)
        owners: dict[str, dict[Name, Ingress]] = defaultdict(dict)
        for each in ingresses:
            for rule in each.rules:
                owners[rule.host][each.name] = each
                claims[rule.host] += [_Claim(each, path) for path in rule.paths]
        default = self._default(ingresses, owners)
        for host, found in sorted(owners.items()):
            involved = [*found.values()]
            rules = [*self._rules(host, claims[host])]
            if default is not None and not _takes_all(host, claims[host]):
                rules.append(self._action(*default))
                involved = list({each.name: each for each in (*involved, default[0])}.values())
            if not rules:
                continue
            eldest = min(involved, key=lambda each: each.age)
            spec = {
                "hosts": [host],
                "gateways": [f"{each.name.namespace}/{gateway_name(each.name.name)}" for each in involved],
                "http": rules,
            }
            self._make("VirtualService", eldest, host_name(host), spec, involved)

    def _default(
        self, ingresses: Sequence[Ingress], owners: dict[str, dict[Name, Ingress]]
    ) -> tuple[Ingress, Backend] | None:
        found = [(each, each.default) for each in ingresses if each.default is not None]
        if not found:
            return None
        first = found[0]
        owners[_EVERYONE][first[0].name] = first[0]
        for each, _ in found[1:]:
            message = f"has no effect: that of {_ref(first[0])} is older, and there is one for all"
            self._tell(each, Reason.CONFLICT, message, "spec.defaultBackend")
        return first

    def _rules(self, host: str, claims: Sequence[_Claim]) -> Iterator[dict[str, Any]]:
        taken: dict[tuple[tuple[str, str], ...], _Claim] = {}
        for claim in claims:
            first = taken.setdefault(_uris(claim.path), claim)
            if first is not claim:
                other = (
                    "another rule" if first.owner is claim.owner else f"{_ref(first.owner)}, which is older,"
                )
                message = f"has no effect: {other} has this path for {host} too"
                self._tell(claim.owner, Reason.CONFLICT, message, claim.path.place)
        for claim in sorted(taken.values(), key=lambda claim: _rank(claim.path)):
            matches: list[dict[str, Any]] = [{"uri": {how: text}} for how, text in _uris(claim.path)]
            if host.startswith("*."):
                authority = {"regex": rf"(?i)[^.:]+{re.escape(host[1:])}(:[0-9]+)?"}
                matches = [{**match, "authority": authority} for match in matches]
            yield {"match": matches, **self._action(claim.owner, claim.path.backend)}

    def _action(self, owner: Ingress, backend: Backend | None) -> dict[str, Any]:
        port = self._port(owner, backend) if backend is not None else None
        if backend is None or port is None:
            return {"directResponse": {"status": 503}}
        host = f"{backend.service}.{owner.name.namespace}.svc.{self._domain}"
        return {"route": [{"destination": {"host": host, "port": {"number": port}}}]}

    def _port(self, owner: Ingress, backend: Backend) -> int | None:
        if isinstance(backend.port, int):
            return backend.port
        service = Name(owner.name.namespace, backend.service)
        found = self._ports(service, backend.port)
        if found is None:
            message = f"the service {service} has no port {backend.port!r}, or is not there; requests are answered with 503"
            self._tell(owner, Reason.BROKEN_REFERENCE, message, f"{backend.place}.port.name")
        return found

    def _make(
        self, kind: str, eldest: Ingress, name: str, spec: Mapping[str, Any], owners: Sequence[Ingress]
    ) -> None:
        metadata = {
            "namespace": eldest.name.namespace,
            "name": name,
            "annotations": {FROM: ",".join(sorted(str(each.name) for each in owners))},
            **({"creationTimestamp": eldest.created} if eldest.created else {}),
        }
        made = {"apiVersion": "networking.istio.io/v1", "kind": kind, "metadata": metadata, "spec": spec}
        found = parse_object(made)
        if isinstance(found, list):
            for owner in owners:
                told = [replace(each, object=_ref(owner)) for each in found]
                self.problems[owner.name] += told
        else:
            self.objects.append(found)

    def _tell(self, owner: Ingress, reason: Reason, message: str, place: str) -> None:
        told = self.problems[owner.name]
        problem = Problem(reason, message, _ref(owner), place)
        if problem not in told:
            told.append(problem)


def gateway_name(ingress: str) -> str:
    """The name of an Ingress's Gateway, which is one label."""
    return f"{ingress.replace('.', '-')[:40]}-{_digest(ingress)}-ingress"


def host_name(host: str) -> str:
    """The name of a host's VirtualService."""
    words = re.sub(r"[^a-z0-9]+", "-", host).strip("-")[:40].strip("-")
    return f"{words or 'all'}-{_digest(host)}-ingress"


def _uris(path: Path) -> tuple[tuple[str, str], ...]:
    """How the paths are compared that it is for."""
    text = path.path
    if path.type is PathType.EXACT:
        return (("exact", text),)
    if path.type is PathType.SPECIFIC:
        if text in ("*", "/*", ".*", ""):
            return _ROOT
        if text.endswith(_SUFFIXES):
            return (("prefix", text[:-2] or "/"),)
        return (("exact", text),)
    bare = text.rstrip("/")
    return (("exact", bare), ("prefix", f"{bare}/")) if bare else _ROOT


def _takes_all(host: str, claims: Iterable[_Claim]) -> bool:
    """Whether the paths of a host leave no request to anybody else; what a wildcard is not for is left."""
    return not host.startswith("*.") and any(_uris(claim.path) == _ROOT for claim in claims)


def _rank(path: Path) -> tuple[int, bool]:
    """Longest first; of one length exact ones."""
    how, text = _uris(path)[0]
    exact = len(_uris(path)) == 1 and how == "exact"
    return -len(text), not exact


def _ref(ingress: Ingress) -> ObjectRef:
    return ObjectRef("Ingress", *ingress.name)


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:8]


def balancer_status(current: Mapping[str, Any], addresses: Sequence[str]) -> dict[str, Any] | None:
    """What is to be merged into the status of an Ingress whose gateways are at these addresses; None where it says so."""
    told = [
        {"ip": each} if re.fullmatch(r"[0-9.]+|[0-9a-fA-F:]*:[0-9a-fA-F:.]*", each) else {"hostname": each}
        for each in sorted(set(addresses))
    ]
    balancer = current.get("loadBalancer")
    before = balancer.get("ingress") if isinstance(balancer, dict) else None
    return None if (before or []) == told else {"loadBalancer": {"ingress": told}}
