"""How callers speak to endpoints of the mesh, and to others: mutual TLS by declaration, by rule, and not at all."""

from dataclasses import replace
from typing import Any

import pytest
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import UpstreamTlsContext

from tests.compile.envoy import validate_with_envoy
from tests.compile.worlds import Sandbox, destination_rule, proxy, service
from xdsd.compile.clusters import outbound_cluster
from xdsd.compile.mesh_tls import Peers, mesh_sni
from xdsd.compile.policy import DEFAULT_POLICY, Policy
from xdsd.model.catalog import Endpoint, Location, Port, Protocol, Resolution, Service
from xdsd.model.identity import SpiffeID
from xdsd.model.intent import ClientTLSMode, ClientTLSSettings, MeshConfig, Metadata, Object, ProxyProtocol
from xdsd.model.problem import Reason
from xdsd.snapshot import CLUSTER, ENDPOINT

NAME = "outbound|9080|v1|reviews.default.svc.cluster.local"
HTTP = Port(9080, "http", Protocol.HTTP, 9080)
REVIEWS = Service("default", "reviews.default.svc.cluster.local", (HTTP,), location=Location.MESH_INTERNAL)
ALICE = "spiffe://cluster.local/ns/default/sa/alice"
PEERS = Peers((ALICE,), ("spiffe://cluster.local/ns/default/sa/",))
MUTUAL = Policy(tls=ClientTLSSettings(mode=ClientTLSMode.ISTIO_MUTUAL))
ABLE = {"security.istio.io/tlsMode": "istio"}


def tls(socket: Any) -> Any:
    found = UpstreamTlsContext()
    assert socket.typed_config.Unpack(found), socket.name
    return found


def names(socket: Any) -> list[str]:
    """Whom a socket believes."""
    combined = tls(socket).common_tls_context.combined_validation_context
    assert combined.validation_context_sds_secret_config.name == "ROOTCA"
    found = combined.default_validation_context.match_typed_subject_alt_names
    return [each.matcher.exact or f"{each.matcher.prefix}*" for each in found]


def made(
    policy: Policy = DEFAULT_POLICY, of: Service = REVIEWS, peers: Peers | None = PEERS, **more: Any
) -> Any:
    return outbound_cluster(NAME, of, of.ports[0], policy, peers=peers, **more)


def test_endpoints_that_take_mutual_tls_get_it_and_others_plaintext() -> None:
    """Both in one cluster, told apart by the metadata of endpoints."""
    able, others = made().transport_socket_matches
    assert dict(able.match) == {"tlsMode": "istio"}
    assert not others.match.fields
    assert others.transport_socket.name == "envoy.transport_sockets.raw_buffer"
    assert tls(able.transport_socket).sni == "outbound_.9080_.v1_.reviews.default.svc.cluster.local"
    assert names(able.transport_socket) == [ALICE]
    own = tls(able.transport_socket).common_tls_context.tls_certificate_sds_secret_configs
    assert [each.name for each in own] == ["default"]


def test_while_nobody_is_known_anybody_of_the_namespace_is_believed() -> None:
    """Never anybody of the mesh: a stranger's certificate does not do."""
    (able, _) = made(peers=Peers((), PEERS.scopes)).transport_socket_matches
    assert names(able.transport_socket) == ["spiffe://cluster.local/ns/default/sa/*"]


@pytest.mark.parametrize(
    ("protocol", "expected"),
    [
        (Protocol.HTTP, ["istio-http/1.1", "istio"]),
        (Protocol.GRPC, ["istio-h2", "istio", "h2"]),
        (Protocol.MYSQL, ["istio"]),
        (Protocol.HTTPS, ["istio"]),
        (Protocol.AUTO, ["istio-http/1.1", "istio"]),
    ],
)
def test_what_is_spoken_inside_is_announced(protocol: Protocol, expected: list[str]) -> None:
    """By these names the other side finds the chain that reads it."""
    of = replace(REVIEWS, ports=(replace(HTTP, protocol=protocol),))
    socket = made(of=of).transport_socket_matches[0].transport_socket
    assert list(tls(socket).common_tls_context.alpn_protocols) == expected


@pytest.mark.parametrize(
    ("policy", "of", "peers"),
    [
        (Policy(tls=ClientTLSSettings(mode=ClientTLSMode.DISABLE)), REVIEWS, PEERS),
        (Policy(), replace(REVIEWS, location=Location.MESH_EXTERNAL), PEERS),
        (Policy(), replace(REVIEWS, resolution=Resolution.NONE), PEERS),
        (Policy(), REVIEWS, None),
    ],
    ids=["disabled", "outside of the mesh", "no endpoints known", "caller without an identity"],
)
def test_plaintext_stays_plaintext(policy: Policy, of: Service, peers: Peers | None) -> None:
    """Where mutual TLS is switched off, cannot be known to be taken, or cannot be spoken."""
    cluster = made(policy, of, peers)
    assert not cluster.transport_socket_matches
    assert not cluster.HasField("transport_socket")


def test_a_rule_asks_for_mutual_tls_whatever_is_declared() -> None:
    """Then all endpoints get it, and the rule may say whom to ask for and who answers."""
    cluster = made(MUTUAL)
    assert not cluster.transport_socket_matches
    assert names(cluster.transport_socket) == [ALICE]
    asked = ClientTLSSettings(
        mode=ClientTLSMode.ISTIO_MUTUAL,
        sni="a.example.com",
        subject_alt_names=("spiffe://b/x", "b.example.com"),
    )
    cluster = made(Policy(tls=asked))
    assert names(cluster.transport_socket) == ["spiffe://b/x", "b.example.com"]
    assert tls(cluster.transport_socket).sni == "a.example.com"


def test_who_cannot_speak_mutual_tls_that_is_asked_for_reaches_nobody() -> None:
    """Never plaintext instead: the cluster has no endpoints, and does not wait for any."""
    for of in (
        REVIEWS,
        replace(REVIEWS, resolution=Resolution.DNS),
        replace(REVIEWS, resolution=Resolution.NONE),
    ):
        cluster = made(MUTUAL, of, None)
        assert cluster.type == Cluster.STATIC
        assert not cluster.HasField("load_assignment")
        assert not cluster.HasField("cluster_type")


def test_the_proxy_protocol_goes_before_either() -> None:
    """The header is outside of the encryption, for endpoints of both kinds."""
    cluster = made(Policy(proxy_protocol=ProxyProtocol()))
    assert [each.transport_socket.name for each in cluster.transport_socket_matches] == [
        "envoy.transport_sockets.upstream_proxy_protocol"
    ] * 2


def test_a_long_name_is_not_asked_for() -> None:
    """A server name has 255 bytes at most; a longer one would be refused with its cluster."""
    assert mesh_sni(NAME) == "outbound_.9080_.v1_.reviews.default.svc.cluster.local"
    name = f"outbound|9080||{'a' * 250}"
    cluster = outbound_cluster(name, REVIEWS, HTTP, MUTUAL, peers=PEERS)
    assert tls(cluster.transport_socket).sni == ""


@pytest.mark.e2e
def test_envoy_takes_all_of_these() -> None:
    """With every resolution and way of speaking."""
    policies = (Policy(), MUTUAL, Policy(proxy_protocol=ProxyProtocol()))
    validate_with_envoy(
        made(
            policy, replace(REVIEWS, resolution=resolution, ports=(replace(HTTP, protocol=protocol),)), peers
        )
        for policy in policies
        for resolution in (Resolution.STATIC, Resolution.DNS, Resolution.NONE)
        for protocol in (Protocol.HTTP, Protocol.GRPC, Protocol.AUTO, Protocol.TCP)
        for peers in (PEERS, Peers((), PEERS.scopes), None)
    )


def _mesh(*endpoints: Endpoint) -> tuple[Sandbox, str, str]:
    """A mesh with a caller that proved an identity, and one that did not."""
    mesh = Sandbox()
    mesh.put_service(service("reviews"), *endpoints)
    proven = mesh.attach(replace(proxy(), identity=SpiffeID("cluster.local", "default", "web")))
    other = mesh.attach(proxy("10.1.0.2", name="b"))
    mesh.settle()
    return mesh, proven, other


REVIEWS_80 = "outbound|9080||reviews.default.svc.cluster.local"


def test_who_answers_is_whom_the_endpoints_are_said_to_be() -> None:
    """The accounts of endpoints that take mutual TLS; who has none has the account default; legacy ones do not count."""
    mesh, node, other = _mesh(
        Endpoint("10.0.0.1", labels=ABLE, service_account="alice"),
        Endpoint("10.0.0.2", labels=ABLE),
        Endpoint("10.0.0.3", service_account="legacy"),
    )
    cluster = mesh.message(node, CLUSTER, REVIEWS_80)
    assert names(cluster.transport_socket_matches[0].transport_socket) == [
        ALICE,
        "spiffe://cluster.local/ns/default/sa/default",
    ]
    assert not mesh.message(other, CLUSTER, REVIEWS_80).transport_socket_matches
    found = {
        each.endpoint.address.socket_address.address: bool(each.metadata.filter_metadata)
        for group in mesh.message(node, ENDPOINT, REVIEWS_80).endpoints
        for each in group.lb_endpoints
    }
    assert found == {"10.0.0.1": True, "10.0.0.2": True, "10.0.0.3": False}


def test_an_endpoint_of_a_known_account_comes_and_goes_without_its_cluster() -> None:
    """Only who the endpoints are is in the cluster, not how many there are."""
    mesh, _, _ = _mesh(Endpoint("10.0.0.1", labels=ABLE, service_account="alice"))
    before = mesh.compiler.encoded.copy()
    mesh.put_service(
        service("reviews"),
        Endpoint("10.0.0.1", labels=ABLE, service_account="alice"),
        Endpoint("10.0.0.2", labels=ABLE, service_account="alice"),
    )
    mesh.settle()
    assert dict(mesh.compiler.encoded - before) == {ENDPOINT: 1}


def test_a_proxy_without_an_identity_hears_nothing_of_who_is_cut_off_but_the_rules_owner_does() -> None:
    """A rule that asks for mutual TLS is told of callers that cannot speak it."""
    mesh, _, _ = _mesh(Endpoint("10.0.0.1"))
    rule = destination_rule("reviews", "reviews", {})
    spec = type(rule.spec).model_validate(
        {"host": "reviews", "trafficPolicy": {"tls": {"mode": "ISTIO_MUTUAL"}}}
    )
    mesh.put_object(replace(rule, spec=spec))
    mesh.settle()
    (problem,) = mesh.compiler.problems()
    assert problem.reason is Reason.UNAVAILABLE
    assert "cuts proxies off" in problem.message


def test_the_mesh_may_switch_it_off_and_have_other_names() -> None:
    """enableAutoMtls of the MeshConfig, and its trustDomainAliases."""
    mesh, node, _ = _mesh(Endpoint("10.0.0.1", labels=ABLE, service_account="alice"))

    def say(**fields: Any) -> Any:
        metadata = Metadata("istio-system", "default")
        spec = MeshConfig.model_validate(fields)
        mesh.put_object(Object("mesh.xdsd.io/v1", "MeshConfig", metadata, spec))
        mesh.settle()
        return mesh.message(node, CLUSTER, REVIEWS_80).transport_socket_matches

    assert not say(enableAutoMtls=False)
    found = say(trustDomainAliases=["old.example.com"])
    assert names(found[0].transport_socket) == [ALICE, "spiffe://old.example.com/ns/default/sa/alice"]
