"""Descriptors as Envoy's actions, which read a request, and as patterns of what these read.

An action that finds nothing takes the whole descriptor away: then the limit is not about the request. Where Envoy's own
actions cannot tell whether a value matches, an expression (CEL) does; one that picks from a list beyond its end is an
error, and an error finds nothing.
"""

from collections.abc import Sequence
from types import MappingProxyType
from typing import NamedTuple

from envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from envoy.config.route.v3.route_components_pb2 import HeaderMatcher, QueryParameterMatcher, RateLimit
from envoy.extensions.rate_limit_descriptors.expr.v3.expr_pb2 import Descriptor

from xdsd.compile.matches import is_presence, string_matcher
from xdsd.model.intent import (
    RateLimitDescriptor,
    RemoteAddressDescriptor,
    StringMatch,
    ValueDescriptor,
)

JWT_FILTER = "envoy.filters.http.jwt_authn"
JWT_PAYLOAD = "payload"
"""Where the filter that proves tokens leaves what they say."""

ROUTE_METADATA = "xdsd.rate_limits"
"""Where a route names the RateLimits with local limits that target it."""

_SPELLED = MappingProxyType({"host": ":authority"})
"""Headers that Envoy keeps under another name."""

_EXPRESSION = "envoy.rate_limit_descriptors.expr"


class Entry(NamedTuple):
    """A key, and the values that a limit is about; no values stand for all."""

    key: str
    values: tuple[str, ...] = ()


class Step(NamedTuple):
    """An action and the entry that it adds."""

    action: RateLimit.Action
    entry: Entry


def steps(descriptors: Sequence[RateLimitDescriptor]) -> list[Step]:
    """The descriptors of a limit, in their order."""
    return [_step(descriptor) for descriptor in descriptors]


def constant(key: str, value: str) -> Step:
    """What every request has."""
    action = RateLimit.Action()
    action.generic_key.descriptor_key = key
    action.generic_key.descriptor_value = value
    return Step(action, Entry(key, (value,)))


def targeted(key: str, owner: str) -> Step:
    """What requests of routes have that ``owner`` (``namespace/name``) targets."""
    action = RateLimit.Action()
    found = action.metadata
    found.descriptor_key = key
    found.source = RateLimit.Action.MetaData.ROUTE_ENTRY
    found.metadata_key.key = ROUTE_METADATA
    found.metadata_key.path.add(key=owner)
    return Step(action, Entry(key, (owner,)))


def _step(descriptor: RateLimitDescriptor) -> Step:
    if descriptor.constant is not None:
        return constant(descriptor.constant.key or "generic_key", descriptor.constant.value)
    if descriptor.remote_address is not None:
        return _remote_address(descriptor.remote_address)
    if descriptor.claim is not None:
        return _claim(descriptor.claim.name, descriptor.claim)
    if descriptor.source is not None:
        return _expressed("source", "connection.uri_san_peer_certificate", descriptor.source)
    return _request_step(descriptor)


def _request_step(descriptor: RateLimitDescriptor) -> Step:
    """Of what the request itself says."""
    if descriptor.path is not None:
        return _expressed("path", "request.url_path", descriptor.path)
    if descriptor.method is not None:
        return _header("method", ":method", descriptor.method)
    if descriptor.header is not None:
        name = descriptor.header.name.lower()
        return _header(name, _SPELLED.get(name, name), descriptor.header)
    if descriptor.query_parameter is not None:
        return _query_parameter(descriptor.query_parameter.name, descriptor.query_parameter)
    raise ValueError("a descriptor without a property")


def _remote_address(descriptor: RemoteAddressDescriptor) -> Step:
    action = RateLimit.Action()
    if descriptor.ipv4_prefix is None and descriptor.ipv6_prefix is None:
        action.remote_address.SetInParent()
        return Step(action, Entry("remote_address"))
    masked = action.masked_remote_address
    masked.v4_prefix_mask_len.value = 32 if descriptor.ipv4_prefix is None else descriptor.ipv4_prefix
    masked.v6_prefix_mask_len.value = 128 if descriptor.ipv6_prefix is None else descriptor.ipv6_prefix
    return Step(action, Entry("masked_remote_address"))


def _header(key: str, name: str, descriptor: ValueDescriptor) -> Step:
    action = RateLimit.Action()
    if descriptor.match is None:
        action.request_headers.header_name = name
        action.request_headers.descriptor_key = key
        return Step(action, Entry(key, descriptor.values))
    text = pattern_text(descriptor.match)
    found = action.header_value_match
    found.descriptor_key = key
    found.descriptor_value = text
    matcher = HeaderMatcher(name=name)
    if is_presence(descriptor.match):
        matcher.present_match = True
    else:
        matcher.string_match.CopyFrom(string_matcher(descriptor.match))
    found.headers.append(matcher)
    return Step(action, Entry(key, (text,)))


def _query_parameter(name: str, descriptor: ValueDescriptor) -> Step:
    action = RateLimit.Action()
    if descriptor.match is None:
        action.query_parameters.query_parameter_name = name
        action.query_parameters.descriptor_key = name
        return Step(action, Entry(name, descriptor.values))
    text = pattern_text(descriptor.match)
    found = action.query_parameter_value_match
    found.descriptor_key = name
    found.descriptor_value = text
    matcher = QueryParameterMatcher(name=name)
    if is_presence(descriptor.match):
        matcher.present_match = True
    else:
        matcher.string_match.CopyFrom(string_matcher(descriptor.match))
    found.query_parameters.append(matcher)
    return Step(action, Entry(name, (text,)))


def _claim(name: str, descriptor: ValueDescriptor) -> Step:
    if descriptor.match is not None:
        source = f"metadata.filter_metadata[{quoted(JWT_FILTER)}][{quoted(JWT_PAYLOAD)}][{quoted(name)}]"
        return _expressed(name, source, descriptor)
    action = RateLimit.Action()
    action.metadata.descriptor_key = name
    action.metadata.source = RateLimit.Action.MetaData.DYNAMIC
    action.metadata.metadata_key.key = JWT_FILTER
    action.metadata.metadata_key.path.add(key=JWT_PAYLOAD)
    action.metadata.metadata_key.path.add(key=name)
    return Step(action, Entry(name, descriptor.values))


def _expressed(key: str, source: str, descriptor: ValueDescriptor) -> Step:
    values = descriptor.values
    text = source
    if descriptor.match is not None:
        told = pattern_text(descriptor.match)
        values = (told,)
        text = f"[{quoted(told)}][{_condition(source, descriptor.match)} ? 0 : 1]"
    extension = TypedExtensionConfig(name=_EXPRESSION)
    extension.typed_config.Pack(Descriptor(descriptor_key=key, text=text), deterministic=True)
    return Step(RateLimit.Action(extension=extension), Entry(key, values))


def _condition(source: str, match: StringMatch) -> str:
    if match.exact is not None:
        return f"{source} == {quoted(match.exact)}"
    if match.prefix is not None:
        return f"{source}.startsWith({quoted(match.prefix)})"
    return f"{source}.matches({quoted(f'^(?:{match.regex})$')})"


def pattern_text(match: StringMatch) -> str:
    """The value that stands for all that match: ``/api`` itself, ``/api*`` for a prefix, an expression as written."""
    if match.exact is not None:
        return match.exact
    return f"{match.prefix}*" if match.prefix is not None else match.regex or ""


def quoted(text: str) -> str:
    """A literal of the expression language."""
    plain = (char if " " <= char <= "~" and char not in '"\\' else f"\\U{ord(char):08x}" for char in text)
    return f'"{"".join(plain)}"'
