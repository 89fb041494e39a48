"""What one filter is told, for limits on the same terms."""

from collections.abc import Sequence

from envoy.config.core.v3.base_pb2 import HeaderValue, HeaderValueOption
from envoy.config.core.v3.config_source_pb2 import ApiVersion
from envoy.config.route.v3.route_components_pb2 import RateLimit as Actions
from envoy.extensions.common.ratelimit.v3.ratelimit_pb2 import (
    LocalRateLimitDescriptor,
    RateLimitDescriptor,
    XRateLimitHeadersRFCVersion,
)
from envoy.extensions.filters.http.local_ratelimit.v3.local_rate_limit_pb2 import LocalRateLimit
from envoy.extensions.filters.http.ratelimit.v3.rate_limit_pb2 import RateLimit
from envoy.type.v3.token_bucket_pb2 import TokenBucket

from xdsd.compile.limits.actions import Step, constant, steps, targeted
from xdsd.compile.limits.limiter import DAEMON
from xdsd.compile.limits.terms import (
    OWN_DOMAIN,
    Answer,
    GlobalFilter,
    LocalFilter,
    OwnedGlobal,
    OwnedLocal,
    Scope,
    Terms,
)
from xdsd.compile.percentages import runtime_fraction
from xdsd.model.intent import Percent

MARKER = "x-xdsd-rate-limit"
"""The header by which a refusal finds its body; it never leaves the proxy."""

STATISTICS = "rate_limit"
KEY = "rate_limit"
DISTINCT_VALUES = 10_000
"""How many values of a descriptor a proxy remembers; those that were not seen for longest are forgotten first."""

_BOUNDLESS = 2**32 - 1


def local_config(made: LocalFilter) -> LocalRateLimit:
    """Local limits. The filter's own bucket, for requests that no limit is about, is without bounds."""
    terms = made.terms
    config = LocalRateLimit(
        stat_prefix=STATISTICS if terms.enforced else f"{STATISTICS}_shadow",
        token_bucket=_bucket(_BOUNDLESS, _BOUNDLESS, 1),
        response_headers_to_add=_headers(terms.answer),
        rate_limited_as_resource_exhausted=True,
    )
    config.status.code = terms.answer.status
    config.always_consume_default_token_bucket.value = False
    config.max_dynamic_descriptors.value = DISTINCT_VALUES
    config.filter_enabled.CopyFrom(runtime_fraction(Percent(value=terms.enabled)))
    config.filter_enforced.CopyFrom(runtime_fraction(Percent(value=terms.enforced)))
    if terms.answer.tell:
        config.enable_x_ratelimit_headers = XRateLimitHeadersRFCVersion.DRAFT_VERSION_03
    for owned in made.limits:
        found = _local_steps(owned, terms)
        config.rate_limits.append(Actions(actions=[step.action for step in found]))
        limit = owned.limit
        bucket = _bucket(limit.burst or limit.limit.requests, limit.limit.requests, limit.limit.unit.seconds)
        for entries in _combinations(found):
            config.descriptors.append(LocalRateLimitDescriptor(entries=entries, token_bucket=bucket))
    return config


def global_config(made: GlobalFilter, cluster: str) -> RateLimit:
    """Global limits, which are counted behind ``cluster``."""
    terms, asking = made.terms, made.asking
    config = RateLimit(
        domain=asking.domain,
        failure_mode_deny=asking.closed,
        rate_limited_as_resource_exhausted=True,
        response_headers_to_add=_headers(terms.answer),
        stat_prefix="" if terms.enforced else "shadow",
    )
    config.timeout.FromTimedelta(asking.timeout)
    config.rate_limited_status.code = terms.answer.status
    config.filter_enabled.CopyFrom(runtime_fraction(Percent(value=terms.enabled)))
    config.filter_enforced.CopyFrom(runtime_fraction(Percent(value=terms.enforced)))
    if terms.answer.tell:
        config.enable_x_ratelimit_headers = RateLimit.DRAFT_VERSION_03
    service = config.rate_limit_service
    service.transport_api_version = ApiVersion.V3
    service.grpc_service.envoy_grpc.cluster_name = cluster
    if terms.scope is Scope.LISTENER:
        config.rate_limits.extend(rate_limits(made.limits))
    return config


def idle_local() -> LocalRateLimit:
    """No limits."""
    return LocalRateLimit(stat_prefix=STATISTICS)


def idle_global() -> RateLimit:
    """No limits; the limiter is named, as it must be, and never asked."""
    config = RateLimit(domain=OWN_DOMAIN)
    config.filter_enabled.CopyFrom(runtime_fraction(Percent(value=0.0)))
    config.rate_limit_service.transport_api_version = ApiVersion.V3
    config.rate_limit_service.grpc_service.envoy_grpc.cluster_name = DAEMON
    return config


def rate_limits(limits: Sequence[OwnedGlobal]) -> list[Actions]:
    """What a request is asked about; limits that read the same of it ask once."""
    found: list[Actions] = []
    for owned in limits:
        actions = Actions(actions=[step.action for step in global_steps(owned)])
        if actions not in found:
            found.append(actions)
    return found


def global_steps(owned: OwnedGlobal) -> list[Step]:
    """What is read of a request for a global limit. Counts that belong to the object alone begin with its name."""
    own = f"{owned.owner}/{owned.limit.name}"
    found = steps(owned.limit.descriptors)
    if owned.own:
        return [constant(KEY, own), *found]
    return found or [constant("generic_key", owned.limit.name)]


def _local_steps(owned: OwnedLocal, terms: Terms) -> list[Step]:
    place = constant("limit", f"{owned.owner}/{owned.index}")
    first = [targeted(KEY, owned.owner)] if terms.scope is Scope.ROUTE else []
    return [*first, place, *steps(owned.limit.descriptors)]


def _combinations(found: Sequence[Step]) -> list[list[RateLimitDescriptor.Entry]]:
    """The descriptors that buckets are for: one for each combination of given values; an empty value is any."""
    combined: list[list[RateLimitDescriptor.Entry]] = [[]]
    for step in found:
        entries = [
            RateLimitDescriptor.Entry(key=step.entry.key, value=value) for value in step.entry.values or ("",)
        ]
        combined = [[*before, entry] for before in combined for entry in entries]
    return combined


def _bucket(most: int, refill: int, seconds: int) -> TokenBucket:
    bucket = TokenBucket(max_tokens=most)
    bucket.tokens_per_fill.value = refill
    bucket.fill_interval.seconds = seconds
    return bucket


def _headers(answer: Answer) -> list[HeaderValueOption]:
    wanted = [(name, value) for name, value in answer.headers if not _is_body_type(name, answer)]
    if answer.body is not None:
        wanted.append((MARKER, answer.marker))
    overwrite = HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
    return [
        HeaderValueOption(
            header=HeaderValue(key=name, value=value), append_action=overwrite, keep_empty_value=not value
        )
        for name, value in wanted
    ]


def _is_body_type(name: str, answer: Answer) -> bool:
    """The type of a body of ours is set with the body."""
    return answer.body is not None and name.lower() == "content-type"
