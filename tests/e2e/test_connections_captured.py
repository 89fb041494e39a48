"""Connections of a program whose traffic the kernel redirects go where tcp and tls rules say, unread."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.test_machines_captured import World, thing, world
from tests.e2e.test_machines_captured import who as asked
from tests.lab.echo import first_line, http_server, tcp_server
from tests.lab.eventually import eventually
from tests.lab.hello import client_hello

pytestmark = pytest.mark.e2e

DB = "10.96.0.20"
ANYWHERE = "10.96.0.99"  # nobody's address; services without one are told apart by port and server name
SERVERS = {"v1": 5001, "v2": 5002, "tls-a": 5003, "tls-b": 5004, "tls-wild": 5005, "web": 5006}


def service(name: str, host: str, port: Mapping[str, Any], *servers: str, **more: Any) -> dict[str, Any]:
    """A service of some servers of the machine outside, each a version of its own."""
    endpoints = [
        {"address": "10.201.0.2", "ports": {port["name"]: SERVERS[each]}, "labels": {"version": each}}
        for each in servers
    ]
    spec = {"hosts": [host], "ports": [dict(port)], "resolution": "STATIC", "endpoints": endpoints, **more}
    return thing("ServiceEntry", name, spec)


SERVICES = [
    service(
        "db", "db.example.com", {"number": 5432, "name": "tcp", "protocol": "TCP"}, "v1", "v2", addresses=[DB]
    ),
    service(
        "range",
        "range.example.com",
        {"number": 27017, "name": "mongo", "protocol": "MONGO"},
        "v2",
        addresses=["10.97.0.0/16"],
    ),
    *(
        service(name, host, {"number": 443, "name": "tls", "protocol": "TLS"}, name)
        for name, host in {
            "tls-a": "a.example.com",
            "tls-b": "b.example.com",
            "tls-wild": "*.wild.example.com",
        }.items()
    ),
    thing(
        "DestinationRule",
        "db",
        {
            "host": "db.example.com",
            "subsets": [{"name": name, "labels": {"version": name}} for name in ("v1", "v2")],
        },
    ),
]


def rules(host: str, section: str, *listed: dict[str, Any]) -> dict[str, Any]:
    return thing("VirtualService", host.partition(".")[0], {"hosts": [host], section: list(listed)})


def to(*shares: tuple[str, int], **match: Any) -> dict[str, Any]:
    """A rule to hosts, or subsets of the database, by weight."""
    route = [
        {
            "destination": {"host": "db.example.com", "subset": name, "port": {"number": 5432}},
            "weight": weight,
        }
        if name in ("v1", "v2")
        else {"destination": {"host": name, "port": {"number": 443}}, "weight": weight}
        for name, weight in shares
    ]
    return {"route": route, **({"match": [match]} if match else {})}


@asynccontextmanager
async def connected(folder: Path) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        mesh = await stack.enter_async_context(world(folder, "v1"))
        with mesh.outside.entered():
            for name, port in SERVERS.items():
                serve = http_server if name == "web" else tcp_server
                await stack.enter_async_context(serve(name, "0.0.0.0", port))
        await mesh.apply(*SERVICES)
        yield mesh


async def who(address: str, port: int, name: str = "") -> str:
    """Which server answers a connection, perhaps one that asks for a TLS server by name."""
    line = await first_line(address, port, client_hello(name) if name else b"")
    return line.partition(" ")[0]


async def counted(address: str, port: int, calls: int = 30) -> Counter[str]:
    return Counter([await who(address, port) for _ in range(calls)])


async def answers(expected: set[str], address: str, port: int) -> bool:
    return set(await counted(address, port, 12)) == expected


async def test_opaque_connections_go_where_tcp_rules_say(tmp_path: Path) -> None:
    """By source, label and weight, the first match first; what no rule takes goes to the service itself."""
    async with connected(tmp_path) as mesh:
        await eventually(lambda: answers({"v1", "v2"}, DB, 5432))
        for rule, expected in (
            ([to(("v2", 1))], {"v2"}),
            ([to(("v1", 1), sourceSubnet=mesh.inside.address), to(("v2", 1))], {"v1"}),
            ([to(("v1", 1), sourceSubnet="172.16.0.0/12"), to(("v2", 1))], {"v2"}),
            ([to(("v2", 1), sourceSubnet="10.0.0.0/8"), to(("v1", 1), sourceSubnet="10.201.0.0/24")], {"v2"}),
            ([to(("v1", 1), sourceLabels={"app": "shop"}), to(("v2", 1))], {"v1"}),
            ([to(("v1", 1), sourceLabels={"app": "other"}), to(("v2", 1))], {"v2"}),
            ([to(("v1", 1), sourceLabels={"app": "other"})], {"v1", "v2"}),
            ([to(("v1", 1), port=5432, gateways=["mesh"], destinationSubnets=["10.96.0.0/16"])], {"v1"}),
            ([to(("v1", 0), ("v2", 100))], {"v2"}),
        ):
            await mesh.apply(rules("db.example.com", "tcp", *rule))
            await eventually(partial(answers, expected, DB, 5432), f"{rule}")
        await mesh.apply(rules("db.example.com", "tcp", to(("v1", 80), ("v2", 20))))
        await eventually(lambda: answers({"v1", "v2"}, DB, 5432))
        shares = await counted(DB, 5432, 200)
        assert 120 <= shares["v1"] <= 190, shares
        await mesh.daemon.xdsctl("delete", "virtualservice", "db")
        await eventually(lambda: answers({"v1", "v2"}, DB, 5432))


async def test_addresses_of_a_range_are_told_apart(tmp_path: Path) -> None:
    """A wide range that comes first keeps what a narrower one asks for; the rest is the service's own."""
    narrow, wide = {"destinationSubnets": ["10.97.4.0/24"]}, {"destinationSubnets": ["10.97.0.0/20"]}
    a = ("a.example.com", 1)
    async with connected(tmp_path) as mesh:
        await eventually(lambda: answers({"v2"}, "10.97.4.1", 27017))
        await mesh.apply(rules("range.example.com", "tcp", to(("v1", 1), **narrow), to(a, **wide)))
        await eventually(lambda: answers({"v1"}, "10.97.4.1", 27017))
        assert await who("10.97.5.1", 27017) == "tls-a"
        assert await who("10.97.99.1", 27017) == "v2"
        await mesh.apply(rules("range.example.com", "tcp", to(a, **wide), to(("v1", 1), **narrow)))
        await eventually(lambda: answers({"tls-a"}, "10.97.4.1", 27017))
        assert await who("10.97.99.1", 27017) == "v2"


async def test_tls_goes_where_its_server_name_says(tmp_path: Path) -> None:
    """Without being opened: by exact name or wildcard, in the order of rules; other names go to their own service."""
    b = ("b.example.com", 1)
    async with connected(tmp_path) as mesh:
        await eventually(lambda: _named({"a.example.com": "tls-a", "b.example.com": "tls-b"}))
        assert await who(ANYWHERE, 443, "x.wild.example.com") == "tls-wild"
        assert await who(ANYWHERE, 443, "nobody.example.org") == ""
        await mesh.apply(
            rules("a.example.com", "tls", to(b, sniHosts=["a.example.com"], port=443)),
            rules("*.wild.example.com", "tls", to(b, sniHosts=["x.wild.example.com"]))
            | {"metadata": {"name": "wild"}},
        )
        await eventually(lambda: _named({"a.example.com": "tls-b", "x.wild.example.com": "tls-b"}))
        assert await who(ANYWHERE, 443, "y.wild.example.com") == "tls-wild"
        assert await who(ANYWHERE, 443, "A.Example.Com") == "tls-b"
        only = {"sniHosts": ["a.example.com"], "destinationSubnets": ["10.96.0.0/24"]}
        await mesh.apply(rules("a.example.com", "tls", to(b, **only)))
        await eventually(lambda: _named({"a.example.com": "tls-b"}))
        assert await who("10.98.0.1", 443, "a.example.com") == "tls-a"
        assert await who(ANYWHERE, 443, "b.example.com") == "tls-b", "a rule's subnet hides no other service"


async def test_undeclared_protocols_are_found_out(tmp_path: Path) -> None:
    """What speaks HTTP is routed by its requests, on both sides; anything else is carried unread to the same service."""
    own, port = "10.96.0.30", {"number": 9000, "name": "any"}
    async with connected(tmp_path) as mesh:
        await mesh.apply(
            service("any", "any.example.com", port, "tls-a", addresses=[own]),
            service("plain", "plain.example.com", {**port, "number": 9001}, "web"),
            service("more", "more.example.com", {**port, "number": 9002}, "tls-b"),
            thing(
                "VirtualService",
                "any",
                {
                    "hosts": ["any.example.com", "more.example.com"],
                    "http": [
                        {
                            "match": [{"uri": {"prefix": "/web"}}],
                            "route": [{"destination": {"host": "plain.example.com"}}],
                        },
                        {"directResponse": {"status": 418}},
                    ],
                },
            ),
        )

        async def found_out() -> None:
            assert await asked(f"http://{own}:9000/web", "whatever") == "web"
            assert await asked(f"http://{own}:9000/", "whatever") == "418"
            assert (await first_line(own, 9000, b"raw\n")).startswith("tls-a ")
            assert await asked(f"http://{ANYWHERE}:9001/", "plain.example.com") == "web"
            assert await asked(f"http://{ANYWHERE}:9002/web", "more.example.com:9002") == "web"
            assert (await first_line(ANYWHERE, 9002, b"raw\n")).startswith("tls-b ")
            assert (await first_line(ANYWHERE, 9002, client_hello("a.b"))).startswith("tls-b ")
            assert await who(DB, 5432) in {"v1", "v2"}, "a server that speaks first beside undeclared ports"

        await eventually(found_out, "every port is there")
        with mesh.outside.entered():
            inbound = await mesh.proxies["reviews"].stats("inbound.*(rq|cx)_total")
        assert inbound["cluster.inbound|5006||;.upstream_rq_total"] >= 3
        assert inbound["cluster.inbound|5003||;.upstream_cx_total"] >= 1


async def _named(expected: Mapping[str, str]) -> bool:
    return {name: await who(ANYWHERE, 443, name) for name in expected} == expected
