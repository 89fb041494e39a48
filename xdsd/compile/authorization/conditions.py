"""Fields of rules as Envoy's permissions (what is asked for) and principals (who asks).

A field holds if one of its values does and none of its counterpart's (``notPaths``) does.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from envoy.config.rbac.v3.rbac_pb2 import MetadataSource, Permission, Principal, SourcedMetadata
from envoy.type.matcher.v3.metadata_pb2 import MetadataMatcher
from envoy.type.matcher.v3.string_pb2 import StringMatcher
from envoy.type.matcher.v3.value_pb2 import ValueMatcher

from xdsd.compile.addresses import cidr_range
from xdsd.compile.authorization.values import (
    claim,
    expression,
    header,
    metadata,
    path,
    quoted,
    single_claim,
    string,
    within,
)
from xdsd.model.intent import Condition, Operation, Source
from xdsd.model.intent.authorization_values import CLAIMS, HEADERS, map_key

SPIFFE = "spiffe://"
LOCAL = "cluster.local"
"""The trust domain that stands for the mesh's own, whatever that is called."""

Domains = tuple[str, ...]


class HttpOnlyError(Exception):
    """A field of HTTP in a rule for connections."""


class Terms(NamedTuple):
    """What rules are read with: the policy's namespace, the mesh's trust domain and its aliases, and whether requests are
    judged or connections. ``lenient`` passes over fields of HTTP where there is none.
    """

    namespace: str
    domains: Domains
    http: bool
    lenient: bool


def source_principal(source: Source | None, when: Sequence[Condition], terms: Terms) -> Principal:
    """Who asks: one source, and the conditions that are about who asks."""
    found: list[Principal] = []
    if source is not None:
        for group in _sources(source, terms):
            found += _both(Principal, group, terms)
    for condition in when:
        for each in _who(condition, terms):
            found += _both(Principal, each, terms)
    if not found:
        return Principal(any=True)
    return Principal(and_ids=Principal.Set(ids=found))


def operation_permission(operation: Operation | None, when: Sequence[Condition], terms: Terms) -> Permission:
    """What is asked for: one operation, and the conditions that are about what is asked for."""
    found: list[Permission] = []
    if operation is not None:
        for group in _operations(operation):
            found += _both(Permission, group, terms)
    for condition in when:
        for each in _what(condition):
            found += _both(Permission, each, terms)
    if not found:
        return Permission(any=True)
    return Permission(and_rules=Permission.Set(rules=found))


class _Group(NamedTuple):
    """A field with its counterpart, and how one of their values is written for Envoy."""

    values: Sequence[str]
    not_values: Sequence[str]
    write: Callable[[str], Any]  # a Principal or Permission
    web: bool = False


def _both(kind: Any, group: _Group, terms: Terms) -> Iterator[Any]:
    if not group.values and not group.not_values:
        return
    if group.web and not terms.http:
        if not terms.lenient:
            raise HttpOnlyError
        return
    if group.values:
        yield _either(kind, [group.write(value) for value in group.values])
    if group.not_values:
        none = _either(kind, [group.write(value) for value in group.not_values])
        yield kind(not_id=none) if kind is Principal else kind(not_rule=none)


def _either(kind: Any, members: list[Any]) -> Any:
    if len(members) == 1:
        return members[0]
    if kind is Principal:
        return Principal(or_ids=Principal.Set(ids=members))
    return Permission(or_rules=Permission.Set(rules=members))


def _sources(source: Source, terms: Terms) -> Iterator[_Group]:
    domains = terms.domains
    yield _Group(source.principals, source.not_principals, lambda value: peer(value, domains))
    yield _Group(source.request_principals, source.not_request_principals, token, web=True)
    yield _Group(source.namespaces, source.not_namespaces, _namespace)
    yield _Group(
        source.service_accounts, source.not_service_accounts, lambda value: _account(value, terms.namespace)
    )
    yield _Group(source.trust_domains, source.not_trust_domains, lambda value: _trust_domain(value, domains))
    yield _Group(source.ip_blocks, source.not_ip_blocks, _direct)
    yield _Group(source.remote_ip_blocks, source.not_remote_ip_blocks, _remote)


def _operations(operation: Operation) -> Iterator[_Group]:
    yield _Group(
        operation.hosts,
        operation.not_hosts,
        lambda value: Permission(header=header(":authority", value, ignore_case=True)),
        web=True,
    )
    yield _Group(operation.ports, operation.not_ports, _port)
    yield _Group(
        operation.methods,
        operation.not_methods,
        lambda value: Permission(header=header(":method", value)),
        web=True,
    )
    yield _Group(
        operation.paths, operation.not_paths, lambda value: Permission(url_path=path(value)), web=True
    )


def _who(condition: Condition, terms: Terms) -> Iterator[_Group]:
    """A condition, if it is about who asks."""
    key, given = condition.key, (condition.values, condition.not_values)
    name, parts = map_key(key)
    plain: dict[str, tuple[Callable[[str], Principal], bool]] = {
        "source.ip": (_direct, False),
        "remote.ip": (_remote, False),
        "source.namespace": (_namespace, False),
        "source.principal": (lambda value: peer(value, terms.domains), False),
        "request.auth.principal": (token, True),
        "request.auth.audiences": (lambda value: _claim(("aud",), value), True),
        "request.auth.presenter": (lambda value: _claim(("azp",), value), True),
    }
    if key in plain:
        write, web = plain[key]
        yield _Group(*given, write, web)
    elif name == HEADERS:
        yield _Group(*given, lambda value: Principal(header=header(parts[0], value)), web=True)
    elif name == CLAIMS:
        yield _Group(*given, lambda value: _claim(parts, value), web=True)


def _what(condition: Condition) -> Iterator[_Group]:
    """A condition, if it is about what is asked for."""
    key, given = condition.key, (condition.values, condition.not_values)
    if key == "destination.ip":
        yield _Group(*given, lambda value: Permission(destination_ip=cidr_range(value)))
    elif key == "destination.port":
        yield _Group(*given, _port)
    elif key == "connection.sni":
        yield _Group(*given, lambda value: Permission(requested_server_name=string(value)))
    elif key.startswith("experimental."):
        name, parts = map_key(key.removeprefix("experimental."))
        yield _Group(
            *given,
            lambda value: Permission(sourced_metadata=_dynamic(metadata(name, parts, [_known(value)]))),
        )


def _known(value: str) -> ValueMatcher:
    if value.startswith("[") and value.endswith("]"):
        found = ValueMatcher()
        found.list_match.one_of.string_match.CopyFrom(string(value[1:-1]))
        return found
    return ValueMatcher(string_match=string(value))


def peer(pattern: str, domains: Domains) -> Principal:
    """An identity that a certificate proves, in every trust domain that is the same as its own."""
    matchers = [_peer_matcher(each) for each in aliased(pattern, domains)]
    return _either(Principal, [_proven(matcher) for matcher in matchers])


def _peer_matcher(pattern: str) -> StringMatcher:
    if pattern == "*":
        return expression(".+")
    if pattern.startswith("*"):
        return expression(f"{SPIFFE}.*{quoted(pattern[1:])}")
    return string(SPIFFE + pattern)


def aliased(pattern: str, domains: Domains) -> tuple[str, ...]:
    """A pattern in all of the mesh's trust domains, if its own is one of them or stands for them."""
    domain, *rest = pattern.split("/")
    if len(rest) != 4 or domain == "*":
        return (pattern,)
    own = [each for each in domains if _covers(domain, each)]
    if not own and domain != LOCAL:
        return (pattern,)
    found = [pattern if each in own else "/".join((each, *rest)) for each in domains]
    return tuple(dict.fromkeys((pattern, *found)))


def _covers(pattern: str, domain: str) -> bool:
    return domain.endswith(pattern[1:]) if pattern.startswith("*") else domain == pattern


def _proven(matcher: StringMatcher) -> Principal:
    return Principal(authenticated=Principal.Authenticated(principal_name=matcher))


def _namespace(pattern: str) -> Principal:
    return _proven(expression(f"{SPIFFE}[^/]+/ns/{within(pattern, '[^/]')}/sa/[^/]+"))


def _account(value: str, namespace: str) -> Principal:
    owner, slash, account = value.rpartition("/")
    text = f"/ns/{quoted(owner if slash else namespace)}/sa/{quoted(account)}"
    return _proven(expression(f"{SPIFFE}[^/]+{text}"))


def _trust_domain(pattern: str, domains: Domains) -> Principal:
    wanted = domains if pattern in domains else (pattern,)
    matchers = [expression(f"{SPIFFE}{within(each, '[^/]')}(?:/.*)?") for each in wanted]
    return _either(Principal, [_proven(matcher) for matcher in matchers])


def _direct(value: str) -> Principal:
    return Principal(direct_remote_ip=cidr_range(value))


def _remote(value: str) -> Principal:
    return Principal(remote_ip=cidr_range(value))


def _port(value: str) -> Permission:
    return Permission(destination_port=int(value))


def _claim(names: Sequence[str], value: str) -> Principal:
    return Principal(sourced_metadata=_dynamic(claim(names, [string(value)])))


def token(pattern: str) -> Principal:
    """An identity that a token proves: ISSUER/SUBJECT. Both may hold slashes, so that one text may mean several pairs."""
    pairs = [_pair(issuer, subject) for issuer, subject in _pairs(pattern)]
    return _either(Principal, pairs) if pairs else Principal(not_id=Principal(any=True))


def _pairs(pattern: str) -> Iterable[tuple[StringMatcher, StringMatcher]]:
    if "*" not in (pattern[0], pattern[-1]):
        parts = pattern.split("/")
        for at in range(1, len(parts)):
            yield StringMatcher(exact="/".join(parts[:at])), StringMatcher(exact="/".join(parts[at:]))
        return
    issuer, slash, subject = pattern.rpartition("/")
    if slash:
        yield string(issuer), string(subject)
    elif pattern.startswith("*"):
        yield expression(".+"), string(pattern)
    else:
        yield string(pattern), expression(".+")


def _pair(issuer: StringMatcher, subject: StringMatcher) -> Principal:
    both = [single_claim("iss", issuer), single_claim("sub", subject)]
    return Principal(and_ids=Principal.Set(ids=[Principal(sourced_metadata=_dynamic(each)) for each in both]))


def _dynamic(matcher: MetadataMatcher) -> SourcedMetadata:
    return SourcedMetadata(metadata_matcher=matcher, metadata_source=MetadataSource.DYNAMIC)
