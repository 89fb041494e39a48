"""What Envoy is told to check of a machine's program, and what is made of its answers."""

from typing import Any

import pytest
from envoy.service.health.v3 import hds_pb2
from google.protobuf.json_format import MessageToDict

from xdsd.model.intent import ReadinessProbe
from xdsd.model.registered import ProbeResult
from xdsd.registration.conversation import Conversation
from xdsd.registration.probes import CLUSTER, found, specifier

HEALTHY, UNHEALTHY, TIMEOUT = 1, 2, 4


def probe(**fields: Any) -> ReadinessProbe:
    return ReadinessProbe.model_validate(fields)


def told(asked: ReadinessProbe, host: str = "10.0.0.1", number: int = 7) -> dict[str, Any]:
    """A specifier as JSON."""
    made: dict[str, Any] = MessageToDict(specifier(asked, host, number))
    return made


def check(asked: ReadinessProbe) -> dict[str, Any]:
    """What is checked of the only cluster."""
    (cluster,) = told(asked)["clusterHealthChecks"]
    (only,) = cluster["healthChecks"]
    made: dict[str, Any] = only
    return made


def address(asked: ReadinessProbe, host: str = "10.0.0.1") -> tuple[str, int]:
    (cluster,) = told(asked, host)["clusterHealthChecks"]
    where = cluster["localityEndpoints"][0]["endpoints"][0]["address"]["socketAddress"]
    return where["address"], where["portValue"]


def response(*states: int, cluster: str = CLUSTER) -> Any:
    made = hds_pb2.EndpointHealthResponse()
    endpoints = made.cluster_endpoints_health.add(cluster_name=cluster).locality_endpoints_health.add()
    for state in states:
        endpoints.endpoints_health.add(health_status=state)
    return made


def test_what_is_not_said_is_as_published() -> None:
    """Ten seconds, three failures, one success, a second for an answer."""
    found = check(probe(tcpSocket={"port": 80}))
    assert (found["interval"], found["timeout"]) == ("10s", "1s")
    assert (found["unhealthyThreshold"], found["healthyThreshold"]) == (3, 1)
    assert found["tcpHealthCheck"] == {}


def test_every_number_is_taken() -> None:
    """Zero means what is published for it."""
    asked = probe(
        tcpSocket={"port": 80}, timeoutSeconds=2, periodSeconds=3, successThreshold=4, failureThreshold=5
    )
    found = check(asked)
    assert (found["interval"], found["unhealthyInterval"], found["timeout"]) == ("3s", "3s", "2s")
    assert (found["unhealthyThreshold"], found["healthyThreshold"]) == (5, 4)
    zeros = {"timeoutSeconds": 0, "periodSeconds": 0, "successThreshold": 0, "failureThreshold": 0}
    assert check(probe(tcpSocket={"port": 80}, **zeros)) == check(probe(tcpSocket={"port": 80}))


@pytest.mark.parametrize(
    ("host", "expected"),
    [(None, "10.0.0.1"), ("localhost", "127.0.0.1"), ("::1", "::1"), ("192.0.2.1", "192.0.2.1")],
)
def test_a_program_is_asked_where_it_is(host: str | None, expected: str) -> None:
    """Where its callers reach it, unless the probe names an address."""
    said = {"host": host} if host else {}
    assert address(probe(tcpSocket={"port": 80, **said})) == (expected, 80)
    assert address(probe(httpGet={"port": 81, **said})) == (expected, 81)


def test_http_is_asked_with_its_headers() -> None:
    """The header Host is the host; statuses from 200 to 399 are good, all others count as one failure."""
    headers = [{"name": "Host", "value": "a.example"}, {"name": "x-a", "value": "b"}, {"name": "x-empty"}]
    found = check(probe(httpGet={"port": 80, "path": "/a?b", "httpHeaders": headers}))["httpHealthCheck"]
    assert (found["host"], found["path"]) == ("a.example", "/a?b")
    assert found["expectedStatuses"] == [{"start": "200", "end": "400"}]
    assert found["retriableStatuses"] == [{"start": "100", "end": "200"}, {"start": "400", "end": "600"}]
    assert [each["header"]["key"] for each in found["requestHeadersToAdd"]] == ["x-a", "x-empty"]
    assert check(probe(httpGet={"port": 80}))["httpHealthCheck"]["host"] == "10.0.0.1:80"


def test_https_is_asked_over_tls() -> None:
    """Whatever certificate the program has."""
    (cluster,) = told(probe(httpGet={"port": 80, "scheme": "https"}))["clusterHealthChecks"]
    (match,) = cluster["transportSocketMatches"]
    assert match["transportSocket"]["name"] == "envoy.transport_sockets.tls"
    assert cluster["healthChecks"][0]["transportSocketMatchCriteria"] == match["match"]


def test_grpc_is_asked_by_its_health_protocol() -> None:
    """The request is a message of that protocol, however long the service's name is."""
    from grpc_health.v1 import health_pb2  # noqa: PLC0415 - only to know what is right

    for service in ("", "reviews.Reviews", "r" * 300):
        found = check(probe(grpc={"port": 80, **({"service": service} if service else {})}))[
            "httpHealthCheck"
        ]
        message = health_pb2.HealthCheckRequest(service=service).SerializeToString()
        assert found["send"]["text"] == (b"\0" + len(message).to_bytes(4, "big") + message).hex()
        answer = health_pb2.HealthCheckResponse(status=1).SerializeToString()
        assert found["receive"][0]["text"] == (b"\0" + len(answer).to_bytes(4, "big") + answer).hex()
        assert (found["method"], found["codecClientType"]) == ("POST", "HTTP2")


def test_specifiers_differ_and_say_the_same() -> None:
    """Envoy answers nothing on a new stream to a specifier that it had."""
    asked = probe(tcpSocket={"port": 80})
    one, other = told(asked, number=1), told(asked, number=2)
    assert one != other
    assert one.pop("interval") == "5.000000001s"
    assert other.pop("interval") == "5.000000002s"
    assert one == other


def test_a_machine_is_well_where_all_of_it_is() -> None:
    """What Envoy checks of others' accord is none of ours."""
    assert found(response(HEALTHY)) is ProbeResult.HEALTHY
    for state in (UNHEALTHY, TIMEOUT, 0):
        assert found(response(HEALTHY, state)) is ProbeResult.UNHEALTHY
    assert found(response(HEALTHY, cluster="other")) is None
    assert found(response()) is None


def test_a_conversation_follows_the_group() -> None:
    """Nothing is asked before the delay, nor twice; another probe is, and none asks nothing."""
    held: list[tuple[ReadinessProbe, str] | None] = [None]
    heard: list[ProbeResult] = []
    talk = Conversation(lambda: held[0], heard.append, lambda: 1)
    assert talk.wanted(0) is None
    held[0] = (probe(tcpSocket={"port": 80}, initialDelaySeconds=5), "10.0.0.1")
    assert talk.wanted(10) is None
    assert talk.wanted(14.9) is None
    assert talk.wanted(15) is not None
    assert talk.wanted(16) is None
    held[0] = (probe(tcpSocket={"port": 81}, initialDelaySeconds=5), "10.0.0.1")
    assert talk.wanted(17) is not None


def test_failures_are_believed_once_a_probe_had_its_time() -> None:
    """Envoy says that a program is not well before it has asked; a restart of the daemon must not cost a healthy machine."""
    heard: list[ProbeResult] = []
    talk = Conversation(lambda: (probe(tcpSocket={"port": 80}), "10.0.0.1"), heard.append, lambda: 1)
    talk.heard(response(HEALTHY), 0)
    assert heard == []
    talk.wanted(0)
    talk.heard(response(UNHEALTHY), 1.5)
    assert heard == []
    talk.heard(response(HEALTHY), 1.6)
    talk.heard(response(UNHEALTHY), 2.6)
    assert heard == [ProbeResult.HEALTHY, ProbeResult.UNHEALTHY]


def test_reports_that_come_too_often_are_left_out() -> None:
    """Nobody has the store written at the pace that it likes."""
    heard: list[ProbeResult] = []
    talk = Conversation(lambda: (probe(tcpSocket={"port": 80}), "10.0.0.1"), heard.append, lambda: 1)
    talk.wanted(0)
    for number in range(100):
        talk.heard(response(HEALTHY if number % 2 else UNHEALTHY), 10 + number / 50)
    assert len(heard) == 3


def test_a_program_behind_an_explicit_sidecar_is_on_loopback() -> None:
    """There the sidecar has the port of the machine's address."""
    for at, local in (("10.0.0.1", "127.0.0.1"), ("fd00::1", "::1")):
        asked = (probe(tcpSocket={"port": 80}), at)
        talk = Conversation(lambda asked=asked: asked, lambda _: None, lambda: 1, explicit=True)  # type: ignore[misc]
        made = MessageToDict(talk.wanted(0))["clusterHealthChecks"][0]
        where = made["localityEndpoints"][0]["endpoints"][0]["address"]["socketAddress"]["address"]
        assert where == local
