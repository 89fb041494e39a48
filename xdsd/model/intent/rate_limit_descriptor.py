"""What requests are counted by: a rate limit's descriptors, each of which takes one property of a request.

A descriptor without ``values`` and ``match`` gives every value of its property a count of its own. ``values`` does so for
these values only; ``match`` counts all that match together. A request that lacks the property, or whose value is none of
these, is not one that the limit is about.
"""

from collections.abc import Iterator

from xdsd.model.intent.base import (
    Finding,
    Message,
    Str,
    UInt32,
    absent,
    many,
    missing,
    needed,
    shown,
    wrong,
)
from xdsd.model.intent.http_match import StringMatch
from xdsd.model.intent.values import HeaderName

MAX_VALUES = 100
MAX_VALUE = 1024


class ValueDescriptor(Message):
    """A property of a request that has a text."""

    at_most_one = (("values", "match"),)

    values: tuple[Str, ...] = many("Values that are limited, each with a count of its own.")
    match: StringMatch | None = absent("Values that are limited, counted together.")

    def findings(self) -> Iterator[Finding]:
        seen: set[str] = set()
        for index, value in enumerate(self.values):
            if not value:
                yield wrong("is empty; name a value", "values", index)
            elif value in seen:
                yield wrong(f"{shown(value)} is listed twice", "values", index)
            elif len(value) > MAX_VALUE:
                yield wrong(f"is longer than {MAX_VALUE} characters", "values", index)
            seen.add(value)
        if len(self.values) > MAX_VALUES:
            yield wrong(f"lists {len(self.values)} values, which is above {MAX_VALUES}", "values")
        if self.match is not None:
            fault = self.match.fault()
            if fault:
                yield wrong(fault.message, "match", *fault.path)
            elif not (self.match.exact or self.match.prefix or self.match.regex):
                yield missing("is empty; give exact, prefix or regex", "match")


class PathDescriptor(ValueDescriptor):
    """The path of a request, without its query."""


class MethodDescriptor(ValueDescriptor):
    """The method of a request, in capitals."""


class HeaderDescriptor(ValueDescriptor):
    """A header of a request."""

    name: HeaderName = needed("Name of the header.")


class QueryParameterDescriptor(ValueDescriptor):
    """A parameter of a request's query."""

    name: Str = needed("Name of the query parameter.", min_length=1)


class SourceDescriptor(ValueDescriptor):
    """Who sends: the SPIFFE identity that its certificate proves, such as spiffe://DOMAIN/ns/NAMESPACE/sa/ACCOUNT."""


class ClaimDescriptor(ValueDescriptor):
    """A claim of the token (JWT) that was proven."""

    name: Str = needed("Name of the claim, such as sub.", min_length=1)


class RemoteAddressDescriptor(Message):
    """The address of the client. Gateways take it from x-forwarded-for as far as they trust what is before them."""

    ipv4_prefix: UInt32 | None = absent("Bits of an IPv4 address that are counted together; 32 if left out.")
    ipv6_prefix: UInt32 | None = absent("Bits of an IPv6 address that are counted together; 128 if left out.")

    def findings(self) -> Iterator[Finding]:
        for field, value, most in (
            ("ipv4Prefix", self.ipv4_prefix, 32),
            ("ipv6Prefix", self.ipv6_prefix, 128),
        ):
            if value is not None and value > most:
                yield wrong(f"{value} is above {most}", field)


class ConstantDescriptor(Message):
    """A key and a value that every request has, by which a limiter's own configuration may find the limit."""

    key: Str | None = absent("Key; generic_key if left out.")
    value: Str = needed("Value.", min_length=1)


class RateLimitDescriptor(Message):
    """One property of requests."""

    at_most_one = (
        (
            "path",
            "method",
            "header",
            "queryParameter",
            "source",
            "claim",
            "remoteAddress",
            "constant",
        ),
    )

    path: PathDescriptor | None = absent("Path without query.")
    method: MethodDescriptor | None = absent("Method.")
    header: HeaderDescriptor | None = absent("Header.")
    query_parameter: QueryParameterDescriptor | None = absent("Query parameter.")
    source: SourceDescriptor | None = absent("Identity that the caller's certificate proves.")
    claim: ClaimDescriptor | None = absent("Claim of the caller's token.")
    remote_address: RemoteAddressDescriptor | None = absent("Address of the client.")
    constant: ConstantDescriptor | None = absent("The same for every request.")

    @property
    def values(self) -> tuple[str, ...]:
        """The values that are given, if any."""
        found = (getattr(self, field) for field in type(self).model_fields)
        return next((each.values for each in found if isinstance(each, ValueDescriptor)), ())

    def findings(self) -> Iterator[Finding]:
        if not any(self.is_set(field) for field in type(self).model_fields):
            yield missing(f"is empty; give one of {', '.join(self.at_most_one[0])}")
