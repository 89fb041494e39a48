"""Random rules that delegate, through the whole compiler and a real Envoy, beside a plain reading of what the API says.

A rule of a delegate takes what it and the rule that delegates to it both ask for, if all that it asks for lies within what
that one asks; what nobody takes falls to the next rule. Statuses tell which rule answered.
"""

import asyncio
import random
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from envoy.config.bootstrap.v3.bootstrap_pb2 import Bootstrap
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
)
from google.protobuf.json_format import MessageToDict

from tests.golden.mesh import Mesh, of_type
from tests.lab.envoy import Envoy
from tests.lab.ports import free_port
from xdsd.compile.http_filters import http_filters
from xdsd.manifest import parse_object
from xdsd.manifest.envelope import AnyObject
from xdsd.model.node import Node
from xdsd.snapshot import ROUTE

pytestmark = pytest.mark.e2e

SETS, REQUESTS = 130, 16
EDGE = Node("router~10.0.0.1~edge.default~cluster.local", metadata={"LABELS": {"istio": "edge"}})
PATHS = ("/a", "/a/b", "/a/bc", "/b", "/ab", "/")
VALUES = ("1", "2", "12")

Match = dict[str, Any]
Rule = dict[str, Any]


@dataclass(frozen=True)
class Request:
    """What is asked."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]


def holds(pattern: Match, value: str | None) -> bool:
    """True if a value is there and matches; an empty pattern is for any."""
    if value is None:
        return False
    return value == pattern["exact"] if "exact" in pattern else value.startswith(pattern.get("prefix", ""))


def takes(match: Match, request: Request) -> bool:
    """True if all conditions of a match hold."""
    headers = dict(request.headers)
    return (
        ("uri" not in match or holds(match["uri"], request.path))
        and ("method" not in match or holds(match["method"], request.method))
        and all(holds(pattern, headers.get(name)) for name, pattern in match.get("headers", {}).items())
    )


def lies_within(own: Match, root: Match) -> bool:
    """True if what both of two matches speak of is asked no wider by the first."""

    def narrower(one: Match | None, other: Match | None) -> bool:
        if one is None or other is None or not other:
            return True
        if "exact" in other:
            return one == other
        return bool(one) and next(iter(one.values())).startswith(other["prefix"])

    headers = own.get("headers", {})
    return (
        narrower(own.get("uri"), root.get("uri"))
        and narrower(own.get("method"), root.get("method"))
        and all(narrower(headers[name], root.get("headers", {}).get(name)) for name in headers)
    )


def expected(roots: list[Rule], delegates: dict[str, list[Rule]], request: Request) -> int:
    """The status of whom the request falls to; 404 if to nobody."""
    for root in roots:
        if "delegate" not in root:
            if any(takes(match, request) for match in root.get("match", [{}])):
                return int(root["directResponse"]["status"])
            continue
        for rule in delegates.get(root["delegate"]["name"], []):
            if taken(root.get("match", [{}]), rule.get("match", [{}]), request):
                return int(rule["directResponse"]["status"])
    return 404


def taken(root: list[Match], own: list[Match], request: Request) -> bool:
    """True if a rule of a delegate takes a request, as far as it is handed down."""
    pairs = [[other for other in root if lies_within(match, other)] for match in own]
    if not all(pairs):
        return False
    return any(
        takes(match, request) and takes(other, request)
        for match, others in zip(own, pairs, strict=True)
        for other in others
    )


class Maker:
    """Makes rules and requests out of a seed."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)
        self._status = 210

    def match(self) -> Match:
        found: Match = {}
        if self._dice.random() < 0.7:
            found["uri"] = {self._dice.choice(["exact", "prefix"]): self._dice.choice(PATHS)}
        if self._dice.random() < 0.3:
            found["method"] = {"exact": self._dice.choice(["GET", "PUT"])}
        if self._dice.random() < 0.5 or not found:
            pattern = self._dice.choice([{}, {"exact": "1"}, {"prefix": "1"}, {"exact": "12"}])
            found["headers"] = {self._dice.choice("xy"): pattern}
        return found

    def rule(self) -> Rule:
        made = self._matched()
        self._status = 210 + (self._status - 209) % 80
        return {**made, "directResponse": {"status": self._status}}

    def root(self, names: list[str]) -> Rule:
        if self._dice.random() < 0.6:
            return {**self._matched(), "delegate": {"name": self._dice.choice(names)}}
        return self.rule()

    def many(self, most: int, make: Any) -> list[Any]:
        return [make() for _ in range(self._dice.randint(1, most))]

    def request(self) -> Request:
        headers = [(name, self._dice.choice(VALUES)) for name in "xy" if self._dice.random() < 0.6]
        return Request(self._dice.choice(["GET", "PUT"]), self._dice.choice(PATHS), tuple(headers))

    def _matched(self) -> Rule:
        return {"match": self.many(2, self.match)} if self._dice.random() < 0.9 else {}


def thing(kind: str, name: str, spec: dict[str, Any]) -> AnyObject:
    meta = {"name": name, "namespace": "default"}
    version = "networking.istio.io/v1"
    made = parse_object({"apiVersion": version, "kind": kind, "metadata": meta, "spec": spec})
    assert not isinstance(made, list), made
    return made


def routes(specs: dict[str, dict[str, Any]]) -> Any:
    """The routes of a gateway that serves these VirtualServices (a generated message)."""
    server = {"port": {"number": 8080, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}
    mesh = Mesh()
    mesh.put([thing("Gateway", "edge", {"selector": {"istio": "edge"}, "servers": [server]})])
    mesh.put([thing("VirtualService", name, spec) for name, spec in specs.items()])
    mesh.attach("edge", EDGE)
    (found,) = of_type(mesh.settle().resources["edge"], ROUTE)
    return found


def bootstrap(port: int, table: Any) -> Bootstrap:
    manager = HttpConnectionManager(stat_prefix="oracle", http_filters=http_filters(), route_config=table)
    out = Bootstrap()
    listener = out.static_resources.listeners.add(name="oracle")
    listener.address.socket_address.address = "127.0.0.1"
    listener.address.socket_address.port_value = port
    filters = listener.filter_chains.add().filters
    filters.add(name="envoy.filters.network.http_connection_manager").typed_config.Pack(manager)
    return out


async def test_delegates_take_what_is_handed_to_them(tmp_path: Path) -> None:
    """Two thousand requests, each answered by the rule that a plain reading names, 404 included."""
    maker, port = Maker(5), free_port()
    specs: dict[str, dict[str, Any]] = {}
    cases = []
    for number in range(SETS):
        names = [f"d{number}-{letter}" for letter in "ab"]
        delegates = {name: maker.many(3, maker.rule) for name in names}
        roots = [maker.root([*names, f"d{number}-none"]) for _ in range(3)]
        host = f"h{number}.example.com"
        specs |= {name: {"http": rules} for name, rules in delegates.items()}
        specs[f"r{number}"] = {"hosts": [host], "gateways": ["edge"], "http": roots}
        cases.append((host, roots, delegates))
    wrong, by = [], Counter[str]()
    async with (
        Envoy(MessageToDict(bootstrap(port, routes(specs))), tmp_path, log_level="warning"),
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=120)) as session,
        asyncio.timeout(600),
    ):
        for host, roots, delegates in cases:
            own = {rule["directResponse"]["status"] for rules in delegates.values() for rule in rules}
            for request in [maker.request() for _ in range(REQUESTS)]:
                meant = expected(roots, delegates, request)
                headers = {"host": host, **dict(request.headers)}
                url = f"http://127.0.0.1:{port}{request.path}"
                async with session.request(request.method, url, headers=headers) as response:
                    got = response.status
                by["delegate" if meant in own else "nobody" if meant == 404 else "root"] += 1
                if got != meant:
                    wrong.append((request, roots, delegates, meant, got))
    assert wrong == []
    assert by.total() >= 2000
    assert min(by[each] for each in ("delegate", "nobody", "root")) > 200
