"""What Envoy refuses of a whole, though each part of it is right: names that two virtual hosts have."""

from collections.abc import Iterator
from typing import Any

from xdsd.compile.envoy_filters.rules import Violation


def clashes(routes: Any) -> Iterator[Violation]:
    """Virtual hosts of a route configuration (a generated message) with the name or a domain of an earlier one."""
    names: set[str] = set()
    domains: dict[str, str] = {}
    for index, host in enumerate(routes.virtual_hosts):
        path = ("virtual_hosts", index)
        if host.name in names:
            yield Violation((*path, "name"), f"{host.name!r} is the name of an earlier virtual host")
        names.add(host.name)
        for at, domain in enumerate(host.domains):
            other = domains.setdefault(domain.lower(), host.name)
            if other != host.name:
                yield Violation((*path, "domains", at), f"{domain!r} is a domain of {other!r} already")
