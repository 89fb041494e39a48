"""Whose fault it is where a proxy refuses what it was sent, as far as nothing could be done about it.

A refused resource was made from objects, and the proxy's words name the file or address that it could not have; so they
lead to the fields that name the same. Where they name nothing, the refusal is told as it is. Pure, from values to problems.
"""

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from xdsd.model.machine import needs
from xdsd.model.node import instance
from xdsd.model.problem import ObjectRef, Problem, Reason
from xdsd.snapshot import CLUSTER, ENDPOINT, EXTENSION, LISTENER, ROUTE, SECRET, VIRTUAL_HOST

_KINDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        CLUSTER: ("cluster", "clusters"),
        ENDPOINT: ("endpoints of the cluster", "endpoints of the clusters"),
        LISTENER: ("listener", "listeners"),
        ROUTE: ("route configuration", "route configurations"),
        VIRTUAL_HOST: ("virtual host", "virtual hosts"),
        SECRET: ("secret", "secrets"),
        EXTENSION: ("extension config", "extension configs"),
    }
)
_NAMED = 3
"""Resources of a problem that are named; more are counted."""

_LEAD = re.compile(r"^Error adding/updating \w+\(s\) \S+: ")


class Rejected(NamedTuple):
    """A resource as some proxies refused it: in which words, who they are, and which objects it was made from."""

    type_url: str
    name: str
    words: str
    nodes: tuple[str, ...]
    objects: tuple[tuple[ObjectRef, Any], ...]  # Any: specs of several kinds


class _Told(NamedTuple):
    """What is told once, of however many resources and proxies. ``ref`` is None where nobody is to blame."""

    ref: ObjectRef | None
    path: str
    type_url: str
    words: str


def problems_of(rejected: Iterable[Rejected], system_ca: str) -> tuple[Problem, ...]:
    """A problem for each field that is to blame, and for each thing that proxies say of which none is.

    ``system_ca`` is the file of the authorities that vouch for servers where none is named.
    """
    found: dict[_Told, tuple[dict[str, None], dict[str, None]]] = {}
    for each in rejected:
        words = said(each.words)
        guilty: list[tuple[ObjectRef | None, str]] = [
            (ref, need.path) for ref, spec in each.objects for need in needs(spec, words, system_ca)
        ]
        for ref, path in guilty or [(None, "")]:
            names, nodes = found.setdefault(_Told(ref, path, each.type_url, words), ({}, {}))
            names[each.name] = None
            nodes.update(dict.fromkeys(each.nodes))
    return tuple(_problem(told, list(names), list(nodes)) for told, (names, nodes) in found.items())


def said(words: str) -> str:
    """A proxy's words on one resource, on one line, without those that only name it."""
    return _LEAD.sub("", " ".join(words.split()))


def says(nodes: Iterable[str], words: str) -> str:
    """``gw.default says: …``, ``gw.default and 2 other proxies say: …``."""
    names = sorted({instance(node) for node in nodes})
    others = len(names) - 1
    if not others:
        return f"{names[0]} says: {words}"
    return f"{names[0]} and {others} other {'proxy' if others == 1 else 'proxies'} say: {words}"


def _problem(told: _Told, names: list[str], nodes: list[str]) -> Problem:
    one, many = _KINDS.get(told.type_url, ("resource", "resources"))
    names.sort()
    shown = ", ".join(names[:_NAMED])
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    what = f"the {one} {shown} is" if len(names) == 1 else f"the {many} {shown}{more} are"
    message = f"{says(nodes, told.words)}; so {what} not taken there"
    return Problem(Reason.REJECTED_BY_PROXY, message, told.ref, told.path)
