"""Limits by who asks, in a real Envoy that proves it: by a certificate, and by a token.

The filter that reads tokens is put in by hand, as an EnvoyFilter may; where it leaves what it read, the descriptor looks.
"""

import base64
import hashlib
import hmac
import json
import ssl
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from envoy.config.core.v3.base_pb2 import TrafficDirection
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.filters.http.jwt_authn.v3.config_pb2 import JwtAuthentication
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
    HttpFilter,
)
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import DownstreamTlsContext

from tests.compile.limits.test_terms import limited
from tests.lab.certificates import Authority, Pair
from tests.lab.envoy import Envoy
from tests.lab.ports import free_ports
from tests.lab.static import static_bootstrap
from xdsd.compile import http_connection_managers as managers
from xdsd.compile.limits.actions import JWT_FILTER, JWT_PAYLOAD
from xdsd.compile.limits.limiting import filter_config, heads, limiting
from xdsd.compile.limits.terms import Side
from xdsd.compile.listener_settings import ListenerSettings

pytestmark = pytest.mark.e2e

KEY = b"a key for tests alone, of 32 bytes and some"
ONCE = {"requests": 1, "unit": "HOUR"}
SHOP = "spiffe://cluster.local/ns/shop/sa/"


def listener(port: int, descriptors: list[dict[str, Any]], authority: Authority, own: Pair) -> Listener:
    """A listener of a gateway that limits by these descriptors, with TLS in front and a reader of tokens."""
    objects = [limited("a", {"local": [{"descriptors": descriptors, "limit": ONCE}]})]
    found = heads(objects, Side.GATEWAY, external=False)
    routes = RouteConfiguration(name="r")
    routes.virtual_hosts.add(name="v", domains=["*"]).routes.add(
        match={"prefix": "/"}
    ).direct_response.status = 200
    settings = ListenerSettings(limiting=limiting(found))
    network_filter = managers.http_connection_manager(managers.Side.GATEWAY, "l", routes, settings)
    manager = HttpConnectionManager()
    network_filter.typed_config.Unpack(manager)
    for each in manager.http_filters:
        if each.HasField("config_discovery"):
            told = filter_config(objects, Side.GATEWAY, each.name, "none", external=False)
            assert told is not None
            each.typed_config.CopyFrom(told.typed_config)
    manager.http_filters.insert(0, _reads_tokens())
    network_filter.typed_config.Pack(manager)
    made = Listener(name="l", traffic_direction=TrafficDirection.INBOUND)
    made.address.socket_address.address = "127.0.0.1"
    made.address.socket_address.port_value = port
    chain = made.filter_chains.add(filters=[network_filter])
    tls = DownstreamTlsContext()
    tls.require_client_certificate.value = True
    tls.common_tls_context.validation_context.trusted_ca.filename = str(authority.cert)
    mine = tls.common_tls_context.tls_certificates.add()
    mine.certificate_chain.filename, mine.private_key.filename = str(own.cert), str(own.key)
    chain.transport_socket.name = "tls"
    chain.transport_socket.typed_config.Pack(tls)
    return made


def _reads_tokens() -> HttpFilter:
    config = JwtAuthentication()
    provider = config.providers["p"]
    provider.issuer = "test"
    provider.payload_in_metadata = JWT_PAYLOAD
    key = {"kty": "oct", "alg": "HS256", "k": _base64(KEY)}
    provider.local_jwks.inline_string = json.dumps({"keys": [key]})
    rule = config.rules.add()
    rule.match.prefix = "/"
    rule.requires.requires_any.requirements.add().provider_name = "p"
    rule.requires.requires_any.requirements.add().allow_missing.SetInParent()
    made = HttpFilter(name=JWT_FILTER)
    made.typed_config.Pack(config)
    return made


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(**claims: Any) -> dict[str, str]:
    """The header of a request with a token that says so."""
    parts = [_base64(json.dumps(part).encode()) for part in ({"alg": "HS256"}, {"iss": "test", **claims})]
    signed = ".".join(parts)
    proof = hmac.new(KEY, signed.encode(), hashlib.sha256).digest()
    return {"authorization": f"Bearer {signed}.{_base64(proof)}"}


def client(authority: Authority, pair: Pair) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(authority.cert))
    context.load_cert_chain(pair.cert, pair.key)
    return context


async def status(port: int, who: ssl.SSLContext, headers: dict[str, str] | None = None) -> int:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"https://127.0.0.1:{port}/", ssl=who, headers=headers) as response,
    ):
        return response.status


async def test_callers_are_told_apart_by_what_their_certificates_prove(tmp_path: Path) -> None:
    """By the whole identity, by given ones, or by all that match; a caller without one is not limited."""
    authority = Authority(tmp_path / "ca")
    own = authority.issue("server", "IP:127.0.0.1")
    cart = client(authority, authority.issue("cart", f"URI:{SHOP}cart"))
    till = client(authority, authority.issue("till", f"URI:{SHOP}till"))
    alien = client(authority, authority.issue("alien", "URI:spiffe://cluster.local/ns/other/sa/cart"))
    nobody = client(authority, authority.issue("nobody", "DNS:nobody"))
    cases: list[tuple[dict[str, Any], list[tuple[ssl.SSLContext, int]]]] = [
        ({}, [(cart, 200), (till, 200), (cart, 429), (nobody, 200), (nobody, 200)]),
        ({"values": [f"{SHOP}cart"]}, [(cart, 200), (cart, 429), (till, 200), (till, 200)]),
        ({"match": {"prefix": SHOP}}, [(cart, 200), (till, 429), (alien, 200), (alien, 200), (nobody, 200)]),
        ({"match": {"regex": ".*/ns/[a-z]+/sa/cart"}}, [(cart, 200), (alien, 429), (till, 200), (till, 200)]),
    ]
    ports = free_ports(len(cases))
    listeners = []
    for port, (source, _) in zip(ports, cases, strict=True):
        made = listener(port, [{"source": source}], authority, own)
        made.name = str(port)
        listeners.append(made)
    async with Envoy(static_bootstrap(listeners), tmp_path):
        for port, (source, calls) in zip(ports, cases, strict=True):
            assert [await status(port, who) for who, _ in calls] == [code for _, code in calls], source


async def test_callers_are_told_apart_by_the_claims_of_their_tokens(tmp_path: Path) -> None:
    """A claim that a request lacks, or has no token for, limits nothing."""
    authority = Authority(tmp_path / "ca")
    own = authority.issue("server", "IP:127.0.0.1")
    me = client(authority, authority.issue("me"))
    ann, bob, admin = token(sub="ann"), token(sub="bob", group="users"), token(sub="root", group="admins")
    cases: list[tuple[dict[str, Any], list[tuple[dict[str, str], int]]]] = [
        ({"name": "sub"}, [(ann, 200), (bob, 200), (ann, 429), ({}, 200), ({}, 200)]),
        (
            {"name": "group", "values": ["users"]},
            [(bob, 200), (bob, 429), (admin, 200), (admin, 200), (ann, 200), (ann, 200)],
        ),
        (
            {"name": "sub", "match": {"regex": "a.*|bob"}},
            [(ann, 200), (bob, 429), (admin, 200), (admin, 200), ({}, 200)],
        ),
    ]
    ports = free_ports(len(cases))
    listeners = []
    for port, (claim, _) in zip(ports, cases, strict=True):
        made = listener(port, [{"claim": claim}], authority, own)
        made.name = str(port)
        listeners.append(made)
    async with Envoy(static_bootstrap(listeners), tmp_path):
        for port, (claim, calls) in zip(ports, cases, strict=True):
            codes = [await status(port, me, headers) for headers, _ in calls]
            assert codes == [code for _, code in calls], claim
