"""Without redirection or root: programs call a real Envoy on purpose, and a gateway faces the world."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from envoy.config.route.v3.route_pb2 import RouteConfiguration

from tests.compile.listening import with_routes
from tests.lab.echo import ended, first_line, http_server, tcp_server
from tests.lab.envoy import Envoy
from tests.lab.eventually import eventually
from tests.lab.hello import client_hello
from tests.lab.ports import free_port, free_ports
from tests.lab.static import static_bootstrap, static_cluster, watch_listeners, write_listeners
from xdsd.compile.access_logs import AccessLog
from xdsd.compile.clusters import black_hole_cluster
from xdsd.compile.gateway_listeners import gateway_listener
from xdsd.compile.inbound import InboundPort, inbound_listener
from xdsd.compile.listener_settings import ListenerSettings
from xdsd.compile.listeners import (
    http_proxy_listener,
    outbound_http_listener,
    outbound_tcp_listener,
)
from xdsd.compile.names import BLACK_HOLE_CLUSTER
from xdsd.compile.routes import default_http_route
from xdsd.compile.tcp_targets import TcpTarget
from xdsd.compile.virtual_hosts import virtual_host
from xdsd.model.catalog import Protocol

pytestmark = pytest.mark.e2e

REVIEWS = "outbound|9080||reviews.default.svc.cluster.local"


def routes(name: str, cluster: str, *domains: str) -> Any:
    table = RouteConfiguration(name=name)
    table.virtual_hosts.append(virtual_host(name, domains, [default_http_route(cluster)]))
    return table


@asynccontextmanager
async def both_sides(folder: Path) -> AsyncIterator[tuple[str, Envoy]]:
    """One Envoy that is the caller's HTTP proxy and the callee's inbound listener; yields the former's
    URL.
    """
    proxy_port, inbound_port, program_port = free_ports(3)
    own = InboundPort(inbound_port, Protocol.HTTP, f"inbound|{inbound_port}||", bind="127.0.0.1")
    proxy = http_proxy_listener("127.0.0.1", proxy_port)
    bootstrap = static_bootstrap(
        [with_routes(proxy, routes("http_proxy", REVIEWS, "reviews:9080")), inbound_listener(own)],
        [
            static_cluster(REVIEWS, "127.0.0.1", inbound_port),
            static_cluster(own.cluster, "127.0.0.1", program_port),
        ],
    )
    async with http_server("reviews", "127.0.0.1", program_port), Envoy(bootstrap, folder) as envoy:
        yield f"http://127.0.0.1:{proxy_port}", envoy


async def test_a_request_goes_through_proxy_and_inbound_listener(tmp_path: Path) -> None:
    """A program with http_proxy set reaches a service through both sidecars and sees its own Server
    header.
    """
    async with (
        both_sides(tmp_path) as (proxy, _),
        aiohttp.ClientSession() as session,
        session.get("http://reviews:9080/ratings", proxy=proxy) as response,
    ):
        assert response.status == 200
        assert await response.text() == "reviews\nreviews:9080\n/ratings"


async def test_hosts_that_no_route_knows_are_refused(tmp_path: Path) -> None:
    """The proxy sends nothing to a host that its routes do not name."""
    async with both_sides(tmp_path) as (proxy, envoy), aiohttp.ClientSession() as session:
        async with session.get("http://stranger:9080/", proxy=proxy) as response:
            assert response.status == 404
        assert await envoy.stat(f"cluster.{REVIEWS}.upstream_rq_total") == 0


async def test_tunnels_are_refused(tmp_path: Path) -> None:
    """CONNECT is answered with an error, and no connection is made."""
    async with both_sides(tmp_path) as (proxy, envoy):
        host, port = proxy.removeprefix("http://").split(":")
        ask = b"CONNECT reviews:9080 HTTP/1.1\r\nHost: reviews:9080\r\n\r\n"
        status = (await first_line(host, int(port), ask)).split()[1]
        assert status in {"403", "404"}
        assert await envoy.stat(f"cluster.{REVIEWS}.upstream_cx_total") == 0


async def test_old_clients_are_served(tmp_path: Path) -> None:
    """HTTP/1.0 clients get an answer like everyone else."""
    async with both_sides(tmp_path) as (proxy, _):
        host, port = proxy.removeprefix("http://").split(":")
        ask = b"GET http://reviews:9080/ HTTP/1.0\r\nHost: reviews:9080\r\n\r\n"
        assert (await first_line(host, int(port), ask)).split()[1] == "200"


@asynccontextmanager
async def header_mirror(port: int) -> AsyncIterator[None]:
    """A server that answers with the headers it got."""

    async def answer(request: web.Request) -> web.Response:
        return web.json_response({name.lower(): value for name, value in request.headers.items()})

    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield
    finally:
        await ended(runner)


async def through(listener: Any, folder: Path, headers: Mapping[str, str]) -> dict[str, str]:
    """The headers that a server behind a listener gets for those that a client sent."""
    behind = free_port()
    bootstrap = static_bootstrap(
        [with_routes(listener, routes("http", "app", "*"))], [static_cluster("app", "127.0.0.1", behind)]
    )
    port = listener.address.socket_address.port_value
    async with (
        header_mirror(behind),
        Envoy(bootstrap, folder),
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}/", headers=headers) as response,
    ):
        got: dict[str, str] = await response.json()
    return got


CLAIMS = {
    "x-forwarded-for": "203.0.113.9",
    "x-envoy-upstream-rq-timeout-ms": "1",
    "x-forwarded-client-cert": "By=spiffe://forged",
    "x-request-id": "11111111-1111-4111-8111-111111111111",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "x-b3-traceid": "463ac35c9f6413ad48485a3953bb6124",
}


async def test_a_gateway_believes_no_stranger(tmp_path: Path) -> None:
    """A gateway names the peer it sees, and drops what only the mesh may say; trace context passes."""
    got = await through(gateway_listener("127.0.0.1", free_port(), "http"), tmp_path, CLAIMS)
    claimed, seen = got["x-forwarded-for"].split(",")
    assert claimed == "203.0.113.9"
    assert ip_address(seen)  # Envoy writes its own address for a peer on loopback
    assert "x-envoy-upstream-rq-timeout-ms" not in got
    assert "x-forwarded-client-cert" not in got
    assert got["x-request-id"] != CLAIMS["x-request-id"]
    assert got["traceparent"] == CLAIMS["traceparent"]
    assert got["x-b3-traceid"] == CLAIMS["x-b3-traceid"]


async def test_a_sidecar_passes_on_what_its_program_says(tmp_path: Path) -> None:
    """Within the mesh a request keeps its identity, its client's address and its trace context."""
    got = await through(http_proxy_listener("127.0.0.1", free_port()), tmp_path, CLAIMS)
    kept = ("x-forwarded-for", "x-request-id", "traceparent", "x-b3-traceid")
    assert {name: got[name] for name in kept} == {name: CLAIMS[name] for name in kept}


async def test_tls_services_are_told_apart_by_name(tmp_path: Path) -> None:
    """Connections go by the name that the client asks for, the narrower one first, and strangers nowhere."""
    port, first_port, second_port = free_ports(3)
    targets = [TcpTarget("any", sni=("*.example.com",)), TcpTarget("one", sni=("one.example.com",))]
    listener = outbound_tcp_listener("127.0.0.1", port, targets, BLACK_HOLE_CLUSTER, bind_to_port=True)
    clusters = [
        static_cluster("any", "127.0.0.1", first_port),
        static_cluster("one", "127.0.0.1", second_port),
        black_hole_cluster(),
    ]
    async with (
        tcp_server("any", "127.0.0.1", first_port),
        tcp_server("one", "127.0.0.1", second_port),
        Envoy(static_bootstrap([listener], clusters), tmp_path),
    ):
        for name, expected in (
            ("one.example.com", "one 127.0.0.1"),
            ("two.example.com", "any 127.0.0.1"),
            ("example.org", ""),
        ):
            assert await first_line("127.0.0.1", port, client_hello(name)) == expected


async def test_each_connection_that_is_carried_is_logged_once(tmp_path: Path) -> None:
    """One line says its cluster and server name, and one of what no chain takes that there was none."""
    port, served, log = *free_ports(2), tmp_path / "access.log"
    listener = outbound_tcp_listener(
        "127.0.0.1",
        port,
        [TcpTarget("one", sni=("one.example.com",))],
        None,
        bind_to_port=True,
        settings=ListenerSettings(access_log=AccessLog(str(log))),
    )
    clusters = [static_cluster("one", "127.0.0.1", served)]
    async with (
        tcp_server("one", "127.0.0.1", served),
        Envoy(static_bootstrap([listener], clusters), tmp_path) as envoy,
    ):
        for name in ("one.example.com", "example.org"):
            await first_line("127.0.0.1", port, client_hello(name))
        # An Envoy that ends, and is not made to, has written all that it logged.
        assert await envoy.program.stop(grace=120) == 0
    lines = log.read_text().splitlines()
    assert len(lines) == 2
    assert any(" one " in line and " one.example.com " in line for line in lines)
    assert any(" NR filter_chain_not_found " in line for line in lines)


async def test_programs_may_call_through_a_unix_socket(tmp_path: Path) -> None:
    """An egress listener may be a Unix socket, which needs no port."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="uds-") as folder:  # a socket's path must be short
        bind = f"unix://{folder}/egress.sock"
        listener = outbound_http_listener(bind, 0, bind, bind_to_port=True)
        bootstrap = static_bootstrap(
            [with_routes(listener, routes(bind, REVIEWS, "reviews"))],
            [static_cluster(REVIEWS, "127.0.0.1", port)],
        )
        async with (
            http_server("reviews", "127.0.0.1", port),
            Envoy(bootstrap, tmp_path),
            aiohttp.ClientSession(connector=aiohttp.UnixConnector(bind.removeprefix("unix://"))) as session,
            session.get("http://reviews/") as response,
        ):
            assert await response.text() == "reviews\nreviews\n/"


async def test_both_versions_of_http_are_spoken_beside_anything_else(tmp_path: Path) -> None:
    """A port that lets strangers through still recognizes HTTP/2 without TLS, as gRPC speaks it."""
    port = free_port()
    listener = outbound_http_listener(
        "127.0.0.1", port, "9080", bind_to_port=True, fallthrough=BLACK_HOLE_CLUSTER
    )
    bootstrap = static_bootstrap(
        [with_routes(listener, routes("9080", BLACK_HOLE_CLUSTER, "*"))], [black_hole_cluster()]
    )
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
    async with Envoy(bootstrap, tmp_path) as envoy:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(preface)
        frame = await asyncio.wait_for(reader.readexactly(9), 60)
        assert frame[3] == 4  # SETTINGS, the first frame of a server
        writer.close()
        assert await envoy.stat(f"http.outbound_127.0.0.1_{port};.downstream_cx_http2_total") == 1
        assert await first_line("127.0.0.1", port, b"\x00binary\n") == ""


async def test_a_changed_target_leaves_other_connections_alone(tmp_path: Path) -> None:
    """Adding and removing targets replaces only their chains: an open connection of another one goes on."""
    port, first_port, second_port = free_ports(3)
    first, second = TcpTarget("first", ("127.0.0.1",)), TcpTarget("second", ("127.0.0.2",))
    file = tmp_path / "listeners.json"

    def tell(*targets: TcpTarget) -> None:
        listener = outbound_tcp_listener("0.0.0.0", port, targets, BLACK_HOLE_CLUSTER, bind_to_port=True)
        write_listeners(file, [listener])

    tell(first)
    bootstrap = static_bootstrap(
        clusters=[
            static_cluster("first", "127.0.0.1", first_port),
            static_cluster("second", "127.0.0.1", second_port),
            black_hole_cluster(),
        ]
    )
    async with (
        tcp_server("one", "127.0.0.1", first_port),
        tcp_server("two", "127.0.0.1", second_port),
        Envoy(watch_listeners(bootstrap, file), tmp_path) as envoy,
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await reader.readline() == b"one 127.0.0.1\n"
        assert await first_line("127.0.0.2", port) == ""
        tell(second, first)
        await eventually(lambda: _reaches("127.0.0.2", port, "two"))
        tell(first)
        await eventually(lambda: _reaches("127.0.0.2", port, ""))
        writer.write(b"still here\n")
        assert await reader.readline() == b"still here\n"
        writer.close()
        assert await envoy.stat("listener_manager.listener_in_place_updated") == 2


async def _reaches(address: str, port: int, name: str) -> bool:
    return (await first_line(address, port)).partition(" ")[0] == name
