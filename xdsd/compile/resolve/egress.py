"""What the egress listeners of a Sidecar let in: hosts, and the services that have them."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from xdsd.compile.addresses import is_unix
from xdsd.compile.graph import Graph
from xdsd.compile.resolve.inspections import is_inspected
from xdsd.compile.resolve.sidecars import sidecar_spec
from xdsd.compile.resolve.visibility import exported_to, host_matches, settings
from xdsd.compile.world import read_service, read_service_keys
from xdsd.model.catalog import Protocol, ServiceKey
from xdsd.model.intent import CaptureMode
from xdsd.model.problem import ObjectRef


class EgressHosts(NamedTuple):
    """One ``namespace/host`` of a Sidecar's egress listener; both may be patterns."""

    namespace: str
    host: str


class Egress(NamedTuple):
    """One egress listener of a Sidecar.

    ``port`` 0 is the listener of all ports that have none of their own, or of a Unix socket. ``protocol``, where it is
    given, is spoken there whatever the services say.
    """

    place: int
    port: int
    protocol: Protocol | None
    bind: str
    capture: CaptureMode | None
    hosts: tuple[EgressHosts, ...]

    @property
    def on_socket(self) -> bool:
        """True for a listener on a Unix socket, which serves all ports of its services in one place."""
        return is_unix(self.bind) and not self.port


ALL_HOSTS = (EgressHosts("*", "*"),)
"""What a proxy sees that no Sidecar restricts."""


EVERYTHING = Egress(0, 0, None, "", None, ALL_HOSTS)
"""The egress of such a proxy."""


def egress_of(graph: Graph, sidecar: ObjectRef | None) -> tuple[Egress, ...]:
    """The egress listeners that apply, in the order in which they are declared."""
    declared = sidecar_spec(graph, sidecar).egress if sidecar else ()
    if sidecar is None or not declared:
        return (EVERYTHING,)
    return tuple(
        Egress(
            index,
            listener.port.number or 0 if listener.port else 0,
            Protocol(listener.port.protocol.upper()) if listener.port and listener.port.protocol else None,
            listener.bind or "",
            listener.capture_mode,
            tuple(_egress_hosts(host, sidecar.namespace) for host in listener.hosts),
        )
        for index, listener in enumerate(declared)
    )


def _egress_hosts(text: str, namespace: str) -> EgressHosts:
    scope, _, host = text.rpartition("/")
    return EgressHosts(namespace if scope in {".", ""} else scope, host)


def imports(hosts: Iterable[EgressHosts], key: ServiceKey) -> bool:
    """True if one of an egress listener's hosts lets this service in; ``~`` lets nothing in."""
    return any(
        entry.namespace in {"*", key.namespace} and host_matches(entry.host, key.hostname) for entry in hosts
    )


def scope_services(graph: Graph, namespace: str, hosts: tuple[EgressHosts, ...]) -> tuple[ServiceKey, ...]:
    """The services that a namespace sees and egress hosts let in, by host. Of one host declared twice, the
    namespace's own counts, else the older.
    """
    found: dict[str, ServiceKey] = {}
    for key in _seen_services(graph, namespace, hosts):
        if hosts == ALL_HOSTS or imports(hosts, key):
            other = found.setdefault(key.hostname, key)
            if other != key:
                found[key.hostname] = _preferred(graph, namespace, other, key)
    return tuple(found[host] for host in sorted(found))


def _seen_services(graph: Graph, namespace: str, hosts: tuple[EgressHosts, ...]) -> Iterator[ServiceKey]:
    """Services that a namespace sees: all of them, or where every egress host is named in full only those of the names."""
    names = [entry.host for entry in hosts]
    if any(name.startswith("*") for name in names):
        yield from read_service_keys(graph, "public-services")
        yield from read_service_keys(graph, "private-services", namespace)
        return
    for name in dict.fromkeys(names):
        for key in read_service_keys(graph, "services-of-host", name):
            service = read_service(graph, key)
            if service and exported_to(service.export_to, key.namespace, namespace):
                yield key


def _preferred(graph: Graph, namespace: str, one: ServiceKey, other: ServiceKey) -> ServiceKey:
    first = settings(graph).root_namespace if graph.ask(is_inspected, one.hostname) else namespace

    def rank(key: ServiceKey) -> tuple[bool, str, ServiceKey]:
        service = read_service(graph, key)
        return (key.namespace != first, service.age if service else "", key)

    return min(one, other, key=rank)


def service_for(graph: Graph, namespace: str, hosts: tuple[EgressHosts, ...], host: str) -> ServiceKey | None:
    """The service that a fully qualified host means to clients of a namespace; one that egress hosts let in, if any."""
    visible: list[ServiceKey] = []
    for key in read_service_keys(graph, "services-of-host", host):
        service = read_service(graph, key)
        if service and exported_to(service.export_to, key.namespace, namespace):
            visible.append(key)
    candidates = [key for key in visible if imports(hosts, key)] or visible
    best = candidates[0] if candidates else None
    for key in candidates[1:]:
        best = _preferred(graph, namespace, best, key) if best else key
    return best
