"""Mutual TLS of the mesh that asks for what is asked for inside, so that one rule leads any host to an egress gateway."""

from typing import Any

import pytest
from envoy.extensions.filters.network.set_filter_state.v3.set_filter_state_pb2 import Config as SetFilterState
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import UpstreamTlsContext
from envoy.extensions.upstreams.http.v3.http_protocol_options_pb2 import HttpProtocolOptions

from tests.compile.envoy import validate_with_envoy
from xdsd.compile.clusters import outbound_cluster
from xdsd.compile.listener_settings import DEFAULTS
from xdsd.compile.mesh_tls import Peers
from xdsd.compile.policy import Policy
from xdsd.compile.tcp_chains import tcp_chain
from xdsd.compile.tcp_proxies import TcpOptions
from xdsd.compile.tcp_targets import TcpTarget
from xdsd.model.catalog import Location, Port, Protocol, Service
from xdsd.model.intent import ClientTLSMode, ClientTLSSettings

PORTS = (Port(8443, "http", Protocol.HTTP, 8443), Port(8432, "tls", Protocol.TLS, 8432))
OUT = Service("egress", "out.egress.svc.cluster.local", PORTS, location=Location.MESH_INTERNAL)
PEERS = Peers(("spiffe://cluster.local/ns/egress/sa/egress",))


def cluster(port: Port, sni: str | None) -> Any:
    policy = Policy(tls=ClientTLSSettings(mode=ClientTLSMode.ISTIO_MUTUAL, sni=sni))
    name = f"outbound|{port.number}||{OUT.hostname}"
    return outbound_cluster(name, OUT, port, policy, peers=PEERS)


def asked(made: Any) -> tuple[str, bool]:
    """The server name that a cluster asks for, and whether the host of each request goes before it."""
    tls = UpstreamTlsContext.FromString(made.transport_socket.typed_config.value)
    options = HttpProtocolOptions()
    for each in made.typed_extension_protocol_options.values():
        each.Unpack(options)
    assert not options.upstream_http_protocol_options.auto_san_validation
    return tls.sni, options.upstream_http_protocol_options.auto_sni


@pytest.mark.parametrize(
    ("sni", "http", "unread"),
    [
        ("*", ("", True), ("", False)),
        ("bank.example.com", ("bank.example.com", False), ("bank.example.com", False)),
        (
            None,
            ("outbound_.8443_._.out.egress.svc.cluster.local", False),
            ("outbound_.8432_._.out.egress.svc.cluster.local", False),
        ),
    ],
)
def test_a_star_stands_for_what_is_asked_for(
    sni: str | None, http: tuple[str, bool], unread: tuple[str, bool]
) -> None:
    """Of requests their host; connections bring the name with them. Who answers is verified by identity as ever."""
    made = [cluster(port, sni) for port in PORTS]
    assert [asked(each) for each in made] == [http, unread]
    validate_with_envoy(clusters=made)


def test_a_connection_brings_the_name_that_its_tls_asks_for() -> None:
    """A filter before the proxy remembers it; one without a name asks for none."""
    target = TcpTarget("c", sni=("*.example.com",), options=TcpOptions(pass_name=True))
    filters = tcp_chain(target, DEFAULTS).filters
    assert [each.name.rpartition(".")[2] for each in filters] == ["set_filter_state", "tcp_proxy"]
    (value,) = SetFilterState.FromString(filters[0].typed_config.value).on_new_connection
    assert value.object_key == "envoy.network.upstream_server_name"
    assert value.format_string.text_format_source.inline_string == "%REQUESTED_SERVER_NAME%"
    assert value.skip_if_empty
    assert value.format_string.omit_empty_values
