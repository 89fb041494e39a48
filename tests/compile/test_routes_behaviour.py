"""Compiled rules in a real Envoy, asked real requests: what users wrote is what their callers see.

One Envoy serves all rule sets, each as the virtual host of its name, before upstreams that answer with what
reached them.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from envoy.config.bootstrap.v3.bootstrap_pb2 import Bootstrap
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
)
from google.protobuf.json_format import MessageToDict
from yarl import URL

from tests.compile.routing import routes_of, to
from tests.lab.echo import ended
from tests.lab.envoy import Envoy
from tests.lab.eventually import eventually
from tests.lab.ports import free_port, free_ports
from xdsd.compile.http_filters import http_filters
from xdsd.compile.virtual_hosts import encoded, route_configuration, service_domains, virtual_host

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module")]

UPSTREAMS = ("a", "b", "rest", "shadow")
REST = to("rest")

RULES: dict[str, list[dict[str, Any]]] = {
    "headers": [
        to("a", match=[{"headers": {"x-user": {"exact": "jason"}}}]),
        to("b", match=[{"headers": {"x-user": {"prefix": "ja"}}}, {"headers": {"x-any": {}}}]),
        to("a", match=[{"headers": {"x-code": {"regex": r"\d+"}, "x-user": {"exact": "eve"}}}]),
        to("b", match=[{"headers": {"host": {"exact": "nobody"}}}]),
        REST,
    ],
    "without": [
        to("a", match=[{"withoutHeaders": {"x-user": {"exact": "jason"}, "x-skip": {}}}]),
        to("b", match=[{"withoutHeaders": {"x-other": {"regex": ".*"}}}]),
        REST,
    ],
    "query": [
        to("a", match=[{"queryParams": {"user": {"exact": "jason"}}}]),
        to(
            "b", match=[{"queryParams": {"id": {"regex": r"\d+$"}}}, {"queryParams": {"flag": {"exact": ""}}}]
        ),
        to("a", match=[{"queryParams": {"pre": {"prefix": "ab"}, "any": {}}}]),
        REST,
    ],
    "paths": [
        to("a", match=[{"uri": {"exact": "/Exact"}}]),
        to("b", match=[{"uri": {"prefix": "/Pre"}, "ignoreUriCase": True}]),
        to("a", match=[{"uri": {"regex": "/r/[a-z]+"}}]),
        to("b", match=[{"uri": {"exact": "/AnyCase"}, "ignoreUriCase": True}]),
        REST,
    ],
    "methods": [
        to("a", match=[{"method": {"exact": "POST"}}]),
        to("b", match=[{"method": {"regex": "PUT|PATCH"}, "scheme": {"exact": "http"}}]),
        to("b", match=[{"authority": {"exact": "methods:81"}}]),
        to(
            "a",
            match=[
                {"headers": {"host": {"exact": "methods:82"}}},
                {"headers": {":path": {"prefix": "/p?q"}}},
            ],
        ),
        REST,
    ],
    "rewrite": [
        to("a", match=[{"uri": {"prefix": "/old/"}}], rewrite={"uri": "/new/"}),
        to("a", match=[{"uri": {"exact": "/one"}}], rewrite={"uri": "/two", "authority": "two.example.com"}),
        to("a", match=[{"uri": {"regex": "/rx/.*"}}], rewrite={"uri": "/whole"}),
        to(
            "a",
            match=[{"uri": {"prefix": "/swap"}}],
            rewrite={"uriRegexRewrite": {"match": "/swap/([a-z]+)/([a-z]+)", "rewrite": r"/\2/\1"}},
        ),
        REST,
    ],
    "redirect": [
        {"match": [{"uri": {"exact": "/path"}}], "redirect": {"uri": "/there", "redirectCode": 308}},
        {"match": [{"uri": {"prefix": "/pre/"}}], "redirect": {"prefixRewrite": "/post/"}},
        {
            "match": [{"uri": {"exact": "/all"}}],
            "redirect": {"scheme": "https", "authority": "b.example.com", "uri": "/x", "redirectCode": 302},
        },
        {"match": [{"uri": {"exact": "/port"}}], "redirect": {"port": 8443, "scheme": "https"}},
        {
            "match": [{"uri": {"exact": "/same"}}],
            "redirect": {"derivePort": "FROM_REQUEST_PORT", "uri": "/y"},
        },
        REST,
    ],
    "answers": [
        {
            "match": [{"uri": {"exact": "/text"}}],
            "directResponse": {"status": 418, "body": {"string": "tea"}},
        },
        {
            "match": [{"uri": {"exact": "/bytes"}}],
            "directResponse": {"status": 200, "body": {"bytes": "AAE="}},
        },
        {"directResponse": {"status": 404}, "headers": {"response": {"set": {"x-why": "nothing here"}}}},
    ],
    "edits": [
        {
            "route": [
                {
                    "destination": {"host": "a"},
                    "headers": {
                        "request": {"set": {"x-dest": "a"}, "remove": ["x-gone"]},
                        "response": {"add": {"x-served": "dest"}},
                    },
                }
            ],
            "headers": {
                "request": {"set": {"x-set": "new", "Host": "host.example.com"}, "add": {"x-add": "more"}},
                "response": {"set": {"x-path": "%REQ(:PATH)%", "x-sale": "50%%"}, "remove": ["x-upstream"]},
            },
        },
    ],
    "split": [
        {
            "route": [
                {
                    "destination": {"host": "a"},
                    "weight": 75,
                    "headers": {"request": {"set": {"Host": "a.example.com"}}},
                },
                {"destination": {"host": "b"}, "weight": 25},
                {"destination": {"host": "rest"}, "weight": 0},
            ]
        }
    ],
    "faults": [
        to(
            "a",
            match=[{"uri": {"exact": "/555"}}],
            fault={"abort": {"httpStatus": 555, "percentage": {"value": 100}}},
        ),
        to(
            "a",
            match=[{"uri": {"exact": "/none"}}],
            fault={"abort": {"httpStatus": 555, "percentage": {"value": 0}}},
        ),
        to(
            "a",
            match=[{"uri": {"exact": "/14"}}],
            fault={"abort": {"grpcStatus": "UNAVAILABLE", "percentage": {"value": 100}}},
        ),
        to("a", fault={"delay": {"fixedDelay": "300ms", "percentage": {"value": 100}}}),
    ],
    "retries": [
        to("a", match=[{"uri": {"exact": "/third-time"}}], retries={"attempts": 2, "retryOn": "503"}),
        to("a", match=[{"uri": {"exact": "/hang"}}], timeout="200ms"),
        to("a", retries={"attempts": 0}),
    ],
    "cors": [
        to(
            "a",
            corsPolicy={
                "allowOrigins": [{"exact": "https://good.example.com"}],
                "allowMethods": ["GET"],
                "maxAge": "60s",
                "unmatchedPreflights": "IGNORE",
            },
        )
    ],
    "mirror": [to("a", mirror={"host": "shadow"}, mirrorPercentage={"value": 100})],
}


@dataclass
class Mesh:
    """The running proxy, and what mirrored requests left."""

    base: str
    port: int
    session: aiohttp.ClientSession
    shadowed: list[tuple[str, str]] = field(default_factory=list)

    async def ask(self, host: str, path: str = "/", method: str = "GET", **headers: str) -> "Answer":
        """Sends a request; underscores in header names stand for hyphens."""
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        url = URL(self.base + path, encoded=True)
        started = time.monotonic()
        async with self.session.request(
            method, url, headers={"Host": host, **fields}, allow_redirects=False
        ) as response:
            body = await response.read()
            seconds = time.monotonic() - started
            reached = await response.json() if response.content_type == "application/json" else {}
            fields = {name.lower(): value for name, value in response.headers.items()}
            return Answer(response.status, fields, body, reached, seconds)

    async def to(self, host: str, path: str = "/", method: str = "GET", **headers: str) -> str:
        """The upstream that a request reaches."""
        upstream: str = (await self.ask(host, path, method, **headers)).reached["name"]
        return upstream


@dataclass
class Answer:
    """A response; ``reached`` is what the upstream saw, empty if none was asked."""

    status: int
    headers: dict[str, str]
    body: bytes
    reached: dict[str, Any]
    seconds: float


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Mesh]:
    """Envoy with all rules above, and the upstreams behind it."""
    port = free_port()
    ports = dict(zip(UPSTREAMS, free_ports(len(UPSTREAMS)), strict=True))
    shadowed: list[tuple[str, str]] = []
    runners = [await start_upstream(name, ports[name], shadowed) for name in UPSTREAMS]
    folder: Path = tmp_path_factory.mktemp("behaviour")
    try:
        async with (
            Envoy(MessageToDict(bootstrap(port, ports)), folder, log_level="warning"),
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=120)) as session,
        ):
            yield Mesh(f"http://127.0.0.1:{port}", port, session, shadowed)
    finally:
        for runner in runners:
            await ended(runner)


async def start_upstream(name: str, port: int, shadowed: list[tuple[str, str]]) -> web.AppRunner:
    """A server that answers with what reached it; some paths fail first or never answer."""

    async def answer(request: web.Request) -> web.Response:
        if name == "shadow":
            shadowed.append((request.raw_path, request.host))
        if request.path == "/hang":
            await asyncio.Event().wait()
        failing = request.path == "/third-time" and request.headers["x-envoy-attempt-count"] != "3"
        seen = {
            "name": name,
            "path": request.raw_path,
            "host": request.host,
            "headers": {key.lower(): ",".join(request.headers.getall(key)) for key in request.headers},
        }
        headers = {"x-upstream": name}
        return web.json_response(seen, status=503 if failing else 200, headers=headers)

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", answer)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    return runner


def bootstrap(port: int, upstreams: dict[str, int]) -> Bootstrap:
    """A static configuration: one listener with the compiled routes, one cluster an upstream."""
    out = Bootstrap()
    for name, upstream_port in upstreams.items():
        cluster = out.static_resources.clusters.add(
            name=f"outbound|9080||{name}.default", type=Cluster.STATIC
        )
        cluster.load_assignment.cluster_name = cluster.name
        endpoint = cluster.load_assignment.endpoints.add().lb_endpoints.add().endpoint
        endpoint.address.socket_address.address = "127.0.0.1"
        endpoint.address.socket_address.port_value = upstream_port
    manager = HttpConnectionManager(stat_prefix="behaviour", http_filters=http_filters())
    hosts = [encoded(virtual_host(name, [name], routes_of(*rules))) for name, rules in RULES.items()]
    domains = service_domains("shop.default.svc.cluster.local", 9080, "default", "cluster.local", ["fd00::1"])
    hosts.append(encoded(virtual_host("service", domains, routes_of(to("b")))))
    manager.route_config.CopyFrom(RouteConfiguration.FromString(route_configuration("9080", hosts)))
    listener = out.static_resources.listeners.add(name="behaviour")
    listener.address.socket_address.address = "127.0.0.1"
    listener.address.socket_address.port_value = port
    filters = listener.filter_chains.add().filters
    filters.add(name="envoy.filters.network.http_connection_manager").typed_config.Pack(manager)
    return out


async def test_hosts(mesh: Mesh) -> None:
    """A service answers to each spelling of its name and to its address, with any port and in any case."""
    for host in (
        "shop",
        "SHOP",
        "shop.default",
        "shop.default.svc",
        "shop.default.svc.cluster.local",
        "[fd00::1]",
    ):
        assert await mesh.to(host) == "b"
        assert await mesh.to(f"{host}:9080") == "b"
    assert await mesh.to("shop.default.svc.cluster.local.") == "b"
    assert (await mesh.ask("shop.other")).status == 404


async def test_headers(mesh: Mesh) -> None:
    """Values match exactly, by prefix, wholly by expression, or by presence; conditions of one match all
    hold.
    """
    assert await mesh.to("headers", x_user="jason") == "a"
    assert await mesh.to("headers", x_user="Jason") == "rest"
    assert await mesh.to("headers", x_user="jane") == "b"
    assert await mesh.to("headers", x_any="") == "b"
    assert await mesh.to("headers", x_code="42", x_user="eve") == "a"
    assert await mesh.to("headers", x_code="42x", x_user="eve") == "rest"
    assert await mesh.to("headers", x_code="42") == "rest"
    assert await mesh.to("headers") == "rest"


async def test_without_headers(mesh: Mesh) -> None:
    """A missing header and one of another value both satisfy; each named header must."""
    assert await mesh.to("without") == "a"
    assert await mesh.to("without", x_user="jane") == "a"
    assert await mesh.to("without", x_user="jason") == "b"
    assert await mesh.to("without", x_skip="1") == "b"
    assert await mesh.to("without", x_user="jason", x_other="") == "rest"


async def test_query_parameters(mesh: Mesh) -> None:
    """Values match as headers do; a parameter without a value has the empty one."""
    assert await mesh.to("query", "/?user=jason") == "a"
    assert await mesh.to("query", "/?x=1&user=jason&y=2") == "a"
    assert await mesh.to("query", "/?user=jasons") == "rest"
    assert await mesh.to("query", "/?id=123") == "b"
    assert await mesh.to("query", "/?id=a123") == "rest"
    assert await mesh.to("query", "/?flag") == "b"
    assert await mesh.to("query", "/?flag=1") == "rest"
    assert await mesh.to("query", "/?pre=abc&any") == "a"
    assert await mesh.to("query", "/?pre=abc") == "rest"


async def test_paths(mesh: Mesh) -> None:
    """The query is no part of the path; expressions match all of it; case counts unless told otherwise."""
    assert await mesh.to("paths", "/Exact") == "a"
    assert await mesh.to("paths", "/Exact?q=1") == "a"
    assert await mesh.to("paths", "/exact") == "rest"
    assert await mesh.to("paths", "/Exact/") == "rest"
    assert await mesh.to("paths", "/pReFix") == "b"
    assert await mesh.to("paths", "/r/abc") == "a"
    assert await mesh.to("paths", "/r/abc?x=/1") == "a"
    assert await mesh.to("paths", "/r/abc/d") == "rest"
    assert await mesh.to("paths", "/R/abc") == "rest"
    assert await mesh.to("paths", "/anycase") == "b"


async def test_methods_schemes_and_authorities(mesh: Mesh) -> None:
    """Each is matched like a header."""
    assert await mesh.to("methods", method="POST") == "a"
    assert await mesh.to("methods", method="PATCH") == "b"
    assert await mesh.to("methods", method="GET") == "rest"
    assert await mesh.to("methods:81") == "b"
    assert await mesh.to("methods:82") == "a"
    assert await mesh.to("methods", "/p?q=1") == "a"
    assert await mesh.to("methods", "/p") == "rest"


async def test_rewrites(mesh: Mesh) -> None:
    """A prefix is replaced, an exact or matched path as a whole, and the query stays."""
    assert (await mesh.ask("rewrite", "/old/x?q=1")).reached["path"] == "/new/x?q=1"
    one = (await mesh.ask("rewrite", "/one?q=1")).reached
    assert (one["path"], one["host"]) == ("/two?q=1", "two.example.com")
    assert (await mesh.ask("rewrite", "/rx/deep/er?q=1")).reached["path"] == "/whole?q=1"
    assert (await mesh.ask("rewrite", "/swap/a/b?q=1")).reached["path"] == "/b/a?q=1"
    assert (await mesh.ask("rewrite", "/else")).reached["host"] == "rewrite"


async def test_redirects(mesh: Mesh) -> None:
    """The location changes in what the redirect names and in nothing else."""

    async def location(path: str) -> tuple[int, str]:
        answer = await mesh.ask("redirect", path)
        return answer.status, answer.headers["location"]

    assert await location("/path") == (308, "http://redirect/there")
    assert await location("/pre/x?q=1") == (301, "http://redirect/post/x?q=1")
    assert await location("/all") == (302, "https://b.example.com/x")
    assert await location("/port") == (301, "https://redirect:8443/port")
    assert await location("/same") == (301, "http://redirect:9080/y")
    assert (await mesh.ask("redirect", "/else")).status == 200


async def test_fixed_answers(mesh: Mesh) -> None:
    """Status, body and headers come from the rule; no upstream is asked."""
    assert (await mesh.ask("answers", "/text")).body == b"tea"
    assert (await mesh.ask("answers", "/text")).status == 418
    assert (await mesh.ask("answers", "/bytes")).body == b"\x00\x01"
    other = await mesh.ask("answers", "/else")
    assert (other.status, other.body, other.headers["x-why"]) == (404, b"", "nothing here")


async def test_header_operations(mesh: Mesh) -> None:
    """Requests and responses are edited for the route and for its destination; commands are filled in."""
    answer = await mesh.ask("edits", "/p?q=1", x_set="old", x_add="first", x_gone="here")
    seen = answer.reached["headers"]
    assert (seen["x-set"], seen["x-add"], seen["x-dest"]) == ("new", "first,more", "a")
    assert "x-gone" not in seen
    assert answer.reached["host"] == "host.example.com"
    assert (answer.headers["x-path"], answer.headers["x-sale"], answer.headers["x-served"]) == (
        "/p?q=1",
        "50%",
        "dest",
    )
    assert "x-upstream" not in answer.headers


async def test_weights(mesh: Mesh) -> None:
    """Requests are split as the weights say, and each destination has its own host rewrite."""
    answers = [(await mesh.ask("split")).reached for _ in range(400)]
    counts = Counter(answer["name"] for answer in answers)
    assert set(counts) == {"a", "b"}
    assert 240 <= counts["a"] <= 360  # 300 expected, standard deviation 8.7
    assert {answer["host"] for answer in answers if answer["name"] == "a"} == {"a.example.com"}
    assert {answer["host"] for answer in answers if answer["name"] == "b"} == {"split"}


async def test_faults(mesh: Mesh) -> None:
    """Aborts answer with their status, delays hold requests back, and no percentage is none."""
    assert (await mesh.ask("faults", "/555")).status == 555
    assert (await mesh.ask("faults", "/none")).status == 200
    grpc = await mesh.ask("faults", "/14", "POST", content_type="application/grpc")
    assert grpc.headers["grpc-status"] == "14"
    delayed = await mesh.ask("faults", "/late")
    assert delayed.status == 200
    assert delayed.seconds >= 0.2  # timers count from the last turn of Envoy's loop, which may be a while ago


async def test_retries_and_timeouts(mesh: Mesh) -> None:
    """A failing request is tried again as often as asked; one that takes too long ends in 504."""
    assert (await mesh.ask("retries", "/third-time")).status == 200
    assert (await mesh.ask("retries", "/hang")).status == 504
    assert (await mesh.ask("retries", "/third-time/not")).status == 200


async def test_cross_origin_requests(mesh: Mesh) -> None:
    """Preflights of allowed origins are answered by the proxy, others get no permission and go no further."""
    asked = {"Access_Control_Request_Method": "GET"}
    good = await mesh.ask("cors", "/", "OPTIONS", Origin="https://good.example.com", **asked)
    assert good.headers["access-control-allow-origin"] == "https://good.example.com"
    assert good.headers["access-control-max-age"] == "60"
    assert good.reached == {}
    bad = await mesh.ask("cors", "/", "OPTIONS", Origin="https://bad.example.com", **asked)
    assert "access-control-allow-origin" not in bad.headers
    assert bad.reached == {}


async def test_mirrors(mesh: Mesh) -> None:
    """The mirror gets a copy under the same host, and the caller the destination's answer."""
    assert await mesh.to("mirror", "/copied") == "a"
    await eventually(lambda: ("/copied", "mirror") in mesh.shadowed, "the copy arrives")
