"""How clients reach a gateway: over HTTP/3, and through balancers that say for whom they speak."""

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.e2e.asking import thing
from tests.e2e.edges import EDGE, Edge, edge, gateway_bootstrap, server
from tests.lab.envoy import Envoy
from tests.lab.eventually import eventually
from tests.lab.ports import free_port

pytestmark = pytest.mark.e2e

_TYPES = "type.googleapis.com/envoy.extensions"


def speaks_http3(port: int, to: int, host: str, authority: Path) -> dict[str, Any]:
    """The bootstrap of an Envoy that takes plain HTTP on a port and asks a gateway by HTTP/3."""
    route = {"match": {"prefix": "/"}, "route": {"cluster": "edge", "host_rewrite_literal": host}}
    manager = {
        "@type": f"{_TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "client",
        "route_config": {"virtual_hosts": [{"name": "edge", "domains": ["*"], "routes": [route]}]},
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{_TYPES}.filters.http.router.v3.Router"},
            }
        ],
    }
    filters = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    tls = {
        "sni": host,
        "common_tls_context": {
            "alpn_protocols": ["h3"],
            "validation_context": {"trusted_ca": {"filename": str(authority)}},
        },
    }
    endpoint = {"address": {"socket_address": {"address": EDGE, "port_value": to}}}
    cluster = {
        "name": "edge",
        "type": "STATIC",
        "load_assignment": {
            "cluster_name": "edge",
            "endpoints": [{"lb_endpoints": [{"endpoint": endpoint}]}],
        },
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": f"{_TYPES}.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {"http3_protocol_options": {}},
            }
        },
        "transport_socket": {
            "name": "envoy.transport_sockets.quic",
            "typed_config": {
                "@type": f"{_TYPES}.transport_sockets.quic.v3.QuicUpstreamTransport",
                "upstream_tls_context": tls,
            },
        },
    }
    listener = {
        "name": "client",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [{"filters": filters}],
    }
    return {
        "node": {"id": "client", "cluster": "client"},
        "static_resources": {"listeners": [listener], "clusters": [cluster]},
    }


async def test_a_gateway_speaks_http3_where_it_ends_tls(tmp_path: Path) -> None:
    """Answers over TCP tell of it, on the same port, and requests that come by it get the same answers; a certificate that
    is replaced is shown there too.
    """
    port = free_port()
    async with edge(tmp_path, gateway_http3="on") as gate:
        await gate.secret("shop", gate.authority.issue("shop", "DNS:shop.example.com"))
        await gate.servers(
            server(gate.https, "shop", ["shop.example.com"], mode="SIMPLE", credentialName="shop")
        )

        async def is_told() -> bool:
            status, _, text = await gate.ask("shop.example.com")
            return status == 200 and f'alt-svc: h3=":{gate.https}"; ma=86400' in text

        await eventually(is_told, "answers over TCP tell of HTTP/3")
        bootstrap = speaks_http3(port, gate.https, "shop.example.com", gate.authority.cert)
        async with Envoy(bootstrap, tmp_path, name="client"), aiohttp.ClientSession() as session:

            async def answers() -> bool:
                async with session.get(f"http://127.0.0.1:{port}/by/http3") as response:
                    text = await response.text()
                return text == "shop\nshop.example.com\n/by/http3"

            await eventually(answers, "a request by HTTP/3 is answered")
        stats = await gate.envoy.stats("downstream_cx_http3_total")
        assert sum(stats.values()) >= 1


async def through(gate: Edge, said: str, forwarded: str = "", at: str = EDGE) -> int:
    """The status of a plain request on a connection that begins with these words; 0 if it is closed."""
    async with asyncio.timeout(20):
        reader, writer = await asyncio.open_connection(at, gate.http)
        more = f"x-forwarded-for: {forwarded}\r\n" if forwarded else ""
        try:
            writer.write(f"{said}GET / HTTP/1.1\r\nhost: shop\r\n{more}connection: close\r\n\r\n".encode())
            line = (await reader.read()).decode()
        except ConnectionError:
            return 0
        finally:
            writer.close()
    return int(line.split()[1]) if line else 0


async def topology(gate: Edge, **said: Any) -> None:
    """What the MeshConfig says of all gateways."""
    config = thing("MeshConfig", "default", {"defaultConfig": {"gatewayTopology": said}})
    config["apiVersion"], config["metadata"]["namespace"] = "mesh.xdsd.io/v1", "istio-system"
    await gate.daemon.xdsctl("apply", "-f", "-", text=json.dumps(config))


async def _only_let_in(gate: Edge, address: str) -> None:
    source = {"source": {"remoteIpBlocks": [address]}}
    policy = thing("AuthorizationPolicy", "known", {"action": "ALLOW", "rules": [{"from": [source]}]})
    policy["apiVersion"], policy["metadata"]["namespace"] = "security.istio.io/v1", "edge"
    await gate.daemon.xdsctl("apply", "-f", "-", text=json.dumps(policy))


async def test_balancers_say_for_whom_they_speak(tmp_path: Path) -> None:
    """By the PROXY protocol, without which nobody is let in then, or by as many headers as are believed; policies decide by
    that address.
    """
    async with edge(tmp_path) as gate:
        plain = {"port": {"number": gate.http, "name": "plain", "protocol": "HTTP"}, "hosts": ["*"]}
        await gate.servers(plain)
        await _only_let_in(gate, "203.0.113.7")

        async def answers(said: str, status: int, forwarded: str = "") -> bool:
            return await through(gate, said, forwarded) == status

        await eventually(lambda: answers("", 403, "203.0.113.7"), "a header of anybody is not believed")
        await topology(gate, proxyProtocol={})
        known, other = (f"PROXY TCP4 203.0.113.{end} 192.0.2.1 4000 80\r\n" for end in (7, 8))
        await eventually(lambda: answers(known, 200), "who is behind the balancer is let in")
        assert await through(gate, other) == 403
        assert await through(gate, "") == 0
        await topology(gate, numTrustedProxies=1)
        await eventually(lambda: answers("", 200, "203.0.113.7"), "one proxy is believed")
        assert await through(gate, "", "203.0.113.7, 203.0.113.8") == 403


async def test_each_gateway_says_what_stands_in_front_of_it(tmp_path: Path) -> None:
    """Gateways of one Gateway object believe as many proxies as their bootstraps say, or speak the PROXY protocol; what they
    leave out the MeshConfig says.
    """
    beyond, proxied = "127.0.0.53", "127.0.0.54"
    async with edge(tmp_path) as gate:
        boots = {
            name: await gateway_bootstrap(gate.daemon, name, address, gate.xds, "--proxy-config", said)
            for name, address, said in (
                ("beyond", beyond, "{gatewayTopology: {numTrustedProxies: 2}}"),
                ("proxied", proxied, "{gatewayTopology: {proxyProtocol: {}}}"),
            )
        }
        plain = {"port": {"number": gate.http, "name": "plain", "protocol": "HTTP"}, "hosts": ["*"]}
        await gate.servers(plain)
        await _only_let_in(gate, "203.0.113.7")
        await topology(gate, numTrustedProxies=1)
        near, far = "203.0.113.9, 203.0.113.7", "203.0.113.7, 203.0.113.9"
        async with (
            Envoy(boots["beyond"], tmp_path, name="beyond"),
            Envoy(boots["proxied"], tmp_path, name="proxied"),
        ):

            async def differ() -> None:
                for at, forwarded, expected in (
                    (EDGE, near, 200),
                    (EDGE, far, 403),
                    (beyond, near, 403),
                    (beyond, far, 200),
                    (proxied, near, 0),
                ):
                    assert (at, await through(gate, "", forwarded, at)) == (at, expected)
                through_balancer = "PROXY TCP4 203.0.113.20 192.0.2.1 4000 80\r\n"
                assert await through(gate, through_balancer, near, proxied) == 200

            await eventually(differ, "each believes what stands in front of it")
        told = await gate.daemon.xdsctl("problems")
        assert "No problems found." in told
