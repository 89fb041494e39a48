"""Bytes and values."""

import contextlib

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import DownstreamTlsContext
from envoy.service.discovery.v3.discovery_pb2 import (
    DeltaDiscoveryRequest,
    DeltaDiscoveryResponse,
    DiscoveryRequest,
)
from envoy.service.discovery.v3.discovery_pb2 import (
    Resource as WireResource,
)
from hypothesis import given
from hypothesis import strategies as st

from tests.playbook import secret
from xdsd.model.node import Locality
from xdsd.protocol import wire
from xdsd.snapshot import CLUSTER, SECRET


def test_a_delta_request_is_read_in_full() -> None:
    """Node, names, versions, nonce and error."""
    message = DeltaDiscoveryRequest(
        type_url=CLUSTER,
        resource_names_subscribe=["a", "b", "a"],
        resource_names_unsubscribe=["c"],
        initial_resource_versions={"a": "1"},
        response_nonce="7",
    )
    message.error_detail.message = "bad"
    message.node.id, message.node.cluster = "id", "cluster"
    message.node.locality.zone = "z"
    message.node.user_agent_name = "envoy"
    message.node.user_agent_build_version.version.major_number = 1
    message.node.user_agent_build_version.version.minor_number = 40
    message.node.metadata.update({"LABELS": {"app": "x"}, "N": 1.5, "L": [True, None, "s"]})
    request = wire.parse_delta(message.SerializeToString())
    assert request.subscribe == {"a", "b"}
    assert request.unsubscribe == {"c"}
    assert request.initial_versions == {"a": "1"}
    assert (request.nonce, request.error) == ("7", "bad")
    node = request.node
    assert node is not None
    assert (node.id, node.cluster, node.locality) == ("id", "cluster", Locality(zone="z"))
    assert (node.user_agent, node.version) == ("envoy", "1.40.0")
    assert node.metadata == {"LABELS": {"app": "x"}, "N": 1.5, "L": [True, None, "s"]}


def test_b31_an_empty_error_is_an_error() -> None:
    """A NACK is told by the presence of the field, not by its text."""
    message = DiscoveryRequest(type_url=CLUSTER)
    assert wire.parse_sotw(message.SerializeToString()).error is None
    message.error_detail.SetInParent()
    assert wire.parse_sotw(message.SerializeToString()).error == ""


def test_equal_large_requests_are_parsed_once() -> None:
    """Two proxies that ask for the same thousand names share one value; small requests and ACKs are not kept."""
    names = [f"name{number}" for number in range(1000)]
    raw = DeltaDiscoveryRequest(type_url=CLUSTER, resource_names_subscribe=names).SerializeToString()
    cache = wire.RequestCache(100, entries=2)
    assert cache.delta(raw) is cache.delta(bytes(bytearray(raw)))
    small = DeltaDiscoveryRequest(type_url=CLUSTER, resource_names_subscribe=["a"]).SerializeToString()
    assert cache.delta(small) is not cache.delta(small)
    for turn in range(9):
        cache.delta(raw + b"\x12" + bytes([turn + 1]) + b"x" * (turn + 1))
    assert len(cache._parsed) == 2


@given(st.binary(max_size=200))
def test_any_bytes_are_a_request_or_malformed(raw: bytes) -> None:
    """Nothing else ever comes out."""
    for parse in (wire.parse_delta, wire.parse_sotw):
        with contextlib.suppress(wire.Malformed):
            assert isinstance(parse(raw), tuple)


def test_a_joined_response_is_the_message() -> None:
    """Fields joined by hand parse as the message that upb would have built."""
    resources = [secret("s", ttl=1.5), secret("t")]
    raw = b"".join(
        [
            wire.delta_head(SECRET),
            *(resource.encoded for resource in resources),
            wire.delta_removed(["x", ""]),
            wire.nonce_field("7"),
        ]
    )
    message = DeltaDiscoveryResponse.FromString(raw)
    assert message.type_url == SECRET
    assert [(r.name, r.version, r.resource.value) for r in message.resources] == [
        (r.name, r.version, r.body) for r in resources
    ]
    assert message.resources[0].ttl.ToMilliseconds() == 1500
    assert list(message.removed_resources) == ["x", ""]
    assert message.nonce == "7"


def test_a_heartbeat_has_a_version_and_a_ttl_but_no_body() -> None:
    """As the protocol wants it."""
    resource = secret("s", ttl=2)
    beat = DeltaDiscoveryResponse.FromString(wire.heartbeat(resource)).resources[0]
    assert (beat.name, beat.version, beat.ttl.seconds) == ("s", resource.version, 2)
    assert not beat.HasField("resource")
    assert isinstance(beat, WireResource)


def test_b30_endpoints_are_keyed_by_service_name() -> None:
    """A cluster waits for its service name, else for its own name, and only if it uses EDS."""
    eds = Cluster(name="c", type=Cluster.EDS)
    assert wire.endpoints_of(eds.SerializeToString()) == "c"
    eds.eds_cluster_config.service_name = "s"
    assert wire.endpoints_of(eds.SerializeToString()) == "s"
    assert wire.endpoints_of(Cluster(name="c", type=Cluster.STRICT_DNS).SerializeToString()) is None
    assert wire.endpoints_of(Cluster(name="c").SerializeToString()) is None


def test_a_secret_is_found_where_it_is_referred_to() -> None:
    """In a real listener, as a name of an SdsSecretConfig, and not where its name only occurs."""
    context = DownstreamTlsContext()
    config = context.common_tls_context.tls_certificate_sds_secret_configs.add(name="default")
    config.sds_config.ads.SetInParent()
    made = Listener(name="ROOTCA")
    made.filter_chains.add(name="ROOTCA").transport_socket.typed_config.Pack(context)
    body = made.SerializeToString()
    assert wire.names_secret(body, "default")
    assert not wire.names_secret(body, "ROOTCA")
    assert not wire.names_secret(body, "defaul")
