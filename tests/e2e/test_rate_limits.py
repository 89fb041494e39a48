"""Limits on requests, as real Envoys keep them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
import grpc
import pytest
from envoy.service.ratelimit.v3 import rls_pb2, rls_pb2_grpc

from tests.e2e.limiting import CALLER, Lab, host, limit, limited_mesh, on
from tests.lab.eventually import eventually
from tests.lab.load import Load
from tests.lab.ports import free_port
from tests.lab.redis import RedisServer

pytestmark = pytest.mark.e2e

ONCE = {"requests": 1, "unit": "DAY"}
OK, OVER = 200, 429

Asked = tuple[str, str, dict[str, str], int]
"""Path, method and headers of a request, and the status of its answer."""


def get(path: str, status: int, **headers: str) -> Asked:
    return path, "GET", headers, status


CASES: dict[str, tuple[list[dict[str, Any]], list[Asked]]] = {
    "everything": ([], [get("/a", OK), get("/b", OVER)]),
    "each-path": ([{"path": {}}], [get("/a", OK), get("/b", OK), get("/a?x=1", OVER)]),
    "paths": (
        [{"path": {"values": ["/c", "/d"]}}],
        [get("/c", OK), get("/d", OK), get("/d", OVER), get("/e", OK), get("/e", OK)],
    ),
    "path-prefix": (
        [{"path": {"match": {"prefix": "/api/"}}}],
        [get("/api/1", OK), get("/api/2?a", OVER), get("/b", OK), get("/b", OK)],
    ),
    "path-exact": ([{"path": {"match": {"exact": '/"a'}}}], [get("/a", OK), get("/a", OK)]),
    "path-regex": (
        [{"path": {"match": {"regex": "/[0-9]+"}}}],
        [get("/12", OK), get("/3", OVER), get("/12a", OK), get("/x?/4", OK), get("/x?/4", OK)],
    ),
    "each-method": (
        [{"method": {}}],
        [get("/", OK), ("/", "POST", {}, OK), ("/", "POST", {}, OVER), get("/", OVER)],
    ),
    "methods": (
        [{"method": {"match": {"regex": "PUT|POST"}}}],
        [("/", "PUT", {}, OK), ("/", "POST", {}, OVER), get("/", OK), get("/", OK)],
    ),
    "each-header": (
        [{"header": {"name": "X-User"}}],
        [get("/", OK, x_user="a"), get("/", OK, x_user="b"), get("/", OVER, x_user="a"), get("/", OK)],
    ),
    "headers": (
        [{"header": {"name": "x-user", "values": ["a"]}}],
        [get("/", OK, x_user="a"), get("/", OVER, x_user="a"), *[get("/", OK, x_user="b")] * 2],
    ),
    "host": ([{"header": {"name": "Host"}}], [get("/", OK), get("/", OVER)]),
    "header-match": (
        [{"header": {"name": "x-tier", "match": {"prefix": "g"}}}],
        [get("/", OK, x_tier="gold"), get("/", OVER, x_tier="green"), *[get("/", OK, x_tier="red")] * 2],
    ),
    "each-parameter": (
        [{"queryParameter": {"name": "q"}}],
        [get("/?q=a", OK), get("/?q=b", OK), get("/x?q=a", OVER), get("/", OK), get("/", OK)],
    ),
    "parameter": (
        [{"queryParameter": {"name": "q", "match": {"exact": "a"}}}],
        [get("/?q=a", OK), get("/?q=b", OK), get("/?q=a", OVER), get("/?q=b", OK)],
    ),
    "constant": ([{"constant": {"key": "plan", "value": "free"}}], [get("/", OK), get("/", OVER)]),
    "together": (
        [{"method": {"values": ["POST", "PUT"]}}, {"header": {"name": "x-user"}}],
        [
            ("/", "POST", {"x_user": "a"}, OK),
            ("/", "PUT", {"x_user": "a"}, OK),
            ("/", "POST", {"x_user": "b"}, OK),
            ("/", "POST", {"x_user": "a"}, OVER),
            ("/", "DELETE", {"x_user": "a"}, OK),
            ("/", "DELETE", {"x_user": "a"}, OK),
            ("/", "POST", {}, OK),
            ("/", "POST", {}, OK),
        ],
    ),
}


async def test_descriptors_say_what_is_counted(tmp_path: Path) -> None:
    """Of every kind, the requests that it takes are limited, locally and globally alike, and no others."""
    objects = []
    for name, (descriptors, _) in CASES.items():
        of_local = {"descriptors": descriptors, "limit": ONCE}
        of_global = {"limits": [{"name": "it", **of_local}]}
        objects += [
            host(f"{name}-local"),
            limit(f"{name}-local", {"targetRefs": on(f"{name}-local"), "local": [of_local]}),
        ]
        objects += [
            host(f"{name}-global"),
            limit(f"{name}-global", {"targetRefs": on(f"{name}-global"), "global": of_global}),
        ]
    async with limited_mesh(tmp_path) as lab:
        await lab.apply(*objects)
        await lab.settled()
        wrong = [
            f"{name}-{where}: {said}"
            for name, (_, requests) in CASES.items()
            for where in ("local", "global")
            if (said := await _differences(lab, f"{name}-{where}.example.com", requests))
        ]
    assert wrong == []


async def _differences(lab: Lab, name: str, requests: Sequence[Asked]) -> str:
    for number, (path, method, headers, expected) in enumerate(requests):
        reply = await lab.at_gateway(name, path, method, **headers)
        if reply.status != expected:
            return f"request {number}, {method} {path} {headers}: {reply.status} {reply.text}"
    return ""


@pytest.mark.parametrize("where", ["local", "global"])
async def test_clients_are_told_apart_by_their_address(tmp_path: Path, where: str) -> None:
    """By all of it, or by the network that it is of; what a client says of itself counts for nothing."""

    def limited(name: str, address: dict[str, int]) -> list[dict[str, Any]]:
        of = {"descriptors": [{"remoteAddress": address}], "limit": ONCE}
        spec = {"local": [of]} if where == "local" else {"global": {"limits": [{"name": "it", **of}]}}
        return [host(name), limit(name, {"targetRefs": on(name), **spec})]

    async with limited_mesh(tmp_path) as lab:
        await lab.apply(*limited("each", {}), *limited("network", {"ipv4Prefix": 24}))
        await lab.settled()
        assert (await lab.at_gateway("each.example.com")).status == OK
        assert (await lab.at_gateway("each.example.com", x_forwarded_for="192.0.2.1")).status == OVER
        assert (await lab.at_gateway("network.example.com")).status == OK
        connector = aiohttp.TCPConnector(local_addr=("127.0.0.77", 0))
        async with aiohttp.ClientSession(connector=connector) as other:
            lab.session, mine = other, lab.session
            assert (await lab.at_gateway("each.example.com")).status == OK
            assert (await lab.at_gateway("network.example.com")).status == OVER
            lab.session = mine


async def test_targets_say_which_requests_are_limited(tmp_path: Path) -> None:
    """A route by its name, a VirtualService, a Gateway, or all that a gateway takes in; callers' sidecars limit too."""
    rules: list[dict[str, Any]] = [
        {"name": "search", "match": [{"uri": {"prefix": "/search"}}]},
        {"name": "rest"},
    ]
    local = {"local": [{"limit": ONCE}]}
    async with limited_mesh(tmp_path, sidecar=True) as lab:
        await lab.apply(
            host("a", *rules), host("b"), limit("route", {"targetRefs": on("a", "search"), **local})
        )
        await lab.settled()
        statuses = [
            (await lab.at_gateway("a.example.com", path)).status for path in ("/search", "/search", "/", "/")
        ]
        assert statuses == [OK, OVER, OK, OK]
        twice = {"local": [{"limit": {"requests": 2, "unit": "DAY"}}]}
        await lab.apply(limit("route", {"targetRefs": [{"kind": "Gateway", "name": "edge"}], **twice}))
        await lab.settled()
        names = ("a.example.com", "b.example.com", "a.example.com")
        assert [(await lab.at_gateway(name)).status for name in names] == [OK, OK, OVER]
        await lab.apply(limit("route", {"selector": {"matchLabels": {"istio": "edge"}}, **twice}))
        await lab.settled()
        await lab.reconnect()
        assert [(await lab.at_gateway(name)).status for name in (*names[:2], "unknown.example.com")] == [
            OK,
            OK,
            OVER,
        ]
        mine = host("mine")
        mine["spec"] |= {"hosts": ["app.default.svc.cluster.local"], "gateways": ["mesh"]}
        await lab.apply(mine, limit("route", {"targetRefs": on("mine"), **local}))
        await lab.settled()
        await lab.reconnect()
        headers = {"host": "app.default.svc.cluster.local"}
        found = [(await lab.request(lab.workload, "/", "GET", headers, CALLER)).status for _ in range(2)]
        assert found == [OK, OVER]
        assert [(await lab.at_gateway("a.example.com")).status for _ in range(3)] == [OK] * 3


async def test_a_workload_is_protected_by_its_own_proxy(tmp_path: Path) -> None:
    """Whoever calls; the refusal says what it is told to say, and nothing of how it is made."""
    spec = {
        "selector": {"matchLabels": {"app": "app"}},
        "local": [{"limit": {"requests": 2, "unit": "DAY"}}],
        "response": {
            "status": 503,
            "body": {"string": '{"error": "100% full"}'},
            "headers": {"content-type": "application/json", "retry-after": "30"},
            "rateLimitHeaders": "DRAFT_VERSION_03",
        },
    }
    async with limited_mesh(tmp_path, sidecar=True) as lab:
        await lab.apply(limit("app", spec))
        await lab.settled()
        first, second, third = [await lab.at_workload() for _ in range(3)]
    assert (first.status, second.status, third.status) == (OK, OK, 503)
    assert first.text.startswith("app\n")
    assert [each.headers["x-ratelimit-remaining"] for each in (first, second, third)] == ["1", "0", "0"]
    assert first.headers["x-ratelimit-limit"] == "2"
    assert third.text == '{"error": "100% full"}'
    assert third.headers.getall("content-type") == ["application/json"]  # type: ignore[attr-defined]
    assert third.headers["retry-after"] == "30"
    assert "retry-after" not in first.headers
    assert not [name for name in third.headers if "xdsd" in name.lower()]


async def test_global_limits_say_what_they_are_told_to_say(tmp_path: Path) -> None:
    """The same answer as of local limits; of two limits the stricter one counts."""
    limits = [
        {"name": "hour", "limit": {"requests": 5, "unit": "HOUR"}},
        {"name": "day", "limit": {"requests": 2, "unit": "DAY"}},
    ]
    response = {
        "body": {"string": "<p>later</p>"},
        "headers": {"content-type": "text/html"},
        "rateLimitHeaders": "DRAFT_VERSION_03",
    }
    async with limited_mesh(tmp_path) as lab:
        await lab.apply(
            host("a"), limit("a", {"targetRefs": on("a"), "global": {"limits": limits}, "response": response})
        )
        await lab.settled()
        replies = [await lab.at_gateway("a.example.com") for _ in range(3)]
        metrics = await lab.daemon.metrics()
    assert [reply.status for reply in replies] == [OK, OK, OVER]
    assert [reply.headers["x-ratelimit-remaining"] for reply in replies] == ["1", "0", "0"]
    assert replies[0].headers["x-ratelimit-limit"].startswith("2, ")
    assert replies[2].text == "<p>later</p>"
    assert replies[2].headers["content-type"] == "text/html"
    assert 'xdsd_rate_limit_requests_total{verdict="over_limit"} 1.0' in metrics


@pytest.mark.parametrize("where", ["local", "global"])
async def test_a_shadow_refuses_nothing(tmp_path: Path, where: str) -> None:
    """What it would have refused is counted by the proxy; so is nothing where no request is enabled."""
    of = {"limit": ONCE}
    spec = {"local": [of]} if where == "local" else {"global": {"limits": [{"name": "it", **of}]}}
    async with limited_mesh(tmp_path) as lab:
        await lab.apply(
            *(host(name) for name in "abc"),
            limit("a", {"targetRefs": on("a"), **spec, "shadow": True}),
            limit("b", {"targetRefs": on("b"), **spec, "enabled": {"value": 0}}),
            limit("c", {"targetRefs": on("c"), **spec, "enforced": {"value": 100}}),
        )
        await lab.settled()
        found = {
            name: [(await lab.at_gateway(f"{name}.example.com")).status for _ in range(3)] for name in "abc"
        }
        stats = await lab.envoys[0].stats("(rate_limit_shadow|shadow).*(rate_limited|over_limit)$")
    assert found == {"a": [OK] * 3, "b": [OK] * 3, "c": [OK, OVER, OVER]}
    assert sum(stats.values()) == 2, stats


async def test_without_a_limiter_requests_pass_or_fail_as_set(tmp_path: Path) -> None:
    """The daemon is gone: what fails open is let through, what fails closed is refused, and local limits hold."""

    def of(mode: str) -> dict[str, Any]:
        return {"failureMode": mode, "limits": [{"name": "it", "limit": {"requests": 1, "unit": "DAY"}}]}

    async with limited_mesh(tmp_path) as lab:
        await lab.apply(
            *(host(name) for name in ("open", "closed", "local")),
            limit("open", {"targetRefs": on("open"), "global": of("OPEN")}),
            limit("closed", {"targetRefs": on("closed"), "global": of("CLOSED")}),
            limit("local", {"targetRefs": on("local"), "local": [{"limit": ONCE}]}),
        )
        await lab.settled()

        async def statuses(name: str) -> list[int]:
            return [(await lab.at_gateway(f"{name}.example.com")).status for _ in range(2)]

        assert await statuses("open") == [OK, OVER]
        assert await statuses("closed") == [OK, OVER]
        await lab.daemon.kill()
        assert await statuses("open") == [OK, OK]
        assert await statuses("closed") == [500, 500]
        assert await statuses("local") == [OK, OVER]
        await lab.daemon.restart()
        await lab.settled()
        assert await statuses("closed") == [OK, OVER]


@pytest.mark.parametrize("where", ["local", "global"])
async def test_grpc_clients_are_told_in_their_own_words(tmp_path: Path, where: str) -> None:
    """A refused call ends with RESOURCE_EXHAUSTED and the body as its message, not with an HTTP status."""
    of = {"limit": ONCE}
    spec = {"local": [of]} if where == "local" else {"global": {"limits": [{"name": "it", **of}]}}
    told = {"response": {"body": {"string": "come back later"}}}
    async with limited_mesh(tmp_path) as lab:
        await lab.apply(host("a"), limit("a", {"targetRefs": on("a"), **spec, **told}))
        await lab.settled()
        grpc_call = {"content_type": "application/grpc"}
        replies = [await lab.at_gateway("a.example.com", "/s/M", "POST", **grpc_call) for _ in range(2)]
    assert "grpc-status" not in replies[0].headers
    assert (replies[1].status, replies[1].headers["grpc-status"]) == (OK, "8")
    assert replies[1].headers["grpc-message"] == "come back later"


async def test_daemons_that_share_a_redis_count_together(tmp_path: Path) -> None:
    """Whoever of them is asked; while Redis is away, requests pass or fail as set, and afterwards it counts again."""
    limits = {
        "limits": [{"name": "it", "descriptors": [{"path": {}}], "limit": {"requests": 3, "unit": "DAY"}}]
    }
    objects = [
        *(host(name) for name in ("open", "closed")),
        limit("open", {"targetRefs": on("open"), "global": {"failureMode": "OPEN", **limits}}),
        limit("closed", {"targetRefs": on("closed"), "global": {"failureMode": "CLOSED", **limits}}),
    ]
    async with (
        RedisServer(tmp_path, password="s3cret") as redis,
        _sharing(tmp_path / "one", redis) as one,
        _sharing(tmp_path / "two", redis) as two,
    ):
        for lab in (one, two):
            await lab.apply(*objects)
            await lab.settled()
        turns, paths = [one, two, one, two, one, two], count()

        async def together() -> None:
            path = f"/{next(paths)}"
            statuses = [(await lab.at_gateway("closed.example.com", path)).status for lab in turns]
            assert statuses == [OK, OK, OK, OVER, OVER, OVER]

        # Redis has a second to answer, which a busy machine may not leave it.
        await eventually(together, "requests are counted together")
        await redis.stop()
        assert [(await lab.at_gateway("closed.example.com", "/b")).status for lab in (one, two)] == [500, 500]
        assert [(await lab.at_gateway("open.example.com")).status for lab in turns] == [OK] * 6
        await redis.start()
        await eventually(together, "they are counted again")


@asynccontextmanager
async def _sharing(folder: Path, redis: RedisServer) -> AsyncIterator[Lab]:
    async with limited_mesh(folder, _settings(folder, redis)) as lab:
        yield lab


def _settings(folder: Path, redis: RedisServer) -> dict[str, str]:
    folder.mkdir()
    password = folder / "password"
    password.write_text(f"{redis.password}\n")
    return {"rate-limit-redis": redis.url, "rate-limit-redis-password-file": str(password)}


class Recorder:
    """A limiter of somebody else's: refuses what it knows, never answers some, and remembers what it was asked."""

    def __init__(self, port: int) -> None:
        self.asked: list[tuple[str, list[dict[str, str]]]] = []
        self._server = grpc.aio.server()
        rls_pb2_grpc.add_RateLimitServiceServicer_to_server(self, self._server)
        self._server.add_insecure_port(f"127.0.0.1:{port}")

    async def __aenter__(self) -> Self:
        await self._server.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.leaves()

    async def leaves(self) -> None:
        """Answers no more; may be called again."""
        await self._server.stop(0)

    async def ShouldRateLimit(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's name
        found = [{entry.key: entry.value for entry in each.entries} for each in request.descriptors]
        self.asked.append((request.domain, found))
        if any(each.get("tenant") == "patient" for each in found):
            await asyncio.Event().wait()
        over = any(each.get("tenant") == "greedy" for each in found)
        response = rls_pb2.RateLimitResponse
        return response(overall_code=response.OVER_LIMIT if over else response.OK)


async def test_any_service_of_the_protocol_may_count(tmp_path: Path) -> None:
    """It is asked with the domain and the descriptors that are written, and the answer is told as written."""
    port = free_port()
    descriptors = [
        {"header": {"name": "Tenant"}},
        {"path": {"match": {"prefix": "/api"}}},
        {"constant": {"key": "plan", "value": "free"}},
    ]
    shared = {
        "domain": "shop",
        "limits": [
            {"name": "tenants", "descriptors": descriptors, "limit": {"requests": 1, "unit": "MINUTE"}},
            {"name": "all", "limit": {"requests": 1, "unit": "MINUTE"}},
        ],
    }
    own = {"failureMode": "CLOSED", "limits": shared["limits"]}
    async with (
        Recorder(port) as recorder,
        limited_mesh(tmp_path, {"rate-limit-service": f"127.0.0.1:{port}"}, sidecar=True) as lab,
    ):
        told = {"response": {"status": 403, "body": {"string": "no"}}}
        inbound = {"selector": {"matchLabels": {"app": "app"}}, "global": own}
        await lab.apply(
            host("a"), limit("a", {"targetRefs": on("a"), "global": shared, **told}), limit("in", inbound)
        )
        await lab.settled()
        good = await lab.at_gateway("a.example.com", "/api/x", tenant="modest")
        asked, recorder.asked = recorder.asked, []
        bad = await lab.at_gateway("a.example.com", "/api/x", tenant="greedy")
        await recorder.leaves()
        assert (await lab.at_gateway("a.example.com")).status == 500
    assert good.status == OK
    assert (bad.status, bad.text) == (403, "no")
    tenant = {"tenant": "modest", "path": "/api*", "plan": "free"}
    assert asked[0] == ("shop", [tenant, {"generic_key": "all"}])
    names = [{"rate_limit": f"default/in/{name}"} for name in ("tenants", "all")]
    assert asked[1] == ("xdsd", [{**names[0], **tenant}, names[1]])


async def test_a_limiter_that_hangs_is_not_waited_for(tmp_path: Path) -> None:
    """When its time is over, what fails open is let through, and what fails closed is refused."""
    port = free_port()

    def of(mode: str) -> dict[str, Any]:
        limits = [
            {
                "name": "it",
                "descriptors": [{"header": {"name": "Tenant"}}],
                "limit": {"requests": 1, "unit": "DAY"},
            }
        ]
        return {"domain": "shop", "failureMode": mode, "timeout": "0.1s", "limits": limits}

    async with (
        Recorder(port) as recorder,
        limited_mesh(tmp_path, {"rate-limit-service": f"127.0.0.1:{port}"}) as lab,
    ):
        for name in ("open", "closed"):
            await lab.apply(host(name), limit(name, {"targetRefs": on(name), "global": of(name.upper())}))
        await lab.settled()

        async def asked() -> None:
            for name, status in (("open", OK), ("closed", 500)):
                assert (await lab.at_gateway(f"{name}.example.com", tenant="patient")).status == status
            assert ("shop", [{"tenant": "patient"}]) in recorder.asked

        await eventually(asked, "it was asked, and did not answer")
        assert (await lab.at_gateway("closed.example.com")).status == OK


async def test_limits_come_change_and_go_without_a_lost_request(tmp_path: Path) -> None:
    """Under load; an edit is no change of a listener, and holds for connections that are open."""

    def of(requests: int) -> dict[str, Any]:
        plenty = {"limit": {"requests": requests, "unit": "SECOND"}}
        return {"local": [plenty], "global": {"limits": [{"name": "it", **plenty}]}}

    async def listeners(lab: Lab) -> dict[str, int]:
        return await lab.envoys[0].stats("^listener_manager.listener_(modified|added|in_place_updated)$")

    async with limited_mesh(tmp_path) as lab:
        await lab.apply(host("a"))
        await lab.settled()
        url = f"http://127.0.0.1:{lab.gateway}/"
        async with Load(url, headers={"host": "a.example.com"}) as load:
            whoms: list[dict[str, Any]] = [
                {"targetRefs": on("a")},
                {"selector": {"matchLabels": {"istio": "edge"}}},
            ]
            for whom in whoms:
                await lab.apply(limit("a", {**whom, **of(1_000_000)}))
                await lab.settled()
                before = await listeners(lab)
                for turn in range(3):
                    await lab.apply(limit("a", {**whom, **of(900_000 + turn)}))
                    await lab.settled()
                    await load.more(20)
                assert await listeners(lab) == before
                await lab.daemon.xdsctl("delete", "ratelimit", "a")
                await lab.settled()
                await load.more(20)
        metrics = await lab.daemon.metrics()
    assert not load.tally.failed, str(load.tally)
    nacks = [line for line in metrics.splitlines() if line.startswith("xdsd_nacks_total")]
    assert [line for line in nacks if not line.endswith(" 0.0")] == []
