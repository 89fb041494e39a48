"""RateLimit: how many requests are let through, of whom and to what.

The kind is our own; nothing published says the same. *Local* limits are token buckets in each proxy. *Global* limits are
counted in one place for all proxies: by the daemon, or by a service that speaks Envoy's rate limit protocol.

Whom an object is for: with ``selector`` or nothing, all requests that reach the workloads (gateways included) of its
namespace, those of the root namespace those of the mesh; with ``targetRefs``, requests that a Gateway lets in or that a
VirtualService routes, wherever that is: at gateways and at callers.
"""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from math import prod
from typing import Annotated

from pydantic import AfterValidator, Field, Strict

from xdsd.model.intent.base import (
    Bool,
    Finding,
    Message,
    Notation,
    Str,
    absent,
    invalid,
    many,
    missing,
    needed,
    shown,
    table,
    wrong,
)
from xdsd.model.intent.durations import Duration
from xdsd.model.intent.hosts import ObjectName, is_label
from xdsd.model.intent.http_actions import HTTPBody
from xdsd.model.intent.rate_limit_descriptor import RateLimitDescriptor
from xdsd.model.intent.selector import LabelSelector, Percent
from xdsd.model.intent.values import HeaderName, HeaderValue, StatusCode
from xdsd.model.problem import Reason

MAX_BODY = 64 * 1024
MAX_LIMITS = 64
MAX_DESCRIPTORS = 10
MAX_COMBINATIONS = 1000
MAX_COUNTS = 4000
REFUSALS = frozenset({*range(400, 418), *range(421, 425), 426, 428, 429, 431, *range(500, 509), 510, 511})
"""The statuses of errors that Envoy knows."""


class RateLimitUnit(StrEnum):
    """A span of time."""

    SECOND = "SECOND"
    MINUTE = "MINUTE"
    HOUR = "HOUR"
    DAY = "DAY"

    @property
    def seconds(self) -> int:
        return {"SECOND": 1, "MINUTE": 60, "HOUR": 3600, "DAY": 86400}[self.value]


class RateLimitHeaders(StrEnum):
    """Whether responses tell clients what is left."""

    OFF = "OFF"
    DRAFT_VERSION_03 = "DRAFT_VERSION_03"


class FailureMode(StrEnum):
    """What happens to requests while the limiter cannot be asked."""

    OPEN = "OPEN"
    CLOSED = "CLOSED"


class TargetKind(StrEnum):
    """What a rate limit may be attached to."""

    GATEWAY = "Gateway"
    VIRTUAL_SERVICE = "VirtualService"


def _limit_name(name: str) -> str:
    if not is_label(name):
        raise invalid(f"{shown(name)} is no limit name: write letters, digits and inner hyphens, 63 at most")
    return name


Requests = Annotated[int, Strict(), Field(ge=1, le=2**32 - 1), Notation("integer")]
LimitName = Annotated[Str, AfterValidator(_limit_name)]


class RateLimitTarget(Message):
    """An object of the same namespace whose requests are limited."""

    group: Str | None = absent("Group of the kind: networking.istio.io.")
    kind: TargetKind = needed("Gateway or VirtualService.")
    name: ObjectName = needed("Name of the object.")
    section_name: Str | None = absent("Name of a route of the VirtualService; all routes if left out.")

    def findings(self) -> Iterator[Finding]:
        if self.group not in (None, "networking.istio.io"):
            yield wrong(f"{shown(self.group)} is not the group of {self.kind}: networking.istio.io", "group")
        if self.section_name is not None and self.kind is TargetKind.GATEWAY:
            yield wrong("is for routes of a VirtualService", "sectionName")


class Limit(Message):
    """So many requests in a unit of time."""

    requests: Requests = needed("How many requests; at least 1.")
    unit: RateLimitUnit = needed("In what time.")


def combinations(descriptors: Sequence[RateLimitDescriptor]) -> int:
    """How many counts the given values of descriptors make together."""
    return prod(max(1, len(each.values)) for each in descriptors)


def _descriptor_findings(descriptors: Sequence[RateLimitDescriptor]) -> Iterator[Finding]:
    counts = combinations(descriptors)
    if counts > MAX_COMBINATIONS:
        yield wrong(
            f"its values combine to {counts} counts, which is above {MAX_COMBINATIONS}", "descriptors"
        )
    if len(descriptors) > MAX_DESCRIPTORS:
        yield wrong(f"has {len(descriptors)} entries, which is above {MAX_DESCRIPTORS}", "descriptors")


class LocalLimit(Message):
    """A limit that each proxy keeps by itself, as a bucket of tokens that refills steadily."""

    name: LimitName | None = absent("Name of the limit, for people.")
    descriptors: tuple[RateLimitDescriptor, ...] = many(
        "What requests are counted by, together; all requests if left out."
    )
    limit: Limit = needed("How many requests.")
    burst: Requests | None = absent("How many requests may come at once; limit.requests if left out.")

    def findings(self) -> Iterator[Finding]:
        yield from _descriptor_findings(self.descriptors)


class GlobalLimit(Message):
    """A limit that all proxies share, counted in windows of the unit."""

    name: LimitName = needed("Name of the limit.")
    descriptors: tuple[RateLimitDescriptor, ...] = many(
        "What requests are counted by, together; all requests if left out."
    )
    limit: Limit = needed("How many requests.")

    def findings(self) -> Iterator[Finding]:
        yield from _descriptor_findings(self.descriptors)


class GlobalLimits(Message):
    """Limits that are counted in one place."""

    domain: LimitName | None = absent(
        "Name under which descriptors are sent as they are written, and shared by objects; the object's own if left out."
    )
    failure_mode: FailureMode | None = absent("While the limiter cannot be asked; OPEN if left out.")
    timeout: Duration | None = absent("How long the limiter has to answer; 100ms if left out.")
    limits: tuple[GlobalLimit, ...] = needed("The limits.")

    def findings(self) -> Iterator[Finding]:
        if not self.limits:
            yield missing("is empty; give at least one limit", "limits")
        yield from _repeated(self.limits, "limits")
        if len(self.limits) > MAX_LIMITS:
            yield wrong(f"has {len(self.limits)} limits, which is above {MAX_LIMITS}", "limits")


class RateLimitResponse(Message):
    """What clients are told."""

    status: StatusCode | None = absent("Status of the refusal; 429 if left out.")
    body: HTTPBody | None = absent("Body of the refusal.")
    headers: dict[HeaderName, HeaderValue] = table("Headers that are added to the refusal.")
    rate_limit_headers: RateLimitHeaders | None = absent(
        "X-RateLimit headers on every response; OFF if left out."
    )

    def findings(self) -> Iterator[Finding]:
        if self.status is not None and self.status not in REFUSALS:
            yield wrong(f"{self.status} is not a status of refusal; write 429 or another error's", "status")
        size = self.body.size if self.body else 0
        if size > MAX_BODY:
            yield wrong(f"is {size} bytes long, which is above {MAX_BODY}", "body", reason=Reason.TOO_LARGE)


class RateLimit(Message):
    """Limits on requests."""

    at_most_one = (("selector", "targetRefs"), ("shadow", "enforced"))

    selector: LabelSelector | None = absent(
        "Workloads whose incoming requests are limited; all of the namespace if left out."
    )
    target_refs: tuple[RateLimitTarget, ...] = many(
        "Gateways and VirtualServices whose requests are limited."
    )
    local: tuple[LocalLimit, ...] = many("Limits that each proxy keeps by itself.")
    global_: GlobalLimits | None = absent("Limits that all proxies share.")
    response: RateLimitResponse | None = absent("What clients are told.")
    shadow: Bool | None = absent("Count, and refuse nothing.")
    enabled: Percent | None = absent("Share of requests that are counted; all if left out.")
    enforced: Percent | None = absent("Share of requests above the limit that are refused; all if left out.")

    def findings(self) -> Iterator[Finding]:
        if not self.local and self.global_ is None:
            yield missing("is empty; give local or global")
        yield from _repeated(self.local, "local")
        counts = sum(combinations(limit.descriptors) for limit in self.local)
        if counts > MAX_COUNTS:
            yield wrong(f"its limits have {counts} counts together, which is above {MAX_COUNTS}", "local")
        if len(self.local) > MAX_LIMITS:
            yield wrong(f"has {len(self.local)} limits, which is above {MAX_LIMITS}", "local")
        seen: set[tuple[str, str, str | None]] = set()
        for index, target in enumerate(self.target_refs):
            key = (target.kind.value, target.name, target.section_name)
            if key in seen:
                yield wrong(f"{target.kind} {target.name} is listed twice", "targetRefs", index)
            seen.add(key)
        headers = self.response.rate_limit_headers if self.response else None
        told = headers is RateLimitHeaders.DRAFT_VERSION_03
        if told and self.local and all(limit.descriptors for limit in self.local):
            message = "is told on every response, and no local limit is for every request; give one without descriptors"
            yield wrong(message, "response", "rateLimitHeaders")


def _repeated(limits: Sequence[LocalLimit | GlobalLimit], field: str) -> Iterator[Finding]:
    seen: set[str] = set()
    for index, limit in enumerate(limits):
        if limit.name in seen:
            yield wrong(f"{limit.name!r} is the name of another limit", field, index, "name")
        seen.update((limit.name,) if limit.name else ())
