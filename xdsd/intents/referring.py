"""Where a VirtualService says a destination or a gateway, with the field path of each."""

from collections.abc import Iterator

from xdsd.model.intent import Destination, VirtualService
from xdsd.model.problem import ObjectRef


def destinations(spec: VirtualService) -> Iterator[tuple[str, Destination]]:
    """Every destination and its path, routes and mirrors of all protocols."""
    for index, http in enumerate(spec.http):
        at = f"spec.http[{index}]"
        for place, target in enumerate(http.route):
            yield f"{at}.route[{place}].destination", target.destination
        if http.mirror is not None:
            yield f"{at}.mirror", http.mirror
        for place, mirror in enumerate(http.mirrors):
            if mirror.destination is not None:
                yield f"{at}.mirrors[{place}].destination", mirror.destination
    weighted = [(f"spec.tcp[{index}]", tcp.route) for index, tcp in enumerate(spec.tcp)]
    weighted += [(f"spec.tls[{index}]", tls.route) for index, tls in enumerate(spec.tls)]
    for at, routes in weighted:
        for place, share in enumerate(routes):
            yield f"{at}.route[{place}].destination", share.destination


def gateways(spec: VirtualService) -> Iterator[tuple[str, str]]:
    """Every gateway's name as written and its path, ``mesh`` left out."""
    named = [(f"spec.gateways[{index}]", name) for index, name in enumerate(spec.gateways)]
    named += [
        (f"spec.http[{index}].match[{place}].gateways[{number}]", name)
        for index, http in enumerate(spec.http)
        for place, match in enumerate(http.match)
        for number, name in enumerate(match.gateways)
    ]
    named += [
        (f"spec.tls[{index}].match[{place}].gateways[{number}]", name)
        for index, tls in enumerate(spec.tls)
        for place, names in enumerate(match.gateways for match in tls.match)
        for number, name in enumerate(names)
    ]
    named += [
        (f"spec.tcp[{index}].match[{place}].gateways[{number}]", name)
        for index, tcp in enumerate(spec.tcp)
        for place, names in enumerate(match.gateways for match in tcp.match)
        for number, name in enumerate(names)
    ]
    return ((path, name) for path, name in named if name != "mesh")


def sections(spec: VirtualService) -> frozenset[str]:
    """The kinds of rules that it has, of http, tcp and tls; each is taken from one object a host."""
    rules = {"http": spec.http, "tcp": spec.tcp, "tls": spec.tls}
    return frozenset(name for name, listed in rules.items() if listed)


def delegates(spec: VirtualService, namespace: str) -> Iterator[tuple[str, ObjectRef]]:
    """Every VirtualService that holds routes for this one of a namespace, and the path that names it."""
    for index, http in enumerate(spec.http):
        if http.delegate is not None:
            owner = http.delegate.namespace or namespace
            yield f"spec.http[{index}].delegate", ObjectRef("VirtualService", owner, http.delegate.name or "")
