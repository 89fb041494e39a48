"""What connections are wrapped in: TLS and the header of the PROXY protocol."""

from collections.abc import Mapping
from typing import Any

import pytest
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.extensions.transport_sockets.proxy_protocol.v3.upstream_proxy_protocol_pb2 import (
    ProxyProtocolUpstreamTransport,
)
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import UpstreamTlsContext
from google.protobuf.json_format import MessageToDict

from xdsd.compile.upstream_tls import apply_transport, follows_host, verifies_host
from xdsd.model.intent import ClientTLSSettings, ProxyProtocol

CA = "/etc/ssl/ca.pem"
PARAMS = {"tlsMinimumProtocolVersion": "TLSv1_2", "tlsMaximumProtocolVersion": "TLSv1_3"}


def settings(tls: Mapping[str, Any]) -> ClientTLSSettings:
    return ClientTLSSettings.model_validate(tls)


def socket(tls: Mapping[str, Any] | None = None, version: str | None = None, *, http2: bool = False) -> Any:
    """The transport socket of a cluster with these settings."""
    cluster = Cluster()
    header = ProxyProtocol.model_validate({"version": version}) if version else None
    apply_transport(cluster, settings(tls) if tls else None, header, http2=http2, system_ca=CA)
    return cluster.transport_socket if cluster.HasField("transport_socket") else None


def context(tls: Mapping[str, Any], *, http2: bool = False) -> dict[str, Any]:
    made = socket(tls, http2=http2)
    assert made.name == "envoy.transport_sockets.tls"
    unpacked = UpstreamTlsContext()
    assert made.typed_config.Unpack(unpacked)
    return MessageToDict(unpacked)


@pytest.mark.parametrize("tls", [None, {"mode": "DISABLE"}])
def test_connections_are_plain_unless_told_otherwise(tls: Mapping[str, Any] | None) -> None:
    """Without TLS or a header there is no transport socket."""
    assert socket(tls) is None


def test_simple_tls_trusts_the_system() -> None:
    """The server must have a certificate of an authority that the system trusts; versions below 1.2 are off."""
    assert context({"mode": "SIMPLE"}) == {
        "commonTlsContext": {
            "tlsParams": PARAMS,
            "validationContext": {"trustedCa": {"filename": CA}},
        }
    }


def test_mutual_tls_shows_a_certificate() -> None:
    """Files are named as they are given; names are matched as what they can be."""
    tls = {
        "mode": "MUTUAL",
        "clientCertificate": "/c.pem",
        "privateKey": "/c.key",
        "caCertificates": "/ca.pem",
        "caCrl": "/ca.crl",
        "sni": "a.example.com",
        "subjectAltNames": ["a.example.com", "spiffe://x/ns/a/sa/b", "10.0.0.1", "a@example.com"],
    }
    assert context(tls, http2=True) == {
        "sni": "a.example.com",
        "commonTlsContext": {
            "alpnProtocols": ["h2"],
            "tlsParams": PARAMS,
            "tlsCertificates": [
                {"certificateChain": {"filename": "/c.pem"}, "privateKey": {"filename": "/c.key"}}
            ],
            "validationContext": {
                "trustedCa": {"filename": "/ca.pem"},
                "crl": {"filename": "/ca.crl"},
                "matchTypedSubjectAltNames": [
                    {"sanType": kind, "matcher": {"exact": name}}
                    for kind, name in zip(
                        ("DNS", "URI", "IP_ADDRESS", "EMAIL"), tls["subjectAltNames"], strict=True
                    )
                ],
            },
        },
    }


def test_verification_can_be_skipped() -> None:
    """Then nobody vouches, and the host is not compared either."""
    tls = {"mode": "SIMPLE", "insecureSkipVerify": True}
    assert context(tls)["commonTlsContext"]["validationContext"] == {}
    assert follows_host(settings(tls))
    assert not verifies_host(settings(tls))


@pytest.mark.parametrize(
    ("tls", "follows", "verifies"),
    [
        ({"mode": "DISABLE"}, False, False),
        ({"mode": "SIMPLE"}, True, True),
        ({"mode": "SIMPLE", "sni": "a"}, False, False),
        ({"mode": "SIMPLE", "subjectAltNames": ["a"]}, True, False),
    ],
)
def test_the_host_of_a_request_is_asked_for_and_compared(
    tls: Mapping[str, Any], *, follows: bool, verifies: bool
) -> None:
    """Unless a server name is set it is the host; unless names are listed the certificate must be for it."""
    assert follows_host(settings(tls)) is follows
    assert verifies_host(settings(tls)) is verifies


@pytest.mark.parametrize("version", ["V1", "V2"])
def test_the_proxy_protocol_goes_ahead_of_what_else_there_is(version: str) -> None:
    """The header comes first, then plain text or TLS."""
    for tls, inner in ((None, "raw_buffer"), ({"mode": "SIMPLE"}, "tls")):
        made = socket(tls, version)
        assert made.name == "envoy.transport_sockets.upstream_proxy_protocol"
        unpacked = ProxyProtocolUpstreamTransport()
        assert made.typed_config.Unpack(unpacked)
        assert unpacked.config.version == ("V1", "V2").index(version)
        assert unpacked.transport_socket.name == f"envoy.transport_sockets.{inner}"


def test_a_version_that_is_left_out_is_the_first() -> None:
    """As published."""
    cluster = Cluster()
    apply_transport(cluster, None, ProxyProtocol(), http2=False, system_ca=CA)
    unpacked = ProxyProtocolUpstreamTransport()
    assert cluster.transport_socket.typed_config.Unpack(unpacked)
    assert unpacked.config.version == 0
