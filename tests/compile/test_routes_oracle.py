"""Random rules and requests: a real Envoy takes the rule that the published API says, told in a page of
Python.

Small alphabets make hits as likely as misses. All rule sets are virtual hosts of one Envoy that answers with
the number of the rule it took.
"""

import asyncio
import random
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from envoy.config.bootstrap.v3.bootstrap_pb2 import Bootstrap
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
)
from google.protobuf.json_format import MessageToDict
from yarl import URL

from tests.compile.routing import routes_of
from tests.lab.envoy import Envoy
from tests.lab.ports import free_port
from xdsd.compile.http_filters import http_filters
from xdsd.compile.virtual_hosts import encoded, route_configuration, virtual_host

pytestmark = pytest.mark.e2e

RULE_SETS = 180
REQUESTS = 12
TAKEN = 210
"""The status of the first rule; that of the next is one more."""

Match = dict[str, Any]


@dataclass(frozen=True)
class Request:
    """What is asked; the query is a list of ``name=value`` or ``name``."""

    method: str
    path: str
    query: tuple[tuple[str, str | None], ...]
    headers: tuple[tuple[str, str], ...]

    @property
    def target(self) -> str:
        parts = [name if value is None else f"{name}={value}" for name, value in self.query]
        return self.path + ("?" + "&".join(parts) if parts else "")


def holds(pattern: Match, value: str | None, *, fold: bool = False) -> bool:
    """True if a value matches; ``fold`` forgets case, but not for expressions."""
    if value is None:
        return False
    if "regex" in pattern:
        return re.fullmatch(pattern["regex"], value) is not None
    if fold:
        pattern, value = {key: text.lower() for key, text in pattern.items()}, value.lower()
    if "exact" in pattern:
        return bool(value == pattern["exact"])
    return value.startswith(pattern.get("prefix", ""))


def takes(match: Match, request: Request, host: str) -> bool:
    """True if all conditions of a match hold for a request."""
    headers, query = dict(request.headers), {name: value or "" for name, value in request.query}
    return (
        holds(match.get("uri", {}), request.path, fold=match.get("ignoreUriCase", False))
        and holds(match.get("method", {}), request.method)
        and holds(match.get("authority", {}), host)
        and holds(match.get("scheme", {}), "http")
        and all(holds(pattern, headers.get(name)) for name, pattern in match.get("headers", {}).items())
        and not any(
            holds(pattern, headers.get(name)) for name, pattern in match.get("withoutHeaders", {}).items()
        )
        and all(holds(pattern, query.get(name)) for name, pattern in match.get("queryParams", {}).items())
    )


def expected(rules: list[dict[str, Any]], request: Request, host: str) -> int:
    """The status of the first rule with a match that takes the request, else 404."""
    for index, rule in enumerate(rules):
        if not rule["match"] or any(takes(match, request, host) for match in rule["match"]):
            return TAKEN + index
    return 404


class Maker:
    """Makes rules and requests out of a seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def text(self, start: str = "") -> str:
        return start + "".join(self._random.choices("aAb/", k=self._random.randint(0, 3)))

    def value(self) -> str:
        return "".join(self._random.choices("abA", k=self._random.randint(1, 2)))

    def pattern(self, text: str) -> Match:
        regex = self._random.choice([re.escape(text), "[ab]+", ".*", ".+", "(?i)a.?", "a|ab", text + ".?"])
        return self._random.choice([{"exact": text}, {"prefix": text}, {"regex": regex}])

    def uri(self) -> Match:
        text = self.text("/")
        regex = self._random.choice(["/.*", text, text + "+", "/[ab]*", "(?i)/a.*"])
        return self._random.choice([{"exact": text}, {"prefix": text}, {"regex": regex}])

    def named(self, names: str) -> dict[str, Match]:
        chosen = self._random.sample(names, k=self._random.randint(1, 2))
        return {name: self._random.choice([{}, self.pattern(self.value())]) for name in chosen}

    def match(self, host: str) -> Match:
        conditions: dict[str, Any] = {
            "uri": self.uri(),
            "method": self._random.choice([{"exact": "GET"}, {"regex": "PUT|POST"}, {"prefix": "P"}]),
            "authority": self._random.choice([{"exact": host}, {"prefix": "h"}, {"exact": "nobody"}]),
            "scheme": {"exact": self._random.choice(["http", "https"])},
            "headers": self.named("xyz"),
            "withoutHeaders": {
                name: pattern
                for name, pattern in self.named("xyz").items()
                if not holds(pattern, "") or not pattern
            },
            "queryParams": self.named("pq"),
        }
        weights = [5, 2, 1, 1, 4, 3, 3]
        chosen = self._random.choices(list(conditions), weights, k=self._random.randint(1, 3))
        match = {name: conditions[name] for name in chosen}
        return match | {"ignoreUriCase": self._random.random() < 0.3}

    def rules(self, host: str) -> list[dict[str, Any]]:
        return [
            {
                "match": [self.match(host) for _ in range(self._random.randint(1, 3))],
                "directResponse": {"status": TAKEN + index},
            }
            for index in range(self._random.randint(1, 4))
        ]

    def request(self) -> Request:
        query = [
            (name, self._random.choice([None, "", self.value()]))
            for name in "pq"
            if self._random.random() < 0.5
        ]
        headers = [(name, self.value()) for name in "xyz" if self._random.random() < 0.5]
        method = self._random.choice(["GET", "PUT", "POST"])
        return Request(method, self.text("/"), tuple(query), tuple(headers))


def bootstrap(port: int, rule_sets: dict[str, list[dict[str, Any]]]) -> Bootstrap:
    """A static configuration with one virtual host a rule set."""
    manager = HttpConnectionManager(stat_prefix="oracle", http_filters=http_filters())
    hosts = [encoded(virtual_host(host, [host], routes_of(*rules))) for host, rules in rule_sets.items()]
    manager.route_config.CopyFrom(RouteConfiguration.FromString(route_configuration("9080", hosts)))
    out = Bootstrap()
    listener = out.static_resources.listeners.add(name="oracle")
    listener.address.socket_address.address = "127.0.0.1"
    listener.address.socket_address.port_value = port
    filters = listener.filter_chains.add().filters
    filters.add(name="envoy.filters.network.http_connection_manager").typed_config.Pack(manager)
    return out


async def differences(rule_sets: dict[str, list[dict[str, Any]]], maker: Maker, port: int) -> list[str]:
    """Asks random requests of every rule set; says where Envoy and the oracle disagree."""
    found: list[str] = []
    outcomes: set[int] = set()
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=120)) as session:
        for host, rules in rule_sets.items():
            for request in [maker.request() for _ in range(REQUESTS)]:
                url = URL(f"http://127.0.0.1:{port}{request.target}", encoded=True)
                headers = {"Host": host, **dict(request.headers)}
                async with session.request(request.method, url, headers=headers) as response:
                    wanted = expected(rules, request, host)
                    outcomes.add(wanted)
                    if response.status != wanted:
                        found.append(f"{request}: {response.status} instead of {wanted} by {rules}")
    assert outcomes >= {404, TAKEN, TAKEN + 1, TAKEN + 2}, "the requests are too much alike"
    return found


@pytest.mark.parametrize("seed", [1, 2])
async def test_envoy_takes_the_rule_that_the_api_says(tmp_path: Path, seed: int) -> None:
    """For every random request, the first rule of which a match holds answers it, and 404 if there is none."""
    maker, port = Maker(seed), free_port()
    rule_sets = {f"h{index}": maker.rules(f"h{index}") for index in range(RULE_SETS)}
    async with Envoy(MessageToDict(bootstrap(port, rule_sets)), tmp_path, log_level="warning"):
        async with asyncio.timeout(600):
            assert await differences(rule_sets, maker, port) == []
