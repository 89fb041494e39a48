"""Clusters: how endpoints are found, limits, HTTP, balancing, outliers."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.extensions.clusters.dns.v3.dns_cluster_pb2 import DnsCluster
from envoy.extensions.load_balancing_policies.client_side_weighted_round_robin.v3.client_side_weighted_round_robin_pb2 import (  # noqa: E501
    ClientSideWeightedRoundRobin,
)
from envoy.extensions.load_balancing_policies.wrr_locality.v3.wrr_locality_pb2 import WrrLocality
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import UpstreamTlsContext
from envoy.extensions.upstreams.http.v3.http_protocol_options_pb2 import HttpProtocolOptions
from google.protobuf.json_format import MessageToDict

from tests.compile.envoy import RejectedByEnvoyError, validate_with_envoy
from xdsd.compile import clusters
from xdsd.compile.clusters import outbound_cluster
from xdsd.compile.endpoints import load_assignment
from xdsd.compile.locality import Place
from xdsd.compile.names import outbound_cluster_name
from xdsd.compile.policy import Policy, policy_of
from xdsd.compile.upstream import HTTP_OPTIONS, NO_LIMIT
from xdsd.model.catalog import Endpoint, Port, Protocol, Resolution, Service
from xdsd.model.intent import TrafficPolicy

HOST = "reviews.default.svc.cluster.local"
NAME = outbound_cluster_name(80, "", HOST)
HTTP = Port(80, "http", Protocol.HTTP, 8080)
GRPC = Port(80, "grpc", Protocol.GRPC, 8080)
TCP = Port(80, "tcp", Protocol.TCP, 8080)


def service(resolution: Resolution = Resolution.STATIC, selector: Mapping[str, str] | None = None) -> Service:
    return Service("default", HOST, (HTTP,), resolution=resolution, selector=selector)


def policy(settings: Mapping[str, Any]) -> Policy:
    """A policy from a trafficPolicy as published."""
    return policy_of(TrafficPolicy.model_validate(settings)) if settings else Policy()


def cluster(settings: Mapping[str, Any] | None = None, port: Port = HTTP, **changes: Any) -> Any:
    """The cluster of a service with the given trafficPolicy."""
    about = changes.pop("service", None) or service()
    return outbound_cluster(NAME, about, port, policy(settings or {}), **changes)


def http_options(message: Any) -> dict[str, Any]:
    packed = message.typed_extension_protocol_options
    if HTTP_OPTIONS not in packed:
        return {}
    options = HttpProtocolOptions()
    assert packed[HTTP_OPTIONS].Unpack(options)
    return MessageToDict(options)


def dns_options(message: Any) -> dict[str, Any]:
    options = DnsCluster()
    assert message.cluster_type.typed_config.Unpack(options)
    return MessageToDict(options)


def addresses(assignment: Any) -> list[tuple[str, int]]:
    return [
        (item.endpoint.address.socket_address.address, item.endpoint.address.socket_address.port_value)
        for group in assignment.endpoints
        for item in group.lb_endpoints
    ]


class TestDiscovery:
    def test_a_static_service_gets_its_endpoints_by_eds(self) -> None:
        """The assignment has the cluster's name, comes over ADS, and is waited for without limit."""
        made = cluster()
        assert made.type == Cluster.EDS
        assert MessageToDict(made.eds_cluster_config) == {
            "serviceName": NAME,
            "edsConfig": {"ads": {}, "resourceApiVersion": "V3", "initialFetchTimeout": "0s"},
        }
        assert made.lb_policy == Cluster.LEAST_REQUEST

    def test_endpoints_never_change_an_eds_cluster(self) -> None:
        """Whatever the endpoints are, the cluster has the same bytes."""
        first = cluster(endpoints=[Endpoint("10.0.0.1")]).SerializeToString(deterministic=True)
        assert cluster().SerializeToString(deterministic=True) == first

    def test_a_dns_service_resolves_all_its_endpoints(self) -> None:
        """Every listed name is looked up, at the pace that its records ask for."""
        endpoints = [Endpoint("a.example.com"), Endpoint("b.example.com", ports={"http": 81})]
        made = cluster(service=service(Resolution.DNS), endpoints=endpoints)
        assert made.cluster_type.name == "envoy.cluster.dns"
        assert addresses(made.load_assignment) == [("a.example.com", 8080), ("b.example.com", 81)]
        assert made.load_assignment.cluster_name == NAME
        options = dns_options(made)
        assert options["respectDnsTtl"] is True
        assert options["dnsRefreshRate"] == "60s"
        assert "allAddressesInSingleEndpoint" not in options

    def test_a_dns_service_without_endpoints_resolves_its_own_host(self) -> None:
        """The host of the service is its one endpoint unless workloads are to be selected."""
        made = cluster(service=service(Resolution.DNS))
        assert addresses(made.load_assignment) == [(HOST, 8080)]
        selecting = cluster(service=service(Resolution.DNS, {"app": "reviews"}))
        assert addresses(selecting.load_assignment) == []

    def test_a_subset_of_a_dns_service_resolves_the_names_with_its_labels(self) -> None:
        """Names lacking the labels are not looked up."""
        endpoints = [Endpoint("a.example.com", labels={"version": "v1"}), Endpoint("b.example.com")]
        made = cluster(service=service(Resolution.DNS), endpoints=endpoints, subset_labels={"version": "v1"})
        assert addresses(made.load_assignment) == [("a.example.com", 8080)]

    def test_round_robin_dns_looks_its_name_up_for_new_connections(self) -> None:
        """One name is logical; several, which Envoy cannot treat so, are all resolved."""
        one = cluster(service=service(Resolution.DNS_ROUND_ROBIN))
        assert dns_options(one)["allAddressesInSingleEndpoint"] is True
        two = cluster(
            service=service(Resolution.DNS_ROUND_ROBIN), endpoints=[Endpoint("a.b"), Endpoint("c.d")]
        )
        assert "allAddressesInSingleEndpoint" not in dns_options(two)

    def test_an_unresolved_service_keeps_the_original_destination(self) -> None:
        """Where it was meant to go is where traffic goes, at the target port, if the proxy can see that."""
        made = cluster(service=service(Resolution.NONE))
        assert made.type == Cluster.ORIGINAL_DST
        assert made.lb_policy == Cluster.CLUSTER_PROVIDED
        assert made.original_dst_lb_config.upstream_port_override.value == HTTP.target
        same = cluster(service=service(Resolution.NONE), port=replace(HTTP, target=HTTP.number))
        assert same.WhichOneof("lb_config") is None
        assert cluster(service=service(Resolution.NONE), intercepted=False).type == Cluster.EDS

    @pytest.mark.parametrize("resolution", list(Resolution))
    @pytest.mark.parametrize("intercepted", [True, False])
    @pytest.mark.parametrize("simple", ["RANDOM", "PASSTHROUGH"])
    def test_which_clusters_discover_endpoints_can_be_asked(
        self, resolution: Resolution, intercepted: bool, simple: str
    ) -> None:
        """The answer is that of the cluster itself, so that none waits for endpoints that nobody makes."""
        settings = {"loadBalancer": {"simple": simple}}
        about = service(resolution)
        made = cluster(settings, service=about, intercepted=intercepted)
        asked = clusters.discovers_endpoints(about, policy(settings), intercepted=intercepted)
        assert asked == (made.type == Cluster.EDS and not made.HasField("cluster_type"))

    @pytest.mark.parametrize("resolution", list(Resolution))
    def test_passthrough_keeps_the_original_destination(self, resolution: Resolution) -> None:
        """The PASSTHROUGH balancer turns any resolution into the original destination."""
        made = cluster({"loadBalancer": {"simple": "PASSTHROUGH"}}, service=service(resolution))
        assert made.type == Cluster.ORIGINAL_DST
        assert made.lb_policy == Cluster.CLUSTER_PROVIDED
        assert not made.HasField("load_assignment")


class TestConnectionPool:
    def test_nothing_is_limited_by_default(self) -> None:
        """Connecting may take ten seconds; connections, requests and retries have no limit."""
        made = cluster()
        assert made.connect_timeout.ToTimedelta() == timedelta(seconds=10)
        assert MessageToDict(made.circuit_breakers.thresholds[0], preserving_proto_field_name=True) == {
            "max_connections": NO_LIMIT,
            "max_pending_requests": NO_LIMIT,
            "max_requests": NO_LIMIT,
            "max_retries": NO_LIMIT,
            "track_remaining": True,
        }
        assert not made.HasField("upstream_connection_options")
        assert http_options(made) == {}

    def test_limits_become_circuit_breakers(self) -> None:
        """Each limit stands where Envoy counts it; a limit of 0 is none, as published."""
        pool = {
            "tcp": {"maxConnections": 7, "connectTimeout": "250ms"},
            "http": {"http1MaxPendingRequests": 8, "http2MaxRequests": 9, "maxRetries": 0},
        }
        made = cluster({"connectionPool": pool})
        (limits,) = made.circuit_breakers.thresholds
        assert made.connect_timeout.ToTimedelta() == timedelta(milliseconds=250)
        assert limits.max_connections.value == 7
        assert limits.max_pending_requests.value == 8
        assert limits.max_requests.value == 9
        assert limits.max_retries.value == NO_LIMIT

    def test_a_retry_budget_takes_the_place_of_a_limit(self) -> None:
        """A share of the active requests, with the published defaults; over time if that is asked for."""
        made = cluster({"retryBudget": {"percent": 0.5, "minRetryConcurrency": 7}})
        (limits,) = made.circuit_breakers.thresholds
        assert MessageToDict(limits.retry_budget) == {
            "budgetPercent": {"value": 0.5},
            "minRetryConcurrency": 7,
        }
        (limits,) = cluster({"retryBudget": {"budgetInterval": "0s"}}).circuit_breakers.thresholds
        default = {"budgetPercent": {"value": 20.0}, "minRetryConcurrency": 3}
        assert MessageToDict(limits.retry_budget) == default
        (timed,) = cluster({"retryBudget": {"budgetInterval": "10s"}}).circuit_breakers.thresholds
        added = timed.retry_budget.SerializeToString().replace(limits.retry_budget.SerializeToString(), b"")
        assert added == b"\x1a\x02\x08\x0a"

    def test_tcp_keepalive_counts_whole_seconds(self) -> None:
        """An empty keepalive takes the system's settings."""
        empty = cluster({"connectionPool": {"tcp": {"tcpKeepalive": {}}}})
        assert empty.upstream_connection_options.HasField("tcp_keepalive")
        full = {"probes": 3, "time": "7200s", "interval": "75s"}
        made = cluster({"connectionPool": {"tcp": {"tcpKeepalive": full}}}, port=TCP)
        assert MessageToDict(made.upstream_connection_options.tcp_keepalive) == {
            "keepaliveProbes": 3,
            "keepaliveTime": 7200,
            "keepaliveInterval": 75,
        }

    def test_connection_ages_and_counts_are_http_options(self) -> None:
        """Idle timeout, age and requests of a connection hold for HTTP of either version."""
        pool = {
            "tcp": {"maxConnectionDuration": "1h", "idleTimeout": "5s"},
            "http": {"idleTimeout": "30s", "maxRequestsPerConnection": 1},
        }
        common = {"idleTimeout": "30s", "maxConnectionDuration": "3600s", "maxRequestsPerConnection": 1}
        assert http_options(cluster({"connectionPool": pool})) == {
            "commonHttpProtocolOptions": common,
            "explicitHttpConfig": {"httpProtocolOptions": {}},
        }
        assert http_options(cluster({"connectionPool": pool}, port=GRPC)) == {
            "commonHttpProtocolOptions": common,
            "explicitHttpConfig": {"http2ProtocolOptions": {}},
        }
        assert http_options(cluster({"connectionPool": pool}, port=TCP)) == {}

    def test_the_idle_timeout_of_tcp_serves_http_that_has_none(self) -> None:
        """The timeout of TCP connections holds where HTTP has no own."""
        made = cluster({"connectionPool": {"tcp": {"idleTimeout": "5s"}}})
        assert http_options(made)["commonHttpProtocolOptions"] == {"idleTimeout": "5s"}


class TestHTTP:
    def test_http2_ports_are_spoken_to_in_http2(self) -> None:
        """gRPC needs HTTP/2 whatever the upgrade policy says."""
        for policy_name in ("DEFAULT", "DO_NOT_UPGRADE", "UPGRADE"):
            pool = {"http": {"h2UpgradePolicy": policy_name}}
            made = cluster({"connectionPool": pool}, port=GRPC)
            assert http_options(made) == {"explicitHttpConfig": {"http2ProtocolOptions": {}}}

    def test_http1_ports_are_upgraded_on_demand(self) -> None:
        """UPGRADE alone makes an HTTP port speak HTTP/2."""
        assert http_options(cluster({"connectionPool": {"http": {"h2UpgradePolicy": "UPGRADE"}}})) == {
            "explicitHttpConfig": {"http2ProtocolOptions": {}}
        }
        for policy_name in ("DEFAULT", "DO_NOT_UPGRADE"):
            assert http_options(cluster({"connectionPool": {"http": {"h2UpgradePolicy": policy_name}}})) == {}

    def test_the_protocol_of_the_client_is_kept_on_demand(self) -> None:
        """With useClientProtocol each request goes on in the version that it came in."""
        pool = {"http": {"useClientProtocol": True}}
        for port in (HTTP, GRPC):
            assert http_options(cluster({"connectionPool": pool}, port=port)) == {
                "useDownstreamProtocolConfig": {"httpProtocolOptions": {}, "http2ProtocolOptions": {}}
            }

    @pytest.mark.parametrize(
        ("extra", "place"),
        [
            ({"h2UpgradePolicy": "UPGRADE"}, "explicitHttpConfig"),
            ({"useClientProtocol": True}, "useDownstreamProtocolConfig"),
        ],
    )
    def test_http2_settings_hold_wherever_http2_is_spoken(self, extra: dict[str, Any], place: str) -> None:
        """Streams and PINGs are limited for chosen and for followed HTTP/2; PINGs have a timeout."""
        http = {"maxConcurrentStreams": 5, "http2KeepAlive": {"interval": "30s", "timeout": "5s"}, **extra}
        options = http_options(cluster({"connectionPool": {"http": http}}))[place]["http2ProtocolOptions"]
        assert options == {
            "maxConcurrentStreams": 5,
            "connectionKeepalive": {"interval": "30s", "timeout": "5s"},
        }


class TestLoadBalancer:
    @pytest.mark.parametrize(
        ("simple", "expected"),
        [
            ("UNSPECIFIED", Cluster.LEAST_REQUEST),
            ("LEAST_CONN", Cluster.LEAST_REQUEST),
            ("LEAST_REQUEST", Cluster.LEAST_REQUEST),
            ("RANDOM", Cluster.RANDOM),
            ("ROUND_ROBIN", Cluster.ROUND_ROBIN),
        ],
    )
    def test_simple_policies(self, simple: str, expected: int) -> None:
        """Each published name has its policy; the default prefers the less busy of two."""
        assert cluster({"loadBalancer": {"simple": simple}}).lb_policy == expected

    @pytest.mark.parametrize(
        ("settings", "size"),
        [
            ({}, 1024),
            ({"ringHash": {}}, 1024),
            ({"ringHash": {"minimumRingSize": 64}}, 64),
            ({"minimumRingSize": 32}, 32),
        ],
    )
    def test_consistent_hash_uses_a_ring(self, settings: dict[str, Any], size: int) -> None:
        """A ring is the default; its size may stand in the old place."""
        made = cluster({"loadBalancer": {"consistentHash": {"useSourceIp": True, **settings}}})
        assert made.lb_policy == Cluster.RING_HASH
        assert made.ring_hash_lb_config.minimum_ring_size.value == size

    def test_consistent_hash_may_use_maglev(self) -> None:
        """Maglev's table has the given size."""
        hashing = {"httpHeaderName": "x-user", "maglev": {"tableSize": 65521}}
        made = cluster({"loadBalancer": {"consistentHash": hashing}})
        assert made.lb_policy == Cluster.MAGLEV
        assert made.maglev_lb_config.table_size.value == 65521

    @pytest.mark.parametrize("simple", ["ROUND_ROBIN", "LEAST_REQUEST", "UNSPECIFIED"])
    def test_new_endpoints_warm_up(self, simple: str) -> None:
        """Policies that know weights have slow start, from either field, with its curve and its least share."""
        config = "round_robin_lb_config" if simple == "ROUND_ROBIN" else "least_request_lb_config"
        warmup = {"duration": "30s", "minimumPercent": 5.5, "aggression": 2}
        made = cluster({"loadBalancer": {"simple": simple, "warmup": warmup}})
        assert MessageToDict(getattr(made, config).slow_start_config) == {
            "slowStartWindow": "30s",
            "aggression": {"defaultValue": 2.0, "runtimeKey": "upstream.slow_start_aggression"},
            "minWeightPercent": {"value": 5.5},
        }
        made = cluster({"loadBalancer": {"simple": simple, "warmupDurationSecs": "10s"}})
        assert MessageToDict(getattr(made, config).slow_start_config) == {"slowStartWindow": "10s"}

    def test_policies_without_weights_do_not_warm_up(self) -> None:
        """Random choice and hashing have no slow start."""
        for chosen in ({"simple": "RANDOM"}, {"consistentHash": {"useSourceIp": True}}):
            made = cluster({"loadBalancer": {**chosen, "warmup": {"duration": "30s"}}})
            assert "slowStart" not in str(MessageToDict(made))

    def test_endpoints_may_be_weighed_by_what_they_report(self) -> None:
        """Every setting of backend utilization, and warm-up, stands in the extension that does it."""
        settings = {
            "metricNamesForComputingUtilization": ["named_metrics.q"],
            "errorUtilizationPenaltyPercent": 150,
            "weightUpdatePeriod": "2s",
            "weightExpirationPeriod": "3m",
            "weightStabilizationPeriod": "10s",
        }
        made = cluster({"loadBalancer": {"backendUtilization": settings, "warmupDurationSecs": "5s"}})
        assert made.lb_policy == Cluster.LOAD_BALANCING_POLICY_CONFIG
        (chosen,) = made.load_balancing_policy.policies
        config = ClientSideWeightedRoundRobin()
        assert chosen.typed_extension_config.typed_config.Unpack(config)
        assert MessageToDict(config) == {
            "metricNamesForComputingUtilization": ["named_metrics.q"],
            "errorUtilizationPenalty": 1.5,
            "weightUpdatePeriod": "2s",
            "weightExpirationPeriod": "180s",
            "blackoutPeriod": "10s",
            "slowStartConfig": {"slowStartWindow": "5s"},
        }


SHARES = {"distribute": [{"from": "eu", "to": {"eu": 80, "us": 20}}]}


class TestLocalities:
    def test_localities_weigh_only_where_they_have_shares(self) -> None:
        """Elsewhere their weights would change what the balancing policy does."""
        made = cluster({"loadBalancer": {"localityLbSetting": SHARES}})
        assert made.common_lb_config.HasField("locality_weighted_lb_config")
        for setting in ({**SHARES, "enabled": False}, {"failover": [{"from": "eu", "to": "us"}]}):
            made = cluster({"loadBalancer": {"localityLbSetting": setting}})
            assert not made.common_lb_config.HasField("locality_weighted_lb_config")

    def test_shares_hold_above_reported_weights(self) -> None:
        """An extension has the shares of localities in an extension of its own."""
        made = cluster({"loadBalancer": {"localityLbSetting": SHARES, "backendUtilization": {}}})
        (chosen,) = made.load_balancing_policy.policies
        config = WrrLocality()
        assert chosen.typed_extension_config.typed_config.Unpack(config)
        (inner,) = config.endpoint_picking_policy.policies
        assert inner.typed_extension_config.name.endswith("client_side_weighted_round_robin")
        assert made.common_lb_config.WhichOneof("locality_config_specifier") is None

    def test_zones_are_envoys_to_balance(self) -> None:
        """On by default; switching it off says so, for proxies that would do it anyway."""
        for setting, expected in (
            ({}, {}),
            ({"enabled": True, "minClusterSize": 2}, {"minClusterSize": "2"}),
            ({"enabled": False}, {"routingEnabled": {}}),
        ):
            made = cluster({"loadBalancer": {"zoneAwareLbSetting": setting}})
            assert MessageToDict(made.common_lb_config.zone_aware_lb_config) == expected

    def test_names_are_ranked_where_they_stand(self) -> None:
        """Clusters of DNS names have their localities inline."""
        endpoints = [Endpoint("a.b", locality="us"), Endpoint("c.d", locality="eu")]
        made = cluster(
            {"loadBalancer": {"localityLbSetting": {}}},
            service=service(Resolution.DNS),
            endpoints=endpoints,
            place=Place("eu"),
        )
        ranked = [(group.locality.region, group.priority) for group in made.load_assignment.endpoints]
        assert ranked == [("eu", 0), ("us", 1)]

    def test_what_has_no_endpoints_has_no_localities(self) -> None:
        """The original destination is neither near nor far."""
        made = cluster({"loadBalancer": {"localityLbSetting": SHARES}}, service=service(Resolution.NONE))
        assert made.common_lb_config.WhichOneof("locality_config_specifier") is None


class TestTransport:
    def test_http_asks_for_the_host_of_the_request(self) -> None:
        """SNI and verification follow the host where HTTP has one; HTTP/2 is announced."""
        made = cluster({"tls": {"mode": "SIMPLE"}})
        assert http_options(made) == {
            "upstreamHttpProtocolOptions": {"autoSni": True, "autoSanValidation": True},
            "explicitHttpConfig": {"httpProtocolOptions": {}},
        }
        assert http_options(cluster({"tls": {"mode": "SIMPLE"}}, port=TCP)) == {}
        named = {"mode": "SIMPLE", "sni": "a.example.com"}
        assert http_options(cluster({"tls": named})) == {}

    @pytest.mark.parametrize(
        ("port", "http", "announced"),
        [
            (HTTP, {}, False),
            (GRPC, {}, True),
            (HTTP, {"h2UpgradePolicy": "UPGRADE"}, True),
            (GRPC, {"useClientProtocol": True}, False),
        ],
    )
    def test_tls_announces_http2_where_nothing_else_is_spoken(
        self, port: Port, http: dict[str, Any], *, announced: bool
    ) -> None:
        """The protocol of the connection is agreed on in the handshake."""
        settings: dict[str, Any] = {"tls": {"mode": "SIMPLE"}}
        if http:
            settings["connectionPool"] = {"http": http}
        context = UpstreamTlsContext()
        assert cluster(settings, port=port).transport_socket.typed_config.Unpack(context)
        assert list(context.common_tls_context.alpn_protocols) == (["h2"] if announced else [])

    def test_a_service_may_say_what_its_certificates_are_for(self) -> None:
        """Its names are compared unless the rule has its own, or verifies nothing; then the host is not."""
        about = replace(service(), subject_alt_names=("spiffe://mesh/shop",))
        for tls, names in (
            ({"mode": "SIMPLE"}, ["spiffe://mesh/shop"]),
            ({"mode": "SIMPLE", "subjectAltNames": ["a"]}, ["a"]),
            ({"mode": "SIMPLE", "insecureSkipVerify": True}, []),
        ):
            made = cluster({"tls": tls}, service=about)
            context = UpstreamTlsContext()
            assert made.transport_socket.typed_config.Unpack(context)
            wanted = context.common_tls_context.validation_context.match_typed_subject_alt_names
            assert [each.matcher.exact for each in wanted] == names
            assert http_options(made)["upstreamHttpProtocolOptions"] == {"autoSni": True}
        assert not cluster(service=about).HasField("transport_socket")

    def test_a_tunnel_speaks_http_on_any_port(self) -> None:
        """The proxy at its other end is spoken to as the pool says."""
        tunnel = {"targetHost": "a.example.com", "targetPort": 443}
        assert http_options(cluster({"tunnel": tunnel}, port=TCP)) == {}
        upgraded = {"tunnel": tunnel, "connectionPool": {"http": {"h2UpgradePolicy": "UPGRADE"}}}
        assert http_options(cluster(upgraded, port=TCP)) == {
            "explicitHttpConfig": {"http2ProtocolOptions": {}}
        }


class TestOutliers:
    def test_endpoints_called_unhealthy_are_the_last_resort(self) -> None:
        """Without detection there is no ejection, and unhealthy endpoints serve when no other is left."""
        made = cluster()
        assert not made.HasField("outlier_detection")
        assert made.common_lb_config.healthy_panic_threshold.value == 1

    def test_every_setting_reaches_envoy(self) -> None:
        """Each limit switches its own detector on; detection by success rate stays off."""
        made = cluster(
            {
                "outlierDetection": {
                    "consecutive5xxErrors": 3,
                    "consecutiveGatewayErrors": 4,
                    "splitExternalLocalOriginErrors": True,
                    "consecutiveLocalOriginFailures": 5,
                    "interval": "5s",
                    "baseEjectionTime": "3m",
                    "maxEjectionPercent": 100,
                    "minHealthPercent": 20,
                }
            }
        )
        assert MessageToDict(made.outlier_detection, preserving_proto_field_name=True) == {
            "consecutive_5xx": 3,
            "enforcing_consecutive_5xx": 100,
            "consecutive_gateway_failure": 4,
            "enforcing_consecutive_gateway_failure": 100,
            "enforcing_success_rate": 0,
            "split_external_local_origin_errors": True,
            "consecutive_local_origin_failure": 5,
            "enforcing_consecutive_local_origin_failure": 100,
            "enforcing_local_origin_success_rate": 0,
            "interval": "5s",
            "base_ejection_time": "180s",
            "max_ejection_percent": 100,
        }
        assert made.common_lb_config.healthy_panic_threshold.value == 20

    def test_detection_without_a_least_health_never_panics(self) -> None:
        """The published default of minHealthPercent is 0, which switches panic off."""
        made = cluster({"outlierDetection": {}})
        assert made.HasField("outlier_detection")
        assert made.common_lb_config.HasField("healthy_panic_threshold")
        assert made.common_lb_config.healthy_panic_threshold.value == 0

    def test_a_limit_of_zero_switches_its_detector_off(self) -> None:
        """Zero errors is never, not at once."""
        made = cluster({"outlierDetection": {"consecutive5xxErrors": 0, "consecutiveGatewayErrors": 0}})
        assert made.outlier_detection.enforcing_consecutive_5xx.value == 0
        assert made.outlier_detection.HasField("enforcing_consecutive_5xx")
        assert made.outlier_detection.enforcing_consecutive_gateway_failure.value == 0

    def test_the_old_error_count_means_gateway_errors(self) -> None:
        """consecutiveErrors counts 502 to 504 and nothing else; the newer fields win over it."""
        made = cluster({"outlierDetection": {"consecutiveErrors": 6}}).outlier_detection
        assert made.consecutive_gateway_failure.value == 6
        assert made.enforcing_consecutive_gateway_failure.value == 100
        assert made.HasField("enforcing_consecutive_5xx")
        assert made.enforcing_consecutive_5xx.value == 0
        both = cluster({"outlierDetection": {"consecutiveErrors": 6, "consecutive5xxErrors": 2}})
        assert both.outlier_detection.enforcing_consecutive_5xx.value == 100

    def test_local_failures_count_apart_only_if_asked(self) -> None:
        """Without the split, failures to connect count among the server's own."""
        made = cluster({"outlierDetection": {"consecutive5xxErrors": 5}}).outlier_detection
        assert not made.HasField("consecutive_local_origin_failure")
        assert not made.split_external_local_origin_errors

    @pytest.mark.parametrize("codes", [[500], [500, 429]])
    def test_given_statuses_replace_all_5xx(self, codes: list[int]) -> None:
        """One status is a match, several are a choice."""
        made = cluster({"outlierDetection": {"outlierDetectionHttpErrorCodes": codes}})
        matcher = http_options(made)["outlierDetection"]["errorMatcher"]
        rules = matcher["orMatch"]["rules"] if len(codes) > 1 else [matcher]
        exact = [rule["httpResponseHeadersMatch"]["headers"][0]["stringMatch"]["exact"] for rule in rules]
        assert exact == [str(code) for code in codes]


class TestOtherClusters:
    def test_inbound_goes_to_the_program_beside_the_proxy(self) -> None:
        """The cluster of a port sends to the program's own address and port, in the port's protocol."""
        made = clusters.inbound_cluster(9080, "127.0.0.1", 8080, protocol=Protocol.GRPC)
        assert (made.name, made.type) == ("inbound|9080||", Cluster.STATIC)
        assert addresses(made.load_assignment) == [("127.0.0.1", 8080)]
        assert http_options(made) == {"explicitHttpConfig": {"http2ProtocolOptions": {}}}
        assert not made.HasField("upstream_bind_config")

    def test_inbound_to_other_addresses_is_told_apart_by_its_source(self) -> None:
        """Only an address that redirection would catch needs a source that it leaves alone."""
        made = clusters.inbound_cluster(80, "10.0.0.1", 80)
        assert made.upstream_bind_config.source_address.address == "127.0.0.6"
        for address in ("127.0.0.1", "::1", "unix:///run/app.sock"):
            assert not clusters.inbound_cluster(80, address, 80).HasField("upstream_bind_config")
        pipe = clusters.inbound_cluster(80, "unix:///run/app.sock", 0).load_assignment
        assert pipe.endpoints[0].lb_endpoints[0].endpoint.address.pipe.path == "/run/app.sock"

    def test_inbound_takes_a_connection_pool(self) -> None:
        """The limits of a Sidecar hold on the server's side."""
        pool = policy({"connectionPool": {"tcp": {"maxConnections": 2}}}).connection_pool
        made = clusters.inbound_cluster(80, "127.0.0.1", 80, pool)
        assert made.circuit_breakers.thresholds[0].max_connections.value == 2

    def test_inbound_speaks_what_the_program_speaks(self) -> None:
        """An upgrade is between proxies: the program is asked in the protocol of its port."""
        pool = policy({"connectionPool": {"http": {"h2UpgradePolicy": "UPGRADE"}}}).connection_pool
        assert http_options(clusters.inbound_cluster(80, "127.0.0.1", 80, pool, Protocol.HTTP)) == {}

    def test_passthrough_speaks_on_what_the_client_speaks(self) -> None:
        """Both passthroughs keep destination and protocol; the inbound one has a source of its own."""
        outbound, inbound = clusters.passthrough_cluster(), clusters.inbound_passthrough_cluster()
        assert (outbound.name, inbound.name) == ("PassthroughCluster", "InboundPassthroughCluster")
        for made in (outbound, inbound):
            assert made.type == Cluster.ORIGINAL_DST
            assert made.lb_policy == Cluster.CLUSTER_PROVIDED
            assert made.alt_stat_name == f"{made.name};"
            assert "useDownstreamProtocolConfig" in http_options(made)
        assert not outbound.HasField("upstream_bind_config")
        assert inbound.upstream_bind_config.source_address.address == "127.0.0.6"

    def test_the_black_hole_has_no_endpoints(self) -> None:
        """Nothing that is sent there arrives."""
        made = clusters.black_hole_cluster()
        assert (made.name, made.type) == ("BlackHoleCluster", Cluster.STATIC)
        assert not made.HasField("load_assignment")


def test_a_cluster_says_whose_it_is() -> None:
    """Tools find service and subset in the metadata, and statistics end at a semicolon."""
    name = outbound_cluster_name(80, "v1", HOST)
    made = outbound_cluster(name, service(), HTTP)
    assert MessageToDict(made.metadata)["filterMetadata"]["istio"] == {
        "services": [{"host": HOST, "name": "reviews", "namespace": "default"}],
        "subset": "v1",
    }
    assert made.alt_stat_name == f"{name};"


EVERYTHING: dict[str, Any] = {
    "connectionPool": {
        "tcp": {
            "maxConnections": 10,
            "connectTimeout": "1ms",
            "maxConnectionDuration": "24h",
            "idleTimeout": "0s",
            "tcpKeepalive": {"probes": 1, "time": "1s", "interval": "75s"},
        },
        "http": {
            "http1MaxPendingRequests": 2147483647,
            "http2MaxRequests": 1,
            "maxRequestsPerConnection": 2147483647,
            "maxRetries": 1,
            "idleTimeout": "1ms",
            "maxConcurrentStreams": 2147483647,
            "http2KeepAlive": {"interval": "1ms", "timeout": "1ms"},
        },
    },
    "outlierDetection": {
        "consecutiveErrors": 1,
        "consecutive5xxErrors": 4294967295,
        "consecutiveGatewayErrors": 0,
        "splitExternalLocalOriginErrors": True,
        "consecutiveLocalOriginFailures": 0,
        "interval": "1ms",
        "baseEjectionTime": "10000h",
        "maxEjectionPercent": 100,
        "minHealthPercent": 100,
        "outlierDetectionHttpErrorCodes": [500, 503],
    },
}
BALANCERS: tuple[dict[str, Any], ...] = (
    *({"simple": name} for name in ("LEAST_CONN", "RANDOM", "PASSTHROUGH", "ROUND_ROBIN", "LEAST_REQUEST")),
    {"consistentHash": {"httpHeaderName": "x", "minimumRingSize": 8388608}},
    {"consistentHash": {"useSourceIp": True, "ringHash": {"minimumRingSize": 1}}},
    {"consistentHash": {"httpQueryParameterName": "q", "maglev": {"tableSize": 65537}}},
    {"simple": "ROUND_ROBIN", "warmup": {"duration": "1ms", "minimumPercent": 0, "aggression": 0.001}},
    {"simple": "LEAST_REQUEST", "warmup": {"duration": "24h", "minimumPercent": 100, "aggression": 1000}},
    {"warmupDurationSecs": "1s", "localityLbSetting": SHARES},
    {"consistentHash": {"httpHeaderName": "x"}, "localityLbSetting": SHARES},
    {"consistentHash": {"useSourceIp": True, "maglev": {"tableSize": 2}}, "localityLbSetting": SHARES},
    {"simple": "RANDOM", "zoneAwareLbSetting": {"minClusterSize": 4294967295}},
    {"zoneAwareLbSetting": {"enabled": False}},
    {"backendUtilization": {}, "zoneAwareLbSetting": {"enabled": False}},
    {"backendUtilization": {}, "localityLbSetting": SHARES, "warmupDurationSecs": "1s"},
    {
        "backendUtilization": {
            "metricNamesForComputingUtilization": ["named_metrics.a", "cpu_utilization"],
            "errorUtilizationPenaltyPercent": 4294967295,
            "weightUpdatePeriod": "0s",
            "weightExpirationPeriod": "0s",
            "weightStabilizationPeriod": "0s",
        }
    },
)
TRANSPORTS: tuple[dict[str, Any], ...] = (
    {"tls": {"mode": "SIMPLE"}},
    {"tls": {"mode": "SIMPLE", "insecureSkipVerify": True, "sni": "a.example.com"}},
    {"tls": {"mode": "SIMPLE", "subjectAltNames": ["a", "spiffe://a/b", "::1", "a@b"]}},
    {"tls": {"mode": "SIMPLE"}, "proxyProtocol": {"version": "V2"}},
    {"proxyProtocol": {}},
    {"tunnel": {"targetHost": "fd00::1", "targetPort": 1, "protocol": "POST"}},
    {"retryBudget": {"percent": 100.0, "minRetryConcurrency": 4294967295, "budgetInterval": "10s"}},
    {"retryBudget": {"percent": 0.0}},
)


def everything() -> Iterator[Any]:
    """Clusters of every resolution, protocol and balancer, bare and with every setting at its limits."""
    endpoints = [Endpoint("10.0.0.1", locality="eu/a/1"), Endpoint("a.example.com", weight=3)]
    for resolution in Resolution:
        for port in (HTTP, GRPC, TCP):
            about = service(resolution)
            yield cluster(port=port, service=about)
            yield cluster(EVERYTHING, port=port, service=about, endpoints=endpoints)
            yield cluster(EVERYTHING, port=port, service=about, endpoints=endpoints[:1], intercepted=False)
    for balancer in BALANCERS:
        for extra in ({}, EVERYTHING):
            yield cluster({**extra, "loadBalancer": balancer})
    for http in ({"useClientProtocol": True}, {"h2UpgradePolicy": "UPGRADE"}, {"h2UpgradePolicy": "DEFAULT"}):
        settings = {"http": {**EVERYTHING["connectionPool"]["http"], **http}}
        yield cluster({"connectionPool": settings})
    for transport in TRANSPORTS:
        for port in (HTTP, GRPC, TCP):
            yield cluster({**transport, **EVERYTHING}, port=port)
    pool = policy(EVERYTHING).connection_pool
    for address in ("127.0.0.1", "10.0.0.1", "::1", "fd00::1", "unix:///run/app.sock"):
        for protocol in (Protocol.HTTP, Protocol.HTTP2, Protocol.TCP):
            yield clusters.inbound_cluster(80, address, 8080, pool, protocol)
    yield clusters.passthrough_cluster()
    yield clusters.inbound_passthrough_cluster()
    yield clusters.black_hole_cluster()


@pytest.mark.e2e
def test_envoy_takes_every_cluster() -> None:
    """A real Envoy loads all of them and finds none of their settings deprecated."""
    log = validate_with_envoy(clusters=everything())
    assert log.strip().endswith("OK")
    assert "deprecated" not in log.lower()


@pytest.mark.e2e
def test_envoy_says_what_it_refuses() -> None:
    """The validator fails with Envoy's words, so a passing case means something."""
    broken = cluster()
    broken.connect_timeout.seconds = -1
    with pytest.raises(RejectedByEnvoyError, match="positive duration"):
        validate_with_envoy(clusters=[broken], assignments=[load_assignment(NAME, HTTP, ())])
