"""Random rules of tcp and tls in a real Envoy, beside a plain reading of what the API says: the first that matches is taken.

Loopback has sixteen million addresses, so connections go to any and come from any, without redirection or root.
"""

import asyncio
import random
from contextlib import AsyncExitStack
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest

from tests.lab.echo import tcp_server
from tests.lab.envoy import Envoy
from tests.lab.hello import client_hello
from tests.lab.ports import free_ports
from tests.lab.static import static_bootstrap, static_cluster
from xdsd.compile.listeners import outbound_tcp_listener
from xdsd.compile.matches import MESH, Source
from xdsd.compile.tcp_proxies import DEFAULT_OPTIONS, TcpOptions
from xdsd.compile.tcp_routes import rule_targets, tcp_rules, tls_rules
from xdsd.compile.tcp_targets import TcpTarget
from xdsd.model.intent import Destination, VirtualService
from xdsd.model.problem import ObjectRef

pytestmark = pytest.mark.e2e

SETS, CALLS = 60, 40
SERVERS = ("a", "b", "c", "d", "home", "rest")
RANGES = ("127.0.0.0/8", "127.1.0.0/16", "127.1.1.0/24", "127.1.1.1/32", "127.2.0.0/15", "127.3.3.3")
ADDRESSES = ("127.0.0.1", "127.1.0.1", "127.1.1.1", "127.1.1.2", "127.2.0.1", "127.3.3.3")
NAMES = ("x.com", "*.com", "y.x.com", "*.x.com", "z.org", "*.y.x.com")
ASKED = ("x.com", "y.x.com", "z.y.x.com", "z.org", "a.com", "org")
OWNER = ObjectRef("VirtualService", "default", "v")
CLIENT = Source(frozenset({MESH}), "default", {}, 443)
HELLO = {name: client_hello(name) for name in ASKED}


@dataclass(frozen=True, slots=True)
class Connection:
    """Where a connection comes from and goes to, and the server name that it asks for; empty for none."""

    source: str
    address: str
    name: str


class ByName:
    """A cluster for each host, called like it."""

    def cluster(self, destination: Destination, namespace: str, listener_port: int) -> str:
        return destination.host

    def tcp_options(self, destination: Destination, namespace: str, listener_port: int) -> TcpOptions:
        return DEFAULT_OPTIONS


def invented(dice: random.Random) -> dict[str, Any]:
    """The spec of an object whose rules overlap in every way."""
    tls = dice.random() < 0.5

    def match() -> dict[str, Any]:
        found: dict[str, Any] = {"sniHosts": dice.sample(NAMES, dice.randint(1, 2))} if tls else {}
        if dice.random() < 0.6:
            found["destinationSubnets"] = dice.sample(RANGES, dice.randint(1, 2))
        if not tls and dice.random() < 0.6:
            found["sourceSubnet"] = dice.choice(RANGES)
        return found

    rules = [
        {
            "match": [match() for _ in range(dice.randint(1, 2))],
            "route": [{"destination": {"host": dice.choice(SERVERS[:4])}}],
        }
        for _ in range(dice.randint(1, 5))
    ]
    return {"hosts": ["*.com", "*.org"], "tls" if tls else "tcp": rules}


def expected(spec: dict[str, Any], home: TcpTarget, to: Connection) -> str:
    """Who should answer, by the words of the API."""
    for rule in spec["tls" if "tls" in spec else "tcp"]:
        if any(_takes(match, to) for match in rule["match"]):
            return str(rule["route"][0]["destination"]["host"])
    own = {"destinationSubnets": list(home.addresses), "sniHosts": list(home.sni)}
    return home.cluster if _takes({key: value for key, value in own.items() if value}, to) else "rest"


def _takes(match: dict[str, Any], to: Connection) -> bool:
    ranges = match.get("destinationSubnets", ["0.0.0.0/0"])
    return (
        any(ip_address(to.address) in ip_network(each) for each in ranges)
        and ip_address(to.source) in ip_network(match.get("sourceSubnet", "0.0.0.0/0"))
        and ("sniHosts" not in match or any(_is(to.name, each) for each in match["sniHosts"]))
    )


def _is(name: str, pattern: str) -> bool:
    return name.endswith(pattern[1:]) if pattern.startswith("*") else name == pattern


async def answer(port: int, to: Connection) -> str:
    """Who answers."""
    async with asyncio.timeout(60):
        reader, writer = await asyncio.open_connection(to.address, port, local_addr=(to.source, 0))
        try:
            writer.write(HELLO[to.name] if to.name else b"")
            return (await reader.readline()).decode().partition(" ")[0]
        finally:
            writer.close()


async def test_the_first_rule_that_matches_is_taken(tmp_path: Path) -> None:
    """Thousands of connections, each answered by whom a plain reading of the rules names."""
    dice = random.Random(4)
    ports, servers = free_ports(SETS), dict(zip(SERVERS, free_ports(len(SERVERS)), strict=True))
    specs, homes, listeners = [], [], []
    for port in ports:
        spec = invented(dice)
        tls = "tls" in spec
        home = TcpTarget("home", sni=("*.x.com",) if tls and dice.random() < 0.5 else ())
        parsed = VirtualService.model_validate(spec)
        rules = (tls_rules if tls else tcp_rules)(parsed, OWNER, CLIENT)
        targets = rule_targets(rules, home, 443, ByName())
        specs.append(spec)
        homes.append(home)
        listeners.append(outbound_tcp_listener("0.0.0.0", port, targets, "rest", bind_to_port=True))
    clusters = [static_cluster(name, "127.0.0.1", port) for name, port in servers.items()]
    async with AsyncExitStack() as stack:
        for name, port in servers.items():
            await stack.enter_async_context(tcp_server(name, "127.0.0.1", port))
        await stack.enter_async_context(Envoy(static_bootstrap(listeners, clusters), tmp_path))
        wrong = []
        for port, spec, home in zip(ports, specs, homes, strict=True):
            for _ in range(CALLS):
                name = dice.choice(ASKED) if "tls" in spec else ""
                to = Connection(dice.choice(ADDRESSES), dice.choice(ADDRESSES), name)
                got, meant = await answer(port, to), expected(spec, home, to)
                if got != meant:
                    wrong.append((spec, to, got, meant))
        assert wrong == []
