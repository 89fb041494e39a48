"""Where a VirtualService says a destination or a gateway, with the field path of each."""

from collections.abc import Iterator

from xdsd.model.intent import Destination, VirtualService


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
    return ((path, name) for path, name in named if name != "mesh")
