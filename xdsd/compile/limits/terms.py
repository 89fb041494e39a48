"""The filters that some RateLimits need: limits on the same terms share one."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from hashlib import blake2b
from typing import Any, TypeVar

from xdsd.model.intent import (
    FailureMode,
    GlobalLimit,
    GlobalLimits,
    LocalLimit,
    Object,
    RateLimit,
    RateLimitHeaders,
    RateLimitResponse,
)

LOCAL_FILTER = "envoy.filters.http.local_ratelimit"
GLOBAL_FILTER = "envoy.filters.http.ratelimit"
OWN_DOMAIN = "xdsd"
"""The domain of limits that name none."""

TIMEOUT = timedelta(milliseconds=100)


class Side(StrEnum):
    """Where a proxy's listeners take requests in. Filters of one side are the same for all its listeners."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"
    GATEWAY = "gateway"


class Scope(StrEnum):
    """Which requests of a listener pass a filter."""

    LISTENER = "listener"
    ROUTE = "route"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a refused client is told. ``tell`` adds X-RateLimit headers to every response."""

    status: int = 429
    body: bytes | None = None
    headers: tuple[tuple[str, str], ...] = ()
    tell: bool = False

    @property
    def content_type(self) -> str:
        return next((value for name, value in self.headers if name.lower() == "content-type"), "text/plain")

    @property
    def marker(self) -> str:
        """What tells a refusal with this body from others, within the proxy."""
        return _digest(self)


@dataclass(frozen=True, slots=True)
class Terms:
    """``enabled`` and ``enforced`` are percentages."""

    scope: Scope
    answer: Answer
    enabled: float
    enforced: float


@dataclass(frozen=True, slots=True)
class Asking:
    """How the limiter is asked."""

    domain: str
    closed: bool
    timeout: timedelta


@dataclass(frozen=True, slots=True)
class OwnedLocal:
    """A local limit of a RateLimit (``namespace/name``) and its place there."""

    owner: str
    index: int
    limit: LocalLimit


@dataclass(frozen=True, slots=True)
class OwnedGlobal:
    """A global limit of a RateLimit; ``own`` says that its counts belong to the object alone."""

    owner: str
    own: bool
    limit: GlobalLimit


@dataclass(frozen=True, slots=True)
class LocalFilter:
    """A filter that keeps buckets."""

    side: Side
    terms: Terms
    limits: tuple[OwnedLocal, ...]

    @property
    def name(self) -> str:
        return f"{LOCAL_FILTER}|{self.side}|{_digest(self.terms)}"


@dataclass(frozen=True, slots=True)
class GlobalFilter:
    """A filter that asks the limiter."""

    side: Side
    terms: Terms
    asking: Asking
    limits: tuple[OwnedGlobal, ...]

    @property
    def name(self) -> str:
        return f"{GLOBAL_FILTER}|{self.side}|{_digest((self.terms, self.asking))}"


def owner_of(obj: Object[RateLimit]) -> str:
    """``namespace/name``."""
    return f"{obj.metadata.namespace}/{obj.metadata.name}"


def scope_of(spec: RateLimit) -> Scope:
    """Whether an object is for whole listeners or for routes."""
    return Scope.ROUTE if spec.target_refs else Scope.LISTENER


def local_filters(objects: Iterable[Object[RateLimit]], side: Side) -> tuple[LocalFilter, ...]:
    """The filters for the local limits of some objects: those of listeners first, then by name."""
    found: dict[Terms, list[OwnedLocal]] = {}
    for obj in objects:
        owner = owner_of(obj)
        limits = [OwnedLocal(owner, index, limit) for index, limit in enumerate(obj.spec.local)]
        if limits:
            found.setdefault(_terms(obj.spec), []).extend(limits)
    return _ordered(LocalFilter(side, terms, tuple(limits)) for terms, limits in found.items())


def global_filters(
    objects: Iterable[Object[RateLimit]], side: Side, *, external: bool
) -> tuple[GlobalFilter, ...]:
    """The filters for the global limits of some objects; ``external`` says that the limiter is not the daemon."""
    found: dict[tuple[Terms, Asking], list[OwnedGlobal]] = {}
    for obj in objects:
        limits = obj.spec.global_
        if limits is None:
            continue
        key = _terms(obj.spec), _asking(limits, obj.metadata.namespace, external=external)
        owned = [OwnedGlobal(owner_of(obj), limits.domain is None, limit) for limit in limits.limits]
        found.setdefault(key, []).extend(owned)
    return _ordered(
        GlobalFilter(side, terms, asking, tuple(limits)) for (terms, asking), limits in found.items()
    )


def domain_of(limits: GlobalLimits, namespace: str, *, external: bool) -> str:
    """The domain that the limiter is asked about. The daemon's own keeps namespaces apart."""
    if limits.domain is None:
        return OWN_DOMAIN
    return limits.domain if external else f"{namespace}/{limits.domain}"


def _asking(limits: GlobalLimits, namespace: str, *, external: bool) -> Asking:
    closed = limits.failure_mode is FailureMode.CLOSED
    return Asking(domain_of(limits, namespace, external=external), closed, limits.timeout or TIMEOUT)


def _terms(spec: RateLimit) -> Terms:
    enabled = 100.0 if spec.enabled is None else spec.enabled.value or 0.0
    enforced = 100.0 if spec.enforced is None else spec.enforced.value or 0.0
    return Terms(scope_of(spec), _answer(spec.response), enabled, 0.0 if spec.shadow else enforced)


def _answer(response: RateLimitResponse | None) -> Answer:
    if response is None:
        return Answer()
    body = response.body
    content = None
    if body is not None:
        content = body.bytes if body.bytes is not None else (body.string or "").encode()
    return Answer(
        response.status or 429,
        content,
        tuple(sorted(response.headers.items())),
        response.rate_limit_headers is RateLimitHeaders.DRAFT_VERSION_03,
    )


_Filter = TypeVar("_Filter", LocalFilter, GlobalFilter)


def _ordered(filters: Iterable[_Filter]) -> tuple[_Filter, ...]:
    return tuple(sorted(filters, key=lambda each: (each.terms.scope is Scope.ROUTE, each.name)))


def _digest(value: Any) -> str:  # Any: a value whose text is all that it holds
    return blake2b(repr(value).encode(), digest_size=4).hexdigest()
