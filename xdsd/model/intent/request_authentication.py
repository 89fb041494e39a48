"""RequestAuthentication: whose tokens (JWT) some workloads believe, where requests carry them, what is passed on.

A request with a token that does not hold is refused; one without a token is let through without an identity, unless its
``presence`` is REQUIRED or an AuthorizationPolicy asks for one.
"""

import re
from collections.abc import Iterable, Iterator
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from xdsd.model.intent.base import (
    Bool,
    Finding,
    Message,
    Str,
    absent,
    invalid,
    many,
    missing,
    needed,
    published_name,
    shown,
    wrong,
)
from xdsd.model.intent.durations import Duration
from xdsd.model.intent.json_web_keys import jwks_fault, secret_fault
from xdsd.model.intent.policy_target import PolicyTargetReference, target_findings
from xdsd.model.intent.selector import LabelSelector
from xdsd.model.intent.values import HeaderName, is_header

_CONTROL = re.compile(r"[\x00-\x20\x7f]")
_CLAIM_HEADER = re.compile(r"[-_A-Za-z0-9]+")
_RESERVED = frozenset(
    {"host", "connection", "content-length", "transfer-encoding", "te", "upgrade", "keep-alive"}
)


WELL_KNOWN = "/.well-known/openid-configuration"
"""Where an issuer's OpenID Connect configuration is, below its name."""


class Presence(StrEnum):
    """Whether a token must be there."""

    OPTIONAL = "OPTIONAL"
    REQUIRED = "REQUIRED"


def _plain(text: str) -> str:
    if not text:
        raise invalid("is empty")
    if _CONTROL.search(text):
        raise invalid(f"{shown(text)} holds a blank or a control character")
    return text


def _url(text: str) -> str:
    _plain(text)
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise invalid(f"{shown(text)} is no URL") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise invalid(f"{shown(text)} is no URL such as https://issuer.example/keys")
    if parts.username is not None or parts.password is not None:
        raise invalid(f"{shown(text)} holds a user or password; take it out")
    if port == 0:
        raise invalid(f"{shown(text)} has no port between 1 and 65535")
    return text


def _jwks(text: str) -> str:
    fault = secret_fault(text) or jwks_fault(text)
    if fault:  # not shown: what is no set of public keys may hold secret ones
        raise invalid(fault)
    return text


def _output_header(text: str) -> str:
    if not _CLAIM_HEADER.fullmatch(text):
        raise invalid(f"{shown(text)} is no header for claims: write letters, digits, - and _")
    return _not_reserved(text)


def _not_reserved(text: str) -> str:
    if text.lower() in _RESERVED:
        raise invalid(f"{shown(text)} says how the request itself is sent; choose another header")
    return text


def _cookie(text: str) -> str:
    if not is_header(text):
        raise invalid(f"{shown(text)} is no name of a cookie")
    return text


Plain = Annotated[Str, Field(max_length=2048), AfterValidator(_plain)]
JwksUri = Annotated[Str, Field(max_length=2048), AfterValidator(_url)]
Jwks = Annotated[Str, AfterValidator(_jwks)]
OutputHeader = Annotated[HeaderName, AfterValidator(_not_reserved)]
ClaimHeader = Annotated[Str, AfterValidator(_output_header)]
Cookie = Annotated[Str, AfterValidator(_cookie)]


class JWTHeader(Message):
    """A header in which tokens are looked for."""

    name: HeaderName = needed("Name of the header.")
    prefix: Str | None = absent("What stands before the token, such as 'Bearer '.", keep_empty=True)


class ClaimToHeader(Message):
    """A claim that the workload finds in a header."""

    header: ClaimHeader = needed("Name of the header.")
    claim: Plain = needed("Name of the claim; claims within claims by dots: a.b.")


class JWTRule(Message):
    """An issuer whose tokens are believed."""

    at_most_one = (("jwksUri", "jwks"),)
    spellings = MappingProxyType({"jwks_uri": "jwksUri"})

    issuer: Plain | None = absent("Who issues the tokens (claim iss); anybody with these keys if left out.")
    audiences: tuple[Plain, ...] = many(
        "Audiences (claim aud), one of which tokens are for; any if left out."
    )
    jwks_uri: JwksUri | None = absent(
        "Where the issuer's public keys are; found by the issuer's OpenID Connect configuration if left out too."
    )
    jwks: Jwks | None = absent("The issuer's public keys themselves, as JSON.")
    from_headers: tuple[JWTHeader, ...] = many(
        "Headers in which tokens are looked for; with no location, Authorization: Bearer and access_token."
    )
    from_params: tuple[Plain, ...] = many("Query parameters in which tokens are looked for.")
    from_cookies: tuple[Cookie, ...] = many("Cookies in which tokens are looked for.")
    output_payload_to_header: OutputHeader | None = absent(
        "Header in which the workload finds the claims, as base64url."
    )
    forward_original_token: Bool | None = absent("Leave the token in the request; taken out if left out.")
    output_claim_to_headers: tuple[ClaimToHeader, ...] = many("Claims that the workload finds in headers.")
    timeout: Duration | None = absent("How long fetching the keys may take; 5s if left out.")
    space_delimited_claims: tuple[Plain, ...] = many(
        "Claims that hold several values with blanks between, beside scope and permission.", max_length=64
    )
    presence: Presence | None = absent(
        "Whether requests must have a token of this rule; OPTIONAL if left out."
    )

    @property
    def keys_at(self) -> str:
        """The address of the keys, or of the issuer's OpenID Connect configuration, which says where they are; empty where
        the rule holds them itself.
        """
        if self.jwks is not None:
            return ""
        return self.jwks_uri or f"{(self.issuer or '').rstrip('/')}{WELL_KNOWN}"

    def findings(self) -> Iterator[Finding]:
        if self.issuer is None and self.jwks_uri is None:
            yield missing("is missing; name the issuer, or jwksUri", "issuer")
        elif self.jwks_uri is None and self.jwks is None:
            yield from self._discovery_findings()
        for name in ("audiences", "from_params", "from_cookies", "space_delimited_claims"):
            yield from _repeated(getattr(self, name), name)
        yield from _repeated([each.name.lower() for each in self.from_headers], "from_headers")
        claimed = [each.header.lower() for each in self.output_claim_to_headers]
        seen: set[str] = set()
        for index, header in enumerate(claimed):
            if header in seen or header == (self.output_payload_to_header or "").lower():
                yield wrong(f"{shown(header)} is written already", "outputClaimToHeaders", index, "header")
            seen.add(header)

    def _discovery_findings(self) -> Iterator[Finding]:
        """Without keys they are looked for at the issuer, which must be an address then."""
        parts = urlsplit(self.issuer or "")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            yield missing(
                f"is missing; {shown(self.issuer)} is no URL at which keys could be found", "jwksUri"
            )


def _repeated(values: Iterable[str], attribute: str) -> Iterator[Finding]:
    seen: set[str] = set()
    for index, value in enumerate(values):
        if value in seen:
            yield wrong(f"{shown(value)} is listed twice", published_name(attribute), index)
        seen.add(value)


class RequestAuthentication(Message):
    """Whose tokens some workloads believe."""

    at_most_one = (("selector", "targetRef", "targetRefs"),)

    selector: LabelSelector | None = absent("Workloads it is for; all of the namespace if left out.")
    target_ref: PolicyTargetReference | None = absent("Gateway it is for.")
    target_refs: tuple[PolicyTargetReference, ...] = many("Gateways it is for.", max_length=16)
    jwt_rules: tuple[JWTRule, ...] = many(
        "The issuers; requests that carry tokens of no rule pass.", max_length=4096
    )

    @property
    def targets(self) -> tuple[PolicyTargetReference, ...]:
        """All targets, whichever field names them."""
        return (self.target_ref, *self.target_refs) if self.target_ref else self.target_refs

    def findings(self) -> Iterator[Finding]:
        yield from target_findings(self.target_ref, self.target_refs)
        if not self.jwt_rules:
            yield missing("is empty; name an issuer", "jwtRules")
