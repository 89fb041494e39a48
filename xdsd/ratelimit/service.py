"""Envoy's rate limit protocol (``envoy.service.ratelimit.v3``) over gRPC."""

from collections.abc import Callable, Iterable
from typing import Any, Protocol

import grpc
from envoy.service.ratelimit.v3 import rls_pb2

from xdsd.model.identity import SpiffeID
from xdsd.model.limits import LimitRule
from xdsd.ratelimit.counters import Counters, CountersUnavailableError
from xdsd.ratelimit.counting import Descriptor, Verdict, concerns, hits, verdicts
from xdsd.ratelimit.rules import RuleTable

SERVICE = "envoy.service.ratelimit.v3.RateLimitService"
MOST_DESCRIPTORS = 256
"""How many descriptors a request may have."""

_Response = rls_pb2.RateLimitResponse
_UNITS = {
    1: _Response.RateLimit.SECOND,
    60: _Response.RateLimit.MINUTE,
    3600: _Response.RateLimit.HOUR,
    86400: _Response.RateLimit.DAY,
}


class LimitObserver(Protocol):
    """Who is told what was said; metrics, in the daemon."""

    def limited(self, verdict: str) -> None:
        """A request was answered: ``ok``, ``over_limit`` or ``unavailable``."""


class RateLimitService:
    """Answers by the rules that it was given last. ``clock`` tells the time of day in seconds, ``caller`` what whoever calls
    proved to be; None for who proved nothing. Descriptors are what callers say: nobody who proved itself counts by a
    rule that is for the proxies of other namespaces. ``refusal`` says why an identity has no turn now, empty where it has.
    """

    def __init__(
        self,
        counters: Counters,
        observer: LimitObserver,
        clock: Callable[[], float],
        caller: Callable[[], SpiffeID | None] = lambda: None,
        refusal: Callable[[str], str] = lambda _: "",
    ) -> None:
        self._refusal = refusal
        self._caller = caller
        self._counters = counters
        self._observer = observer
        self._clock = clock
        self._table = RuleTable()

    def update(self, rules: Iterable[LimitRule]) -> None:
        """Other rules from now on; what is counted stays."""
        self._table = RuleTable(rules)

    def handler(self) -> Any:
        """What a gRPC server serves: a generic handler."""
        method = grpc.unary_unary_rpc_method_handler(
            self.should_rate_limit,
            request_deserializer=rls_pb2.RateLimitRequest.FromString,
            response_serializer=_Response.SerializeToString,
        )
        return grpc.method_handlers_generic_handler(SERVICE, {"ShouldRateLimit": method})

    async def should_rate_limit(self, request: Any, context: Any) -> Any:
        """Counts a request. Both arguments are generated or gRPC's own types."""
        caller = self._caller()
        if caller is not None and (refused := self._refusal(str(caller))):
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, refused)
        if not request.domain or len(request.descriptors) > MOST_DESCRIPTORS:
            why = f"a request has a domain and at most {MOST_DESCRIPTORS} descriptors"
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, why)
        now = self._clock()
        asked = [_descriptor(each, request.hits_addend or 1) for each in request.descriptors]
        namespace = caller.namespace if caller is not None else None
        found = concerns(self._table, request.domain, asked, now, namespace)
        adding = hits(found)
        try:
            sums = await self._counters.add(adding)
        except CountersUnavailableError as error:
            self._observer.limited("unavailable")
            await context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
        counts = {hit.key: count for hit, count in zip(adding, sums, strict=True)}
        said = verdicts(found, counts, len(asked), now)
        over = any(verdict is not None and verdict.over for verdict in said)
        self._observer.limited("over_limit" if over else "ok")
        code = _Response.OVER_LIMIT if over else _Response.OK
        return _Response(overall_code=code, statuses=[_status(verdict) for verdict in said])


_MOST_HITS = 2**31 - 1
"""Hits that one descriptor counts at most: sums stay within what counters hold."""


def _descriptor(asked: Any, hits_addend: int) -> Descriptor:
    own = asked.hits_addend.value if asked.HasField("hits_addend") else hits_addend
    return Descriptor([(entry.key, entry.value) for entry in asked.entries], min(own, _MOST_HITS))


def _status(verdict: Verdict | None) -> Any:
    if verdict is None:
        return _Response.DescriptorStatus(code=_Response.OK)
    status = _Response.DescriptorStatus(
        code=_Response.OVER_LIMIT if verdict.over else _Response.OK,
        limit_remaining=verdict.remaining,
        current_limit=_Response.RateLimit(
            name=verdict.rule.name,
            requests_per_unit=verdict.rule.requests,
            unit=_UNITS[verdict.rule.seconds],
        ),
    )
    status.duration_until_reset.seconds = verdict.reset
    return status
