"""Patches of clusters, and extension configs."""

from typing import Any

import pytest
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.extensions.upstreams.http.v3.http_protocol_options_pb2 import HttpProtocolOptions
from google.protobuf import json_format

from tests.compile.envoy_filters.patching import (
    INBOUND,
    TYPES,
    applied,
    lua,
    patch,
    patched,
    plain,
    untouched,
)
from xdsd.compile.envoy_filters.extensions import extension_config, extension_names
from xdsd.compile.envoy_filters.matching import Facts

HOST = "reviews.default.svc.cluster.local"
NAME = f"outbound|9080|v1|{HOST}"
TLS = f"{TYPES}/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"


def cluster(name: str = NAME, **more: Any) -> Any:
    value = {"name": name, "connect_timeout": "10s", "type": "EDS", **more}
    return json_format.ParseDict(value, Cluster())


def socket(name: str, **config: Any) -> dict[str, Any]:
    return {"name": name, "typed_config": {"@type": TLS, **config}}


@pytest.mark.parametrize(
    ("match", "fits"),
    [
        ({}, True),
        ({"name": NAME}, True),
        ({"name": "x"}, False),
        ({"name": NAME, "subset": "v2"}, True),
        ({"service": HOST}, True),
        ({"service": "reviews"}, False),
        ({"subset": "v1"}, True),
        ({"subset": "v2"}, False),
        ({"portNumber": 9080}, True),
        ({"portNumber": 80}, False),
        ({"service": HOST, "subset": "v1", "portNumber": 9080}, True),
    ],
)
def test_matches(match: dict[str, Any], *, fits: bool) -> None:
    """By name alone, or by what the name says of service, subset and port."""
    change = patch("CLUSTER", "MERGE", {"connect_timeout": "1s"}, {"cluster": match})
    assert untouched(cluster(), change) is not fits


def test_inbound_clusters_are_told_by_their_services() -> None:
    """Their names have no service, so it is asked who is served there."""
    change = patch("CLUSTER", "MERGE", {"connect_timeout": "1s"}, {"cluster": {"service": HOST}})
    assert patched(cluster("inbound|9080||"), change, facts=Facts(INBOUND, hosts=(HOST,)))
    assert untouched(cluster("inbound|9080||"), change, facts=Facts(INBOUND, hosts=("other",)))


def test_clusters_without_a_service_are_matched_by_name_alone() -> None:
    """PassthroughCluster has neither service nor port."""
    by_port = patch("CLUSTER", "MERGE", {"connect_timeout": "1s"}, {"cluster": {"portNumber": 80}})
    assert untouched(cluster("PassthroughCluster"), by_port)
    by_name = patch(
        "CLUSTER", "MERGE", {"connect_timeout": "1s"}, {"cluster": {"name": "PassthroughCluster"}}
    )
    assert patched(cluster("PassthroughCluster"), by_name)


def test_merge_and_remove() -> None:
    """Fields are set and the name stays; lists grow, or are replaced; a removed cluster is gone."""
    thresholds = {"circuit_breakers": {"thresholds": [{"max_requests": 1}]}}
    value = {"name": "x", "connect_timeout": "1.5s", **thresholds}
    once = patched(cluster(), patch("CLUSTER", "MERGE", value))
    assert (once.name, plain(once)["connect_timeout"]) == (NAME, "1.500s")
    twice = patched(once, patch("CLUSTER", "MERGE", value))
    assert len(twice.circuit_breakers.thresholds) == 2
    replaced = patched(twice, patch("CLUSTER", "MERGE_AND_REPLACE_LIST", value))
    assert len(replaced.circuit_breakers.thresholds) == 1
    assert applied(cluster(), patch("CLUSTER", "REMOVE")) == (None, frozenset({0}))


def test_what_is_set_to_nothing_is_nothing() -> None:
    """``false``, 0, empty text and an enumeration's first value take the place of what was there; a name does not."""
    before = cluster(lb_policy="LEAST_REQUEST", ignore_health_on_host_removal=True, alt_stat_name="x")
    value = {"name": "", "lb_policy": "ROUND_ROBIN", "ignoreHealthOnHostRemoval": False, "alt_stat_name": ""}
    after = patched(before, patch("CLUSTER", "MERGE", value))
    assert (after.lb_policy, after.ignore_health_on_host_removal, after.alt_stat_name) == (0, False, "")
    assert after.name == NAME
    inside = cluster(transport_socket=socket("tls", sni="a", allow_renegotiation=True))
    change = {"transport_socket": socket("tls", allow_renegotiation=False)}
    assert plain(patched(inside, patch("CLUSTER", "MERGE", change)))["transport_socket"] == socket(
        "tls", sni="a"
    )


def test_maps_are_merged_by_entry() -> None:
    """An entry takes the place of the one of its key, others stay."""
    options = f"{TYPES}/{HttpProtocolOptions.DESCRIPTOR.full_name}"
    http1 = {"@type": options, "explicit_http_config": {"http_protocol_options": {}}}
    http2 = {"@type": options, "explicit_http_config": {"http2_protocol_options": {}}}
    before = cluster(typed_extension_protocol_options={"a": http1, "b": http1})
    value = {"typed_extension_protocol_options": {"b": http2}}
    after = plain(patched(before, patch("CLUSTER", "MERGE", value)))["typed_extension_protocol_options"]
    assert after == {"a": http1, "b": http2}


def test_transport_sockets() -> None:
    """One of the same name is merged inside, one of another takes its place, also among socket matches."""
    change = patch("CLUSTER", "MERGE", {"connect_timeout": "1s", "transport_socket": socket("tls", sni="b")})
    before = cluster(transport_socket=socket("tls", sni="a", allow_renegotiation=True))
    after = plain(patched(before, change))
    assert after["transport_socket"] == socket("tls", sni="b", allow_renegotiation=True)
    assert after["connect_timeout"] == "1s"
    assert plain(patched(cluster(transport_socket=socket("x")), change))["transport_socket"]["name"] == "tls"
    assert plain(patched(cluster(), change))["transport_socket"] == socket("tls", sni="b")
    matches = [
        {"name": "m", "transport_socket": socket("tls", sni="a")},
        {"name": "n", "transport_socket": socket("x")},
    ]
    among = plain(patched(cluster(transport_socket_matches=matches), change))
    assert "transport_socket" not in among
    assert [each["transport_socket"] for each in among["transport_socket_matches"]] == [
        socket("tls", sni="b"),
        socket("x"),
    ]


def test_extension_configs_are_made_of_patches() -> None:
    """ADD makes one or takes its place, MERGE and REPLACE change what is there, REMOVE takes it away."""
    add = patch("EXTENSION_CONFIG", "ADD", lua("a", "one"))
    merge = patch("EXTENSION_CONFIG", "MERGE", lua("a", "two"), place=1)
    other = patch("EXTENSION_CONFIG", "ADD", lua("b"), place=2)
    replace = patch("EXTENSION_CONFIG", "REPLACE", lua("a", "three"), place=3)
    remove = patch("EXTENSION_CONFIG", "REMOVE", {"name": "a"}, place=4)
    assert list(extension_names([add, merge, other, replace])) == ["a", "b"]
    for given, code, places in (
        ([add], "one", {0}),
        ([add, merge, other], "two", {0, 1}),
        ([add, replace], "three", {0, 3}),
        ([merge, replace, remove], None, set()),
        ([add, remove], None, {0, 4}),
        ([add, remove, add], "one", {0, 4}),
    ):
        made, refs = extension_config(given, "a")
        assert {ref.place for ref in refs} == places
        assert (plain(made)["typed_config"].get("inline_code") if made is not None else None) == code
