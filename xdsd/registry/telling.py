"""What is wrong between sources, in sentences: problems of the service that they share."""

from collections.abc import Iterable, Iterator, Sequence

from xdsd.model.catalog import Endpoint, Resolution, Service, ServiceKey
from xdsd.model.problem import ObjectRef, Problem, Reason, Severity
from xdsd.registry.addresses import is_host, is_ip, is_unix
from xdsd.registry.contradictions import Apart, Contradiction
from xdsd.registry.parts import place_of
from xdsd.registry.reported import Reported

_DNS = frozenset({Resolution.DNS, Resolution.DNS_ROUND_ROBIN})


def conflict(key: ServiceKey, found: Contradiction[str]) -> Problem:
    """Sources contradict each other about a service."""
    message = (
        f"{found.who} says {found.says}, but {found.older} says {found.holds}, which {found.why} and holds"
    )
    return Problem(Reason.CONFLICT, message, ref_of(key))


def ports_apart(key: ServiceKey, found: Apart[str]) -> Problem:
    """Sources have the service at different ports, which may be one."""
    message = (
        f"{found.who} says {found.says}, and {found.older} says {found.holds}: each takes only calls of its own port; if"
        " they are one, give it one number and name at both"
    )
    return Problem(Reason.CONFLICT, message, ref_of(key), severity=Severity.WARNING)


def differs(key: ServiceKey, address: str, found: Contradiction[Reported]) -> Problem:
    """Reporters contradict each other about an endpoint."""
    said = f"{found.who} says that {address} has {found.says}"
    message = f"{said}, but {found.older} says {found.holds}, which {found.why} and holds"
    return Problem(Reason.CONFLICT, message, ref_of(key), severity=Severity.WARNING)


def unclear(service: Service, reported: Iterable[tuple[str, Sequence[Reported]]]) -> Iterator[Problem]:
    """Endpoints of one address that may be one, and count for two: one says its network and one does not, or a workload of a
    source is selected at another port than its source lists it at. ``reported`` are those of each address.
    """
    for address, several in reported:
        if len(several) < 2:
            continue
        yield from _networks(service, address, several)
        for chosen in several:
            for listed in several:
                if chosen.workload and not listed.workload and chosen.origin == listed.source:
                    yield from _elsewhere(service, address, chosen, listed)


def usable(service: Service, endpoints: Iterable[Endpoint], problems: list[Problem]) -> Iterator[Endpoint]:
    """The endpoints that the service's resolution can reach; one wrong address would spoil the whole list."""
    by_name = service.resolution in _DNS
    other, needed = (
        (is_host, "an IP address or a host name") if by_name else (is_unix, "an IP address or unix:///path")
    )
    for item in endpoints:
        if is_ip(item.address) or other(item.address):
            yield item
            continue
        message = f"the endpoint {item.address!r} is left out: resolution {service.resolution} needs {needed}"
        problems.append(Problem(Reason.INVALID_VALUE, message, ref_of(service.key)))


def networks_apart(key: ServiceKey, networks: Sequence[str], alone: Sequence[str]) -> Problem:
    """Endpoints are on several networks, of which some are not reached through a gateway."""
    where = f"on the networks {', '.join(networks)}; those on {', '.join(alone)} are called"
    message = (
        f"has endpoints {where} at their own addresses from everywhere, so they must be reached there: the MeshConfig's"
        " networks name no gateway of theirs"
    )
    return Problem(Reason.BROKEN_REFERENCE, message, ref_of(key), severity=Severity.WARNING)


def ref_of(key: ServiceKey) -> ObjectRef:
    """By what name problems know a service."""
    return ObjectRef("Service", *key)


def _networks(service: Service, address: str, several: Sequence[Reported]) -> Iterator[Problem]:
    said = {place_of(each.endpoint)[1]: each for each in reversed(several)}
    without = said.pop("", None)
    for network, each in sorted(said.items()):
        if without is not None and without.source != each.source:
            message = (
                f"{each} has {address} on the network {network}, and {without} has it without a network: they count as two"
                " endpoints; if they are one, say the network at both"
            )
            yield Problem(Reason.CONFLICT, message, ref_of(service.key), severity=Severity.WARNING)


def _elsewhere(service: Service, address: str, chosen: Reported, listed: Reported) -> Iterator[Problem]:
    if place_of(chosen.endpoint) != place_of(listed.endpoint):
        return
    for port in service.ports:
        here, there = chosen.endpoint.port_for(port), listed.endpoint.port_for(port)
        if here and there and here != there:
            message = (
                f"{chosen.source} selects the workload {chosen.workload} of {listed.source} at {address}:{here} for port"
                f" {port.number}, but {listed.source} lists it at {address}:{there}; both are called. Select by a label"
                " that this workload does not have"
            )
            yield Problem(Reason.CONFLICT, message, ref_of(service.key), severity=Severity.WARNING)
