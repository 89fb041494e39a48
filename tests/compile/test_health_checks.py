"""Health checks: what they make of a cluster, and which one is for whom."""

from typing import Any

import pytest
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import UpstreamTlsContext
from google.protobuf.json_format import MessageToDict

from tests.compile.test_clusters import GRPC, HTTP, NAME, TCP, cluster, http_options, service
from tests.compile.test_limit_references import objects, told
from tests.golden.mesh import Mesh, Outcome, of_type
from xdsd.compile.endpoints import load_assignment
from xdsd.compile.health_checks import why_unchecked
from xdsd.compile.policy import Policy
from xdsd.model.catalog import Endpoint, Port, Protocol, Resolution
from xdsd.model.intent import HealthCheck
from xdsd.model.node import Node
from xdsd.model.problem import ObjectRef
from xdsd.snapshot import CLUSTER, ENDPOINT

AUTO = Port(80, "", Protocol.AUTO, 8080)


def check(**spec: Any) -> HealthCheck:
    return HealthCheck.model_validate(
        {"host": "a", **({"tcp": {}} if not spec.keys() & ASKING else {}), **spec}
    )


def sni(made: Any) -> str:
    """The server name of a cluster's TLS."""
    context = UpstreamTlsContext()
    assert made.transport_socket.typed_config.Unpack(context)
    return str(context.sni)


ASKING = {"http", "tcp", "grpc"}


def asked(made: Any) -> dict[str, Any]:
    """The one health check of a cluster (a generated message)."""
    (found,) = made.health_checks
    return MessageToDict(found)


class TestCluster:
    def test_defaults(self) -> None:
        """Ten seconds, less often where nothing is sent; three failures, two successes."""
        assert asked(cluster(check=check())) == {
            "interval": "10s",
            "intervalJitterPercent": 10,
            "noTrafficInterval": "60s",
            "timeout": "1s",
            "unhealthyThreshold": 3,
            "healthyThreshold": 2,
            "tcpHealthCheck": {},
        }

    def test_a_cluster_is_not_checked_unasked(self) -> None:
        """Nothing about health checks is set without one."""
        made = cluster()
        assert not made.health_checks
        assert not made.ignore_health_on_host_removal
        assert not made.common_lb_config.ignore_new_hosts_until_first_hc

    def test_a_slow_check_is_no_quicker_where_nothing_is_sent(self) -> None:
        """The pause without traffic is never the shorter one unless it is said."""
        assert asked(cluster(check=check(interval="300s")))["noTrafficInterval"] == "300s"
        given = check(interval="300s", noTrafficInterval="5s")
        assert asked(cluster(check=given))["noTrafficInterval"] == "5s"

    def test_every_status_but_the_expected_counts_up_to_the_threshold(self) -> None:
        """Expected and other statuses cover all there are, as spans without their ends."""
        http = asked(cluster(check=check(http={"path": "/h", "expectedStatuses": [204, 200, 201, 200]})))
        assert http["httpHealthCheck"] == {
            "host": service().hostname,
            "path": "/h",
            "expectedStatuses": [{"start": "200", "end": "202"}, {"start": "204", "end": "205"}],
            "retriableStatuses": [
                {"start": "100", "end": "200"},
                {"start": "202", "end": "204"},
                {"start": "205", "end": "600"},
            ],
        }

    def test_headers_are_plain_text(self) -> None:
        """A percent sign is no command of Envoy's."""
        http = asked(cluster(check=check(http={"path": "/", "method": "HEAD", "headers": {"x-a": "%A%"}})))
        assert http["httpHealthCheck"]["method"] == "HEAD"
        (header,) = http["httpHealthCheck"]["requestHeadersToAdd"]
        assert header == {"header": {"key": "x-a", "value": "%%A%%"}}

    @pytest.mark.parametrize(("port", "codec"), [(HTTP, None), (AUTO, None), (GRPC, "HTTP2")])
    def test_a_check_speaks_what_requests_speak(self, port: Port, codec: str | None) -> None:
        """HTTP/2 where the port speaks that alone."""
        http = asked(cluster(port=port, check=check(http={"path": "/"})))["httpHealthCheck"]
        assert http.get("codecClientType") == codec

    def test_words_on_a_connection_are_bytes(self) -> None:
        """Text and base64 both become what Envoy reads as hexadecimal."""
        tcp = {"send": {"text": "é"}, "receive": [{"binary": "AAE="}]}
        assert asked(cluster(check=check(tcp=tcp)))["tcpHealthCheck"] == {
            "send": {"text": "c3a9"},
            "receive": [{"text": "0001"}],
        }

    def test_opaque_ports_learn_http2_for_grpc(self) -> None:
        """Envoy asks by gRPC only what could be spoken to in HTTP/2; connections are not touched by that."""
        made = cluster(port=TCP, check=check(grpc={}, endpointPort=9))
        assert asked(made)["grpcHealthCheck"] == {"authority": service().hostname}
        assert http_options(made) == {"explicitHttpConfig": {"http2ProtocolOptions": {}}}
        assert why_unchecked(made, check(grpc={}), Protocol.TCP, Policy()) == ""

    @pytest.mark.parametrize(
        ("settings", "given", "least"),
        [
            ({}, {}, 1),
            ({}, {"minHealthPercent": 0}, 0),
            ({"outlierDetection": {"interval": "1s"}}, {}, 1),
            ({"outlierDetection": {"minHealthPercent": 30}}, {}, 30),
            ({"outlierDetection": {"minHealthPercent": 30}}, {"minHealthPercent": 50}, 50),
        ],
    )
    def test_all_are_used_if_too_few_are_well(
        self, settings: dict[str, Any], given: dict[str, Any], least: int
    ) -> None:
        """The check says how few, else the rule, else when none is: new endpoints count as ill until they were asked."""
        made = cluster(settings, check=check(**given))
        assert made.common_lb_config.healthy_panic_threshold.value == least
        assert made.ignore_health_on_host_removal
        assert made.common_lb_config.ignore_new_hosts_until_first_hc

    def test_tls_asks_for_the_checks_host(self) -> None:
        """Checks have no request to take the server name from; requests still go before it."""
        settings = {"tls": {"mode": "SIMPLE", "caCertificates": "/ca"}}
        plain, made = cluster(settings), cluster(settings, check=check(http={"path": "/", "host": "h"}))
        assert sni(made) == "h"
        assert http_options(made) == http_options(plain)
        named = {"tls": {**settings["tls"], "sni": "s"}}
        both = [cluster(named, check=each).transport_socket for each in (None, check())]
        assert both[0] == both[1]
        assert (
            cluster(settings, port=TCP, check=check()).transport_socket
            == cluster(settings, port=TCP).transport_socket
        )

    def test_connections_that_go_where_they_went_are_not_checked(self) -> None:
        """There are no endpoints to ask."""
        for made in (
            cluster(service=service(Resolution.NONE), check=check()),
            cluster({"loadBalancer": {"simple": "PASSTHROUGH"}}, check=check()),
        ):
            assert not made.health_checks
            assert "no endpoints" in why_unchecked(made, check(), Protocol.HTTP, Policy())

    def test_http1_is_not_asked_by_grpc(self) -> None:
        """Envoy would refuse the cluster; an upgrade to HTTP/2, or the client's own protocol, makes it possible."""
        made = cluster(check=check(grpc={}))
        assert not made.health_checks
        assert "HTTP/1.1" in why_unchecked(made, check(grpc={}), Protocol.HTTP, Policy())
        for http in ({"h2UpgradePolicy": "UPGRADE"}, {"useClientProtocol": True}):
            assert cluster({"connectionPool": {"http": http}}, check=check(grpc={})).health_checks


class TestEndpoints:
    def test_endpoints_may_be_asked_elsewhere(self) -> None:
        """The port of the check stands beside that of requests; a Unix socket has none."""
        endpoints = (Endpoint("10.0.0.1"), Endpoint("unix:///tmp/s"))
        (group,) = load_assignment(NAME, HTTP, endpoints, check_port=9).endpoints
        socket, pipe = group.lb_endpoints
        assert socket.endpoint.address.socket_address.port_value == 8080
        assert socket.endpoint.health_check_config.port_value == 9
        assert not pipe.endpoint.HasField("health_check_config")

    def test_names_that_are_looked_up_may_be_too(self) -> None:
        """The same for endpoints that stand inline."""
        made = cluster(service=service(Resolution.DNS), check=check(endpointPort=9))
        ((host,),) = (group.lb_endpoints for group in made.load_assignment.endpoints)
        assert host.endpoint.health_check_config.port_value == 9


A, B = (
    "sidecar~10.0.0.1~a-1.default~default.svc.cluster.local",
    "sidecar~10.0.0.2~b-1.other~other.svc.cluster.local",
)
CART = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "ServiceEntry",
    "metadata": {"name": "cart", "namespace": "shop"},
    "spec": {
        "hosts": ["a.test"],
        "ports": [{"number": 80, "name": "http"}, {"number": 81, "name": "tcp"}],
        "resolution": "STATIC",
        "endpoints": [{"address": "10.0.0.9"}],
    },
}


def thing(name: str, namespace: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "policy.xdsd.io/v1",
        "kind": "HealthCheck",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"host": "a.test", "tcp": {}, **spec},
    }


def mesh(*documents: dict[str, Any]) -> tuple[Mesh, Outcome]:
    made = Mesh()
    made.put(objects(CART, *documents))
    made.attach("a", Node(A, metadata={"LABELS": {"app": "a"}}))
    made.attach("b", Node(B))
    return made, made.settle()


def thresholds(outcome: Outcome, name: str) -> dict[str, int]:
    """By cluster, the threshold by which a test knows its checks."""
    return {
        each.name.split("|")[1]: each.health_checks[0].unhealthy_threshold.value
        for each in of_type(outcome.resources[name], CLUSTER)
        if each.health_checks
    }


class TestChoice:
    def test_the_clients_namespace_goes_before_the_services_and_the_root(self) -> None:
        """As with DestinationRules; other namespaces say nothing."""
        _, outcome = mesh(
            thing("c", "default", unhealthyThreshold=1),
            thing("c", "shop", unhealthyThreshold=2),
            thing("c", "istio-system", unhealthyThreshold=3),
            thing("c", "elsewhere", unhealthyThreshold=4),
        )
        assert thresholds(outcome, "a") == {"80": 1, "81": 1}
        assert thresholds(outcome, "b") == {"80": 2, "81": 2}
        assert told(outcome) == []

    def test_a_ports_own_check_goes_before_that_of_all_ports(self) -> None:
        """And one that selects the client before one for everybody; the older of two that are alike, which is told."""
        _, outcome = mesh(
            thing("all", "shop", unhealthyThreshold=1),
            thing("p", "shop", unhealthyThreshold=2, port={"number": 80}),
            thing("z", "shop", unhealthyThreshold=3, port={"number": 80}),
            thing("mine", "default", unhealthyThreshold=4, workloadSelector={"matchLabels": {"app": "a"}}),
            thing("yours", "default", unhealthyThreshold=5, workloadSelector={"matchLabels": {"app": "b"}}),
            thing("ours", "default", unhealthyThreshold=6),
        )
        assert thresholds(outcome, "b") == {"80": 2, "81": 1}
        assert thresholds(outcome, "a") == {"80": 4, "81": 4}
        assert told(outcome) == [
            "HealthCheck shop/z spec.host: has no effect: HealthCheck shop/p is older and checks port 80 of a.test already",
        ]

    def test_a_check_can_be_kept_to_some_namespaces(self) -> None:
        """Who does not see it does not ask."""
        _, outcome = mesh(thing("c", "shop", exportTo=["other"]))
        assert thresholds(outcome, "a") == {}
        assert thresholds(outcome, "b") == {"80": 3, "81": 3}

    def test_a_change_touches_what_is_checked(self) -> None:
        """Timings push the cluster alone, a port of the endpoints' own pushes these too; without it all is as before."""
        made, before = mesh()

        def pushed(outcome: Outcome, since: Outcome) -> set[str]:
            return {each.name for each in set(outcome.resources["a"]) - set(since.resources["a"])}

        made.put(objects(thing("c", "shop", port={"number": 80})))
        first = made.settle()
        assert pushed(first, before) == {"outbound|80||a.test"}
        made.put(objects(thing("c", "shop", port={"number": 80}, endpointPort=9)))
        second = made.settle()
        assert set(second.resources["a"]) - set(first.resources["a"]) == {
            each
            for each in second.resources["a"]
            if (each.type_url, each.name) == (ENDPOINT, "outbound|80||a.test")
        }
        made.drop([ObjectRef("HealthCheck", "shop", "c")])
        assert made.settle() == before
