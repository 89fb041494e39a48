"""HTTP connection managers: whom each side trusts, and what none may change by itself."""

from datetime import timedelta
from typing import Any

import pytest
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.filters.http.router.v3.router_pb2 import Router
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
)

from tests.compile.listening import manager
from xdsd.compile.http_connection_managers import Side, http_connection_manager
from xdsd.compile.http_filters import CORS, DEADLINE, FAULT, GRPC_STATS, GRPC_WEB, ROUTER, http_filters
from xdsd.compile.listener_settings import DEFAULTS, ListenerSettings
from xdsd.compile.retries import LOST, UNREACHED
from xdsd.model.intent import ForwardClientCertDetails, PathNormalizationType


def built(side: Side, settings: ListenerSettings = DEFAULTS) -> Any:
    return manager(http_connection_manager(side, "0.0.0.0_9080", "9080", settings))


def test_filters_stand_in_their_one_order() -> None:
    """Translation and statistics come first, the router last, faults behind CORS, and what the router reads before it."""
    assert [each.name for each in http_filters()] == [GRPC_WEB, GRPC_STATS, CORS, FAULT, ROUTER]
    inbound = [each.name for each in http_filters(inbound=True)]
    assert inbound == [GRPC_WEB, GRPC_STATS, CORS, FAULT, DEADLINE, ROUTER]


@pytest.mark.parametrize("side", Side)
def test_every_side_has_the_same_filters(side: Side) -> None:
    """No listener ever changes because a route starts to use a filter."""
    assert list(built(side).http_filters) == http_filters(inbound=side is Side.INBOUND)


@pytest.mark.parametrize("side", Side)
def test_only_a_sidecar_says_that_its_program_was_not_reached(side: Side) -> None:
    """By a header of its own answer, where no connection was had or one was lost: nobody else can know."""
    marks = [
        (list(each.filter.response_flag_filter.flags), each.headers_to_add[0].header.key)
        for each in built(side).local_reply_config.mappers
    ]
    assert marks == ([(["UF"], UNREACHED), (["UC"], LOST)] if side is Side.INBOUND else [])


@pytest.mark.parametrize("side", Side)
def test_only_the_inbound_side_hears_of_the_callers_deadline(side: Side) -> None:
    """What programs and strangers say of it is dropped, as Envoy does by itself."""
    manager, inbound = built(side), side is Side.INBOUND
    assert bool(manager.early_header_mutation_extensions) is inbound
    router = Router()
    assert manager.http_filters[-1].typed_config.Unpack(router)
    assert router.respect_expected_rq_timeout is inbound


@pytest.mark.parametrize("side", Side)
def test_routes_come_over_ads(side: Side) -> None:
    """A route name is fetched by RDS on the ADS stream, waited for without limit."""
    rds = built(side).rds
    assert rds.route_config_name == "9080"
    assert rds.config_source.HasField("ads")
    assert rds.config_source.HasField("initial_fetch_timeout")
    assert rds.config_source.initial_fetch_timeout.ToTimedelta() == timedelta(0)


def test_routes_may_stand_inline() -> None:
    """Routes that never change need no RDS."""
    routes = RouteConfiguration(name="inbound|9080||")
    assert manager(http_connection_manager(Side.INBOUND, "x", routes, DEFAULTS)).route_config == routes


def test_statistics_are_named_for_dashboards() -> None:
    """The prefix tells the direction and ends with the semicolon that tag extractors look for."""
    assert built(Side.OUTBOUND).stat_prefix == "outbound_0.0.0.0_9080;"
    assert built(Side.INBOUND).stat_prefix == "inbound_0.0.0.0_9080;"
    assert built(Side.GATEWAY).stat_prefix == "outbound_0.0.0.0_9080;"


def test_only_a_gateway_takes_the_peer_for_the_client() -> None:
    """A gateway rewrites x-forwarded-for by the address it sees; sidecars pass it on."""
    assert built(Side.GATEWAY).use_remote_address.value
    assert not built(Side.OUTBOUND).use_remote_address.value
    assert not built(Side.INBOUND).use_remote_address.value


def test_trusted_hops_concern_the_gateway() -> None:
    """Proxies before a gateway are believed as far as the operator counts them."""
    settings = ListenerSettings(xff_trusted_hops=2)
    assert built(Side.GATEWAY, settings).xff_num_trusted_hops == 2
    assert built(Side.OUTBOUND, settings).xff_num_trusted_hops == 0


def test_client_certificates_are_told_inbound_and_never_taken_from_outside() -> None:
    """Inbound appends who called; a gateway replaces what a client claims about itself."""
    assert built(Side.INBOUND).forward_client_cert_details == HttpConnectionManager.APPEND_FORWARD
    assert built(Side.GATEWAY).forward_client_cert_details == HttpConnectionManager.SANITIZE_SET
    assert built(Side.OUTBOUND).forward_client_cert_details == HttpConnectionManager.SANITIZE


@pytest.mark.parametrize("said", [each for each in ForwardClientCertDetails if each != "UNDEFINED"])
def test_a_gateway_passes_certificates_on_as_it_is_told(said: ForwardClientCertDetails) -> None:
    """Where a proxy before it has verified them, say; sidecars do as ever."""
    settings = ListenerSettings(client_certs=said)
    wanted = HttpConnectionManager.ForwardClientCertDetails.Value(said)
    assert built(Side.GATEWAY, settings).forward_client_cert_details == wanted
    assert built(Side.INBOUND, settings).forward_client_cert_details == HttpConnectionManager.APPEND_FORWARD


def test_the_program_keeps_its_server_header() -> None:
    """Inbound answers with the Server header that the program sent."""
    assert built(Side.INBOUND).server_header_transformation == HttpConnectionManager.PASS_THROUGH


def test_streams_idle_for_ever_only_within_the_mesh() -> None:
    """Sidecars leave time limits to routes; a gateway ends streams that nobody uses."""
    assert built(Side.OUTBOUND).stream_idle_timeout.ToTimedelta() == timedelta(0)
    assert built(Side.GATEWAY).stream_idle_timeout.ToTimedelta() == timedelta(hours=1)
    assert built(Side.GATEWAY).http2_protocol_options.max_concurrent_streams.value == 100
    assert not built(Side.INBOUND).HasField("http2_protocol_options")


@pytest.mark.parametrize("side", Side)
def test_paths_are_normalized_and_old_and_upgraded_clients_served(side: Side) -> None:
    """Where policies decide a path has one spelling; HTTP/1.0 and WebSockets work everywhere."""
    built_manager = built(side)
    assert built_manager.normalize_path.value
    assert built_manager.merge_slashes is (side is not Side.OUTBOUND)
    assert built_manager.http_protocol_options.accept_http_10
    assert [each.upgrade_type for each in built_manager.upgrade_configs] == ["websocket"]


@pytest.mark.parametrize(
    ("paths", "normalized", "merged", "escaped"),
    [
        ("NONE", False, False, HttpConnectionManager.KEEP_UNCHANGED),
        ("BASE", True, False, HttpConnectionManager.KEEP_UNCHANGED),
        ("MERGE_SLASHES", True, True, HttpConnectionManager.KEEP_UNCHANGED),
        ("DECODE_AND_MERGE_SLASHES", True, True, HttpConnectionManager.UNESCAPE_AND_FORWARD),
    ],
)
def test_paths_are_normalized_as_far_as_the_mesh_says(
    paths: str, normalized: bool, merged: bool, escaped: int
) -> None:
    """The same on every side, so that all proxies on the way see one path."""
    for side in Side:
        filtered = http_connection_manager(
            side, "l", "r", ListenerSettings(paths=PathNormalizationType(paths))
        )
        found = HttpConnectionManager()
        assert filtered.typed_config.Unpack(found)
        assert (found.normalize_path.value, found.merge_slashes) == (normalized, merged)
        assert found.path_with_escaped_slashes_action == escaped
