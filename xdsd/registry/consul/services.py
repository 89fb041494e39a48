"""Services of Consul's as services of the mesh. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from xdsd.model.catalog import Endpoint, Location, Port, Protocol, Resolution, Service
from xdsd.model.problem import ObjectRef, Problem, Reason, Severity
from xdsd.model.protocols import protocol_of
from xdsd.registry.addresses import is_ip, is_unix
from xdsd.registry.consul.answers import InstanceKey, Mistake
from xdsd.registry.consul.facts import PORT, PROTOCOL, UNNAMED, Facts, Found
from xdsd.registry.consul.options import ConsulOptions, Hosts

KIND = "ConsulService"
ITSELF = "consul"
"""The service that Consul's servers are, which no program calls by name."""

_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")

Entries = Mapping[InstanceKey, Endpoint]


@dataclass(frozen=True, slots=True)
class Reader:
    """How services of one source are read. ``domain`` is the mesh's, ``source`` its name in problems."""

    options: ConsulOptions
    domain: str
    source: str

    def host(self, name: str) -> str | None:
        """The host of a service; None where its name makes none."""
        word = name.lower()
        if not _LABEL.fullmatch(word):
            return None
        match self.options.hosts:
            case Hosts.CONSUL:
                return f"{word}.service.consul"
            case Hosts.DATACENTER:
                return f"{word}.service.{self.options.datacenter.lower()}.consul"
        return f"{word}.{self.options.mesh_namespace}.svc.{self.domain}"

    def named(self, name: str, service: Service) -> tuple[Service, ...]:
        """The service, and the same by the other name that it has: that of one datacenter alone."""
        if not self.options.datacenter or self.options.hosts is not Hosts.CONSUL:
            return (service,)
        host = f"{name.lower()}.service.{self.options.datacenter.lower()}.consul"
        return service, replace(service, hostname=host, regional=False)

    def unnamed(self, name: str) -> Problem:
        """That a name makes no host."""
        message = (
            f"{name[:80]!r} makes no host name, so the service is left out: register it with letters, digits and dashes,"
            " at most 63 of them"
        )
        return self.problem(name, Reason.INVALID_VALUE, "Service.Service", message)

    def problem(
        self, name: str, reason: Reason, path: str, message: str, severity: Severity = Severity.ERROR
    ) -> Problem:
        """A mistake in a service or one of its instances."""
        ref = ObjectRef(KIND, self.options.mesh_namespace, name[:80])
        return Problem(reason, message, ref, path, self.source, severity=severity)


@dataclass(frozen=True, slots=True)
class Reading:
    """What was made of an answer. Without a service nothing can be called; ``entries`` say which endpoint is whose, and
    ``facts`` what each instance comes to.
    """

    service: Service | None
    entries: Entries
    problems: tuple[Problem, ...] = ()
    facts: tuple[Facts, ...] = ()


def read_service(
    reader: Reader,
    name: str,
    answer: Iterable[Found],
    known: Entries,
    port: Port | None = None,
) -> Reading:
    """The service that instances make together. One that is wrong stays as it was ``known``, or is left out; if all are,
    the service keeps its ``port``.
    """
    found = list(answer)
    problems: list[Problem] = []
    facts = tuple(each for _, each in found if isinstance(each, Facts))
    instances = sorted(
        (each for each in facts if not each.is_mesh),
        key=lambda each: (each.created, each.key),
    )
    host = reader.host(name)
    if host is None:
        return Reading(None, {}, (reader.unnamed(name),))

    def tell(key: InstanceKey, mistake: Mistake, severity: Severity = Severity.ERROR) -> None:
        where = f"{key.node}/{key.id}" if key.node else key.id
        path = f"{where}.{mistake.path}" if mistake.path else where
        problems.append(reader.problem(name, Reason.INVALID_VALUE, path, mistake.message, severity))

    if instances or port is None:
        port = _port(reader, name, instances, problems)
    entries: dict[InstanceKey, Endpoint] = {}
    wrong: list[InstanceKey] = []
    for key, each in found:
        if isinstance(each, Mistake):
            tell(key, each)
            wrong.append(key)
    for each in instances:
        for remark in each.remarks:
            tell(each.key, remark, Severity.WARNING)
        endpoint = each.on(port.name)
        if isinstance(endpoint, Mistake):
            tell(each.key, endpoint)
            wrong.append(each.key)
        elif endpoint is not None:
            entries[each.key] = endpoint
    entries.update((key, known[key]) for key in wrong if key in known)
    if not port.number or (not instances and not entries):
        return Reading(None, entries, tuple(problems), facts)
    return Reading(service_with(reader, host, port, entries), entries, tuple(problems), facts)


def service_with(reader: Reader, host: str, port: Port, entries: Entries) -> Service:
    """The service as the mesh sees it; endpoints stand in the order of their keys."""
    endpoints = tuple(entries[key] for key in sorted(entries))
    by_name = any(not (is_ip(each.address) or is_unix(each.address)) for each in endpoints)
    return Service(
        namespace=reader.options.mesh_namespace,
        hostname=host,
        ports=(port,),
        resolution=Resolution.DNS if by_name else Resolution.STATIC,
        location=Location.MESH_INTERNAL,
        endpoints=endpoints,
        source=reader.source,
        regional=bool(reader.options.datacenter) and reader.options.hosts is not Hosts.DATACENTER,
    )


def _port(reader: Reader, name: str, instances: Sequence[Facts], problems: list[Problem]) -> Port:
    """The one port of a service; number 0 where there is none."""
    options = reader.options
    word = _declared(reader, name, PROTOCOL, (each.protocol for each in instances), problems)
    spoken = options.protocol
    if word is not None:
        spoken = next((each for each in Protocol if each is not Protocol.AUTO and each == word.upper()), None)
        if spoken is None:
            choices = ", ".join(each.lower() for each in Protocol if each is not Protocol.AUTO)
            message = f"{word!r} is no protocol, so it is found out: write one of {choices}"
            problems.append(reader.problem(name, Reason.INVALID_VALUE, f"Service.Meta.{PROTOCOL}", message))
    number = _number(reader, name, instances, problems)
    name = (spoken or UNNAMED).lower()
    basis = "protocol" if spoken else ""
    return Port(number, name, spoken or protocol_of(number), number, basis, made_up=True)


def _number(reader: Reader, name: str, instances: Sequence[Facts], problems: list[Problem]) -> int:
    text = _declared(reader, name, PORT, (each.service_port for each in instances), problems)
    if text is not None:
        if text.isascii() and text.isdigit() and len(text) < 6 and 0 < int(text) < 65536:
            return int(text)
        message = f"{text!r} is no port: write a number from 1 to 65535"
        problems.append(reader.problem(name, Reason.INVALID_VALUE, f"Service.Meta.{PORT}", message))
    if reader.options.port:
        return reader.options.port
    ports = sorted({each.port for each in instances} - {0})
    if instances and not ports:
        message = (
            "no instance has a port, so nobody can call the service, and it is left out: register them with one, or say in"
            f" the meta {PORT} at which it is called"
        )
        problems.append(
            reader.problem(name, Reason.MISSING_FIELD, "Service.Port", message, severity=Severity.WARNING)
        )
    if len(ports) > 1:
        message = (
            f"instances listen on the ports {', '.join(map(str, ports[:8]))}, and the service is called at {ports[0]}: say"
            f" its port in the meta {PORT} of its instances, or for all services by the option port"
        )
        problems.append(
            reader.problem(name, Reason.CONFLICT, "Service.Port", message, severity=Severity.WARNING)
        )
    return ports[0] if ports else 0


def _declared(
    reader: Reader, name: str, word: str, told: Iterable[str | None], problems: list[Problem]
) -> str | None:
    """What instances say, the oldest first, in meta or tags, of what a service has once: the oldest one's word holds."""
    said = dict.fromkeys(text for text in told if text is not None)
    if not said:
        return None
    oldest, *others = said
    if others:
        message = (
            f"instances say {', '.join(map(repr, sorted(said)))}; {oldest!r} is the oldest one's, and holds"
        )
        path = f"Service.Meta.{word}"
        problems.append(reader.problem(name, Reason.CONFLICT, path, message, severity=Severity.WARNING))
    return oldest
