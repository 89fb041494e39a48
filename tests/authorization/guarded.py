"""A real Envoy whose listeners are guarded by policies, without a daemon: what filters are told is written into them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from envoy.config.bootstrap.v3.bootstrap_pb2 import Bootstrap
from envoy.config.core.v3.base_pb2 import TransportSocket
from envoy.config.listener.v3.listener_components_pb2 import Filter, FilterChain
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.filters.network.echo.v3.echo_pb2 import Echo
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
    HttpFilter,
)
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import DownstreamTlsContext
from google.protobuf.json_format import MessageToDict

from tests.lab.certificates import Pair
from xdsd.compile.access_logs import OFF
from xdsd.compile.addresses import listen_address
from xdsd.compile.authorization.guards import http_guard, network_guard
from xdsd.compile.authorization.heads import Guarding
from xdsd.compile.authorization.tokens import Issuer, token_guard
from xdsd.compile.http_connection_managers import Side, http_connection_manager
from xdsd.compile.listener_filters import tls_inspector
from xdsd.compile.listener_settings import ListenerSettings
from xdsd.model.intent import Action, AuthorizationPolicy, Object

SEPARATOR = " "
_TRIED = "%DYNAMIC_METADATA(envoy.filters.http.rbac:istio_dry_run_{action}_shadow_effective_policy_id)%"
_BODY = SEPARATOR.join(
    ("%RESPONSE_CODE_DETAILS%", _TRIED.format(action="deny"), _TRIED.format(action="allow"))
)


@dataclass(frozen=True, slots=True)
class Guarded:
    """A listener: where it is, the policies that guard it, and whether it takes requests or connections."""

    address: str
    port: int
    policies: tuple[Object[AuthorizationPolicy], ...]
    http: bool = True


def bootstrap(
    listeners: Sequence[Guarded],
    *,
    server: Pair,
    trusted: Path,
    issuers: Sequence[Issuer],
    domains: tuple[str, ...],
) -> dict[str, Any]:
    """What such an Envoy is started with."""
    made = Bootstrap()
    for each in listeners:
        filters = [_requests(each, issuers, domains)] if each.http else _connections(each, domains)
        chain = FilterChain(filters=filters, transport_socket=_tls(server, trusted))
        made.static_resources.listeners.append(
            Listener(
                name=f"{each.address}_{each.port}",
                address=listen_address(each.address, each.port),
                listener_filters=[tls_inspector((), but=())],
                filter_chains=[chain],
            )
        )
    found: dict[str, Any] = MessageToDict(made, preserving_proto_field_name=True)
    return found


def _requests(listener: Guarded, issuers: Sequence[Issuer], domains: tuple[str, ...]) -> Filter:
    """As the daemon's own, but for what answers: a refusal's details are its body."""
    filters = [
        _filter("envoy.filters.http.jwt_authn", token_guard(issuers)),
        _filter("envoy.filters.http.rbac|deny", http_guard(listener.policies, Action.DENY, domains)),
        _filter("envoy.filters.http.rbac|allow", http_guard(listener.policies, Action.ALLOW, domains)),
    ]
    routes = RouteConfiguration(name="inbound")
    route = routes.virtual_hosts.add(name="all", domains=["*"]).routes.add()
    route.match.prefix = "/"
    route.direct_response.status = 200
    settings = ListenerSettings(access_log=OFF, guarding=Guarding(http=tuple(filters)))
    found = http_connection_manager(Side.INBOUND, "inbound", routes, settings)
    manager = HttpConnectionManager()
    found.typed_config.Unpack(manager)
    manager.local_reply_config.body_format.text_format_source.inline_string = _BODY
    found.typed_config.Pack(manager)
    return found


def _filter(name: str, config: Any) -> HttpFilter:
    made = HttpFilter(name=name)
    made.typed_config.Pack(config, deterministic=True)
    return made


def _connections(listener: Guarded, domains: tuple[str, ...]) -> list[Filter]:
    made = []
    for name, config in (
        ("deny", network_guard(listener.policies, Action.DENY, domains)),
        ("allow", network_guard(listener.policies, Action.ALLOW, domains)),
        ("echo", Echo()),
    ):
        filled = Filter(name=name)
        filled.typed_config.Pack(config, deterministic=True)
        made.append(filled)
    return made


def _tls(server: Pair, trusted: Path) -> TransportSocket:
    context = DownstreamTlsContext()
    pair = context.common_tls_context.tls_certificates.add()
    pair.certificate_chain.filename = str(server.cert)
    pair.private_key.filename = str(server.key)
    context.require_client_certificate.value = False
    context.common_tls_context.validation_context.trusted_ca.filename = str(trusted)
    made = TransportSocket(name="envoy.transport_sockets.tls")
    made.typed_config.Pack(context)
    return made
