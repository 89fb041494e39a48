"""What rules say in vain, or in part."""

from typing import Any

import pytest

from xdsd.model.ineffective import ineffective_ports, ineffective_servers, ineffective_settings
from xdsd.model.intent import DestinationRule, Gateway, Sidecar
from xdsd.model.problem import ObjectRef, Severity

REF = ObjectRef("DestinationRule", "default", "a")
OVER = {"localityLbSetting": {"failover": [{"from": "eu", "to": "us"}]}}
OUTLIERS = {"interval": "1s"}
POLICY = "spec.trafficPolicy.loadBalancer"


def told(policy: dict[str, Any], **more: Any) -> list[str]:
    """Path and reason of each warning about a rule."""
    rule = DestinationRule.model_validate({"host": "a", "trafficPolicy": policy, **more})
    found = list(ineffective_settings(rule, REF))
    assert all(each.severity is Severity.WARNING and each.object == REF for each in found)
    return [f"{each.path} {each.reason}" for each in found]


@pytest.mark.parametrize(
    "balancer",
    [
        OVER,
        {"localityLbSetting": {}},
        {"localityLbSetting": {"failoverPriority": ["a"]}},
    ],
)
def test_failover_wants_outlier_detection(balancer: dict[str, Any]) -> None:
    """Without it endpoints that fail are not left; with it there is nothing to say."""
    assert told({"loadBalancer": balancer}) == [f"{POLICY}.localityLbSetting MissingField"]
    assert told({"loadBalancer": balancer, "outlierDetection": OUTLIERS}) == []


@pytest.mark.parametrize(
    "balancer",
    [
        {"localityLbSetting": {"enabled": False}},
        {"localityLbSetting": {"distribute": [{"from": "eu", "to": {"eu": 100}}]}},
        {"zoneAwareLbSetting": {}},
        {"simple": "ROUND_ROBIN", "warmup": {"duration": "1s"}},
    ],
)
def test_what_works_alone_is_left_alone(balancer: dict[str, Any]) -> None:
    """Shares, zones, slow start and what is off need nothing beside them."""
    assert told({"loadBalancer": balancer}) == []


def test_ports_behind_a_sidecars_listeners_are_remarked_on() -> None:
    """The published API has them, and gives them no meaning."""
    port = {"number": 80, "targetPort": 8080}
    spec = {"ingress": [{"port": port}], "egress": [{"port": port, "hosts": ["*/*"]}, {"hosts": ["*/*"]}]}
    found = list(ineffective_ports(Sidecar.model_validate(spec), REF))
    assert [f"{each.path} {each.severity}" for each in found] == [
        "spec.ingress[0].port.targetPort warning",
        "spec.egress[0].port.targetPort warning",
    ]


def test_what_servers_of_a_gateway_have_in_vain_is_remarked_on() -> None:
    """The published API has it, deprecated or hidden, and Istio reads none of it."""
    pair = {"serverCertificate": "/c", "privateKey": "/k", "caCertificates": "/ca"}
    tls = {"mode": "SIMPLE", "tlsCertificates": [{**pair, "caCertificates": ""}, pair]}
    port = {"number": 443, "name": "a", "protocol": "HTTPS", "targetPort": 8443}
    spec = {"servers": [{"port": port, "hosts": ["*"], "tls": tls}]}
    assert [
        f"{each.path} {each.severity}" for each in ineffective_servers(Gateway.model_validate(spec), REF)
    ] == [
        "spec.servers[0].port.targetPort warning",
        "spec.servers[0].tls.tlsCertificates[1].caCertificates warning",
    ]
    listener = {"port": {"number": 443, "protocol": "HTTPS"}, "tls": tls}
    (found,) = ineffective_ports(Sidecar.model_validate({"ingress": [listener]}), REF)
    assert found.path == "spec.ingress[0].tls.tlsCertificates[1].caCertificates"


def test_subsets_inherit_and_ports_do_not() -> None:
    """A subset has the outlier detection of its rule; the settings of a port stand alone."""
    port = {"port": {"number": 80}, "loadBalancer": OVER}
    subset = {"name": "v1", "trafficPolicy": {"loadBalancer": OVER, "portLevelSettings": [port]}}
    assert told({"outlierDetection": OUTLIERS}, subsets=[subset]) == [
        "spec.subsets[0].trafficPolicy.portLevelSettings[0].loadBalancer.localityLbSetting MissingField"
    ]


@pytest.mark.parametrize(
    ("balancer", "field"),
    [
        ({"simple": "RANDOM", "warmup": {"duration": "1s"}}, "warmup"),
        ({"consistentHash": {"useSourceIp": True}, "warmupDurationSecs": "1s"}, "warmupDurationSecs"),
        ({"simple": "PASSTHROUGH", **OVER}, "localityLbSetting"),
        ({"simple": "PASSTHROUGH", "zoneAwareLbSetting": {}}, "zoneAwareLbSetting"),
    ],
)
def test_policies_that_cannot_do_it_are_told(balancer: dict[str, Any], field: str) -> None:
    """Slow start needs weights, preferences need a choice."""
    assert told({"loadBalancer": balancer}) == [f"{POLICY}.{field} Conflict"]
