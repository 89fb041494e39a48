"""Matches of a VirtualService that no request fits: what they ask for is never sent, or not compared so."""

from collections.abc import Iterator

from xdsd.model.hosts import DEFAULT_DOMAIN, resolve_host
from xdsd.model.intent import HTTPMatchRequest, StringMatch, VirtualService
from xdsd.model.intent.hosts import is_address
from xdsd.model.problem import ObjectRef, Problem, Reason, Severity

MESH = "mesh"
_METHODS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"})


def unmatched_rules(spec: VirtualService, ref: ObjectRef, domain: str = DEFAULT_DOMAIN) -> Iterator[Problem]:
    """A warning for each condition that no request fulfils, in the order of rules."""
    for index, rule in enumerate(spec.http):
        for at, match in enumerate(rule.match):
            for field, why in _faults(spec, match, ref.namespace, domain):
                path = f"spec.http[{index}].match[{at}].{field}"
                message = f"no request matches: {why}"
                yield Problem(Reason.UNREACHABLE_RULE, message, ref, path, severity=Severity.WARNING)


def _faults(
    spec: VirtualService, match: HTTPMatchRequest, namespace: str, domain: str
) -> Iterator[tuple[str, str]]:
    if match.uri is not None:
        why = _path_fault(match.uri)
        if why:
            yield "uri", why
    method = _literal(match.method)
    if method and method != method.upper() and method.upper() in _METHODS:
        yield "method", f"methods are compared letter by letter; write {method.upper()}"
    authority = match.authority.exact if match.authority else None
    if authority and spec.hosts and not _is_routed(spec, authority, namespace, domain):
        yield "authority", f"{authority} is none of spec.hosts, by which requests come here; add it there"


def _literal(pattern: StringMatch | None) -> str | None:
    """The text that a pattern begins with, where it is no expression."""
    if pattern is None:
        return None
    return pattern.exact if pattern.exact is not None else pattern.prefix


def _path_fault(uri: StringMatch) -> str:
    text = _literal(uri)
    if text is None:
        return ""
    if "?" in text:
        return "paths are compared without what a question mark begins; give queryParams for that"
    if "#" in text:
        return "clients do not send what a # begins; leave it out"
    if text.startswith(("/", "*")) or (not text and uri.exact is None):
        return ""
    return f"paths begin with a slash; write /{text}"


def _is_routed(spec: VirtualService, authority: str, namespace: str, domain: str) -> bool:
    """True if requests for an authority may come to one of the hosts. Sidecars know services by shorter names and by
    addresses too.
    """
    host, colon, port = authority.rpartition(":")
    name = (host if colon and port.isdecimal() and not is_address(authority) else authority).lower()
    name = name.removesuffix(".")
    sidecars = not spec.gateways or MESH in spec.gateways
    if sidecars and is_address(name.strip("[]")):
        return True
    for each in spec.hosts:
        full = resolve_host(each, namespace, domain).lower().removesuffix(".")
        if full.startswith("*"):
            if name.endswith(full[1:]):
                return True
        elif name in (full, f"[{full}]") or (sidecars and full.startswith(f"{name}.")):
            return True
    return False
