"""Which endpoints slices make together, and at which ports. Pure."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from xdsd.model.catalog import NOT_SERVED, Endpoint, Health, Service
from xdsd.registry.kubernetes.facts import Backend, Name, Slice, is_ipv6

_WHERE_SAID = -1


def ports_of(item: Slice, service: Service) -> dict[str, int]:
    """Where the endpoints of a slice serve the service's ports, as far as that is not where the service says."""
    serve = dict(item.ports)
    found: dict[str, int] = {}
    for port in service.ports:
        number = serve.get(port.name, NOT_SERVED)
        if number is not None and number != port.target:
            found[port.name] = number
    return found


def with_known(now: Slice, before: Slice) -> Slice:
    """A slice, of which what is as it was before are the same values: there is less to keep, and to tidy."""
    known = {each.address: each for each in before.backends}
    kept = (known.get(each.address) for each in now.backends)
    same = (old if old == new else new for old, new in zip(kept, now.backends, strict=True))
    return replace(now, backends=tuple(same))


def as_before(now: Iterable[Endpoint], before: Iterable[Endpoint]) -> tuple[Endpoint, ...]:
    """Endpoints, of which those that are as they were before are the same values."""
    known = {each.address: each for each in before}
    return tuple(old if (old := known.get(each.address)) == each else each for each in now)


def of_both_families(backends: Iterable[Backend]) -> frozenset[Name]:
    """The pods that have an address of each family."""
    four: set[Name] = set()
    six: set[Name] = set()
    for each in backends:
        if each.pod is not None:
            (six if is_ipv6(each.address) else four).add(each.pod)
    return frozenset(four & six)


def one_family(item: Slice, both: frozenset[Name], calls_ipv6: Callable[[Name], bool]) -> Iterable[Backend]:
    """The endpoints of a slice; of pods that are in ``both`` families those alone at which they are called."""
    if not both:
        return item.backends
    return [
        each
        for each in item.backends
        if each.pod is None or each.pod not in both or is_ipv6(each.address) == calls_ipv6(each.pod)
    ]


def once(endpoints: list[Endpoint]) -> Iterable[Endpoint]:
    """Each once: endpoints that move between slices stand in both for a while, and one may serve some ports by one slice
    and some by another. One address may also be two programs', on ports of their own.
    """
    if len({item.address for item in endpoints}) == len(endpoints):
        return endpoints
    found: dict[str, list[Endpoint]] = {}
    for item in endpoints:
        known = found.setdefault(item.address, [])
        for place, other in enumerate(known):
            merged = _merged(other, item)
            if merged is not None:
                known[place] = merged
                break
        else:
            known.append(item)
    return [item for group in found.values() for item in group]


def _merged(one: Endpoint, other: Endpoint) -> Endpoint | None:
    """Both as one, the healthy one's word first; None if they are not at the same ports."""
    if one.health is not Health.HEALTHY and other.health is Health.HEALTHY:
        one, other = other, one
    # A port that stands in neither is where the service says, so what one of them says of it is something else.
    ports: dict[str, int] = {}
    for name in one.ports.keys() | other.ports.keys():
        here, there = one.ports.get(name, _WHERE_SAID), other.ports.get(name, _WHERE_SAID)
        if NOT_SERVED not in {here, there} and here != there:
            return None
        number = here or there
        if number != _WHERE_SAID:
            ports[name] = number
    return one if ports == one.ports else replace(one, ports=ports)
