"""Inbound listeners of workloads that take mutual TLS, by value and as a real Envoy takes them."""

from dataclasses import replace
from typing import Any

import pytest
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import DownstreamTlsContext

from tests.compile.envoy import validate_with_envoy
from xdsd.compile.inbound import InboundPort, inbound_listener, virtual_inbound
from xdsd.compile.mesh_tls import MESH_ALPN, MESH_HTTP_ALPN, MESH_TCP_ALPN
from xdsd.compile.names import BLACK_HOLE_CLUSTER
from xdsd.compile.peers import Admits, Undeclared, admits
from xdsd.model.catalog import Protocol
from xdsd.model.intent import MutualTLSMode, ServerTLSMode, ServerTLSSettings

TRUST = ("cluster.local", "old.example.com")
HTTP = InboundPort(9080, Protocol.HTTP, "inbound|9080||")
MYSQL = InboundPort(3306, Protocol.MYSQL, "inbound|3306||")
AUTO = InboundPort(7000, Protocol.AUTO, "inbound|7000||")
OWN = ServerTLSSettings(mode=ServerTLSMode.SIMPLE, server_certificate="/dev/null", private_key="/dev/null")
EITHER = Undeclared(Admits.EITHER)
MUTUAL = Undeclared(Admits.MUTUAL)


def taking(port: InboundPort, taken: Admits) -> InboundPort:
    """The port as it is when it takes that."""
    return replace(port, admits=taken)


def context(chain: Any) -> Any:
    """The TLS of a filter chain, None without."""
    found = DownstreamTlsContext()
    return found if chain.transport_socket.typed_config.Unpack(found) else None


def ways(listener: Any, port: int) -> list[tuple[str, tuple[str, ...], bool, bool]]:
    """The filter chains of a port: transport, ALPN, whether they decrypt, and whether they read requests."""
    return [
        (
            chain.filter_chain_match.transport_protocol,
            tuple(chain.filter_chain_match.application_protocols),
            context(chain) is not None,
            chain.filters[0].name.endswith("http_connection_manager"),
        )
        for chain in listener.filter_chains
        if chain.filter_chain_match.destination_port.value == port
    ]


@pytest.mark.parametrize(
    ("mode", "proven", "expected"),
    [
        (MutualTLSMode.STRICT, True, Admits.MUTUAL),
        (MutualTLSMode.PERMISSIVE, True, Admits.EITHER),
        (MutualTLSMode.DISABLE, True, Admits.PLAINTEXT),
        (MutualTLSMode.STRICT, False, Admits.NOTHING),
        (MutualTLSMode.PERMISSIVE, False, Admits.PLAINTEXT),
        (MutualTLSMode.DISABLE, False, Admits.PLAINTEXT),
    ],
)
def test_a_proxy_without_a_certificate_takes_no_less_than_policy_asks(
    mode: MutualTLSMode, proven: bool, expected: Admits
) -> None:
    """Where mutual TLS is asked for and cannot be had, nothing is taken instead of plaintext."""
    assert admits(mode, proven=proven) is expected


@pytest.mark.parametrize(
    ("port", "expected"),
    [
        (HTTP, [("tls", (), True, True)]),
        (MYSQL, [("tls", MESH_ALPN, True, False), ("tls", (), True, False)]),
        (
            AUTO,
            [
                ("tls", MESH_HTTP_ALPN, True, True),
                ("tls", MESH_TCP_ALPN, True, False),
                ("tls", (), True, False),
            ],
        ),
    ],
    ids=lambda value: str(getattr(value, "protocol", "")),
)
def test_strict_takes_nothing_but_mutual_tls(port: InboundPort, expected: list[Any]) -> None:
    """Every chain of a strict port decrypts and wants a certificate, and no chain takes what none of them matches."""
    listener = virtual_inbound([taking(port, Admits.MUTUAL)], undeclared=MUTUAL, trust=TRUST)
    assert ways(listener, port.port) == expected
    assert not listener.HasField("default_filter_chain")
    for chain in listener.filter_chains:
        tls = context(chain)
        assert chain.name == "virtualInbound-blackhole" or tls.require_client_certificate.value
    alone = inbound_listener(taking(port, Admits.MUTUAL), trust=TRUST)
    assert ways(alone, 0) == expected
    assert not alone.HasField("default_filter_chain")


@pytest.mark.parametrize(
    ("port", "expected"),
    [
        (HTTP, [("tls", (), True, True), ("raw_buffer", (), False, True)]),
        (
            MYSQL,
            [("tls", MESH_ALPN, True, False), ("tls", (), False, False), ("raw_buffer", (), False, False)],
        ),
        (
            AUTO,
            [
                ("tls", MESH_HTTP_ALPN, True, True),
                ("tls", MESH_TCP_ALPN, True, False),
                ("tls", (), False, False),
                ("raw_buffer", ("http/1.0", "http/1.1", "h2c"), False, True),
                ("raw_buffer", (), False, False),
            ],
        ),
    ],
    ids=lambda value: str(getattr(value, "protocol", "")),
)
def test_permissive_takes_both(port: InboundPort, expected: list[Any]) -> None:
    """Peers are decrypted; plaintext, and TLS that is the program's own, is taken as without a mesh."""
    listener = virtual_inbound([taking(port, Admits.EITHER)], undeclared=EITHER, trust=TRUST)
    assert ways(listener, port.port) == expected
    assert ways(listener, 0) == [
        ("tls", MESH_ALPN, True, False),
        ("tls", (), False, False),
        ("raw_buffer", (), False, False),
    ]
    assert not listener.HasField("default_filter_chain")


@pytest.mark.parametrize("port", [HTTP, MYSQL, AUTO], ids=lambda port: str(port.protocol))
def test_from_permissive_to_strict_no_encrypted_connection_is_drained(port: InboundPort) -> None:
    """The chains of peers stay as they are, and so does all of the listener but its chains."""
    before = virtual_inbound([taking(port, Admits.EITHER)], undeclared=EITHER, trust=TRUST)
    after = virtual_inbound([taking(port, Admits.MUTUAL)], undeclared=MUTUAL, trust=TRUST)
    kept = [chain for chain in before.filter_chains if context(chain) and chain.name != "virtualInbound"]
    assert kept
    assert all(chain in after.filter_chains for chain in kept)
    del before.filter_chains[:], after.filter_chains[:]
    assert before == after


def test_peers_are_of_trusted_domains_and_secrets_come_over_ads() -> None:
    """Own certificate and roots are named, not held; a peer's identity begins with a trust domain of the mesh."""
    listener = virtual_inbound([taking(HTTP, Admits.MUTUAL)], trust=TRUST)
    (chain,) = (each for each in listener.filter_chains if each.name == HTTP.name)
    common = context(chain).common_tls_context
    assert [each.name for each in common.tls_certificate_sds_secret_configs] == ["default"]
    combined = common.combined_validation_context
    assert combined.validation_context_sds_secret_config.name == "ROOTCA"
    matchers = combined.default_validation_context.match_typed_subject_alt_names
    assert [each.matcher.prefix for each in matchers] == [f"spiffe://{domain}/" for domain in TRUST]
    assert list(common.alpn_protocols) == ["h2", "http/1.1"]
    assert not common.tls_certificates


def test_servers_may_speak_first_where_no_tls_is_looked_for() -> None:
    """First bytes are awaited on ports that take mutual TLS alone, or on all but those that do not."""

    def asked(listener: Any) -> Any:
        (found,) = (each for each in listener.listener_filters if each.name.endswith("tls_inspector"))
        return found.filter_disabled

    some = asked(virtual_inbound([taking(HTTP, Admits.EITHER), MYSQL], trust=TRUST))
    assert some.not_match.destination_port_range.start == 9080
    most = asked(
        virtual_inbound(
            [taking(HTTP, Admits.EITHER), MYSQL],
            undeclared=Undeclared(Admits.EITHER, ((9999, Admits.PLAINTEXT),)),
            trust=TRUST,
        )
    )
    assert [each.destination_port_range.start for each in most.or_match.rules] == [3306, 9999]
    every = asked(virtual_inbound([taking(HTTP, Admits.EITHER)], undeclared=EITHER, trust=TRUST))
    assert not every.ByteSize()


def test_a_port_that_takes_nothing_leads_nowhere() -> None:
    """What may not come in plaintext and cannot be decrypted ends, on declared ports and on others."""
    listener = virtual_inbound(
        [taking(HTTP, Admits.NOTHING)], undeclared=Undeclared(Admits.NOTHING, ((9999, Admits.NOTHING),))
    )
    assert not listener.HasField("default_filter_chain")
    assert all(
        BLACK_HOLE_CLUSTER in str(each.filters[0].typed_config.value) for each in listener.filter_chains
    )
    assert {each.filter_chain_match.destination_port.value for each in listener.filter_chains} == {
        9080,
        9999,
        15006,
    }
    alone = inbound_listener(taking(HTTP, Admits.NOTHING))
    assert BLACK_HOLE_CLUSTER in str(alone.default_filter_chain.filters[0].typed_config.value)


def test_tls_that_a_sidecar_ends_itself_takes_the_place_of_plaintext() -> None:
    """An ingress listener with TLS takes peers and callers of that TLS, and plaintext from nobody."""
    port = replace(taking(HTTP, Admits.EITHER), tls=OWN)
    listener = virtual_inbound([port], trust=TRUST)
    assert ways(listener, 9080) == [("tls", MESH_ALPN, True, True), ("tls", (), True, True)]
    peers, others = (context(each) for each in listener.filter_chains if each.name == port.name)
    assert peers.require_client_certificate.value
    assert others.common_tls_context.tls_certificates[0].certificate_chain.filename == "/dev/null"
    strict = virtual_inbound([taking(port, Admits.MUTUAL)], undeclared=MUTUAL, trust=TRUST)
    assert all(
        not context(each).common_tls_context.tls_certificates
        for each in strict.filter_chains
        if each.name == port.name
    )


@pytest.mark.e2e
def test_envoy_takes_every_way_in() -> None:
    """Each protocol, whomever it takes, declared or not, captured or not."""
    listeners = []
    for taken in Admits:
        ports = [taking(each, taken) for each in (HTTP, MYSQL, AUTO)]
        listeners += [inbound_listener(each, trust=TRUST) for each in ports]
        for others in Admits:
            undeclared = Undeclared(others, ((9999, taken), (9998, Admits.PLAINTEXT)))
            listeners.append(virtual_inbound(ports, undeclared=undeclared, trust=TRUST))
    validate_with_envoy(listeners=listeners)
