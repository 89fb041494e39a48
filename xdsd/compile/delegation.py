"""Delegation: a rule of a VirtualService (the *root*) whose routes another one, without hosts, holds (its *delegate*).

Each rule of the delegate becomes a rule of the root's: it takes what both ask for, and what it leaves out it has from the
root. It must ask for less than the root does, as published: a rule that asks for anything else *conflicts* and is dropped,
so that a team can never take requests that were not handed to it. One level only: a delegate does not delegate.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from xdsd.compile.matches import gateway_key
from xdsd.compile.names import resolve_host
from xdsd.model.intent import Destination, HTTPMatchRequest, HTTPRoute, StringMatch

_INHERITED = ("rewrite", "timeout", "retries", "fault", "cors_policy", "headers")
_COPIES = ("mirror", "mirrors", "mirror_percent", "mirror_percentage")


@dataclass(frozen=True, slots=True)
class Conflict:
    """The field of the delegate's rule that asks for what the root's rule does not give."""

    path: str
    message: str


def qualified(rule: HTTPRoute, namespace: str, domain: str) -> HTTPRoute:
    """A rule of a namespace whose hosts and gateways mean the same in any other."""

    def full(destination: Destination) -> Destination:
        return destination.model_copy(update={"host": resolve_host(destination.host, namespace, domain)})

    def moved(item: Any) -> Any:  # Any: everything with a destination
        return item.model_copy(update={"destination": full(item.destination)})

    matches = tuple(
        match.model_copy(update={"gateways": tuple(gateway_key(name, namespace) for name in match.gateways)})
        for match in rule.match
    )
    return rule.model_copy(
        update={
            "match": matches,
            "route": tuple(map(moved, rule.route)),
            "mirrors": tuple(map(moved, rule.mirrors)),
            "mirror": full(rule.mirror) if rule.mirror else None,
        }
    )


def merged_rule(root: HTTPRoute, rule: HTTPRoute) -> HTTPRoute | Conflict:
    """A rule of a delegate as a rule of the root; both are ``qualified``."""
    matches = merged_matches(root.match, rule.match)
    if isinstance(matches, Conflict):
        return matches
    inherited = {field: getattr(root, field) for field in _INHERITED if not rule.is_set(field)}
    if not any(rule.is_set(field) for field in _COPIES):
        inherited |= {field: getattr(root, field) for field in _COPIES}
    name = "-".join(each for each in (root.name, rule.name) if each)
    return rule.model_copy(update={**inherited, "match": matches, "name": name or None})


def merged_matches(
    root: tuple[HTTPMatchRequest, ...], own: tuple[HTTPMatchRequest, ...]
) -> tuple[HTTPMatchRequest, ...] | Conflict:
    """Every pair of alternatives that do not conflict; each of the delegate's must have one."""
    if not root or not own:
        return own or root
    merged: list[HTTPMatchRequest] = []
    for index, match in enumerate(own):
        conflicts = [conflict for each in root if (conflict := _conflict(each, match)) is not None]
        if len(conflicts) == len(root):
            return Conflict(f"match[{index}].{conflicts[0].path}", conflicts[0].message)
        merged += [_merged(each, match) for each in root if _conflict(each, match) is None]
    return tuple(merged)


def _merged(root: HTTPMatchRequest, own: HTTPMatchRequest) -> HTTPMatchRequest:
    single = ("uri", "scheme", "method", "authority", "port", "source_namespace", "gateways", "stat_prefix")
    tables = ("headers", "without_headers", "query_params", "source_labels")
    update: dict[str, Any] = {field: getattr(root, field) for field in single if not own.is_set(field)}
    update |= {field: {**getattr(root, field), **getattr(own, field)} for field in tables}
    update["ignore_uri_case"] = root.ignore_uri_case or own.ignore_uri_case
    update["name"] = "-".join(each for each in (root.name, own.name) if each) or None
    return own.model_copy(update=update)


def _conflict(root: HTTPMatchRequest, own: HTTPMatchRequest) -> Conflict | None:
    return next(_conflicts(root, own), None)


def _conflicts(root: HTTPMatchRequest, own: HTTPMatchRequest) -> Iterator[Conflict]:
    for field in ("uri", "scheme", "method", "authority"):
        yield from _pattern_conflicts(field, getattr(root, field), getattr(own, field))
    tables: tuple[tuple[str, Mapping[str, StringMatch], Mapping[str, StringMatch]], ...] = (
        ("headers", root.headers, own.headers),
        ("queryParams", root.query_params, own.query_params),
    )
    for table, theirs, ours in tables:
        for name, pattern in ours.items():
            yield from _pattern_conflicts(f"{table}[{name}]", theirs.get(name), pattern)
    for name, pattern in own.without_headers.items():
        # What is kept out must be kept out by both, so here the root's pattern is the narrower one.
        for _ in _pattern_conflicts("", pattern, root.without_headers.get(name)):
            yield Conflict(f"withoutHeaders[{name}]", "the rule that delegates keeps out more than this")
    if bool(root.ignore_uri_case) != bool(own.ignore_uri_case) and root.uri and own.uri:
        yield Conflict("ignoreUriCase", "the rule that delegates compares the path the other way")
    if root.port and own.port and root.port != own.port:
        yield Conflict("port", f"the rule that delegates takes port {root.port} only")
    if root.source_namespace and own.source_namespace and own.source_namespace != root.source_namespace:
        yield Conflict(
            "sourceNamespace", f"the rule that delegates takes namespace {root.source_namespace} only"
        )
    for label, value in own.source_labels.items():
        if root.source_labels.get(label, value) != value:
            yield Conflict(
                f"sourceLabels[{label}]", f"the rule that delegates takes {root.source_labels[label]} only"
            )
    if root.gateways and set(own.gateways) - set(root.gateways):
        yield Conflict("gateways", f"the rule that delegates takes {', '.join(root.gateways)} only")


def _pattern_conflicts(field: str, root: StringMatch | None, own: StringMatch | None) -> Iterator[Conflict]:
    if root is None or own is None or root.takes_anything or own == root:
        return
    if root.exact is not None:
        within = False
        wanted = f"exactly {root.exact!r}"
    elif root.prefix is not None:
        begin = own.exact if own.exact is not None else own.prefix
        within = begin is not None and begin.startswith(root.prefix)
        wanted = f"what begins with {root.prefix!r}"
    else:
        within = False
        wanted = f"what matches the expression {root.regex!r}, which cannot be compared"
    if not within:
        yield Conflict(field, f"the rule that delegates takes {wanted}")
