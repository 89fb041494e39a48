"""A program whose traffic the kernel redirects: its calls and its callers pass a real Envoy, unaware."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from envoy.config.route.v3.route_pb2 import RouteConfiguration

from tests.compile.listening import with_routes
from tests.lab.echo import first_line, http_server, tcp_server
from tests.lab.netns import CapturingEnvoy, Machine, capture, two_machines
from tests.lab.static import static_bootstrap, static_cluster
from xdsd.compile.clusters import black_hole_cluster, inbound_passthrough_cluster, passthrough_cluster
from xdsd.compile.inbound import InboundPort, virtual_inbound
from xdsd.compile.listeners import (
    outbound_http_listener,
    outbound_tcp_listener,
    virtual_outbound,
)
from xdsd.compile.names import BLACK_HOLE_CLUSTER, PASSTHROUGH_CLUSTER
from xdsd.compile.routes import default_http_route
from xdsd.compile.tcp_targets import TcpTarget
from xdsd.compile.virtual_hosts import virtual_host
from xdsd.model.catalog import Protocol

pytestmark = pytest.mark.e2e

REVIEWS = "outbound|9080||reviews.default.svc.cluster.local"
MYSQL = "outbound|3306||mysql.default.svc.cluster.local"
OWN = InboundPort(9080, Protocol.HTTP, "inbound|9080||", host="productpage.default.svc.cluster.local")
ANY_SERVICE_ADDRESS = "10.96.0.10"  # routed nowhere: only the proxy can make sense of it
MYSQL_ADDRESS = "10.96.0.7"


def reviews_routes() -> Any:
    """Routes that know one host."""
    routes = RouteConfiguration(name="9080", ignore_port_in_host_matching=True)
    routes.virtual_hosts.append(virtual_host("reviews", ["reviews"], [default_http_route(REVIEWS)]))
    return routes


def resources(outside: Machine, *, allow_any: bool) -> tuple[list[Any], list[Any]]:
    """What a sidecar is told about a mesh with one HTTP and one TCP service, and one port of its own."""
    fallthrough = PASSTHROUGH_CLUSTER if allow_any else BLACK_HOLE_CLUSTER
    http = outbound_http_listener("0.0.0.0", 9080, "9080", bind_to_port=False, fallthrough=fallthrough)
    listeners = [
        virtual_outbound(fallthrough),
        with_routes(http, reviews_routes()),
        outbound_tcp_listener(MYSQL_ADDRESS, 3306, [TcpTarget(MYSQL)], fallthrough, bind_to_port=False),
        virtual_inbound([OWN]),
    ]
    clusters = [
        passthrough_cluster(),
        black_hole_cluster(),
        inbound_passthrough_cluster(),
        static_cluster(REVIEWS, outside.address, 19080),
        static_cluster(MYSQL, outside.address, 13306),
        static_cluster(OWN.cluster, "127.0.0.1", 9080),
    ]
    return listeners, clusters


@asynccontextmanager
async def captured(
    folder: Path, *, allow_any: bool = True
) -> AsyncIterator[tuple[Machine, Machine, CapturingEnvoy]]:
    """A captured machine with its proxy running and this thread on it, beside a machine with services."""
    async with AsyncExitStack() as stack:
        inside, outside = stack.enter_context(two_machines())
        capture(inside)
        with outside.entered():
            await stack.enter_async_context(http_server("reviews", outside.address, 19080))
            await stack.enter_async_context(tcp_server("mysql", outside.address, 13306))
            await stack.enter_async_context(tcp_server("stranger", outside.address, 7777))
            await stack.enter_async_context(tcp_server("misfit", outside.address, 9080))
        stack.enter_context(inside.entered())
        listeners, clusters = resources(outside, allow_any=allow_any)
        bootstrap = static_bootstrap(listeners, clusters)
        envoy = await stack.enter_async_context(CapturingEnvoy(bootstrap, folder))
        yield inside, outside, envoy


async def get(url: str, host: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(url, headers={"host": host}) as response:
        return response.status, await response.text()


async def test_calls_reach_services_by_host_and_by_address(tmp_path: Path) -> None:
    """HTTP goes by the host that a request names, TCP by the service's address, even if the server speaks
    first.
    """
    async with captured(tmp_path):
        status, body = await get(f"http://{ANY_SERVICE_ADDRESS}:9080/ratings?n=1", "reviews")
        assert (status, body) == (200, "reviews\nreviews\n/ratings?n=1")
        assert (await first_line(MYSQL_ADDRESS, 3306)).startswith("mysql ")


async def test_unknown_hosts_of_a_known_port_are_not_found(tmp_path: Path) -> None:
    """A host that no route knows is answered by the proxy."""
    async with captured(tmp_path):
        assert (await get(f"http://{ANY_SERVICE_ADDRESS}:9080/", "nobody"))[0] == 404


async def test_allow_any_passes_strangers_through(tmp_path: Path) -> None:
    """Unknown destinations are reached, and so is what is not HTTP on a port that HTTP services use."""
    async with captured(tmp_path) as (_, outside, envoy):
        assert (await first_line(outside.address, 7777)).startswith("stranger ")
        assert (await first_line(outside.address, 9080, b"\x00\x01binary\n")).startswith("misfit ")
        assert await envoy.stat("cluster.PassthroughCluster;.upstream_cx_total") == 2


async def test_registry_only_lets_strangers_end_nowhere(tmp_path: Path) -> None:
    """Unknown destinations are closed, known ones still served."""
    async with captured(tmp_path, allow_any=False) as (_, outside, _envoy):
        assert await first_line(outside.address, 7777) == ""
        assert await first_line(outside.address, 9080, b"\x00\x01binary\n") == ""
        assert (await first_line(MYSQL_ADDRESS, 3306)).startswith("mysql ")


async def test_callers_reach_declared_and_other_ports(tmp_path: Path) -> None:
    """A declared HTTP port is routed, any other carried unread, and the program sees its proxy as the
    peer.
    """
    async with captured(tmp_path) as (inside, outside, envoy):
        async with (
            http_server("productpage", "127.0.0.1", 9080),
            tcp_server("undeclared", "0.0.0.0", 7000),
        ):
            with outside.entered():
                status, body = await get(f"http://{inside.address}:9080/productpage", "shop")
                assert (status, body) == (200, "productpage\nshop\n/productpage")
                assert await first_line(inside.address, 7000) == "undeclared 127.0.0.6"
        assert await envoy.stat("http.inbound_0.0.0.0_9080;.downstream_rq_completed") == 1


@pytest.mark.parametrize("port", [15001, 15006])
async def test_the_proxys_own_ports_lead_nowhere(tmp_path: Path, port: int) -> None:
    """Who calls the ports of the capture themselves is turned away at once, instead of going in circles."""
    async with captured(tmp_path):
        assert await first_line("127.0.0.1", port) == ""


async def test_ipv6_is_captured_the_same_way(tmp_path: Path) -> None:
    """Listeners of an IPv6 machine take its calls and its callers, and pass strangers through."""
    async with AsyncExitStack() as stack:
        inside, outside = stack.enter_context(two_machines())
        capture(inside)
        with outside.entered():
            await stack.enter_async_context(http_server("reviews", outside.ipv6, 19080))
            await stack.enter_async_context(tcp_server("stranger", outside.ipv6, 7777))
        stack.enter_context(inside.entered())
        http = outbound_http_listener("::", 9080, "9080", bind_to_port=False)
        own = InboundPort(9080, Protocol.HTTP, "inbound|9080||", bind="::")
        listeners = [
            virtual_outbound(PASSTHROUGH_CLUSTER, bind="::"),
            with_routes(http, reviews_routes()),
            virtual_inbound([own], bind="::"),
        ]
        clusters = [
            passthrough_cluster(),
            black_hole_cluster(),
            inbound_passthrough_cluster(),
            static_cluster(REVIEWS, outside.ipv6, 19080),
            static_cluster(own.cluster, "::1", 9080),
        ]
        await stack.enter_async_context(http_server("productpage", "::1", 9080))
        await stack.enter_async_context(CapturingEnvoy(static_bootstrap(listeners, clusters), tmp_path))
        assert (await get("http://[fd00:96::10]:9080/", "reviews"))[1] == "reviews\nreviews\n/"
        assert (await first_line(outside.ipv6, 7777)).startswith("stranger ")
        with outside.entered():
            assert (await get(f"http://[{inside.ipv6}]:9080/", "shop"))[1] == "productpage\nshop\n/"
