"""Rules of a VirtualService become Envoy routes, in order, each saying whose it is."""

from tests.compile.routing import SIDECAR, routes_of, to
from xdsd.compile.matches import Source
from xdsd.compile.routes import default_http_route, merge_routes


def test_first_match_wins_in_the_order_of_the_rules() -> None:
    """Rules and the matches within them keep their order, one route each."""
    routes = routes_of(
        to("a", match=[{"uri": {"exact": "/1"}}, {"uri": {"exact": "/2"}}]),
        to("b", match=[{"uri": {"exact": "/3"}}]),
        to("c"),
    )
    assert [(route.match.path, route.route.cluster) for route in routes] == [
        ("/1", "outbound|9080||a.default"),
        ("/2", "outbound|9080||a.default"),
        ("/3", "outbound|9080||b.default"),
        ("", "outbound|9080||c.default"),
    ]


def test_nothing_follows_a_route_that_takes_everything() -> None:
    """Rules behind an unconditional match are unreachable and not emitted."""
    assert len(routes_of(to("a"), to("b", match=[{"uri": {"exact": "/1"}}]))) == 1
    assert len(routes_of(to("a", match=[{}]), to("b"))) == 1
    assert len(routes_of(to("a", match=[{"uri": {"prefix": "/"}}, {"uri": {"exact": "/x"}}]))) == 1
    assert len(routes_of(to("a", match=[{"uri": {"regex": ".*"}}]), to("b"))) == 1


def test_a_rule_for_others_is_left_out() -> None:
    """A match that speaks of another client yields no route, and the rules behind it count."""
    elsewhere = to("a", match=[{"sourceLabels": {"app": "other"}}])
    assert [route.route.cluster for route in routes_of(elsewhere, to("b"))] == ["outbound|9080||b.default"]
    assert routes_of(elsewhere) == []


def test_weights_split_traffic() -> None:
    """Destinations with a weight share the requests; those without get none."""
    (route,) = routes_of(
        {
            "route": [
                {"destination": {"host": "reviews", "subset": "v1"}, "weight": 90},
                {"destination": {"host": "reviews", "subset": "v2"}, "weight": 10},
                {"destination": {"host": "reviews", "subset": "v3"}, "weight": 0},
                {"destination": {"host": "reviews", "subset": "v4"}},
            ]
        }
    )
    assert [(item.name, item.weight.value) for item in route.route.weighted_clusters.clusters] == [
        ("outbound|9080|v1|reviews.default", 90),
        ("outbound|9080|v2|reviews.default", 10),
    ]


def test_a_lone_destination_takes_all_whatever_its_weight() -> None:
    """One destination, or one with a weight, is a plain cluster."""
    (route,) = routes_of({"route": [{"destination": {"host": "a"}, "weight": 0}]})
    assert route.route.cluster == "outbound|9080||a.default"
    (route,) = routes_of(
        {"route": [{"destination": {"host": "a"}, "weight": 0}, {"destination": {"host": "b"}, "weight": 7}]}
    )
    assert route.route.cluster == "outbound|9080||b.default"


def test_a_route_says_whose_it_is() -> None:
    """Metadata name the object and the field; the name is the user's, or the place of the rule."""
    named = routes_of(
        to(name="v2", match=[{"name": "jason", "uri": {"exact": "/1"}}, {"uri": {"exact": "/2"}}])
    )
    assert [route.name for route in named] == ["v2.jason", "v2"]
    unnamed = routes_of(to(match=[{"uri": {"exact": "/1"}}, {"uri": {"exact": "/2"}}]), to())
    assert [route.name for route in unnamed] == [
        "default/reviews:http[0].match[0]",
        "default/reviews:http[0].match[1]",
        "default/reviews:http[1]",
    ]
    assert unnamed[0].metadata.filter_metadata["istio"]["config"] == (
        "/apis/networking.istio.io/v1/namespaces/default/virtual-service/reviews"
    )
    assert unnamed[1].metadata.filter_metadata["xdsd"]["field"] == "spec.http[0].match[1]"
    assert unnamed[2].metadata.filter_metadata["xdsd"]["field"] == "spec.http[1]"
    assert unnamed[0].decorator.operation == "reviews.default:9080/1"


def test_the_default_route_takes_everything() -> None:
    """A service that no VirtualService names gets one route with default retries and no timeout."""
    route = default_http_route("outbound|80||a.default.svc.cluster.local")
    assert route.match.prefix == "/"
    assert route.route.cluster == "outbound|80||a.default.svc.cluster.local"
    assert route.route.timeout.ToTimedelta().total_seconds() == 0
    assert route.route.retry_policy.num_retries.value == 2
    assert route.decorator.operation == "a.default.svc.cluster.local:80/*"


def test_objects_for_one_host_merge_by_age_and_end_with_one_catch_all() -> None:
    """Older objects come first, routes that take everything go last, and only the first of them stays."""
    old = routes_of(to("a", name="old", match=[{"uri": {"exact": "/a"}}]), to("a", name="old-rest"))
    new = routes_of(to("b", name="new", match=[{"uri": {"exact": "/a"}}]), to("b", name="new-rest"))
    merged = merge_routes([(("2026", "default", "new"), new), (("2025", "default", "old"), old)])
    assert [route.name for route in merged] == ["old", "new", "old-rest"]


def test_a_gateway_sees_the_rules_that_name_it() -> None:
    """``match.gateways`` names gateways of the object's namespace or in full, and ``mesh``."""
    gateway = Source(gateways=frozenset({"default/edge"}), namespace="infra", labels={}, port=8080)
    rules = [
        to("a", match=[{"gateways": ["mesh"]}]),
        to("b", match=[{"gateways": ["edge"], "sourceLabels": {"app": "client"}}]),
    ]
    assert [route.route.cluster for route in routes_of(*rules, source=gateway)] == [
        "outbound|8080||b.default"
    ]
    assert [route.route.cluster for route in routes_of(*rules, source=SIDECAR)] == [
        "outbound|9080||a.default"
    ]
