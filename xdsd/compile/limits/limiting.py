"""All that limits put into an HTTP connection manager: filters in their order, and the bodies of refusals.

A listener names its filters (their *heads*) and gets what they are told by discovery (ECDS), so that a change of limits
leaves the listener and its connections alone and holds for the next request on any of them.

A refusal passes the proxy with a mark of its terms in a header; by it the connection manager puts the body in, and a
filter of ours takes the mark off. Envoy's limiters have no body of their own.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from envoy.config.accesslog.v3.accesslog_pb2 import AccessLogFilter
from envoy.config.core.v3.config_source_pb2 import ApiVersion
from envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from envoy.extensions.access_loggers.filters.cel.v3.cel_pb2 import ExpressionFilter
from envoy.extensions.filters.http.header_mutation.v3.header_mutation_pb2 import HeaderMutation
from envoy.extensions.filters.http.local_ratelimit.v3.local_rate_limit_pb2 import LocalRateLimit
from envoy.extensions.filters.http.ratelimit.v3.rate_limit_pb2 import RateLimit as GlobalRateLimit
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpFilter,
    LocalReplyConfig,
    ResponseMapper,
)
from google.protobuf.message import Message

from xdsd.compile.limits.actions import quoted
from xdsd.compile.limits.filters import MARKER, global_config, idle_global, idle_local, local_config
from xdsd.compile.limits.terms import Answer, Scope, Side, global_filters, local_filters
from xdsd.model.intent import Object, RateLimit

UNMARK = "envoy.filters.http.header_mutation|rate_limit"
_TYPE = "type.googleapis.com/"
_LOCAL = _TYPE + LocalRateLimit.DESCRIPTOR.full_name


class Head(NamedTuple):
    """What a listener says of a filter. One that is ``disabled`` is switched on by routes."""

    name: str
    type_url: str
    disabled: bool


class Heads(NamedTuple):
    """The filters of a listener, first to last, and the answers with a body of their own."""

    filters: tuple[Head, ...] = ()
    answers: tuple[Answer, ...] = ()


@dataclass(frozen=True, slots=True)
class Limiting:
    """The filters, first to last, and what refusals say (a LocalReplyConfig; None where they say what Envoy says)."""

    filters: tuple[HttpFilter, ...] = ()
    replies: Any = None  # a generated message


NO_LIMITS = Limiting()


def heads(objects: Iterable[Object[RateLimit]], side: Side, *, external: bool) -> Heads:
    """The filters that these objects need. Local limits come first: they ask nobody."""
    objects = list(objects)
    local = local_filters(objects, side)
    shared = global_filters(objects, side, external=external)
    told = [*(each.terms.answer for each in local), *(each.terms.answer for each in shared)]
    found = [(each.name, LocalRateLimit, each.terms) for each in local]
    found += [(each.name, GlobalRateLimit, each.terms) for each in shared]
    return Heads(
        tuple(
            Head(name, _TYPE + message.DESCRIPTOR.full_name, terms.scope is Scope.ROUTE)
            for name, message, terms in found
        ),
        tuple(dict.fromkeys(answer for answer in told if answer.body is not None)),
    )


def limiting(found: Heads) -> Limiting:
    """What filters and answers put into a connection manager."""
    filters = [_discovered(head) for head in found.filters]
    if not found.answers:
        return Limiting(tuple(filters))
    replies = LocalReplyConfig(mappers=[_mapper(each) for each in found.answers])
    return Limiting((_unmark(), *filters), replies)


def filter_config(
    objects: Iterable[Object[RateLimit]], side: Side, name: str, cluster: str, *, external: bool
) -> TypedExtensionConfig | None:
    """What the filter of a name is told; None if none of these objects needs it any more."""
    objects = list(objects)
    made = TypedExtensionConfig(name=name)
    for local in local_filters(objects, side):
        if local.name == name:
            made.typed_config.Pack(local_config(local), deterministic=True)
            return made
    for shared in global_filters(objects, side, external=external):
        if shared.name == name:
            made.typed_config.Pack(global_config(shared, cluster), deterministic=True)
            return made
    return None


def _discovered(head: Head) -> HttpFilter:
    made = HttpFilter(name=head.name, disabled=head.disabled)
    source = made.config_discovery.config_source
    source.ads.SetInParent()
    source.resource_api_version = ApiVersion.V3
    # No limit of time: a listener without its filters keeps warming while the old one serves on.
    source.initial_fetch_timeout.SetInParent()
    made.config_discovery.type_urls.append(head.type_url)
    # Connections of a listener that was replaced outlive what its filters are told; without this they would get a 500.
    idle: Message = idle_local() if head.type_url == _LOCAL else idle_global()
    made.config_discovery.default_config.Pack(idle, deterministic=True)
    return made


def _mapper(answer: Answer) -> ResponseMapper:
    expression = f"response.headers[{quoted(MARKER)}] == {quoted(answer.marker)}"
    condition = AccessLogFilter()
    condition.extension_filter.name = "envoy.access_loggers.extension_filters.cel"
    condition.extension_filter.typed_config.Pack(ExpressionFilter(expression=expression), deterministic=True)
    made = ResponseMapper(filter=condition)
    made.body.inline_bytes = answer.body or b""
    made.body_format_override.text_format_source.inline_string = "%LOCAL_REPLY_BODY%"
    made.body_format_override.content_type = answer.content_type
    return made


def _unmark() -> HttpFilter:
    config = HeaderMutation()
    config.mutations.response_mutations.add(remove=MARKER)
    made = HttpFilter(name=UNMARK)
    made.typed_config.Pack(config, deterministic=True)
    return made
