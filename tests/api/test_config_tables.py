"""A proxy's resources as rows."""

from typing import Any

from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.route.v3.route_components_pb2 import VirtualHost
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from google.protobuf.any_pb2 import Any as AnyMessage

from api.config_tables import (
    CLUSTERS,
    ENDPOINTS,
    ROUTES,
    cluster_rows,
    discovered_routes,
    endpoint_rows,
    inline_routes,
    listener_rows,
    matching,
    name_rows,
    route_rows,
)
from api.decode import decode, lazy_pool
from tests.api.mesh import REVIEWS, assignment, cluster, listeners, routes
from xdsd.compile.dns import dns_listener, virtual_domain


def unpack(message: AnyMessage) -> Any:
    return decode(message, lazy_pool())


def test_a_clusters_name_is_taken_apart() -> None:
    """Host, port, subset and direction stand in columns; other names stand where the host would."""
    rows = list(
        cluster_rows(
            [cluster(REVIEWS), cluster("inbound|80||", "STATIC"), cluster("BlackHoleCluster", "STATIC")]
        )
    )
    assert rows == [
        ("reviews.default.svc.cluster.local", "9080", "v1", "outbound", "EDS", REVIEWS),
        ("-", "80", "-", "inbound", "STATIC", "inbound|80||"),
        ("BlackHoleCluster", "-", "-", "-", "STATIC", "BlackHoleCluster"),
    ]


def test_a_listener_has_a_row_for_each_filter_chain() -> None:
    """What a chain takes and where it leads, routes by name or inline, or a cluster."""
    assert list(listener_rows(listeners(), unpack)) == [
        ("0.0.0.0", "9080", "ALL", "Route: 9080", "0.0.0.0_9080"),
        (
            "0.0.0.0",
            "15006",
            "App: http/1.1,h2c; Addr: *:9080",
            "Inline Route: inbound|9080||",
            "virtualInbound",
        ),
        ("0.0.0.0", "15006", "Addr: 10.0.0.0/8", "Cluster: InboundPassthroughCluster", "virtualInbound"),
    ]


def test_names_that_a_proxy_answers_have_rows() -> None:
    """One a name; the listener that answers has a row though it has no filter chain."""
    names = [virtual_domain("a", ["10.0.0.1", "::1"]), virtual_domain("b", ["10.0.0.2"])]
    answering = Listener.FromString(dns_listener("127.0.0.1", 15053, names))
    assert list(name_rows([*listeners(), answering], unpack)) == [("a", "10.0.0.1,::1"), ("b", "10.0.0.2")]
    assert list(listener_rows([answering], unpack)) == [("127.0.0.1", "15053", "UDP", "DNS", "dns")]


def test_hosts_that_are_discovered_stand_in_the_table_that_they_are_for() -> None:
    """By the names that they would have inside it."""
    shell = RouteConfiguration(name="9080.vhds")
    hosts = [VirtualHost(name=f"9080.vhds/{name}", domains=[name]) for name in ("a:9080", "b:9080")]
    stranger = VirtualHost(name="80.vhds/c:80", domains=["c"])
    rows = list(route_rows(discovered_routes([shell], [*hosts, stranger])))
    assert [row[:3] for row in rows] == [("9080.vhds", "a:9080", "a:9080"), ("9080.vhds", "b:9080", "b:9080")]


def test_a_route_says_what_it_takes_where_it_leads_and_whose_it_is() -> None:
    """One row a route; a virtual host without routes has one all the same."""
    host = ("9080", "reviews.default.svc.cluster.local:9080", "reviews + 1 more")
    assert list(route_rows([routes()])) == [
        (*host, "/* (header end-user)", "reviews.default", "spec.http[0]", REVIEWS),
        (*host, "regex /a+", "-", "-", f"{REVIEWS} (80), b (20)"),
        (*host, "/old", "-", "-", "redirect"),
        (*host, "/no", "-", "-", "status 503"),
        ("9080", "empty", "*", "-", "-", "-", "-"),
    ]


def test_routes_inside_listeners_are_found() -> None:
    """Inline route tables are as good as those of their own."""
    found = listeners()
    found[0].default_filter_chain.CopyFrom(found[1].filter_chains[0])
    assert [table.name for table in inline_routes(found, unpack)] == ["inbound|9080||", "inbound|9080||"]


def test_an_endpoint_has_health_weight_and_locality() -> None:
    """Unknown health is healthy, as Envoy takes it; IPv6 is bracketed; a socket is a URL."""
    assert list(endpoint_rows([assignment()])) == [
        ("10.0.1.1:9080", "HEALTHY", REVIEWS, "1", "eu/a", "0"),
        ("[fd00::1]:9080", "DRAINING", REVIEWS, "3", "eu/a", "0"),
        ("unix:///run/x", "UNHEALTHY", REVIEWS, "1", "-", "1"),
    ]


def test_rows_are_filtered_by_column() -> None:
    """All wishes must hold, in any case; no wish is no filter; rows come sorted."""
    rows = list(endpoint_rows([assignment()]))
    assert [row[0] for row in matching(rows, ENDPOINTS, {"STATUS": "healthy"})] == ["10.0.1.1:9080"]
    assert matching(rows, ENDPOINTS, {"STATUS": "healthy", "ENDPOINT": "x"}) == []
    assert matching(rows, ENDPOINTS, {"STATUS": ""}) == sorted(rows)
    assert matching(cluster_rows([cluster("b"), cluster("a")]), CLUSTERS, {})[0][0] == "a"
    assert len(matching(route_rows([routes()]), ROUTES, {"VHOST NAME": "EMPTY"})) == 1


def test_the_order_of_routes_is_theirs() -> None:
    """The first that takes a request serves it, so the table never sorts them; tables and hosts are sorted."""
    rows = matching(route_rows([routes()]), ROUTES, {})
    assert [row[3] for row in rows] == ["-", "/* (header end-user)", "regex /a+", "/old", "/no"]
