"""Gateways: selection, merging by port, hosts, and the listener that a real Envoy takes."""

from typing import Any

import pytest
from envoy.config.core.v3.base_pb2 import TrafficDirection

from tests.compile import worlds
from tests.compile.envoy import validate_with_envoy
from tests.compile.listening import manager
from tests.compile.worlds import Sandbox, router, service, virtual_service
from xdsd.compile.gateway_listeners import gateway_listener, gateway_tcp_listener, gateway_tls_listener
from xdsd.compile.gateways import (
    BoundService,
    GatewayServer,
    HostClaim,
    claims_by_host,
    covers,
    hosts_for_namespace,
    intersect_hosts,
    merge_gateways,
    selects,
    spelled,
)
from xdsd.compile.listener_settings import ListenerSettings
from xdsd.model.catalog import Protocol
from xdsd.model.intent import Gateway, Metadata, Object, Port, Server, ServerTLSSettings
from xdsd.model.problem import ObjectRef, Reason, Severity
from xdsd.snapshot import ROUTE


def server(
    number: int = 8080, protocol: str = "HTTP", hosts: tuple[str, ...] = ("*",), bind: str | None = None
) -> Server:
    name = "-".join((protocol, str(number), *(bind or "any").split("."))).lower()
    return Server(port=Port(number=number, protocol=protocol, name=name), hosts=hosts, bind=bind)


def gateway(name: str, *servers: Server, namespace: str = "default", created: str = "") -> Object[Gateway]:
    metadata = Metadata(namespace, name, creation_timestamp=created)
    return Object("networking.istio.io/v1", "Gateway", metadata, Gateway(servers=servers))


def vs(
    name: str, *hosts: str, gateways: tuple[str, ...] = ("default/edge",), namespace: str = "default"
) -> BoundService:
    return BoundService(ObjectRef("VirtualService", namespace, name), hosts, frozenset(gateways))


def claimed(objects: list[Object[Gateway]], *bound: BoundService) -> dict[str, list[str]]:
    (port,), problems = merge_gateways(objects)
    assert not problems
    return {
        host: [claim.ref.name for claim in claims] for host, claims in claims_by_host(port, bound).items()
    }


@pytest.mark.parametrize(
    ("selector", "labels", "expected"),
    [
        ({"istio": "ingressgateway"}, {"istio": "ingressgateway", "app": "edge"}, True),
        ({"istio": "ingressgateway"}, {"istio": "egressgateway"}, False),
        ({"istio": "ingressgateway", "app": "edge"}, {"istio": "ingressgateway"}, False),
        ({}, {"anything": "goes"}, True),
    ],
)
def test_selector_wants_every_label(
    selector: dict[str, str], labels: dict[str, str], *, expected: bool
) -> None:
    """A proxy is selected if it has all labels asked for; an empty selector takes every gateway proxy."""
    assert selects(selector, labels) is expected


def test_servers_of_one_port_share_listener_and_routes() -> None:
    """Two Gateways at one port are one listener, the older object's servers first."""
    young = gateway("a", server(protocol="GRPC"), created="2026-02-01T00:00:00Z")
    old = gateway("b", server(), server(9090), created="2026-01-01T00:00:00Z")
    ports, problems = merge_gateways([young, old])
    assert problems == ()
    assert [(each.listener_name, each.route_name) for each in ports] == [
        ("0.0.0.0_8080", "http.8080"),
        ("0.0.0.0_9090", "http.9090"),
    ]
    assert [each.gateway.name for each in ports[0].servers] == ["b", "a"]


def test_an_address_has_its_own_listener_and_routes() -> None:
    """Servers that ask for an address are kept apart from those on every address."""
    ports, _ = merge_gateways([gateway("a", server(), server(bind="10.0.0.1"), server(bind="0.0.0.0"))])
    assert [(each.bind, each.route_name, len(each.servers)) for each in ports] == [
        ("0.0.0.0", "http.8080", 2),
        ("10.0.0.1", "http.8080.10.0.0.1", 1),
    ]


def test_ipv6_machines_listen_on_every_ipv6_address() -> None:
    """The address of servers without one is the machine's family's."""
    ((port,), _) = merge_gateways([gateway("a", server())], wildcard="::")
    assert (port.listener_name, port.route_name) == ("::_8080", "http.8080")


def test_the_older_of_two_protocols_keeps_the_port() -> None:
    """TCP cannot join HTTP: the younger server is left out, and its owner told where and why."""
    old = gateway("old", server(), created="2026-01-01T00:00:00Z")
    young = gateway("young", server(9090), server(protocol="TCP"), created="2026-02-01T00:00:00Z")
    ports, (problem,) = merge_gateways([young, old])
    assert [len(each.servers) for each in ports] == [1, 1]
    assert problem.reason is Reason.CONFLICT
    assert problem.object == young.ref
    assert problem.path == "spec.servers[1].port"
    assert "Gateway default/old spec.servers[0]" in problem.message


def test_what_two_servers_say_differently_of_a_host_is_told() -> None:
    """They share the host's routes; whether all are sent to HTTPS, and where the rest goes, the older one says."""
    plain = server(hosts=("a.com",))
    redirecting = plain.model_copy(update={"tls": ServerTLSSettings(https_redirect=True)})
    first, second = (plain.model_copy(update={"default_endpoint": f"127.0.0.1:{port}"}) for port in (1, 2))
    for older, younger, what in (
        (redirecting, plain, "httpsRedirect"),
        (redirecting, first, "httpsRedirect"),
        (first, second, "defaultEndpoint"),
        (plain, second, "defaultEndpoint"),
    ):
        old = gateway("old", older, created="2026-01-01T00:00:00Z")
        ports, problems = merge_gateways([gateway("young", younger, created="2026-02-01T00:00:00Z"), old])
        assert len(ports[0].servers) == 2
        (problem,) = problems
        assert (str(problem.object), problem.path) == ("Gateway default/young", "spec.servers[0].hosts")
        assert problem.severity is Severity.WARNING
        assert f"is for a.com of port 8080 too, and its {what} counts" in problem.message
    alike = gateway("a", redirecting), gateway("b", redirecting), gateway("c", server(hosts=("c.com",)))
    assert merge_gateways(alike)[1] == ()


def test_merging_does_not_depend_on_order() -> None:
    """The same objects merge the same way however they come in."""
    objects = [gateway(name, server(), namespace=name) for name in "cab"]
    assert merge_gateways(objects) == merge_gateways(reversed(objects))


@pytest.mark.parametrize(
    ("written", "namespace", "expected"),
    [
        ("example.com", "any", ("example.com",)),
        ("*/example.com", "any", ("example.com",)),
        ("./example.com", "default", ("example.com",)),
        ("./example.com", "other", ()),
        ("prod/*", "prod", ("*",)),
        ("prod/*", "default", ()),
        ("*/*", "any", ("*",)),
        ("Example.COM", "any", ("example.com",)),
    ],
)
def test_hosts_may_be_kept_to_a_namespace(written: str, namespace: str, expected: tuple[str, ...]) -> None:
    """A namespace before a host decides whose VirtualServices may serve it."""
    own = GatewayServer(ObjectRef("Gateway", "default", "edge"), 0, Protocol.HTTP, (written,))
    assert hosts_for_namespace(own, namespace) == expected


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (["foo.com", "bar.com"], ["*.com"], ("foo.com", "bar.com")),
        (["foo.com", "*.net"], ["*.com", "bar.net"], ("foo.com", "bar.net")),
        (["foo.com", "*.net"], ["*.bar.net"], ("*.bar.net",)),
        (["*"], ["*"], ("*",)),
        (["*"], ["*.com", "a.net"], ("*.com", "a.net")),
        (["foo.com"], ["bar.com"], ()),
        (["*.example.com"], ["example.com"], ()),
        (["*.example.com"], ["newexample.com"], ()),
        ([], ["bar.com"], ()),
        (["a.com", "*.com"], ["a.com"], ("a.com",)),
    ],
)
def test_the_narrower_of_two_overlapping_hosts_is_served(
    left: list[str], right: list[str], expected: tuple[str, ...]
) -> None:
    """What both sides cover is served, as narrowly as either says, whichever side is asked first."""
    assert intersect_hosts(left, right) == expected
    assert set(intersect_hosts(right, left)) == set(expected)


def test_wildcards_cover_by_whole_suffix() -> None:
    """A wildcard covers longer names and narrower wildcards, and no wider one."""
    assert covers("*.com", "*.example.com")
    assert not covers("*.example.com", "*.com")
    assert not covers("example.com", "*.example.com")
    assert covers("*", "x")


def test_a_virtual_service_shows_where_gateway_and_hosts_agree() -> None:
    """Naming the gateway is not enough, and neither is a host that the gateway does not serve."""
    edge = gateway("edge", server(hosts=("*.example.com", "shop.org")))
    served = claimed(
        [edge],
        vs("books", "books.example.com", "books.org"),
        vs("shop", "*"),
        vs("stranger", "x.example.com", gateways=("default/other",)),
    )
    assert served == {
        "*.example.com": ["shop"],
        "books.example.com": ["books"],
        "shop.org": ["shop"],
    }


def test_virtual_services_of_one_host_stand_in_the_order_given() -> None:
    """Several objects may serve a host together; who asks orders them by age."""
    assert claimed([gateway("edge", server())], vs("old", "a.com"), vs("young", "A.com")) == {
        "a.com": ["old", "young"]
    }


def test_a_claim_tells_through_which_gateways_it_holds() -> None:
    """Rules may be for some gateways only, so a claim names those at this port that let the host in."""
    ports, _ = merge_gateways([gateway("edge", server()), gateway("side", server(hosts=("a.com",)))])
    service = vs("x", "a.com", "b.com", gateways=("default/edge", "default/side", "default/elsewhere"))
    assert claims_by_host(ports[0], [service]) == {
        "a.com": (HostClaim(service.ref, frozenset({"default/edge", "default/side"})),),
        "b.com": (HostClaim(service.ref, frozenset({"default/edge"})),),
    }


def test_gateway_listener_faces_clients() -> None:
    """The listener binds its port, takes routes by RDS and calls itself outbound, as all tools expect."""
    listener: Any = gateway_listener("0.0.0.0", 8080, "http.8080")
    assert listener.name == "0.0.0.0_8080"
    assert listener.traffic_direction == TrafficDirection.OUTBOUND
    assert not listener.HasField("bind_to_port")
    assert manager(listener).rds.route_config_name == "http.8080"
    assert manager(listener).use_remote_address.value


@pytest.mark.e2e
def test_the_proxy_protocol_is_read_before_all_else() -> None:
    """By listeners of every kind: the server name that TLS begins with stands behind it."""
    settings = ListenerSettings(proxy_protocol=True)
    made: list[Any] = [
        gateway_listener("0.0.0.0", 8080, "http.8080", settings=settings),
        gateway_tls_listener("0.0.0.0", 443, settings=settings),
        gateway_tcp_listener("0.0.0.0", 444, inspect=True, settings=settings),
    ]
    names = [[each.name.rpartition(".")[2] for each in listener.listener_filters] for listener in made]
    assert names == [["proxy_protocol"], *[["proxy_protocol", "tls_inspector"]] * 2]


def test_envoy_takes_gateway_listeners() -> None:
    """A real Envoy loads gateway listeners and has nothing to complain about."""
    settings = ListenerSettings(xff_trusted_hops=1, buffer_limit=32768, proxy_protocol=True)
    log = validate_with_envoy(
        listeners=[
            gateway_listener("0.0.0.0", 8080, "http.8080"),
            gateway_listener("::", 8080, "http.8080", settings=settings),
            gateway_listener("unix:///run/edge.sock", 0, "http.0.unix:///run/edge.sock"),
        ]
    )
    assert "deprecated" not in log.lower()


@pytest.mark.parametrize(
    ("host", "requested"),
    [("a.com", "a.com"), ("a.com.", "a.com"), ("::1", "[::1]"), ("10.0.0.1", "10.0.0.1"), ("*", "*")],
)
def test_hosts_are_spelled_as_requests_have_them(host: str, requested: str) -> None:
    """Without a dot at the end, and IPv6 addresses in brackets."""
    assert spelled(host) == requested


def test_a_host_with_a_dot_at_its_end_is_served_without() -> None:
    """The route table of a gateway has the host that its proxy looks for; so have IPv6 addresses."""
    mesh = Sandbox()
    mesh.put_service(service("reviews"))
    hosts = ("trail.example.com.", "::1")
    mesh.put_object(worlds.gateway("edge", 8080, hosts))
    for index, host in enumerate(hosts):
        mesh.put_object(virtual_service(f"v{index}", host, to="reviews", gateways=("edge",)))
    node = mesh.attach(router())
    mesh.settle()
    found = mesh.message(node, ROUTE, "http.8080").virtual_hosts
    assert sorted(domain for each in found for domain in each.domains) == ["[::1]", "trail.example.com"]
    assert list(mesh.compiler.problems()) == []
