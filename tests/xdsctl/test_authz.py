"""``xdsctl authz`` against a daemon: it also knows who is revoked, and which proxies proved nothing."""

import json
from pathlib import Path

import pytest

from tests.api.daemon import Daemon
from tests.xdsctl.conftest import Xdsctl
from xdsd.compile.proxies import proxy_of
from xdsd.intents.world import Observed
from xdsd.model.catalog import Endpoint, Location, Port, Protocol, Service
from xdsd.model.node import Node
from xdsd.model.shut_out import ShutOut
from xdsd.registry.base import CatalogChange

HOST = "shop.default.svc.cluster.local"
TILL = "spiffe://cluster.local/ns/default/sa/till"
STRICT = """
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: istio-system}
spec: {mtls: {mode: STRICT}}
"""


@pytest.fixture
def filled(server: Daemon, xdsctl: Xdsctl) -> Xdsctl:
    """The same daemon with a service before which a proxy stands."""
    labels = {"app": "shop", "security.istio.io/tlsMode": "istio"}
    port = Port(80, "http", Protocol.HTTP, 8080)
    endpoint = Endpoint("10.0.0.1", labels=labels, service_account="shop")
    shop = Service("default", HOST, (port,), location=Location.MESH_INTERNAL, endpoints=(endpoint,))
    server.mesh.catalog.apply("machines:/vms", CatalogChange((shop,)))
    return xdsctl


def test_a_revoked_identity_is_refused(server: Daemon, filled: Xdsctl) -> None:
    """As proxies refuse it."""
    assert filled("authz", "can", "default/till", "shop").exit_code == 0
    server.mesh.shut_out = ShutOut(frozenset({TILL}))
    refused = filled("authz", "can", "default/till", "shop")
    assert refused.exit_code == 1
    assert "because cluster.local/ns/default/sa/till is revoked" in refused.stdout


def test_a_proxy_that_proved_nothing_lets_nobody_in_under_strict(
    server: Daemon, filled: Xdsctl, tmp_path: Path
) -> None:
    """It has no certificate to show to who sends mutual TLS, and plaintext is refused."""
    strict = tmp_path / "strict.yaml"
    strict.write_text(STRICT)
    assert filled("apply", "-f", str(strict)).exit_code == 0
    node = Node("sidecar~10.0.0.1~shop-1.default~default.svc.cluster.local", "shop")
    server.mesh.seen = Observed(proxies=(proxy_of(node),))
    for caller in ("default/till", "anonymous"):
        refused = filled("authz", "can", caller, "shop")
        assert refused.exit_code == 1
        assert "proved no identity" in refused.stdout
    cells = json.loads(filled("authz", "matrix", "-o", "json").stdout)["cells"]
    assert [(each["source"], each["outlook"]) for each in cells] == [("anonymous", "DENY")]


def test_strangers_are_let_in_whose_domain_somebody_brought(server: Daemon, filled: Xdsctl) -> None:
    """As those of a peer's mesh."""
    stranger = "spiffe://their.example/ns/default/sa/till"
    refused = filled("authz", "can", stranger, "shop")
    assert "nobody here vouches for the trust domain their.example" in refused.stdout
    server.mesh.foreign_domains = ("their.example",)
    assert filled("authz", "can", stranger, "shop").exit_code == 0


def test_an_identity_that_does_not_arrive_is_told_in_a_line(filled: Xdsctl, tmp_path: Path) -> None:
    """Why, under the decision."""
    rule = tmp_path / "rule.yaml"
    rule.write_text(
        f"""
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: shop}}
spec: {{host: {HOST}, trafficPolicy: {{tls: {{mode: DISABLE}}}}}}
"""
    )
    assert filled("apply", "-f", str(rule)).exit_code == 0
    lines = filled("authz", "can", "default/till", "shop").stdout.splitlines()
    assert lines[0].startswith("ALLOW  default/till without an identity -> ")
    assert lines[-1] == "  no identity arrives: DestinationRule default/shop says DISABLE"
    (verdict,) = json.loads(filled("authz", "can", "default/till", "shop", "-o", "json").stdout)["verdicts"]
    assert verdict["identityLost"] == "DestinationRule default/shop says DISABLE"


def test_words_that_are_no_text_are_told(filled: Xdsctl) -> None:
    """What arrives as bytes that are no UTF-8 is wrong usage, not a crash."""
    refused = filled("authz", "can", "default/till", "shop", "--path", "/\udcff")
    assert refused.exit_code == 2
    assert refused.stderr == "Error: /\\xff is no UTF-8\n"
