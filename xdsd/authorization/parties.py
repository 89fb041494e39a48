"""Who calls and who is called, found by name."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address

from xdsd.authorization.facts import SPIFFE, identity
from xdsd.authorization.sites import Site
from xdsd.model.catalog import Endpoint, Port, Service, ServiceKey
from xdsd.model.hosts import resolve_host

ANONYMOUS = "anonymous"
DEFAULT_ACCOUNT = "default"


class UnknownError(Exception):
    """A caller or a target that is not there; the message says what there is."""


@dataclass(frozen=True, slots=True)
class Party:
    """One end: what it is called, the identity that it has (empty without one), and its address if it is known. ``endpoint``
    is that of a workload.
    """

    name: str
    peer: str = ""
    address: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    endpoint: Endpoint | None = field(default=None, compare=False)

    def port(self, port: Port) -> int:
        """Where it serves a port of its service."""
        return self.endpoint.port_for(port) if self.endpoint else port.target


def callers(site: Site, name: str, namespace: str) -> list[Party]:
    """All that are meant by a name. Raises UnknownError."""
    if name == ANONYMOUS:
        return [Party(name)]
    if name.startswith(SPIFFE):
        if identity(name) is None:
            raise UnknownError(f"{name} is no identity; write spiffe://DOMAIN/ns/NAMESPACE/sa/ACCOUNT")
        return [Party(name, name)]
    if is_address(name):
        return [Party(name, "", name)]
    owner, slash, account = name.partition("/")
    if slash:
        if not owner or not account or "/" in account:
            raise UnknownError(f"{name} is no identity; write NAMESPACE/ACCOUNT or a SPIFFE id")
        return [Party(name, f"{SPIFFE}{site.domains[0]}/ns/{owner}/sa/{account}")]
    key, _ = find_service(site, name, namespace)
    found = distinct(workloads(site, key))
    if not found:
        raise UnknownError(f"{key.hostname} has no workloads, so nobody calls as it; write NAMESPACE/ACCOUNT")
    return found


def workloads(site: Site, key: ServiceKey) -> Iterator[Party]:
    """What is behind a service."""
    for endpoint in site.endpoints.get(key, ()):
        account = endpoint.service_account or DEFAULT_ACCOUNT
        own = f"{SPIFFE}{site.domains[0]}/ns/{key.namespace}/sa/{account}"
        peer = endpoint.identities[0] if endpoint.identities else own
        address = endpoint.address if is_address(endpoint.address) else ""
        yield Party(key.hostname, peer, address, endpoint.labels, endpoint)


def targets(site: Site, key: ServiceKey) -> list[Party]:
    """The workloads of a service, one of each kind; the service alone where there is none."""
    ported: dict[object, Party] = {}
    for each in _sorted(workloads(site, key)):
        ports = tuple(sorted(each.endpoint.ports.items())) if each.endpoint else ()
        ported.setdefault((_kind(each), ports, each.address in site.unproven), each)
    return list(ported.values()) or [Party(key.hostname)]


def distinct(parties: Iterable[Party]) -> list[Party]:
    """One of each kind: who differs in its address alone is asked for once, the first by address."""
    found: dict[object, Party] = {}
    for each in _sorted(parties):
        found.setdefault(_kind(each), each)
    return list(found.values())


def _sorted(parties: Iterable[Party]) -> list[Party]:
    return sorted(parties, key=lambda party: party.address)


def _kind(party: Party) -> object:
    return party.name, party.peer, tuple(sorted(party.labels.items()))


def find_service(site: Site, name: str, namespace: str) -> tuple[ServiceKey, Service]:
    """A service by its host or a short form of it, that of ``namespace`` first. Raises UnknownError."""
    short = name.count(".") == 1
    host = f"{name}.svc.{site.domain}" if short else resolve_host(name, namespace, site.domain)
    for wanted in (host, name):
        found = sorted(key for key in site.services if key.hostname == wanted)
        if found:
            own = next((key for key in found if key.namespace == namespace), found[0])
            return own, site.services[own]
    known = ", ".join(sorted({key.hostname for key in site.services})[:10])
    raise UnknownError(f"there is no service {name}" + (f"; there are {known}" if known else ""))


def find_port(service: Service, number: int) -> Port:
    """A port of a service, its first one for 0. Raises UnknownError."""
    port = service.port(number) if number else next(iter(service.ports), None)
    if port is None:
        known = ", ".join(str(each.number) for each in service.ports) or "none"
        raise UnknownError(f"{service.hostname} has no port {number}; its ports are {known}")
    return port


def is_address(text: str) -> bool:
    """True for an IP address."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
