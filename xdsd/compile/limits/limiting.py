"""All that limits put into an HTTP connection manager: filters in their order, and the bodies of refusals.

A refusal passes the proxy with a mark of its terms in a header; by it the connection manager puts the body in, and a
filter of ours takes the mark off. Envoy's limiters have no body of their own.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from envoy.config.accesslog.v3.accesslog_pb2 import AccessLogFilter
from envoy.extensions.access_loggers.filters.cel.v3.cel_pb2 import ExpressionFilter
from envoy.extensions.filters.http.header_mutation.v3.header_mutation_pb2 import HeaderMutation
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpFilter,
    LocalReplyConfig,
    ResponseMapper,
)

from xdsd.compile.limits.actions import quoted
from xdsd.compile.limits.filters import MARKER, global_filter, local_filter
from xdsd.compile.limits.terms import Answer, global_filters, local_filters
from xdsd.model.intent import Object, RateLimit

UNMARK = "envoy.filters.http.header_mutation|rate_limit"


@dataclass(frozen=True, slots=True)
class Limiting:
    """The filters, first to last, and what refusals say (a LocalReplyConfig; None where they say what Envoy says)."""

    filters: tuple[HttpFilter, ...] = ()
    replies: Any = None  # a generated message


NO_LIMITS = Limiting()


def limiting(objects: Iterable[Object[RateLimit]], cluster: str, *, external: bool) -> Limiting:
    """What these objects put into a connection manager. Local limits come first: they ask nobody."""
    objects = list(objects)
    local = local_filters(objects)
    shared = global_filters(objects, external=external)
    told = [*(each.terms.answer for each in local), *(each.terms.answer for each in shared)]
    answers = dict.fromkeys(answer for answer in told if answer.body is not None)
    filters = [local_filter(each) for each in local]
    filters += [global_filter(each, cluster) for each in shared]
    if not answers:
        return Limiting(tuple(filters))
    return Limiting((_unmark(), *filters), LocalReplyConfig(mappers=[_mapper(each) for each in answers]))


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
