"""HTTP match conditions: whom a rule is for, and which requests it takes.

Who asks is decided here, once a client (``applies``): ports, gateways, source labels and source namespace
never reach Envoy. What is asked becomes a RouteMatch; conditions of one match all hold (AND), several matches
of a rule are several routes (OR). Regular expressions are RE2 and match whole values; paths match without the
query string.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from envoy.config.route.v3.route_components_pb2 import (
    HeaderMatcher,
    QueryParameterMatcher,
    Route,
    RouteMatch,
)
from envoy.type.matcher.v3.metadata_pb2 import MetadataMatcher
from envoy.type.matcher.v3.string_pb2 import StringMatcher
from google.protobuf.wrappers_pb2 import BoolValue

from xdsd.compile.authorization.values import claim, expression
from xdsd.model.intent import HTTPMatchRequest, L4MatchAttributes, StringMatch, TLSMatchAttributes
from xdsd.model.intent.values import claim_path

MESH = "mesh"
"""The reserved gateway name that means every sidecar."""

_ANYTHING = frozenset({"*", ".*"})
"""Regular expressions that hold for whatever is present; ``*`` is no RE2 but published as such."""


@dataclass(frozen=True, slots=True)
class Source:
    """The client that routes are made for.

    ``gateways`` is {"mesh"} for a sidecar and the ``namespace/name`` of the gateways being compiled
    otherwise; ``port`` is the port of the listener, which ``match.port`` and derived redirect ports mean.
    """

    gateways: frozenset[str]
    namespace: str
    labels: Mapping[str, str]
    port: int


def gateway_key(name: str, namespace: str) -> str:
    """A gateway as an object of ``namespace`` names it, as ``namespace/name``; ``mesh`` stays.

    The older form of a name in another namespace looks like a host: ``name.namespace.svc.cluster.local``.
    """
    if name == MESH or "/" in name:
        return name
    gateway, dot, rest = name.partition(".")
    return f"{rest.partition('.')[0]}/{gateway}" if dot else f"{namespace}/{name}"


def applies(
    match: HTTPMatchRequest | L4MatchAttributes | TLSMatchAttributes, namespace: str, source: Source
) -> bool:
    """True if the client is one that a match of an object in ``namespace`` speaks of.

    Labels and namespaces select sidecars; a gateway that the match names itself is taken whatever its own
    labels are.
    """
    if match.port and match.port != source.port:
        return False
    if match.gateways:
        named = {gateway_key(name, namespace) for name in match.gateways}
        if named.isdisjoint(source.gateways):
            return False
        if MESH not in source.gateways:
            return True
    if match.source_namespace and match.source_namespace != source.namespace:
        return False
    return all(source.labels.get(key) == value for key, value in match.source_labels.items())


def route_match(match: HTTPMatchRequest | None) -> RouteMatch:
    """The requests that a match takes; None takes all."""
    out = RouteMatch()
    _set_path(out, match.uri if match else None)
    if match is None:
        return out
    if match.ignore_uri_case and not out.HasField("safe_regex"):
        out.case_sensitive.CopyFrom(BoolValue(value=False))
    special = ((":method", match.method), (":authority", match.authority), (":scheme", match.scheme))
    claims = [(name, pattern, False) for name, pattern in match.headers.items() if claim_path(name)]
    claims += [(name, pattern, True) for name, pattern in match.without_headers.items() if claim_path(name)]
    out.dynamic_metadata.extend(_claim(*each) for each in sorted(claims, key=lambda each: (each[2], each[0])))
    headers = [_header(name, pattern) for name, pattern in match.headers.items() if not claim_path(name)]
    headers += [
        _without_header(name, pattern)
        for name, pattern in match.without_headers.items()
        if not claim_path(name)
    ]
    headers.sort(key=lambda header: (header.name, header.invert_match))
    out.headers.extend(headers)
    out.headers.extend(_header(name, pattern) for name, pattern in special if pattern is not None)
    out.query_parameters.extend(
        _query_parameter(name, pattern) for name, pattern in sorted(match.query_params.items())
    )
    return out


def is_catch_all(route: Route) -> bool:
    """True if no request passes this route by, so that nothing after it is ever reached."""
    match = route.match
    if match.headers or match.query_parameters or match.dynamic_metadata:
        return False
    kind = match.WhichOneof("path_specifier")
    if kind == "prefix":
        return match.prefix in ("", "/")
    return kind == "safe_regex" and match.safe_regex.regex in _ANYTHING


def string_matcher(pattern: StringMatch) -> StringMatcher:
    """Envoy's form of a pattern that says something (see ``is_presence``)."""
    if pattern.exact is not None:
        return StringMatcher(exact=pattern.exact)
    if pattern.prefix is not None:
        return StringMatcher(prefix=pattern.prefix)
    out = StringMatcher()
    out.safe_regex.regex = pattern.regex or ""
    return out


def is_presence(pattern: StringMatch) -> bool:
    """True if any value will do: ``{}``, an empty prefix, or an expression that everything matches."""
    return pattern.takes_anything


def _set_path(out: RouteMatch, uri: StringMatch | None) -> None:
    if uri is None or (uri.exact is None and uri.prefix is None and uri.regex is None):
        out.prefix = "/"
    elif uri.exact is not None:
        out.path = uri.exact
    elif uri.prefix is not None:
        out.prefix = uri.prefix
    else:
        out.safe_regex.regex = uri.regex or ""


def _header(name: str, pattern: StringMatch) -> HeaderMatcher:
    if is_presence(pattern):
        return HeaderMatcher(name=name, present_match=True)
    return HeaderMatcher(name=name, string_match=string_matcher(pattern))


def _without_header(name: str, pattern: StringMatch) -> HeaderMatcher:
    out = _header(name, pattern)
    out.invert_match = True
    # A missing header does not match a pattern, so "without" holds; Envoy says so only if told to compare
    # with "".
    out.treat_missing_header_as_empty = not out.present_match
    return out


def _claim(name: str, pattern: StringMatch, without: bool) -> MetadataMatcher:
    """A claim of a token that was proven, which gateways know: text, or a list with such a text in it."""
    path = claim_path(name) or ()
    wanted = expression(".+") if is_presence(pattern) else string_matcher(pattern)
    matcher = claim(path, [wanted])
    matcher.invert = without
    return matcher


def _query_parameter(name: str, pattern: StringMatch) -> QueryParameterMatcher:
    if is_presence(pattern):
        return QueryParameterMatcher(name=name, present_match=True)
    return QueryParameterMatcher(name=name, string_match=string_matcher(pattern))
