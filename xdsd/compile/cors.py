"""Cross-origin policies, as configuration of Envoy's CORS filter for one route."""

from envoy.extensions.filters.http.cors.v3.cors_pb2 import (
    CorsPolicy as EnvoyCorsPolicy,
)
from envoy.type.matcher.v3.string_pb2 import StringMatcher

from xdsd.compile.matches import is_presence, string_matcher
from xdsd.model.intent import CorsPolicy


def cors_policy(policy: CorsPolicy) -> EnvoyCorsPolicy:
    """The filter's configuration. Preflights from other origins go on to the destination unless told to
    IGNORE.
    """
    out = EnvoyCorsPolicy(
        allow_methods=",".join(policy.allow_methods),
        allow_headers=",".join(policy.allow_headers),
        expose_headers=",".join(policy.expose_headers),
    )
    out.allow_origin_string_match.extend(_origins(policy))
    out.forward_not_matching_preflights.value = policy.unmatched_preflights != "IGNORE"
    out.filter_enabled.default_value.numerator = 100
    if policy.allow_credentials is not None:
        out.allow_credentials.value = policy.allow_credentials
    if policy.max_age is not None:
        out.max_age = str(int(policy.max_age.total_seconds()))
    return out


def _origins(policy: CorsPolicy) -> list[StringMatcher]:
    if not policy.allow_origins:
        return [
            _any_origin() if origin == "*" else StringMatcher(exact=origin) for origin in policy.allow_origin
        ]
    return [
        _any_origin() if is_presence(origin) else string_matcher(origin) for origin in policy.allow_origins
    ]


def _any_origin() -> StringMatcher:
    out = StringMatcher()
    out.safe_regex.regex = ".*"
    return out
