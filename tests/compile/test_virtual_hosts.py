"""Virtual hosts claim domains, and route configurations are joined from their bytes."""

import re

from envoy.config.route.v3.route_pb2 import RouteConfiguration
from hypothesis import given
from hypothesis import strategies as st

from xdsd.compile.routes import default_http_route
from xdsd.compile.virtual_hosts import (
    PortForm,
    allow_any_virtual_host,
    block_all_virtual_host,
    distinct_domains,
    encoded,
    route_configuration,
    service_domains,
    virtual_host,
)

REVIEWS = "reviews.default.svc.cluster.local"


def test_a_service_has_short_names_in_its_own_namespace() -> None:
    """A client of the same namespace may leave out everything but the name."""
    assert service_domains(REVIEWS, 9080, "default", "cluster.local", ["10.0.0.1", "fd00::1"]) == [
        REVIEWS,
        f"{REVIEWS}.",
        "reviews.default.svc",
        "reviews.default",
        "reviews",
        "10.0.0.1",
        "[fd00::1]",
    ]


def test_a_service_of_another_namespace_is_not_known_by_its_bare_name() -> None:
    """``reviews`` alone means the client's own namespace."""
    names = service_domains(REVIEWS, 9080, "other", "cluster.local")
    assert names == [REVIEWS, f"{REVIEWS}.", "reviews.default.svc", "reviews.default"]


def test_hosts_outside_the_mesh_domain_have_no_short_names() -> None:
    """Names that are not ``name.ns.svc.DOMAIN`` are never shortened; wildcards and addresses stay as they
    are.
    """
    assert service_domains("api.example.com", 80, "default", "cluster.local") == [
        "api.example.com",
        "api.example.com.",
    ]
    assert service_domains("*.example.com", 80, "default", "cluster.local") == ["*.example.com"]
    assert service_domains("192.0.2.7", 80, "default", "cluster.local") == ["192.0.2.7"]
    assert service_domains("a.b.c.svc.cluster.local", 80, "c", "cluster.local") == [
        "a.b.c.svc.cluster.local",
        "a.b.c.svc.cluster.local.",
    ]


def test_ports_are_part_of_domains_where_a_listener_serves_every_port() -> None:
    """BOTH gives each name with and without the port, EXPLICIT only with it."""
    both = service_domains(
        "api.example.com", 80, "default", "cluster.local", ["fd00::1"], ports=PortForm.BOTH
    )
    assert both == [
        "api.example.com",
        "api.example.com:80",
        "api.example.com.",
        "api.example.com.:80",
        "[fd00::1]",
        "[fd00::1]:80",
    ]
    explicit = service_domains("192.0.2.7", 81, "default", "cluster.local", ports=PortForm.EXPLICIT)
    assert explicit == ["192.0.2.7:81"]


def test_no_domain_is_claimed_twice() -> None:
    """The first claimant keeps a domain, whatever the case, and a host keeps its own name from all others."""
    claims = [
        ("foo.com.svc.cluster.local", ["foo.com.svc.cluster.local", "foo.com", "10.0.0.1"]),
        ("foo.com", ["foo.com", "10.0.0.1"]),
        ("bar", ["BAR", "Foo.Com"]),
        ("BAR", ["bar"]),
    ]
    assert distinct_domains(claims) == [
        ["foo.com.svc.cluster.local", "10.0.0.1"],
        ["foo.com"],
        ["BAR"],
        [],
    ]


def test_the_ports_of_a_service_keep_their_domains() -> None:
    """Virtual hosts of one host for several ports do not compete for each other's domains."""
    claims = [("foo.com", ["foo.com", "foo.com:80"]), ("foo.com", ["foo.com:81"]), ("bar", ["foo.com:82"])]
    assert distinct_domains(claims) == [list(domains) for _, domains in claims]


HOSTS = st.sampled_from(["a", "B", "b", "a.b", "*", "fd00::1"])
DOMAINS = st.lists(st.sampled_from(["a", "A", "b", "a:80", "b:80", "a.b", "[fd00::1]", "*"]), max_size=6)


@given(st.lists(st.tuples(HOSTS, DOMAINS), max_size=5))
def test_every_claimed_domain_goes_to_exactly_one_claimant(claims: list[tuple[str, list[str]]]) -> None:
    """Nothing is lost, nothing is given twice, and order is kept."""
    shares = distinct_domains(claims)
    given_out = [domain.lower() for share in shares for domain in share]
    assert len(given_out) == len(set(given_out))
    assert set(given_out) == {domain.lower() for _, domains in claims for domain in domains}
    for share, (_, domains) in zip(shares, claims, strict=True):
        assert share == [domain for domain in dict.fromkeys(domains) if domain in share]


def test_a_route_configuration_is_joined_from_encoded_virtual_hosts() -> None:
    """The joined bytes are the message that building it whole would give."""
    hosts = [
        virtual_host("a:80", ["a"], [default_http_route("outbound|80||a")]),
        allow_any_virtual_host(),
    ]
    joined = RouteConfiguration.FromString(route_configuration("80", [encoded(host) for host in hosts]))
    whole = RouteConfiguration(name="80", virtual_hosts=hosts, ignore_port_in_host_matching=True)
    whole.validate_clusters.value = False
    whole.max_direct_response_body_size_bytes.value = 1024 * 1024
    assert joined == whole
    assert route_configuration("80", [], ignore_port=False) != route_configuration("80", [])


def test_hosts_that_are_looked_up_do_not_go_in_circles() -> None:
    """A request that was forwarded four times is answered instead, and each time counts."""
    stop, forward = allow_any_virtual_host("ForwardCluster", looked_up=True).routes
    assert (stop.direct_response.status, forward.route.cluster) == (508, "ForwardCluster")
    (counted,), (seen,) = forward.request_headers_to_add, stop.match.headers
    assert counted.header.key == seen.name
    regex, value = seen.string_match.safe_regex.regex, ""
    for _ in range(4):
        assert not re.fullmatch(regex, value)
        value = counted.header.value.replace(f"%REQ({seen.name})%", value)
    assert re.fullmatch(regex, value)


def test_unknown_hosts_pass_or_end_here() -> None:
    """ALLOW_ANY sends unknown hosts to the pass-through cluster, REGISTRY_ONLY answers 502."""
    (passed,) = allow_any_virtual_host().routes
    assert passed.route.cluster == "PassthroughCluster"
    assert passed.route.HasField("timeout")
    (blocked,) = block_all_virtual_host().routes
    assert blocked.direct_response.status == 502
