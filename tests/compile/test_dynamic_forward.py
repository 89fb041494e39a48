"""Clusters whose endpoints are the hosts that requests name."""

import re

import pytest
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.route.v3.route_components_pb2 import Route
from envoy.extensions.clusters.dynamic_forward_proxy.v3.cluster_pb2 import ClusterConfig
from envoy.extensions.filters.network.sni_dynamic_forward_proxy.v3.sni_dynamic_forward_proxy_pb2 import (
    FilterConfig,
)

from xdsd.compile.dynamic_forward import is_dynamic, keep_to_port, resolve_dynamically, sni_filter
from xdsd.model.catalog import Port, Protocol


def test_clusters_and_filters_share_one_cache() -> None:
    """Envoy refuses caches of one name that differ, and a connection is looked up in its cluster's."""
    cluster = Cluster()
    assert not is_dynamic(cluster)
    resolve_dynamically(cluster)
    assert is_dynamic(cluster)
    config, filtering = ClusterConfig(), FilterConfig()
    cluster.cluster_type.typed_config.Unpack(config)
    sni_filter(8443).typed_config.Unpack(filtering)
    assert config.dns_cache_config == filtering.dns_cache_config
    assert filtering.port_value == 8443


@pytest.mark.parametrize(
    ("number", "target", "taken", "refused"),
    [
        (80, 80, ["a.com", "a.com:80"], ["a.com:22", "a.com:800"]),
        (80, 443, ["a.com"], ["a.com:80", "a.com:443"]),
        (8080, 8080, ["a.com:8080"], ["a.com", "a.com:80", "a.com:80800"]),
    ],
)
def test_requests_keep_to_the_services_port(
    number: int, target: int, taken: list[str], refused: list[str]
) -> None:
    """A host may name any port, and Envoy would go there."""
    route = Route()
    keep_to_port([route], Port(number, "http", Protocol.HTTP, target))
    (wanted,) = route.match.headers
    assert wanted.name == ":authority"
    regex = wanted.string_match.safe_regex.regex
    assert all(re.fullmatch(regex, host) for host in taken)
    assert not any(re.fullmatch(regex, host) for host in refused)
