"""HTTP connection managers: the network filter that turns a connection into requests.

Three sides use one, and differ in whom they trust. A sidecar's *outbound* side serves its own program,
its *inbound* side serves other proxies of the mesh; both take over the headers that they are given. A
*gateway* faces the world: it takes the peer's address for the client's (plus ``x-forwarded-for`` of
trusted hops), and drops internal headers from outside.

Routes come by RDS over ADS, never inline, wherever intent can change them: an RDS update leaves the
listener and its connections alone.
"""

from datetime import timedelta
from enum import StrEnum

from envoy.config.core.v3.protocol_pb2 import Http1ProtocolOptions, Http2ProtocolOptions
from envoy.config.listener.v3.listener_components_pb2 import Filter
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
    Rds,
)
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.wrappers_pb2 import BoolValue

from xdsd.compile.access_logs import access_logs
from xdsd.compile.config_sources import ads
from xdsd.compile.deadlines import keep_expected_timeout
from xdsd.compile.http_filters import http_filters
from xdsd.compile.listener_settings import ListenerSettings
from xdsd.compile.replies import lost, unreached
from xdsd.model.intent import PathNormalizationType

HTTP_CONNECTION_MANAGER = "envoy.filters.network.http_connection_manager"

_STREAMS = 100
"""Requests that are under way at once on a connection of a gateway's."""


_MERGING = frozenset({PathNormalizationType.MERGE_SLASHES, PathNormalizationType.DECODE_AND_MERGE_SLASHES})


class Side(StrEnum):
    """Whose requests these are; also the first word of the statistics."""

    OUTBOUND = "outbound"
    INBOUND = "inbound"
    GATEWAY = "gateway"


def http_connection_manager(
    side: Side,
    listener: str,
    routes: str | RouteConfiguration,
    settings: ListenerSettings,
    *,
    quic: bool = False,
) -> Filter:
    """The network filter; ``listener`` names it in statistics, ``routes`` is a route name for RDS or the
    routes themselves. Over ``quic`` requests are HTTP/3.
    """
    paths = _normalization(side, settings.paths)
    manager = HttpConnectionManager(
        codec_type=HttpConnectionManager.AUTO,
        # The semicolon ends the name for the tag extractors of Istio's bootstrap and dashboards.
        stat_prefix=f"{_stat_direction(side)}_{listener};",
        http_filters=http_filters(settings.limiting, settings.guarding, inbound=side is Side.INBOUND),
        access_log=access_logs(settings.access_log),
        normalize_path=BoolValue(value=paths is not PathNormalizationType.NONE),
        merge_slashes=paths in _MERGING,
        path_with_escaped_slashes_action=_escaped_slashes(paths),
        strip_trailing_host_dot=side is not Side.OUTBOUND,
        use_remote_address=BoolValue(value=side is Side.GATEWAY),
        http_protocol_options=Http1ProtocolOptions(accept_http_10=True),
        upgrade_configs=[HttpConnectionManager.UpgradeConfig(upgrade_type="websocket")],
        proxy_100_continue=True,
        stream_idle_timeout=duration(settings.stream_idle_timeout),
    )
    if settings.limiting.replies is not None:
        manager.local_reply_config.CopyFrom(settings.limiting.replies)
    if isinstance(routes, str):
        manager.rds.CopyFrom(_rds(routes))
    else:
        manager.route_config.CopyFrom(routes)
    if side is Side.INBOUND:
        _trust_mesh_peers(manager)
    elif side is Side.GATEWAY:
        _face_the_world(manager, settings)
    if quic:
        manager.codec_type = HttpConnectionManager.HTTP3
        manager.http3_protocol_options.quic_protocol_options.max_concurrent_streams.value = _STREAMS
    config = Any()
    config.Pack(manager)
    return Filter(name=HTTP_CONNECTION_MANAGER, typed_config=config)


def _normalization(side: Side, said: PathNormalizationType) -> PathNormalizationType:
    """How far paths are normalized. Where policies decide about them, unless told otherwise, so far that no other spelling
    of a path passes a DENY for it.
    """
    if said is not PathNormalizationType.DEFAULT:
        return said
    guarded = side is not Side.OUTBOUND
    return PathNormalizationType.DECODE_AND_MERGE_SLASHES if guarded else PathNormalizationType.BASE


def _escaped_slashes(paths: PathNormalizationType) -> int:
    decoded = paths is PathNormalizationType.DECODE_AND_MERGE_SLASHES
    action: int = (
        HttpConnectionManager.UNESCAPE_AND_FORWARD if decoded else HttpConnectionManager.KEEP_UNCHANGED
    )
    return action


def duration(value: timedelta) -> Duration:
    """The protobuf form of a duration, exact to the microsecond."""
    message = Duration()
    message.FromTimedelta(value)
    return message


def _stat_direction(side: Side) -> str:
    return "inbound" if side is Side.INBOUND else "outbound"


def _rds(route_name: str) -> Rds:
    return Rds(route_config_name=route_name, config_source=ads())


def _trust_mesh_peers(manager: HttpConnectionManager) -> None:
    manager.local_reply_config.mappers.extend((unreached(), lost()))
    manager.early_header_mutation_extensions.append(keep_expected_timeout())
    # The program behind sees its own Server header answered unchanged, and who called, if the peer proved
    # it by mTLS; without mTLS Envoy removes the header whatever is set here.
    manager.server_header_transformation = HttpConnectionManager.PASS_THROUGH
    manager.forward_client_cert_details = HttpConnectionManager.APPEND_FORWARD
    manager.set_current_client_cert_details.subject.value = True
    manager.set_current_client_cert_details.uri = True
    manager.set_current_client_cert_details.dns = True


def _face_the_world(manager: HttpConnectionManager, settings: ListenerSettings) -> None:
    # Envoy's advice for edge proxies, as far as no honest client notices it.
    manager.xff_num_trusted_hops = settings.xff_trusted_hops
    manager.forward_client_cert_details = HttpConnectionManager.ForwardClientCertDetails.Value(
        settings.client_certs
    )
    manager.set_current_client_cert_details.subject.value = True
    manager.set_current_client_cert_details.cert = True
    manager.set_current_client_cert_details.uri = True
    manager.set_current_client_cert_details.dns = True
    manager.stream_idle_timeout.CopyFrom(duration(settings.gateway_stream_idle_timeout))
    manager.request_headers_timeout.CopyFrom(duration(timedelta(minutes=1)))
    manager.http2_protocol_options.CopyFrom(
        Http2ProtocolOptions(
            max_concurrent_streams={"value": _STREAMS},
            initial_stream_window_size={"value": 1 << 16},
            initial_connection_window_size={"value": 1 << 20},
        )
    )
