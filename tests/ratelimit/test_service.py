"""Envoy's rate limit protocol, asked over gRPC."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from envoy.extensions.common.ratelimit.v3.ratelimit_pb2 import RateLimitDescriptor
from envoy.service.ratelimit.v3 import rls_pb2, rls_pb2_grpc

from xdsd.model.limits import LimitRule
from xdsd.ratelimit import Counters, CountersUnavailableError, Hit, MemoryCounters, RateLimitService

OK, OVER = rls_pb2.RateLimitResponse.OK, rls_pb2.RateLimitResponse.OVER_LIMIT
NOON = 1_800_000_000.0 - 1_800_000_000 % 86400 + 43200


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        return self.now


class Seen:
    def __init__(self) -> None:
        self.verdicts: list[str] = []

    def limited(self, verdict: str) -> None:
        self.verdicts.append(verdict)


class Gone:
    async def add(self, hits: Sequence[Hit]) -> list[int]:
        raise CountersUnavailableError("nobody counts")

    async def close(self) -> None:
        """Holds nothing."""


class Desk:
    """The service and a client of it."""

    def __init__(self, stub: Any, service: RateLimitService, clock: Clock, seen: Seen) -> None:
        self._stub = stub
        self.service, self.clock, self.seen = service, clock, seen

    async def ask(self, *descriptors: dict[str, str], domain: str = "d", hits: int = 0) -> Any:
        request = rls_pb2.RateLimitRequest(domain=domain, hits_addend=hits)
        request.descriptors.extend(map(descriptor, descriptors))
        return await self._stub.ShouldRateLimit(request)


def descriptor(entries: dict[str, str]) -> RateLimitDescriptor:
    made = RateLimitDescriptor()
    for key, value in entries.items():
        made.entries.add(key=key, value=value)
    return made


def rule(entries: dict[str, tuple[str, ...]], requests: int, seconds: int = 60, name: str = "r") -> LimitRule:
    return LimitRule("d", tuple(entries.items()), requests, seconds, name)


@asynccontextmanager
async def desk(*rules: LimitRule, counters: Counters | None = None) -> AsyncIterator[Desk]:
    clock, seen = Clock(), Seen()
    service = RateLimitService(counters or MemoryCounters(clock), seen, clock)
    service.update(rules)
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((service.handler(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield Desk(rls_pb2_grpc.RateLimitServiceStub(channel), service, clock, seen)
    await server.stop(0)


async def test_requests_are_counted_until_the_limit() -> None:
    """Each answer says what is left and when the window ends; the next window begins anew."""
    async with desk(rule({"user": ()}, 2)) as clerk:
        clerk.clock.now += 15
        answers = [await clerk.ask({"user": "a"}) for _ in range(3)]
        assert [answer.overall_code for answer in answers] == [OK, OK, OVER]
        status = answers[2].statuses[0]
        assert [answer.statuses[0].limit_remaining for answer in answers] == [1, 0, 0]
        assert (status.code, status.current_limit.requests_per_unit, status.current_limit.name) == (
            OVER,
            2,
            "r",
        )
        assert status.current_limit.unit == rls_pb2.RateLimitResponse.RateLimit.MINUTE
        assert status.duration_until_reset.seconds == 45
        assert (await clerk.ask({"user": "b"})).overall_code == OK
        clerk.clock.now += 45
        assert (await clerk.ask({"user": "a"})).overall_code == OK
        assert clerk.seen.verdicts == ["ok", "ok", "over_limit", "ok", "ok"]


@pytest.mark.parametrize(("seconds", "unit"), [(1, "SECOND"), (60, "MINUTE"), (3600, "HOUR"), (86400, "DAY")])
async def test_windows_are_as_long_as_their_unit(seconds: int, unit: str) -> None:
    """And begin on the clock, not with the first request."""
    async with desk(rule({"a": ()}, 1, seconds)) as clerk:
        clerk.clock.now = NOON - NOON % seconds + seconds - 0.25
        first, second = await clerk.ask({"a": "1"}), await clerk.ask({"a": "1"})
        assert (first.overall_code, second.overall_code) == (OK, OVER)
        told = first.statuses[0].current_limit.unit
        assert rls_pb2.RateLimitResponse.RateLimit.Unit.Name(told) == unit
        clerk.clock.now += 0.5
        assert (await clerk.ask({"a": "1"})).overall_code == OK


async def test_of_several_rules_the_strictest_answers() -> None:
    """Of those that refuse the one that lasts longest, else the one with least left; all of them count."""
    async with desk(rule({"a": ()}, 5, 60, "minute"), rule({"a": ()}, 2, 3600, "hour")) as clerk:
        names = [(await clerk.ask({"a": "1"})).statuses[0].current_limit.name for _ in range(7)]
        assert names == ["hour"] * 7
        clerk.service.update([rule({"a": ()}, 5, 60, "minute")])
        assert (await clerk.ask({"a": "1"})).overall_code == OVER


async def test_one_descriptor_too_many_refuses_the_request() -> None:
    """Each has a status of its own; one that no rule is about is no reason to refuse."""
    async with desk(rule({"a": ()}, 1), rule({"b": ("x",)}, 10)) as clerk:
        await clerk.ask({"a": "1"})
        answer = await clerk.ask({"a": "1"}, {"b": "x"}, {"b": "y"}, {"c": "1"})
        assert answer.overall_code == OVER
        assert [status.code for status in answer.statuses] == [OVER, OK, OK, OK]
        assert [status.HasField("current_limit") for status in answer.statuses] == [True, True, False, False]


async def test_a_request_may_count_more_than_once() -> None:
    """By its own number of hits, or that of a descriptor, which may be none."""
    async with desk(rule({"a": ()}, 10)) as clerk:
        assert (await clerk.ask({"a": "1"}, hits=7)).statuses[0].limit_remaining == 3
        assert (await clerk.ask({"a": "1"}, hits=4)).overall_code == OVER


async def test_rules_may_change_while_it_counts() -> None:
    """What is counted stays; a rule that is gone limits nothing."""
    async with desk(rule({"a": ()}, 2)) as clerk:
        await clerk.ask({"a": "1"})
        clerk.service.update([rule({"a": ()}, 5)])
        assert (await clerk.ask({"a": "1"})).statuses[0].limit_remaining == 3
        clerk.service.update([])
        answer = await clerk.ask({"a": "1"})
        assert answer.overall_code == OK
        assert not answer.statuses[0].HasField("current_limit")


async def test_what_cannot_be_counted_is_not_answered() -> None:
    """The caller's proxy decides then; it is told why."""
    async with desk(rule({"a": ()}, 2), counters=Gone()) as clerk:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await clerk.ask({"a": "1"})
        assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
        assert raised.value.details() == "nobody counts"
        assert clerk.seen.verdicts == ["unavailable"]


async def test_requests_have_bounds() -> None:
    """Without a domain or with too many descriptors a request is refused as malformed."""
    async with desk(rule({"a": ()}, 2)) as clerk:
        for call in (clerk.ask({"a": "1"}, domain=""), clerk.ask(*[{"a": "1"}] * 257)):
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await call
            assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
