"""Names of Envoy resources."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xdsd.compile import names
from xdsd.compile.names import ClusterName, Direction

LABEL = st.from_regex(r"[a-z][a-z0-9-]{0,20}", fullmatch=True)


def test_cluster_names_are_those_that_istio_tools_parse() -> None:
    """Outbound clusters name port, subset and host; inbound ones the port alone."""
    assert names.outbound_cluster_name(9080, "v1", "reviews.default.svc.cluster.local") == (
        "outbound|9080|v1|reviews.default.svc.cluster.local"
    )
    assert names.outbound_cluster_name(80, "", "example.com") == "outbound|80||example.com"
    assert names.inbound_cluster_name(9080) == "inbound|9080||"


@given(port=st.integers(1, 65535), subset=st.just("") | LABEL, host=LABEL)
def test_a_cluster_name_parses_back_to_its_parts(port: int, subset: str, host: str) -> None:
    """Parsing undoes naming."""
    outbound = names.outbound_cluster_name(port, subset, host)
    parsed = names.parse_cluster_name(outbound)
    assert parsed == ClusterName(Direction.OUTBOUND, port, subset, host)
    assert str(parsed) == outbound
    inbound = names.inbound_cluster_name(port)
    assert str(names.parse_cluster_name(inbound)) == inbound


@pytest.mark.parametrize(
    "name",
    [
        "",
        "BlackHoleCluster",
        "outbound|80|v1",
        "outbound|80|v1|host|more",
        "outbound|http||host",
        "side|80||h",
    ],
)
def test_other_names_are_not_cluster_names(name: str) -> None:
    """A name of another form has no parts."""
    assert names.parse_cluster_name(name) is None


def test_routes_and_listeners_are_named_by_port_and_bind() -> None:
    """Route tables are named by their port, listeners by bind address and port."""
    assert names.outbound_route_name(9080) == "9080"
    assert names.gateway_route_name(8080) == "http.8080"
    assert names.listener_name("0.0.0.0", 9080) == "0.0.0.0_9080"


@pytest.mark.parametrize(
    ("host", "resolved"),
    [
        ("reviews", "reviews.prod.svc.mesh.local"),
        ("reviews.test", "reviews.test"),
        ("reviews.prod.svc.mesh.local", "reviews.prod.svc.mesh.local"),
        ("*", "*"),
        ("*.example.com", "*.example.com"),
        ("fd00::1", "fd00::1"),
        ("", ""),
    ],
)
def test_only_a_host_without_dots_is_short(host: str, resolved: str) -> None:
    """A short host belongs to the namespace of the object that names it; all others stand as they are."""
    assert names.resolve_host(host, "prod", "mesh.local") == resolved


def test_a_mesh_host_is_called_by_its_first_word() -> None:
    """People say reviews for a mesh host and the whole name for any other."""
    assert names.short_name("reviews.default.svc.cluster.local") == "reviews"
    assert names.short_name("www.example.com") == "www.example.com"
