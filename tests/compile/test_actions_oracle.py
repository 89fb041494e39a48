"""Random actions and requests: what reaches the upstream, or the caller, is what the published API says, told in a page of
Python.

All rule sets are virtual hosts of one Envoy before one upstream that answers with what reached it.
"""

import asyncio
import json
import random
import re
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from envoy.config.bootstrap.v3.bootstrap_pb2 import Bootstrap
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
)
from google.protobuf.json_format import MessageToDict
from yarl import URL

from tests.compile.routing import routes_of, to
from tests.lab.echo import ended
from tests.lab.envoy import Envoy
from tests.lab.ports import free_ports
from tests.lab.static import static_cluster
from xdsd.compile.http_filters import http_filters
from xdsd.compile.virtual_hosts import encoded, route_configuration, virtual_host

pytestmark = pytest.mark.e2e

RULE_SETS = 150
REQUESTS = 8
UPSTREAM = "outbound|9080||reviews.default"
OURS = ("x-a", "x-b", "x-c", "x-d")
"""Request headers that rules of a request edit: two at the rule, two at the destination."""
ANSWERED = ("x-r", "x-s", "x-t", "x-u")
"""Headers that the upstream answers with, and that rules edit likewise."""

Rule = dict[str, Any]


@dataclass(frozen=True)
class Request:
    """What is asked."""

    path: str
    query: str
    headers: tuple[tuple[str, str], ...]

    @property
    def target(self) -> str:
        return f"{self.path}?{self.query}" if self.query else self.path


@dataclass
class Seen:
    """What comes of a request: at the upstream ``target``, ``host`` and ``headers``; at the caller ``status``, ``location``
    and ``answered``.
    """

    status: int = 200
    location: str = ""
    target: str = ""
    host: str = ""
    headers: dict[str, list[str]] = field(default_factory=dict)
    answered: dict[str, list[str]] = field(default_factory=dict)


def expected(rule: Rule, request: Request, host: str) -> Seen:
    """What the API says of a rule and a request that it takes."""
    if "redirect" in rule:
        return _redirected(rule["redirect"], request, host)
    path, rewrite = request.path, rule.get("rewrite", {})
    if "uriRegexRewrite" in rewrite:
        change = rewrite["uriRegexRewrite"]
        path = re.sub(change["match"], change["rewrite"], path)
    elif "uri" in rewrite:
        path = _rewritten(rule.get("match", [{}])[0].get("uri", {"prefix": "/"}), rewrite["uri"], path)
    destination = rule["route"][0].get("headers", {})
    asked = {name: [value] for name, value in request.headers}
    answered = {name: ["upstream"] for name in ANSWERED}
    for edits in (rule.get("headers", {}), destination):
        _edit(asked, edits.get("request", {}))
        _edit(answered, edits.get("response", {}))
    target = f"{path}?{request.query}" if request.query else path
    return Seen(200, "", target, rewrite.get("authority", host), asked, answered)


def _redirected(redirect: Mapping[str, Any], request: Request, host: str) -> Seen:
    authority = redirect.get("authority", host)
    if "port" in redirect:
        authority += f":{redirect['port']}"
    path = redirect.get("uri", request.path)
    query = f"?{request.query}" if request.query else ""
    location = f"{redirect.get('scheme', 'http')}://{authority}{path}{query}"
    return Seen(redirect.get("redirectCode", 301), location)


def _rewritten(matched: Mapping[str, str], uri: str, path: str) -> str:
    """A prefix that was matched is replaced, and otherwise the whole path."""
    return uri + path[len(matched["prefix"]) :] if "prefix" in matched else uri


def _edit(headers: dict[str, list[str]], edits: Mapping[str, Any]) -> None:
    for name in edits.get("remove", ()):
        headers.pop(name, None)
    for name, value in edits.get("set", {}).items():
        headers[name] = [value]
    for name, value in edits.get("add", {}).items():
        headers.setdefault(name, []).append(value)


class Maker:
    """Makes rules and requests that they take out of a seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def rule(self) -> Rule:
        matched = self._random.choice([None, {"prefix": "/a"}, {"exact": "/a/b"}, {"regex": "/a.*"}])
        rule: Rule = {"match": [{"uri": matched}]} if matched else {}
        if self._random.random() < 0.35:
            return rule | {"redirect": self._redirect()}
        rule = to(**rule)
        rule["route"][0]["headers"] = self._headers(OURS[2:], ANSWERED[2:])
        rule["headers"] = self._headers(OURS[:2], ANSWERED[:2])
        if self._random.random() < 0.7:
            rule["rewrite"] = self._rewrite(matched)
        return rule

    def request(self, rule: Rule) -> Request:
        exact = rule.get("match", [{}])[0].get("uri", {}).get("exact")
        tail = "".join(self._random.choices(["b", "/c", "1"], k=self._random.randint(0, 3)))
        query = self._random.choice(["", "q=1", "q=%2F&r"])
        headers = [(name, "caller") for name in OURS if self._random.random() < 0.6]
        return Request(exact or f"/a{tail}", query, tuple(headers))

    def _redirect(self) -> Rule:
        choices = {
            "uri": self._random.choice(["/moved", "/"]),
            "authority": "other.example.com",
            "scheme": "https",
            "port": self._random.choice([81, 8443]),
            "redirectCode": self._random.choice([301, 302, 303, 307, 308]),
        }
        chosen = self._random.sample(list(choices), k=self._random.randint(1, 4))
        if set(chosen) <= {"redirectCode"}:
            chosen.append("uri")
        return {name: choices[name] for name in chosen}

    def _rewrite(self, matched: Mapping[str, str] | None) -> Rule:
        uri = self._random.choice(["/", "/x", "/x/"])
        if matched is None and uri == "/x":
            uri = "/x/"  # what is left of a path behind its first slash begins without one
        regex = {"match": "/([a-c])", "rewrite": r"/\1\1"}
        choices: list[Rule] = [{"uri": uri}, {"uriRegexRewrite": regex}, {}]
        made = self._random.choice(choices)
        return made | ({"authority": "inner.example.com"} if not made or self._random.random() < 0.5 else {})

    def _headers(self, asked: tuple[str, ...], answered: tuple[str, ...]) -> Rule:
        found = {"request": self._edits(asked), "response": self._edits(answered)}
        return {name: edits for name, edits in found.items() if edits}

    def _edits(self, names: tuple[str, ...]) -> Rule:
        edits: Rule = {}
        for name in names:
            match self._random.choice(["set", "add", "remove", ""]):
                case "remove":
                    edits.setdefault("remove", []).append(name)
                case "":
                    continue
                case kind:
                    edits.setdefault(kind, {})[name] = f"{kind} by rule"
        return edits


@asynccontextmanager
async def upstream(port: int) -> AsyncIterator[None]:
    """Answers with what reached it, and some headers."""

    async def answer(request: web.Request) -> web.Response:
        headers = {name: request.headers.getall(name) for name in OURS if name in request.headers}
        body = {"target": request.raw_path, "host": request.host, "headers": headers}
        return web.json_response(body, headers=dict.fromkeys(ANSWERED, "upstream"))

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield
    finally:
        await ended(runner)


def bootstrap(port: int, behind: int, rules: Mapping[str, Rule]) -> Bootstrap:
    """One virtual host a rule."""
    manager = HttpConnectionManager(stat_prefix="oracle", http_filters=http_filters())
    hosts = [encoded(virtual_host(host, [host], routes_of(rule))) for host, rule in rules.items()]
    manager.route_config.CopyFrom(RouteConfiguration.FromString(route_configuration("9080", hosts)))
    out = Bootstrap()
    out.static_resources.clusters.append(static_cluster(UPSTREAM, "127.0.0.1", behind))
    listener = out.static_resources.listeners.add(name="oracle")
    listener.address.socket_address.address = "127.0.0.1"
    listener.address.socket_address.port_value = port
    filters = listener.filter_chains.add().filters
    filters.add(name="envoy.filters.network.http_connection_manager").typed_config.Pack(manager)
    return out


async def ask(session: aiohttp.ClientSession, port: int, host: str, request: Request) -> Seen:
    """What really comes of it."""
    url = URL(f"http://127.0.0.1:{port}{request.target}", encoded=True)
    headers = {"Host": host, **dict(request.headers)}
    async with session.get(url, headers=headers, allow_redirects=False) as response:
        if "location" in response.headers:
            return Seen(response.status, response.headers["location"])
        reached = json.loads(await response.text())
        answered = {name: response.headers.getall(name) for name in ANSWERED if name in response.headers}
        return Seen(response.status, "", reached["target"], reached["host"], reached["headers"], answered)


@pytest.mark.parametrize("seed", [1, 2])
async def test_envoy_does_what_the_api_says(tmp_path: Path, seed: int) -> None:
    """For every random request, redirects, rewrites and edits of headers on both levels come out as they are told."""
    maker, (port, behind) = Maker(seed), free_ports(2)
    rules = {f"h{index}": maker.rule() for index in range(RULE_SETS)}
    found: list[str] = []
    kinds: Counter[str] = Counter()
    async with (
        upstream(behind),
        Envoy(MessageToDict(bootstrap(port, behind, rules)), tmp_path, log_level="warning"),
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=120)) as session,
        asyncio.timeout(600),
    ):
        for host, rule in rules.items():
            kinds.update(rule.keys())
            for request in [maker.request(rule) for _ in range(REQUESTS)]:
                wanted, seen = expected(rule, request, host), await ask(session, port, host, request)
                if wanted != seen:
                    found.append(f"{request} by {rule}:\n  wanted {wanted}\n  seen   {seen}")
    assert found == []
    assert min(kinds[kind] for kind in ("redirect", "rewrite", "headers", "match")) > RULE_SETS / 10
