"""What is asked of machines whose group has no probe, and what is made of the answers."""

from typing import Any

from envoy.service.health.v3 import hds_pb2

from xdsd.model.registered import ProbeResult
from xdsd.registration.conversation import Conversation
from xdsd.registration.listening import CLUSTER, Ears, Listening, listening_specifier

HEALTHY, UNHEALTHY = 1, 2


def response(cluster: str = CLUSTER, **ports: int) -> Any:
    """``p80=HEALTHY`` says so of port 80."""
    made = hds_pb2.EndpointHealthResponse()
    group = made.cluster_endpoints_health.add(cluster_name=cluster).locality_endpoints_health.add()
    for port, state in ports.items():
        found = group.endpoints_health.add(health_status=state)
        found.endpoint.address.socket_address.port_value = int(port[1:])
    return made


def test_every_port_is_connected_to_each_second() -> None:
    """By the machine's own Envoy, which tells every few seconds."""
    made = listening_specifier(Listening((80, 81)), "10.0.0.1", 7)
    (cluster,) = made.cluster_health_checks
    (check,) = cluster.health_checks
    asked = [each.address.socket_address for each in cluster.locality_endpoints[0].endpoints]
    assert [(each.address, each.port_value) for each in asked] == [("10.0.0.1", 80), ("10.0.0.1", 81)]
    assert check.HasField("tcp_health_check")
    assert (check.interval.seconds, made.interval.seconds, made.interval.nanos) == (1, 3, 7)


def test_only_who_has_listened_is_deaf() -> None:
    """A port on which nobody ever did is left alone; one of several is enough, as for a pod's containers."""
    ears = Ears()
    assert ears.found(response(p80=UNHEALTHY, p81=UNHEALTHY)) is None
    assert ears.found(response(p80=HEALTHY, p81=UNHEALTHY)) is None
    assert ears.found(response(p80=UNHEALTHY, p81=UNHEALTHY)) is ProbeResult.DEAF
    assert ears.found(response(p80=HEALTHY, p81=HEALTHY)) is ProbeResult.HEALTHY
    assert ears.found(response("other", p80=UNHEALTHY)) is None


def test_a_port_that_nobody_listens_on_keeps_no_machine_deaf() -> None:
    """What listened before and does again is enough; a port that never did says nothing."""
    ears = Ears()
    assert ears.found(response(p80=HEALTHY, p53=UNHEALTHY)) is None
    assert ears.found(response(p80=UNHEALTHY, p53=UNHEALTHY)) is ProbeResult.DEAF
    assert ears.found(response(p80=HEALTHY, p53=UNHEALTHY)) is ProbeResult.HEALTHY


def test_a_machine_is_asked_anew_where_its_ports_change() -> None:
    """By a new specifier; a sidecar that programs are pointed at asks over loopback."""
    asked = [Listening((80,))]
    found: list[ProbeResult] = []
    talk = Conversation(lambda: (asked[0], "10.0.0.1"), found.append, lambda: 5, explicit=True)
    first = talk.wanted(0.0)
    socket = first.cluster_health_checks[0].locality_endpoints[0].endpoints[0].address.socket_address
    assert (socket.address, socket.port_value) == ("127.0.0.1", 80)
    assert talk.wanted(1.0) is None
    talk.heard(response(p80=HEALTHY), 2.0)
    talk.heard(response(p80=UNHEALTHY), 5.0)
    assert found == [ProbeResult.HEALTHY, ProbeResult.DEAF]
    asked[0] = Listening((80, 81))
    assert talk.wanted(6.0) is not None
