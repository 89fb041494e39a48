"""The limiter on the TLS port: who proved itself spends the budgets of its own proxies alone."""

from typing import Any

import grpc
import pytest
import structlog
from envoy.service.ratelimit.v3 import rls_pb2, rls_pb2_grpc

from tests.server.hand import HandMesh
from tests.server.secure import DOMAIN, A, secured
from tests.server.test_tls import bearer
from xdsd.model.identity import SpiffeID
from xdsd.model.limits import LimitRule
from xdsd.ratelimit import MemoryCounters, RateLimitService
from xdsd.server.gate import calling
from xdsd.server.quotas import Limit, Rates
from xdsd.server.turns import Turns

OK, OVER = rls_pb2.RateLimitResponse.OK, rls_pb2.RateLimitResponse.OVER_LIMIT


class _Silent:
    def limited(self, verdict: str) -> None:
        """Counts nothing."""


def _question(rule: str) -> Any:
    made = rls_pb2.RateLimitRequest(domain="xdsd")
    made.descriptors.add().entries.add(key="rate_limit", value=rule)
    return made


async def test_a_proven_proxy_spends_no_budget_of_other_namespaces() -> None:
    """What it says of a rule that is not for its namespace is not counted; of rules for all namespaces it is."""
    service = RateLimitService(MemoryCounters(lambda: 5.0), _Silent(), lambda: 5.0, calling)
    own = LimitRule("xdsd", (("rate_limit", ("own",)),), 2, 60, "own", frozenset({"default"}))
    shared = LimitRule("xdsd", (("rate_limit", ("shared",)),), 1, 60, "shared")
    service.update((own, shared))
    async with (
        secured(HandMesh(), prepare=lambda made: made.server.also_serve(service.handler())) as made,
        made.by_token() as channel,
    ):
        stub = rls_pb2_grpc.RateLimitServiceStub(channel)
        thief = bearer(await made.token(SpiffeID(DOMAIN, "other", "thief")))
        owner = bearer(await made.token(A))

        async def ask(rule: str, who: Any) -> Any:
            return (await stub.ShouldRateLimit(_question(rule), metadata=who)).overall_code

        assert [await ask("own", thief) for _ in range(5)] == [OK] * 5
        assert [await ask("own", owner) for _ in range(3)] == [OK, OK, OVER]
        assert [await ask("shared", thief), await ask("shared", owner)] == [OK, OVER]


async def test_who_asks_too_much_is_turned_away() -> None:
    """Beyond the identity's rate nothing is counted, the setting is named, and another identity is not touched."""
    exceeded: list[str] = []
    rates = Rates(0.2, lambda: 5.0)
    turns = Turns(Limit.COUNTED, "counted requests", rates, structlog.get_logger(), exceeded.append)
    service = RateLimitService(MemoryCounters(lambda: 5.0), _Silent(), lambda: 5.0, calling, turns.refusal)
    service.update((LimitRule("xdsd", (("rate_limit", ("shared",)),), 3, 60, "shared"),))
    async with (
        secured(HandMesh(), prepare=lambda made: made.server.also_serve(service.handler())) as made,
        made.by_token() as channel,
    ):
        stub = rls_pb2_grpc.RateLimitServiceStub(channel)
        loud = bearer(await made.token(SpiffeID(DOMAIN, "other", "loud")))
        with structlog.testing.capture_logs() as logs:
            for _ in range(2):
                await stub.ShouldRateLimit(_question("shared"), metadata=loud)
            for _ in range(3):
                with pytest.raises(
                    grpc.aio.AioRpcError, match="the daemon's setting max-counted-rate"
                ) as caught:
                    await stub.ShouldRateLimit(_question("shared"), metadata=loud)
                assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert exceeded == [Limit.COUNTED] * 3
        assert len([each for each in logs if each["event"] == "a proxy is over a limit"]) == 1
        answer = await stub.ShouldRateLimit(_question("shared"), metadata=bearer(await made.token(A)))
        assert answer.statuses[0].limit_remaining == 0
