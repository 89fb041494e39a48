"""Which tokens hold: what RequestAuthentications make of the token of a request."""

from collections.abc import Iterable, Mapping
from typing import Any

from xdsd.model.intent import JWTRule, Object, Presence, RequestAuthentication

SPACED = ("permission", "scope")
"""Claims that hold several values with blanks between, wherever they are."""


def rules_of(authentications: Iterable[Object[RequestAuthentication]]) -> tuple[JWTRule, ...]:
    """The rules of all of them; they count together."""
    return tuple(rule for each in authentications for rule in each.spec.jwt_rules)


def proven(rules: Iterable[JWTRule], claims: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The claims of a token that its issuer signed, as policies see them; None if no rule believes it, or there is none."""
    rule = next((each for each in rules if claims is not None and _believes(each, claims)), None)
    if rule is None or claims is None:
        return None
    spaced = {*SPACED, *rule.space_delimited_claims}
    return {
        name: value.split(" ") if name in spaced and isinstance(value, str) else value
        for name, value in claims.items()
    }


def missing(rules: Iterable[JWTRule], claims: Mapping[str, Any] | None) -> JWTRule | None:
    """The rule that requires a token which is not there; a request without it is refused with 401."""
    return next(
        (
            rule
            for rule in rules
            if rule.presence is Presence.REQUIRED and (claims is None or not _believes(rule, claims))
        ),
        None,
    )


def _believes(rule: JWTRule, claims: Mapping[str, Any]) -> bool:
    if rule.issuer is not None and claims.get("iss") != rule.issuer:
        return False
    found = claims.get("aud")
    audiences = found if isinstance(found, list) else [found]
    return not rule.audiences or any(audience in rule.audiences for audience in audiences)
