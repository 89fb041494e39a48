"""RequestAuthentications as what the filter that proves tokens is told.

Each rule is a provider. A request may lack the tokens of all of them, unless one is required; one that is there must hold.
Rules that look for tokens in the same place are alternatives: it is enough that the token of one holds.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from envoy.extensions.filters.http.jwt_authn.v3.config_pb2 import (
    JwtAuthentication,
    JwtProvider,
    JwtRequirement,
    RequirementRule,
)

from xdsd.compile.authorization.keys import key_set
from xdsd.compile.authorization.values import PAYLOAD
from xdsd.model.intent import JWTRule, Presence

SPACED = ("permission", "scope")
"""Claims that hold several values with blanks between, wherever they are."""


class Issuer(NamedTuple):
    """A rule with the keys that it names, wherever they come from; empty while they are not known."""

    rule: JWTRule
    jwks: str


def token_guard(issuers: Iterable[Issuer], *, reroute: bool = False) -> JwtAuthentication:
    """What the filter is told. ``reroute`` has routes chosen again once claims are known, as where routes ask for them."""
    # By issuer, so that the order of objects does not show.
    found = sorted(issuers, key=lambda each: each.rule.issuer or "")
    config = JwtAuthentication(bypass_cors_preflight=True)
    if not found:
        return config
    names: dict[str, JWTRule] = {}
    for index, issuer in enumerate(found):
        name = f"origins-{index}"
        names[name] = issuer.rule
        config.providers[name].CopyFrom(_provider(issuer, reroute=reroute))
    rule = RequirementRule(requires=_requirement(names))
    rule.match.prefix = "/"
    config.rules.append(rule)
    return config


def _requirement(rules: Mapping[str, JWTRule]) -> JwtRequirement:
    each = [_optional(name, rule) for name, rule in rules.items()]
    if len(each) == 1:
        return each[0]
    required = [JwtRequirement(provider_name=name) for name, rule in rules.items() if _is_required(rule)]
    every = _all(each)
    alone = [JwtRequirement(provider_name=name) for name in rules]
    if required:
        # A token of another rule does not stand in for one that is required.
        return every
    return JwtRequirement(requires_any={"requirements": [*alone, every]})


def _all(requirements: Sequence[JwtRequirement]) -> JwtRequirement:
    return JwtRequirement(requires_all={"requirements": requirements})


def _optional(name: str, rule: JWTRule) -> JwtRequirement:
    own = JwtRequirement(provider_name=name)
    if _is_required(rule):
        return own
    missing = JwtRequirement()
    missing.allow_missing.SetInParent()
    return JwtRequirement(requires_any={"requirements": [own, missing]})


def _is_required(rule: JWTRule) -> bool:
    return rule.presence is Presence.REQUIRED


def _provider(issuer: Issuer, *, reroute: bool) -> JwtProvider:
    rule = issuer.rule
    made = JwtProvider(
        issuer=rule.issuer or "",
        audiences=rule.audiences,
        forward=bool(rule.forward_original_token),
        from_params=rule.from_params,
        from_cookies=rule.from_cookies,
        forward_payload_header=rule.output_payload_to_header or "",
        payload_in_metadata=PAYLOAD,
        clear_route_cache=reroute,
    )
    made.local_jwks.inline_string = key_set(issuer.jwks)
    made.normalize_payload_in_metadata.space_delimited_claims.extend(
        sorted({*SPACED, *rule.space_delimited_claims})
    )
    for header in rule.from_headers:
        made.from_headers.add(name=header.name, value_prefix=header.prefix or "")
    for output in rule.output_claim_to_headers:
        made.claim_to_headers.add(header_name=output.header, claim_name=output.claim)
    return made
